// tests/explore/memory.h - the memory model: which stores a load may read from, and which accesses race.
// SPDX-License-Identifier: BSD-2-Clause
//
// An operational form of C++20's model. Each aligned word of 8 bytes has the atomic stores to any of its bytes in one
// modification order. Accesses of different sizes may overlap: a load reads its bytes as they were at one point of that
// order, and for each byte it reads from the last store before that point which wrote it; what is known of other bytes
// does not count. C++ has no such accesses; this is what processors do, but for one thing: a thread's stores to
// different bytes of a word are in that order as it made them.
//
// A thread has two vector clocks: `hb`, what happens before it, and `seen`, what it must not read behind; `seen` holds
// more, since seq_cst fences and barriers forced from outside order what is read without making plain accesses safe. A
// store carries both clocks of its thread (release) or those of its thread's last release fence (relaxed); a load that
// acquires takes them over, one that is relaxed keeps them for the next acquire fence. A read-modify-write hands on
// what the store that it replaces carries.
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
    uint64_t own;    // what it wrote, where `mask` says that it did
    uint64_t value;  // the whole word after it
    uint8_t mask;    // bytes
    View carries;
    uint32_t known[kThreads];  // when each thread first wrote it, or read all of it; 0: never
    struct Partly {
        uint32_t known[8][kThreads];
    } * partly;     // each byte of it, for those who have read some; null: nobody has
    uint64_t sc;    // when, if it is seq_cst
    uint32_t op;    // of its thread
    int8_t by;      // thread; -1: before start()
    bool modifies;  // a read-modify-write: no other store comes between it and what it has read
};

inline constexpr int kHistory = 40;  // older stores of a word are forgotten
struct Word {
    uintptr_t address;  // a multiple of 8
    uint64_t generation;
    int n;
    int woken;                     // index of the newest store that a futex wake has seen; -1
    uint8_t users[8], writers[8];  // threads, as bits, for each byte
    Store* stores[kHistory];
    static constexpr uint8_t kAll = 0xff;
};
// An atomic access: which bytes of which word.
struct Bytes {
    Word* w;
    int shift;  // bits to the first one
    uint8_t mask;
    uint64_t of(uint64_t word_value) const { return (word_value & bits()) >> shift; }
    uint64_t bits() const {
        uint64_t b = 0;
        for (int i = 0; i < 8; ++i)
            if (mask >> i & 1) b |= uint64_t{0xff} << i * 8;
        return b;
    }
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
    bool shared(const void* address, int size) const;
    void make_shared(const void* address, int size);
    // Statistics, on which nothing depends: operations on them are never shared.
    void ignore(const void* address, size_t size) {
        ignored_ = reinterpret_cast<uintptr_t>(address), ignored_size_ = size;
    }
    bool ignored(const void* address) const {
        return reinterpret_cast<uintptr_t>(address) - ignored_ < ignored_size_;
    }
    void meant(const void* address, size_t size);  // races there are none
    void dependent(const void* address) { dependent_ = reinterpret_cast<uintptr_t>(address) & ~uintptr_t{7}; }
    bool learned = false;  // a word has become shared since somebody cleared this

private:
    static constexpr uint32_t kWords = 1 << 14, kCells = 1 << 17, kStores = 1 << 17, kPartly = 1 << 14;
    Bytes bytes(const void* address, int size);
    Cell* cell(uintptr_t address);
    void used(const Bytes& b, const Viewer& v, bool write);
    // Indices of the stores that may be read, the newest first.
    struct Places {
        int at[kHistory + 1];
        int n = 0;
    };
    Places readable(const Viewer& v, const Bytes& b, bool sc) const;
    static bool known(const Store* s, const Clock& by, uint8_t mask);
    void mark_known(Store* s, uint8_t mask, const Viewer& v);
    int oldest(const Viewer& v, const Bytes& b, bool sc) const;  // the first that may be read
    bool may_insert(const Bytes& b, int at) const;               // without coming between others
    template <class F>
    static void parts(const Bytes& b, int at,
                      F with);  // calls with(store) for whom a load of store `at` reads
    void read_from(Viewer& v, const Bytes& b, int at, Order order);
    Store* insert(const Bytes& b, int at, uint64_t value);
    Store* add(Viewer& v, const Bytes& b, int at, uint64_t value, Order order, bool modifies);
    void access(Viewer& v, uintptr_t address, uint8_t mask, bool write, bool atomic, const void* pc);
    void atomic_access(Viewer& v, const void* address, int size, bool write, const void* pc);

    Word* words_ = nullptr;
    Cell* cells_ = nullptr;
    Store* stores_ = nullptr;
    struct Shared {
        uintptr_t address;
        uint8_t mask;
    };
    Shared* shared_ = nullptr;
    Store::Partly* partly_ = nullptr;
    uint32_t used_stores_ = 0, used_partly_ = 0;
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
