// tests/arch_test.cc - what the stack switchers keep, hand over and leave alone, also between threads.
// SPDX-License-Identifier: BSD-2-Clause
#include "tests/arch_test.h"

#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/arch_test_asm.h"
#include "tests/test.h"

using namespace arch_test;
using gort::arch::cycles;
using gort::arch::frame_of;
using gort::arch::init_stack;

namespace gort_test {
struct Two {
    uint64_t a, b;
};
[[gnu::visibility("hidden")]] Two two_by_jump(Two value) GORT_RETURN_BY_JUMP;
}  // namespace gort_test

namespace {

// Ten million, where a switch does not cost a hundred times as much.
uint64_t many() {
#if GORT_TSAN || GORT_ASAN
    return 1'000'000;
#elif GORT_VALGRIND
    if (RUNNING_ON_VALGRIND) return 100'000;
#endif
    return 10'000'000;
}

// ---- registers ----

struct Pair {
    Context main;
    Fiber* fiber;
    int rounds;
    void (*regs)(void**, void*, const uint64_t*, uint64_t*);
    bool failed = false;
};

// Fills the registers from `who` and `round`, suspends this stack for the other one, and looks at them again.
bool regs_survive(Pair* p, Context* from, Context* to, uint64_t who, uint64_t round) {
    uint64_t in[kRegs], out[kRegs] = {};
    for (uint64_t i = 0; i < kRegs; i++) in[i] = gort::test::mix(who << 56 ^ round << 8 ^ i);
    in[kTransfer] = who << 32 | round;
    san_switch_begin(&from->san, &to->san, false);
    p->regs(&from->sp, to->sp, in, out);
    san_switch_end(&from->san);
    bool ok = out[kTransfer] >> 32 == 3 - who;  // the transfer is the other side's
    for (int i = 0; i < kTransfer; i++)
        if (in[i] != out[i] && (p->regs == gort_test_abi || i == kFp)) {
            std::printf("register %d of stack %llu: %llx became %llx\n", i,
                        static_cast<unsigned long long>(who), static_cast<unsigned long long>(in[i]),
                        static_cast<unsigned long long>(out[i]));
            ok = false;
        }
    return ok;
}

void regs_test(void (*regs)(void**, void*, const uint64_t*, uint64_t*)) {
    Pair p{{}, nullptr, 1000, regs};
    Fiber f(
        [](Fiber* self, void*) {
            auto* pair = static_cast<Pair*>(self->arg);
            for (uint64_t i = 0;; i++)
                if (!regs_survive(pair, &self->self, self->back, 2, i)) pair->failed = true;
        },
        &p.main, Form::kRaw, &p);
    for (uint64_t i = 0; i < 1000; i++) CHECK(regs_survive(&p, &p.main, &f.self, 1, i));
    CHECK(!p.failed);
}

TEST(abi_form_keeps_every_callee_saved_register) { regs_test(gort_test_abi); }
TEST(raw_form_keeps_the_frame_pointer) { regs_test(gort_test_raw); }

// ---- transfer values ----

TEST(transfer_values_arrive_in_every_mix_of_forms) {
    for (Form a : kForms)
        for (Form b : kForms) {
            Context me;
            Fiber f(
                [](Fiber* self, void* first) {
                    uint64_t x = u64(first);
                    for (;;) x = u64(self->to_back(~x));
                },
                &me, b);
            for (uint64_t x : {uint64_t{0}, uint64_t{1}, ~uint64_t{0}, uint64_t{1} << 63, kGarbage})
                CHECK_EQ(u64(swap(&me, &f.self, x, a)), ~x);
        }
}

// A stack suspended by one form is resumed by the other: the form changes with every switch, on either side.
TEST(a_stack_suspended_by_one_form_is_resumed_by_the_other) {
    Context me;
    Fiber f(
        [](Fiber* self, void* x) {
            for (uint64_t i = u64(x), n = 0;; n++)
                i = u64(swap(&self->self, self->back, i + 1, n % 3 ? Form::kAbi : Form::kRaw));
        },
        &me);
    uint64_t x = 0;
    for (uint64_t n = 0; n < 1000; n++) {
        uint64_t got = u64(swap(&me, &f.self, x, n % 2 ? Form::kRaw : Form::kAbi));
        CHECK_EQ(got, x + 1);
        x = got;
    }
}

TEST(ten_million_switches) {
    TEST_TIMEOUT(60);
    uint64_t n = many();
    for (Form form : kForms) {
        Context me;
        Fiber f(
            [](Fiber* self, void* first) {
                for (uint64_t x = u64(first), sum = 0;;) {
                    sum += x;
                    x = u64(self->to_back(sum));
                }
            },
            &me, form);
        uint64_t sum = 0;
        for (uint64_t i = 1; i <= n / 4; i++) {  // two switches a turn, two forms
            sum += i;
            CHECK_EQ(u64(swap(&me, &f.self, i, form)), sum);
        }
    }
}

// A ring in which every stack resumes the next one, so that no two neighbours only ever see each other.
TEST(ring_of_stacks) {
    constexpr size_t kRing = 100;
    Context me;
    std::deque<Fiber> ring;
    for (size_t i = 0; i < kRing; i++)
        ring.emplace_back(
            [](Fiber* self, void* x) {
                for (;;) x = self->to_back(u64(x) + 1);
            },
            &me, i % 2 ? Form::kAbi : Form::kRaw);
    for (size_t i = 0; i + 1 < kRing; i++) ring[i].back = &ring[i + 1].self;
    for (uint64_t turn = 0; turn < 1000; turn++)
        CHECK_EQ(u64(swap(&me, &ring[0].self, turn, Form::kRaw)), turn + kRing);
}

// ---- the entry of a stack ----

// Keeps a local where the ABI promises 16-byte alignment and lets the compiler use it: an aligned store would
// fault.
struct alignas(16) Aligned {
    uint64_t a, b;
};

TEST(a_new_stack_is_aligned_and_used_from_its_top) {
    for (Form form : kForms) {
        Context me;
        Fiber f(
            [](Fiber* self, void* x) {
                volatile Aligned here{1, 2};
                void* frame = __builtin_frame_address(0);
                CHECK_EQ(reinterpret_cast<uintptr_t>(frame) % 16,
                         0u);  // the call that got here kept rsp aligned
                CHECK_EQ(reinterpret_cast<uintptr_t>(&here) % 16, 0u);
                CHECK(self->holds(frame));
                CHECK_LT(static_cast<char*>(self->top()) - static_cast<char*>(frame), 1024);
                self->to_back(u64(x) + here.a);
            },
            &me, form);
        CHECK_EQ(u64(swap(&me, &f.self, uint64_t{41}, form)), 42u);
    }
}

void entry_args(void* arg, void* transfer) {
    auto* p = static_cast<Pair*>(arg);
    context_started(&p->fiber->self);
    for (;;) swap(&p->fiber->self, &p->main, u64(transfer) ^ reinterpret_cast<uint64_t>(arg), Form::kRaw);
}
TEST(the_entry_gets_its_argument_and_the_first_transfer) {
    Pair p{};
    Fiber f([](Fiber*, void*) {}, &p.main);
    p.fiber = &f;
    f.self.sp = init_stack(f.top(), entry_args, &p);
    CHECK_EQ(frame_of(f.self.sp)->pc, reinterpret_cast<char*>(&gort_entry) + ENTRY_NOP);
    CHECK_EQ(frame_of(f.self.sp)->fp, nullptr);
    CHECK_EQ(u64(swap(&p.main, &f.self, kGarbage, Form::kRaw)), kGarbage ^ reinterpret_cast<uint64_t>(&p));
}

// No kernel enforces IBT in user space yet, so look at the bytes; arch_matrix_test.sh runs BTI on a CPU that
// does.
bool is_landing_pad(const void* pc) {
#if defined(__x86_64__)
    const uint32_t kPad = 0xfa1e0ff3;  // endbr64
#else
    const uint32_t kPad = 0xd50324df;  // bti jc
#endif
    uint32_t insn;
    std::memcpy(&insn, pc, sizeof insn);
    return insn == kPad;
}
TEST(a_stack_is_resumed_at_a_landing_pad) {
    for (Form form : kForms) {
        Context me;
        Fiber f([](Fiber* self, void*) { self->to_back(0); }, &me, form);
        CHECK(is_landing_pad(frame_of(f.self.sp)->pc));
        swap(&me, &f.self, uint64_t{0}, form);
        CHECK(is_landing_pad(frame_of(f.self.sp)->pc));
    }
}

#if defined(__x86_64__)
constexpr int kTrap = -SIGILL;  // ud2
#else
constexpr int kTrap = -SIGTRAP;        // brk
#endif
TEST_DIES(an_entry_function_that_returns_traps, "about to return", kTrap) {
    Context me;
    static Fiber f([](Fiber*, void*) {}, &me);
    f.self.sp = init_stack(
        f.top(),
        [](void* arg, void*) {
            context_started(&static_cast<Fiber*>(arg)->self);
            std::fputs("about to return\n", stderr);
        },
        &f);
    swap(&me, &f.self, uint64_t{0}, Form::kRaw);
}

// ---- calls on another stack ----

struct OnStack {
    Fiber* f;
    uint64_t calls;
    void* sp;
};

TEST(call_on_stack_runs_there_and_returns_here) {
    Fiber f([](Fiber*, void*) {}, nullptr);
    OnStack o{&f, 0, nullptr};
    for (int i = 0; i < 1000; i++)
        gort_call_on_stack(
            f.top(),
            [](void* arg) {
                auto* p = static_cast<OnStack*>(arg);
                volatile Aligned here{1, 2};
                p->sp = __builtin_frame_address(0);
                CHECK(p->f->holds(p->sp));
                CHECK_EQ(reinterpret_cast<uintptr_t>(&here) % 16, 0u);
                p->calls += here.a;
            },
            &o);
    CHECK_EQ(o.calls, 1000u);
}

TEST(call_below_runs_below_a_parked_stack_and_leaves_it_alone) {
    for (Form form : kForms) {
        Context me;
        Fiber f(
            [](Fiber* self, void* x) {
                volatile uint64_t kept[32];
                for (uint64_t i = 0; i < 32; i++) kept[i] = i * kGarbage;
                for (;;) {
                    x = self->to_back(u64(x) + 1);
                    for (uint64_t i = 0; i < 32; i++) CHECK_EQ(kept[i], i * kGarbage);
                }
            },
            &me, form);
        for (uint64_t i = 0; i < 100; i++) {  // the first time the stack has not run yet
            OnStack o{&f, 0, f.self.sp};
            gort_call_below(
                f.self.sp,
                [](void* arg) {
                    auto* p = static_cast<OnStack*>(arg);
                    alignas(16) volatile char scribble[2048];
                    std::memset(const_cast<char*>(scribble), 0xff, sizeof scribble);
                    CHECK(p->f->holds(__builtin_frame_address(0)));
                    CHECK(__builtin_frame_address(0) < p->sp);
                    CHECK_EQ(reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) % 16, 0u);
                    p->calls++;
                },
                &o);
            CHECK_EQ(o.calls, 1u);
            CHECK_EQ(u64(swap(&me, &f.self, i, form)), i + 1);
        }
    }
}

