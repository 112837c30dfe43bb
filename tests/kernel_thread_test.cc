// tests/kernel_thread_test.cc - raw threads, the thread area, thread names and states, signal stacks.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/thread.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <memory>

#include "arch/context.h"
#include "kernel/fatal.h"
#include "kernel/futex.h"
#include "kernel/lock.h"
#include "kernel/signal.h"
#include "kernel/tls.h"
#include "kernel/vm.h"
#include "tests/kernel_test.h"

using namespace gort::kernel;
using namespace kernel_test;

#if GORT_ASAN || GORT_TSAN
constexpr bool kRaw = false;  // a sanitizer's own thread area is not there on a raw thread
#else
constexpr bool kRaw = true;
#endif
#define NEEDS_RAW() \
    if (!kRaw) TEST_SKIP("no raw threads under this sanitizer")

// ---- raw threads ----

struct Visit {
    std::atomic<int> tid{0};
    void* self_at_start = nullptr;
    void* self_after = nullptr;
    uint64_t mask = 0;
    ThreadArea* area = nullptr;
    int64_t sum = 0;
};
static void visit(void* p) {
    auto* v = static_cast<Visit*>(p);
    v->self_at_start = tls_get();
    tls_set(v);
    v->self_after = tls_get();
    v->area = thread_area();
    block_signals(0, &v->mask);
    v->tid = k::gettid();
}

TEST(raw_thread_runs_and_is_joined) {
    NEEDS_RAW();
    int mine;
    tls_set(&mine);
    Visit v;
    RawThread t;
    CHECK_EQ(thread_start(&t, visit, &v), 0);
    thread_join(&t);
    CHECK_EQ(t.alive, 0u);
    CHECK(t.map == nullptr);
    CHECK_LT(0, v.tid);
    CHECK_NE(v.tid, k::gettid());
    CHECK(v.self_at_start == nullptr);
    CHECK(v.self_after == &v);
    CHECK(tls_get() == &mine);
    // All blocked but faults (KILL and STOP cannot be).
    CHECK_EQ(v.mask & signal_bit(SIGSEGV), 0);
    CHECK_EQ(v.mask & signal_bit(SIGABRT), 0);
    CHECK_NE(v.mask & signal_bit(SIGTERM), 0);
    CHECK_NE(v.mask & signal_bit(SIGPROF), 0);
    CHECK_NE(v.mask & signal_bit(SIGRTMIN + 3), 0);
    uint64_t ours = 1;
    block_signals(0, &ours);
    CHECK_EQ(ours, 0);
}

TEST(raw_threads_have_an_area_each) {
    NEEDS_RAW();
    constexpr int kThreads = 32;
    Visit v[kThreads];
    RawThread t[kThreads];
    for (int i = 0; i < kThreads; ++i) CHECK_EQ(thread_start(&t[i], visit, &v[i]), 0);
    for (auto& one : t) thread_join(&one);
    for (int i = 0; i < kThreads; ++i) {
        CHECK(v[i].self_after == &v[i]);
        CHECK_NE(v[i].tid, 0);
    }
}

TEST(raw_thread_can_lock_in_rank_order_while_its_creator_holds) {
    NEEDS_RAW();
    static Mutex high(LockRank::kLeaf), low(LockRank::kSched);
    LockGuard guard(high);
    RawThread t;
    // With a shared area this would be a rank violation.
    CHECK_EQ(thread_start(
                 &t, [](void*) { LockGuard inner(low); }, nullptr),
             0);
    thread_join(&t);
}

TEST(raw_thread_that_exits_itself_is_joined) {
    NEEDS_RAW();
    RawThread t;
    CHECK_EQ(thread_start(
                 &t, [](void*) { sys_exit(3); }, nullptr),
             0);
    thread_join(&t);
}

TEST(join_gives_the_stack_back) {
    NEEDS_RAW();
    RawThread t;
    Visit v;
    CHECK_EQ(thread_start(&t, visit, &v), 0);
    void* map = t.map;
    const size_t size = t.map_size;
    thread_join(&t);
    CHECK_EQ(protect(map, size, Access::kReadWrite), -ENOMEM);  // nothing there
}

