// tests/explore/world.h - one execution: model threads, who goes on, what is open to choice, what happened.
// SPDX-License-Identifier: BSD-2-Clause
//
// Model threads are stacks that run one at a time on one OS thread. Before each atomic operation on a word that several
// threads use, and before each call into the kernel, the thread asks who goes on (World::step). Plain accesses need no
// such point: if their order matters they race, and that is found by clocks in every order.
//
// Everything that is open is asked of choose(): its answers come from the search (search.cc). An answer that is not the
// ordinary one is a DEVIATION, written as thread, number of its operation, kind and value; the ordinary answers are: go
// on with the same thread, else the next one; read the newest store; store at the end. So a schedule is a short list of
// deviations, and it means the same to another compiler's build.
#pragma once

#include <sys/mman.h>

#include <cstdlib>
#include <new>
#include <vector>

#include "arch/context.h"
#include "tests/explore/memory.h"

namespace gort::explore {

enum class Choice : uint8_t { kSwitch, kRead, kWrite, kExchange, kPick };

struct Deviation {
    uint8_t thread;
    Choice kind;
    uint16_t value;
    uint32_t op;
    bool operator==(const Deviation&) const = default;
};

// Our own memory is not what is set back between executions.
template <class T>
T* pages(size_t n) {
    void* p = mmap(nullptr, n * sizeof(T), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) std::abort();
    return static_cast<T*>(p);
}
template <class T>
struct Malloc {
    using value_type = T;
    Malloc() = default;
    template <class U>
    Malloc(const Malloc<U>&) {}
    T* allocate(size_t n) { return static_cast<T*>(std::malloc(n * sizeof(T))); }
    void deallocate(T* p, size_t) { std::free(p); }
    bool operator==(const Malloc&) const { return true; }
};
template <class T>
using Vector = std::vector<T, Malloc<T>>;

enum class Op : uint8_t {
    kNone,
    kBegin,
    kLoad,
    kStore,
    kModify,
    kExchange,
    kFence,
    kCompilerFence,
    kFutexWait,
    kFutexWake,
    kBarrier,
    kForced,
    kYield,
    kPause,
    kClock,
    kSpawn,
    kJoin,
    kEnd,
    kWoken,
    kTimeout,
    kSleep,
    kPlain,
    kCall
};

struct Event {
    const void* pc;
    const void* asker;  // of a barrier: who wanted it
    uintptr_t address;
    uint64_t value, old;
    uint32_t op, from_op;
    Op what;
    Order order;
    uint8_t thread;
    int8_t from;  // thread whose store a load read; -1: what was there before start()
    uint8_t size;
    uint8_t behind;  // how many newer stores there were; for a store, how far from the end it went
    bool switched;   // another thread ran before it that could not have been forced to wait
};

// What a thread is about to do, as far as it matters for who depends on whom.
struct Pending {
    Op what = Op::kBegin;
    uintptr_t address = 0;
    bool sc = false;
    int size = 0;
};

struct Thread {
    Viewer view;
    arch::Context ctx;
    void* stack = nullptr;
    ThreadFn fn = nullptr;
    void* arg = nullptr;
    void* self = nullptr;  // what kernel/tls.h keeps
    int32_t tid = 0;
    enum class State : uint8_t { kNone, kReady, kSleeps, kJoins, kDone } state = State::kNone;
    bool yields = false;  // somebody else first
    bool timed = false;   // kSleeps, but only until `until`
    bool timed_out = false;
    bool was_woken = false;
    uint32_t ops = 0;
    uint32_t insists = 0;  // so many looks more although nobody has done anything
    uint32_t refused = 0;  // waits in a row that futexes have refused, with nothing but loads between
    const void* waits_on = nullptr;
    int64_t until = 0;
    Pending next;
    void* exceptions[4] = {};
};

// What an answer takes from which bound.
enum class Cost : uint8_t { kFree, kPreemption, kTime, kStale, kEarly, kCount };

struct Answers {
    static constexpr uint32_t kMost = 64;
    uint8_t values[kMost];
    Cost costs[kMost];
    uint32_t n = 0;
    void add(int value, Cost cost) {
        if (n == kMost) return;
        values[n] = static_cast<uint8_t>(value);
        costs[n++] = cost;
    }
};

// How an ordering is weakened: a mutant.
enum class Weaken : uint8_t { kAsWritten, kNoAcquire, kNoRelease, kNoSc, kNothing };

// Who answers World::choose_among: with an index; 0 is the ordinary answer.
class Chooser {
public:
    virtual ~Chooser() = default;
    virtual uint32_t choose(Choice kind, const Answers& a) = 0;
    virtual bool bounded() const { return true; }
    virtual bool reduces() const { return false; }     // by sleep sets
    virtual bool everywhere() const { return false; }  // asked also before what no other thread uses
};

inline constexpr size_t kAnyNumber = ~size_t{0};
inline constexpr const char* kTooLong = "livelock: more steps than any good execution takes";

enum class End : uint8_t { kGood, kFailed, kPruned, kStopped };

class World {
public:
    void init(const Piece* piece);
    void setup();               // runs the piece's body up to start()
    End run(Chooser* chooser);  // one execution

