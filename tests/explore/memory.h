// tests/explore/memory.h - the memory model: which stores a load may read from, and which accesses race.
// SPDX-License-Identifier: BSD-2-Clause
//
// An operational form of C++20's model. Each atomic word has its stores in modification order. A thread has two vector
// clocks: `hb`, what happens before it, and `seen`, what it must not read behind; `seen` holds more, since seq_cst
// fences and barriers forced from outside order what is read without making plain accesses safe. A store carries both
// clocks of its thread (release) or those of its thread's last release fence (relaxed); a load that acquires takes them
// over, one that is relaxed keeps them for the next acquire fence. A read-modify-write hands on what the store that it
// replaces carries.
//
// What is left out: load buffering. A store is read only after it has been executed, in program order of its thread, so
// r1 = x; y = 1 || r2 = y; x = 1 never gives r1 == r2 == 1. And the order of seq_cst operations is the one in which
// they are executed: stronger than C++ only for programs in which a relaxed load makes that order run backwards.
//
// A full fence that another thread's membarrier forces into this one falls between two instructions of the compiled
// program, so it orders only what compiler fences keep apart: what was stored since the last of these may come out
// later, and what is loaded until the next one may have been loaded before.
#pragma once

#include "tests/explore/explore.h"

namespace gort::explore {

// The values of __ATOMIC_..., which __tsan_atomic... passes on.
enum class Order : uint8_t { kRelaxed, kConsume, kAcquire, kRelease, kAcqRel, kSeqCst, kPlain };
inline bool acquires(Order o) { return o != Order::kRelaxed && o != Order::kRelease && o != Order::kPlain; }
inline bool releases(Order o) { return o == Order::kRelease || o == Order::kAcqRel || o == Order::kSeqCst; }

struct Clock {
    uint32_t at[kThreads] = {};
    void join(const Clock& other) {
        for (int i = 0; i < kThreads; ++i)
            if (other.at[i] > at[i]) at[i] = other.at[i];
    }
};

// What is known by whom: both clocks.
struct View {
    Clock hb, seen;
    void join(const View& other) {
        hb.join(other.hb);
        seen.join(other.seen);
    }
};

// A thread's part of the model.
struct Viewer {
    int id = 0;
    View now;              // everything it does is ordered after this
    View loaded;           // by relaxed loads: becomes `now` at the next acquire fence
    View fenced;           // `now` at the last release fence: what relaxed stores carry
    Clock kept;            // `now.seen` at the last compiler fence: what a forced fence publishes
    Clock forced;          // what forced fences have brought: becomes `now.seen` at the next compiler fence
    uint64_t last_sc = 0;  // when its last seq_cst fence was
    bool in_step = true;   // nothing since the last compiler fence
    bool newest_only = false;  // it has waited in vain: loads read the newest store
    uint32_t tick() { return now.hb.at[id] = ++now.seen.at[id]; }
};

struct Store {
    uint64_t value;
    View carries;
    uint32_t known[kThreads];  // when each thread first wrote or read it; 0: never
    uint64_t sc;               // when, if it is seq_cst
    uint32_t op;               // of its thread
    int8_t by;                 // thread; -1: before start()
    bool replaced;             // the next one in the order is a read-modify-write of it
};

inline constexpr int kHistory = 24;  // older stores of a word are forgotten
struct Word {
    uintptr_t address;
    uint64_t generation;
    int size;
    int n;
    int woken;                // index of the newest store that a futex wake has seen; -1
    uint32_t users, writers;  // threads, as bits
    Store* stores[kHistory];
};

// One access to the bytes of an 8-byte word, for races.
struct Access {
    const void* pc;
    uint32_t when;
    uint8_t mask, thread;
    bool write, atomic;
};
struct Cell {
    uintptr_t address;
    uint64_t generation;
    int n;
    static constexpr int kAccesses = 20;
    Access accesses[kAccesses];
};

class Memory {
public:
    void init();
    void forget();  // an execution begins: all that is in memory now has been seen by everybody

    // Each of these is one operation of v's thread.
    uint64_t load(Viewer& v, const void* address, int size, Order order, const void* pc);
    void store(Viewer& v, void* address, int size, uint64_t value, Order order, const void* pc);
    // Replaces by fn(old, operand). Returns the old value.
    using Fn = uint64_t (*)(uint64_t old, uint64_t operand);
    uint64_t modify(Viewer& v, void* address, int size, Fn fn, uint64_t operand, Order order, const void* pc);
    bool compare_exchange(Viewer& v, void* address, int size, uint64_t* expected, uint64_t desired,
                          Order good, Order bad, bool weak, const void* pc);
    void fence(Viewer& v, Order order);
    void compiler_fence(Viewer& v);
    void forced_fence(Viewer& v);  // by a membarrier of somebody else
    uint64_t futex_load(Viewer& v, const void* address, const void* pc);
    void futex_wake(Viewer& v, const void* address);
    void woken(Viewer& v, const void* address);
    void plain(Viewer& v, const void* address, size_t size, bool write, const void* pc);
    void joined(Viewer& v, const Viewer& ended) { v.now.join(ended.now); }

    // Has the word been used by two threads, one of which wrote it, in any execution since learn_anew?
    bool shared(const void* address) const;
    void make_shared(const void* address);
    // Statistics, on which nothing depends: operations on them are never shared.
    void ignore(const void* address, size_t size) {
        ignored_ = reinterpret_cast<uintptr_t>(address), ignored_size_ = size;
    }
    bool ignored(const void* address) const {
        return reinterpret_cast<uintptr_t>(address) - ignored_ < ignored_size_;
    }
    void meant(const void* address, size_t size);  // races there are none
    void dependent(const void* address) { dependent_ = reinterpret_cast<uintptr_t>(address); }
    bool learned = false;                          // a word has become shared since somebody cleared this

private:
    static constexpr uint32_t kWords = 1 << 14, kCells = 1 << 17, kStores = 1 << 17;
    View carried(uintptr_t a, int size) const;
    Word* word(const void* address, int size);
    Cell* cell(uintptr_t address);
    void used(Word* w, const Viewer& v, bool write);
    int oldest(const Viewer& v, const Word* w, bool sc) const;  // the first that may be read
    void read_from(Viewer& v, const Word* w, Store* s, Order order);
    Store* add(Viewer& v, Word* w, int at, uint64_t value, Order order, const Store* replaced);
    void access(Viewer& v, uintptr_t address, uint8_t mask, bool write, bool atomic, const void* pc);
    void atomic_access(Viewer& v, const void* address, int size, bool write, const void* pc);
    void check_history(Word* w);

    Word* words_ = nullptr;
    Cell* cells_ = nullptr;
    Store* stores_ = nullptr;
    uintptr_t* shared_ = nullptr;
    uint32_t used_stores_ = 0;
    uint64_t generation_ = 0;
    uint64_t time_ = 0;
    uintptr_t meant_[8] = {};  // words
    int nmeant_ = 0;
    uintptr_t dependent_ = 0;
    uintptr_t ignored_ = 0;
    size_t ignored_size_ = 0;
    Clock sc_;  // what seq_cst fences have published
};

}  // namespace gort::explore