// All seven arguments of the assembly, each with a value of its own.
TEST(clone_passes_its_arguments) {
    NEEDS_RAW();
    struct Shared {
        int parent_tid = 0, child_tid = 7;
        int seen = 0;
        uint64_t aligned = 1;
        ThreadArea* area = nullptr;
    } s;
    constexpr size_t kSize = 64 << 10;
    auto* map = static_cast<char*>(reserve(kSize));
    char* top = map + kSize - 4096;  // above it the thread area
    void* tls = gort::arch::tls_block_init(top);
    const auto body = [](void* p) {
        auto* sh = static_cast<Shared*>(p);
        alignas(16) char here[16];
        sh->aligned = reinterpret_cast<uintptr_t>(here) % 16;
        sh->area = thread_area();
        sh->seen = sys_gettid();
    };
    constexpr unsigned long kFlags =
        0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000 | 0x80000 | 0x100000 | 0x200000;
    const int tid = sys_clone(kFlags, top, &s.parent_tid, &s.child_tid, tls, body, &s);
    CHECK_LT(0, tid);
    auto* word = reinterpret_cast<std::atomic<uint32_t>*>(&s.child_tid);
    // 7 until the kernel zeroes it at the end: it was not asked to store the tid there.
    while (word->load() != 0) futex_wait_shared(word, 7);
    CHECK_EQ(s.parent_tid, tid);
    CHECK_EQ(s.seen, tid);
    CHECK_EQ(s.aligned, 0);
    CHECK(reinterpret_cast<char*>(s.area) >= top && reinterpret_cast<char*>(s.area) < map + kSize);
    release(map, kSize);
}

TEST(join_waits) {
    NEEDS_RAW();
    struct Shared {
        std::atomic<uint32_t> gate{0};
        std::atomic<bool> left{false};
        std::atomic<bool> joined{false};
        std::atomic<int> joiner{0};
        RawThread t;
    } s;
    CHECK_EQ(thread_start(
                 &s.t,
                 [](void* p) {
                     auto* sh = static_cast<Shared*>(p);
                     while (sh->gate.load() == 0) futex_wait(&sh->gate, 0);
                     sh->left = true;
                 },
                 &s),
             0);
    std::thread joiner([&s] {
        s.joiner = k::gettid();
        thread_join(&s.t);
        CHECK(s.left);
        s.joined = true;
    });
    EVENTUALLY(s.joiner != 0 && thread_state(s.joiner) == 'S');
    CHECK(!s.joined);
    s.gate = 1;
    futex_wake(&s.gate, 1);
    joiner.join();
}

TEST(raw_thread_has_the_stack_it_asked_for) {
    NEEDS_RAW();
    static constexpr size_t kSize = 300 << 10;
    RawThread t;
    int64_t sum = -1;
    CHECK_EQ(thread_start(
                 &t,
                 [](void* p) {
                     volatile char frame[kSize - 2048];
                     for (size_t i = 0; i < sizeof frame; i += 512) frame[i] = 1;
                     int64_t n = 0;
                     for (size_t i = 0; i < sizeof frame; i += 512) n += frame[i];
                     *static_cast<int64_t*>(p) = n;
                 },
                 &sum, kSize),
             0);
    thread_join(&t);
    CHECK_EQ(sum, static_cast<int64_t>((kSize - 2048 + 511) / 512));
}

TEST_DIES(raw_thread_overflow_hits_the_guard, "", -SIGSEGV) {
    signal(SIGSEGV, SIG_DFL);
    RawThread t;
    if (!kRaw) raise(SIGSEGV);  // nothing to test here
    thread_start(
        &t,
        [](void*) {
            volatile char frame[100 << 10];  // larger than the stack, smaller than stack and guard
            frame[0] = 1;
            asm volatile("" ::"r"(frame) : "memory");
        },
        nullptr, 40 << 10);
    thread_join(&t);
}

TEST(a_thread_that_cannot_start_leaves_nothing) {
    NEEDS_RAW();
    INJECT(Sys::kMmap, 1, ENOMEM);
    RawThread t;
    uint64_t before = 0, after = 0;
    block_signals(0, &before);
    CHECK_EQ(thread_start(&t, visit, nullptr), -ENOMEM);
    inject(Sys::kMprotect, 1, EACCES);
    CHECK_EQ(thread_start(&t, visit, nullptr), -EACCES);
    inject(Sys::kClone, 1, EAGAIN);
    CHECK_EQ(thread_start(&t, visit, nullptr), -EAGAIN);
    CHECK(t.map == nullptr);
    CHECK_EQ(t.alive, 0u);
    CHECK_EQ(inject_count(Sys::kMunmap), 2);
    block_signals(0, &after);
    CHECK_EQ(after, before);
    Visit v;  // and then it can
    CHECK_EQ(thread_start(&t, visit, &v), 0);
    thread_join(&t);
}

TEST(join_survives_interruptions) {
    NEEDS_RAW();
    INJECT(Sys::kFutex, 1, EINTR, 100);
    Visit v;
    RawThread t;
    CHECK_EQ(thread_start(&t, visit, &v), 0);
    thread_join(&t);
    CHECK_NE(v.tid, 0);
}