    // --- for the operations (tsan.cc, seam.cc)
    Thread& me() { return threads[current]; }
    Viewer& view() { return threads[current].view; }
    void step(Op what, const void* address, bool sc, int size = 4);  // the current thread is about to do this
    uint32_t op_of(int thread) const { return threads[thread].ops; }
    Event& note(Op what, const void* address, int size, Order order, const void* pc);
    void note_load(const Store* s, uint64_t value, int back);
    void note_store(uint64_t value, int back);
    void note_modify(uint64_t value, uint64_t before, const Store* old);
    void wait(const void* address, int64_t until);  // sleeps in the kernel; until < 0: for ever
    int wake(const void* address, int n);
    void yield(Op what);
    void barrier(const void* pc, const void* asker);
    int64_t clock();
    Thread* spawn(ThreadFn fn, void* arg);
    void join_all();  // until all others have ended
    [[noreturn]] void end_thread();
    [[noreturn]] void finish(End how);
    [[noreturn]] void failed(const char* text, const void* pc);
    [[noreturn]] void stop(const char* text, const void* pc);  // the explorer cannot go on
    [[noreturn]] void race(uintptr_t address, const Access& before, bool write, bool atomic, const void* pc);
    uint32_t choose(Choice kind, uint32_t n);
    uint32_t choose_exchange(const Cost* costs, uint32_t n);  // the first is the ordinary answer
    void changed();
    void wrote(uintptr_t address);  // so much of memory is to be set back
    void begin_exploring();
    void* allocate(size_t size, size_t align);
    bool owns(const void* p) const {
        return static_cast<const char*>(p) - arena_ < static_cast<long>(arena_used_) && p > arena_;
    }

    Memory memory;
    Thread threads[kThreads];
    int nthreads = 0, current = 0;
    bool exploring = false;  // between start() and the end of an execution
    const Piece* piece = nullptr;
    Bounds bounds;
    Vector<Event> events;
    Vector<Deviation> deviations;  // of this execution
    char text[512];                // why it failed
    const void* failed_at;
    uint64_t executions = 0, steps_made = 0;
    int64_t now = 0;
    size_t most_deviations = kAnyNumber;  // of an execution; by the search
    bool left_out = false;                // something was not tried because of that
    double time_limit = 0;                // s for each search; 0: none
    uint32_t asleep = 0;                  // threads whose next operation was tried here before: sleep sets
    int spent[static_cast<int>(Cost::kCount)];
    const void* barrier_asker = nullptr;

    // Orderings that are weaker in this run: by the address of the call that carries them.
    struct Weak {
        const void* pc;
        int how;
    };
    Vector<Weak> weak;
    int weakened(const void* pc) const;

    void (*after)(void* arg, const World& w) = nullptr;  // each execution
    void* after_arg = nullptr;

private:
    bool runnable(int t) const;
    bool sleeps(int t) const { return threads[t].state == Thread::State::kSleeps; }
    void pick_next(bool forced);
    void offer_waiters(Answers* a);
    uint32_t choose_among(Choice kind, Answers* a, uint32_t ordinary);
    void go_to(int t);
    void set_back();
    void set_back_data();
    void make_arena();
    void take_snapshot();
    static void thread_main(void* arg, void*);

    Chooser* chooser_ = nullptr;
    arch::Context search_;
    End end_ = End::kGood;
    uint32_t idle_rounds_ = 0;
    uint32_t steps_ = 0;
    int last_running_ = 0;
    bool began_ = false;

    char* arena_ = nullptr;
    size_t arena_used_ = 0;
    struct Region {
        char* start;
        size_t size;
        char* copy;
    };
    Vector<Region> regions_;
    enum : uint8_t { kWritten = 1, kAlways = 2 };
    Vector<uint8_t> written_;  // pages of the program's data
    uintptr_t data_start_ = 0;
    size_t data_pages_ = 0, data_size_ = 0;
    char* data_copy_ = nullptr;
    Thread kept_threads_[kThreads];
    int kept_nthreads_ = 0, kept_current_ = 0;
    size_t kept_used_ = 0;
    int64_t kept_now_ = 0;
};

extern World* world;
const char* op_name(Op what);
const char* order_name(Order order);
void install_seam();

}  // namespace gort::explore