// More values than there are callee-saved registers, live over a call that must keep those.
[[gnu::noinline]] uint64_t live_over(void (*call)(Fiber*), Fiber* f, uint64_t s) {
    uint64_t a = s, b = s * 3, c = s * 5, d = s * 7, e = s * 11, g = s * 13, h = s * 17, i = s * 19,
             j = s * 23, k = s * 29, l = s * 31, m = s * 37;
    for (int n = 0; n < 10; n++) {
        call(f);
        a += b, b ^= c, c += d, d ^= e, e += g, g ^= h, h += i, i ^= j, j += k, k ^= l, l += m, m ^= a;
    }
    return a ^ b ^ c ^ d ^ e ^ g ^ h ^ i ^ j ^ k ^ l ^ m;
}
TEST(calls_on_other_stacks_keep_the_callers_registers) {
    Fiber f([](Fiber*, void*) {}, nullptr);
    // What the callee finds in those registers it may use as it likes, as long as it gives it back.
    static const auto busy = [](void* p) {
        live_over([](Fiber*) {}, nullptr, reinterpret_cast<uint64_t>(p));
    };
    uint64_t want = live_over([](Fiber*) {}, &f, kGarbage);
    CHECK_EQ(live_over([](Fiber* g) { gort_call_below(g->self.sp, busy, g); }, &f, kGarbage), want);
    CHECK_EQ(live_over([](Fiber* g) { gort_call_on_stack(g->top(), busy, g); }, &f, kGarbage), want);
}