// ---- the thread area ----

TEST(tls_is_per_thread) {
    CHECK(tls_get() == nullptr);
    int a;
    tls_set(&a);
    for (int i = 0; i < 3; ++i)
        std::thread([&a] {
            CHECK(tls_get() == nullptr);
            int b;
            tls_set(&b);
            CHECK(tls_get() == &b);
            CHECK(thread_area()->self == &b);
            CHECK(tls_get() != &a);
        }).join();
    CHECK(tls_get() == &a);
    CHECK(thread_area()->self == &a);
    tls_set(nullptr);
    CHECK(tls_get() == nullptr);
}

// The reason for the accessors: code that is switched out on one thread and goes on upon another one, inside of one
// function, must see the new thread's value. An ordinary thread_local fails this with optimization.
struct Traveller {
    gort::arch::Context here;
    gort::arch::Context* home = nullptr;  // of the thread that resumed it
    void* seen[4] = {};
    ThreadArea* areas[2] = {};
    std::atomic<bool> ready{false};
    alignas(64) char stack[256 << 10];
};
static void travel(void* arg, void*) {
    auto* t = static_cast<Traveller*>(arg);
    gort::arch::context_started(&t->here);
    t->seen[0] = tls_get();
    t->seen[1] = tls_get();
    t->areas[0] = thread_area();
    gort::arch::switch_context(&t->here, t->home, nullptr);
    t->seen[2] = tls_get();
    t->areas[1] = thread_area();
    tls_set(t);
    t->seen[3] = tls_get();
    gort::arch::switch_final(&t->here, t->home, nullptr);
}
[[gnu::noinline]] static void resume(Traveller* t) {
    gort::arch::Context me;
    t->home = &me;
    gort::arch::switch_context(&me, &t->here, nullptr);
    t->home = nullptr;
}
TEST(tls_is_not_cached_across_a_switch) {
    auto t = std::make_unique<Traveller>();
    gort::arch::context_init(&t->here, t->stack, sizeof t->stack, travel, t.get());
    int first, second;
    tls_set(&first);
    resume(t.get());
    std::thread([&] {
        tls_set(&second);
        resume(t.get());
        CHECK(tls_get() == t.get());
    }).join();
    gort::arch::context_destroy(&t->here);
    CHECK(t->seen[0] == &first);
    CHECK(t->seen[1] == &first);
    CHECK(t->seen[2] == &second);
    CHECK(t->seen[3] == t.get());
    CHECK(t->areas[0] != t->areas[1]);
    CHECK(t->areas[0] == thread_area());
    CHECK(tls_get() == &first);
}

// ---- ids, names, states ----

TEST(gettid_asks_once) {
    inject_clear();
    CHECK_EQ(k::gettid(), ::getpid());
    CHECK_EQ(k::gettid(), ::getpid());
    CHECK_LE(inject_count(Sys::kGettid), 1);
    std::thread([] {
        CHECK_EQ(k::gettid(), ::gettid());
        CHECK_NE(k::gettid(), ::getpid());
    }).join();
    const pid_t child = fork();
    if (child == 0) {
        forget_tid();
        _exit(k::gettid() == ::getpid() ? 0 : 1);
    }
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

TEST(thread_names_and_states) {
    std::atomic<uint32_t> gate{0};
    std::atomic<int> tid{0};
    std::thread t([&] {
        set_thread_name(") R (a name too long for it");
        char name[16] = {};
        prctl(PR_GET_NAME, name);
        CHECK_EQ(static_cast<const char*>(name), std::string(") R (a name too"));
        tid = k::gettid();
        while (gate.load() == 0) futex_wait(&gate, 0);
    });
    EVENTUALLY(tid != 0 && thread_state(tid) == 'S');
    CHECK_EQ(thread_state(k::gettid()), 'R');
    gate = 1;
    futex_wake(&gate, 1);
    t.join();
    EVENTUALLY(thread_state(tid) == 0);
    CHECK_EQ(thread_state(1 << 30), 0);
    INJECT(Sys::kOpenat, 1, EMFILE);
    CHECK_EQ(thread_state(k::gettid()), 0);
    inject(Sys::kRead, 1, EINTR);
    CHECK_EQ(thread_state(k::gettid()), 'R');
    inject(Sys::kRead, 1, EIO);
    CHECK_EQ(thread_state(k::gettid()), 0);
}

TEST(a_signal_stack_has_room_for_the_kernels_frame) {
    const size_t size = min_signal_stack();
    CHECK_LE(static_cast<size_t>(sysconf(_SC_MINSIGSTKSZ)), size);
    CHECK_EQ(size % page_size(), 0);
}