// ---- floating-point control: belongs to the thread ----

#if defined(__x86_64__)
uint64_t get_fpcr() {
    uint32_t mxcsr;
    uint16_t cw;
    asm volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(cw));
    return uint64_t{mxcsr & 0xffc0u} << 16 | cw;  // without the sticky exception flags
}
void set_fpcr(uint64_t v) {
    uint32_t mxcsr = uint32_t(v >> 16);
    uint16_t cw = uint16_t(v);
    asm volatile("ldmxcsr %0\n\tfldcw %1" ::"m"(mxcsr), "m"(cw));
}
constexpr uint64_t kRoundUp = uint64_t{2} << (13 + 16) | 2u << 10,
                   kRoundDown = uint64_t{1} << (13 + 16) | 1u << 10;
#else
uint64_t get_fpcr() {
    uint64_t v;
    asm volatile("mrs %0, fpcr" : "=r"(v));
    return v;
}
void set_fpcr(uint64_t v) { asm volatile("msr fpcr, %0" ::"r"(v)); }
constexpr uint64_t kRoundUp = 1u << 22, kRoundDown = 2u << 22;
#endif

// ---- returning by a jump ----

using gort_test::Two, gort_test::two_by_jump;

// Call sites at every distance from each other, so that each of the ways that the return address picks is taken.
template <int kSite>
[[gnu::noinline]] Two from_site(uint64_t a, uint64_t b) {
    const Two result = two_by_jump({a, b});
    return {result.a + kSite, result.b - kSite};
}
template <int... kSite>
void from_all_sites(std::integer_sequence<int, kSite...>) {
    Two (*const sites[])(uint64_t, uint64_t) = {from_site<kSite>...};
    for (uint64_t i = 0; i < std::size(sites); i++) {
        const uint64_t a = gort::test::rnd(), b = gort::test::rnd();
        const Two r = sites[i](a, b);
        CHECK_EQ(r.a - i, a);
        CHECK_EQ(r.b + i, b);
    }
}
[[gnu::noinline]] bool ends_in_jump(bool value, int* calls) {
    ++*calls;
    return gort::arch::return_by_jump(value);
}

TEST(a_return_by_jump_is_a_return) {
    from_all_sites(std::make_integer_sequence<int, 64>{});
    int calls = 0;
    CHECK(ends_in_jump(true, &calls));
    CHECK(!ends_in_jump(false, &calls));
    gort::arch::return_by_jump();
    CHECK_EQ(calls, 2);
}

// CC-19: what rt/README.md says of it.
TEST(floating_point_control_belongs_to_the_thread) {
    uint64_t base = get_fpcr();
    for (Form form : kForms) {
        Context me;
        Fiber f(
            [](Fiber* self, void* base_p) {
                uint64_t b = u64(base_p);
                CHECK_EQ(get_fpcr(), b | kRoundUp);  // what the other stack set is what we have
                set_fpcr(b | kRoundDown);
                self->to_back(0);
                CHECK_EQ(get_fpcr(), b);
                self->to_back(0);
            },
            &me, form);
        set_fpcr(base | kRoundUp);
        swap(&me, &f.self, base, form);
        uint64_t after = get_fpcr();
        set_fpcr(base);
        CHECK_EQ(after, base | kRoundDown);
        swap(&me, &f.self, base, form);
    }
}

// ---- stacks that move between threads ----

TEST(a_stack_started_on_one_thread_goes_on_on_others) {
    for (Form form : kForms) {
        Context me;
        Fiber f(
            [](Fiber* self, void*) {
                uint64_t locals[8];
                for (uint64_t i = 0; i < 8; i++) locals[i] = i;
                for (uint64_t n = 0; n < 16; n++) {
                    for (uint64_t& l : locals) l += n;
                    try {
                        if (n % 2) throw std::runtime_error("on whatever thread this is");
                    } catch (const std::runtime_error& e) {
                        CHECK_EQ(e.what()[0], 'o');
                    }
                    self->to_back(locals[n % 8]);
                }
            },
            &me, form);
        for (uint64_t n = 0, sum = 0; n < 16; n++) {
            sum += n;
            std::thread t([&] {
                Context mine;
                f.back = &mine;
                CHECK_EQ(u64(swap(&mine, &f.self, uint64_t{0}, form)), n % 8 + sum);
            });
            t.join();
        }
        f.back = &me;
        swap(&me, &f.self, uint64_t{0}, form);
        CHECK(f.done);
    }
}

// Four threads take turns at forty stacks, whichever is free.
TEST(threads_share_a_pool_of_stacks) {
    constexpr uint64_t kFibers = 40, kTurns = GORT_TSAN ? 200 : 2000;
    std::deque<Fiber> fibers;
    std::deque<uint64_t> ready;
    std::mutex mu;
    for (uint64_t i = 0; i < kFibers; i++) {
        fibers.emplace_back(
            [](Fiber* self, void*) {
                double d = 1;
                for (uint64_t n = 1; n <= kTurns; n++) {
                    d = d * 3 / 2 + double(n);
                    if (d > 1e6) d -= 1e6;
                    CHECK_EQ(u64(self->to_back(n)), n + 1);
                }
            },
            nullptr, i % 2 ? Form::kAbi : Form::kRaw);
        ready.push_back(i);
    }
    uint64_t turn_of[kFibers] = {};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([&, t] {
            Context mine;
            for (;;) {
                mu.lock();
                if (ready.empty()) break;
                uint64_t i = ready.front();
                ready.pop_front();
                mu.unlock();
                Fiber& f = fibers[i];
                f.back = &mine;
                uint64_t got = u64(swap(&mine, &f.self, ++turn_of[i], t % 2 ? Form::kAbi : Form::kRaw));
                CHECK_EQ(got, f.done ? 0 : turn_of[i]);
                mu.lock();
                if (!f.done) ready.push_back(i);
                mu.unlock();
            }
            mu.unlock();
        });
    for (auto& t : threads) t.join();
    for (Fiber& f : fibers) CHECK(f.done);
}

TEST(cycle_counter_moves_forward) {
    uint64_t a = cycles(), b = a;
    while (b == a) b = cycles();
    CHECK_LT(a, b);
    gort::arch::pause();
}

}  // namespace
