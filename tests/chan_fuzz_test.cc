// tests/chan_fuzz_test.cc - random programs of sends, receives, selects and closes: can what they saw be explained?
// SPDX-License-Identifier: BSD-2-Clause
//
// A program is a few goroutines (and now and then a thread) with a few operations each on one to three channels of
// capacity 0 to 2. Each operation notes when it was called, when it returned, and what it saw. When nobody can go
// on, the history is searched for an order of the operations that keeps to those times and that a channel as the
// language describes it could have shown: a bounded queue with a flag, where unbuffered sends and receives take
// effect in pairs. What still waits at the end must have reason to, and took no effect.
//
// GORT_FUZZ_MS: how long for each number of Ps, in milliseconds (default 400; 20,000 in make stress). A failure
// prints the program's seed and history; GORT_FUZZ_SEED=seed repeats that program alone, again and again: what
// happens is up to timing.
#include <algorithm>
#include <array>
#include <atomic>
#include <cinttypes>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "chan/select.h"
#include "rt/sched/sched.h"
#include "tests/chan_tools.h"

using namespace chan_tools;

namespace {

constexpr size_t kMostChans = 3, kMostOps = 24;
constexpr uint64_t kNever = UINT64_MAX;

struct Random {
    uint64_t s;
    uint64_t next() { return gort::test::mix(s += 0x9e3779b97f4a7c15); }
    int below(int n) { return static_cast<int>(next() % static_cast<uint64_t>(n)); }
};

struct Case {
    size_t chan;
    bool sends;
    int value;  // to send: unique in the program
};
enum class Saw { kCase, kOtherwise, kPanic };
struct Op {
    enum Form { kPlain, kSelect, kAny, kClose } form = kPlain;
    std::vector<Case> cases;
    bool has_otherwise = false;
    int yields = 0;  // before it
    uint64_t called = kNever, returned = kNever;
    Saw saw = Saw::kCase;
    size_t at = 0;  // the chosen case
    int value = 0;
    bool ok = false;
};
struct Program {
    std::vector<int> caps;
    std::vector<std::vector<Op>> actors;
    bool thread = false;  // the last actor is one
};

Program invent(uint64_t seed, bool threads) {
    Random r{seed};
    Program p;
    for (int n = 1 + r.below(3); n > 0; --n) p.caps.push_back(r.below(3) * (r.below(3) != 0));
    const int actors = 2 + r.below(4);
    int value = 0;
    size_t total = 0;
    for (int a = 0; a < actors; ++a) {
        std::vector<Op> ops;
        for (int n = 1 + r.below(5); n > 0 && total < kMostOps; --n, ++total) {
            Op op;
            op.yields = r.below(4) ? 0 : r.below(4);
            auto make_case = [&] {
                return Case{static_cast<size_t>(r.below(static_cast<int>(p.caps.size()))), r.below(2) == 0,
                            ++value};
            };
            op.cases.push_back(make_case());
            const int form = r.below(20);
            if (form == 0) {
                op.form = Op::kClose;
            } else if (form < 10) {
                op.form = Op::kPlain;
                op.has_otherwise = r.below(4) == 0;  // the try form
            } else {
                op.form = form < 17 ? Op::kSelect : Op::kAny;
                for (int more = 1 + r.below(form % 3 ? 1 : 3); more > 0; --more)
                    op.cases.push_back(make_case());
                op.has_otherwise = r.below(4) == 0;
            }
            ops.push_back(std::move(op));
        }
        p.actors.push_back(std::move(ops));
    }
    p.thread = threads && r.below(8) == 0;
    return p;
}

// ---- running it ----

std::atomic<uint64_t> g_clock{0};

void select_op(Op& op, const std::vector<chan<int>>& c) {
    auto chosen = [&op](size_t at) {
        return [&op, at](int v, bool ok) { op.at = at, op.value = v, op.ok = ok; };
    };
    int index = 0;
    const size_t n = op.cases.size();
    if (n == 2 && op.form == Op::kSelect) {  // the special form
        const Case &a = op.cases[0], &b = op.cases[1];
        const bool o = op.has_otherwise;
        auto run = [&](auto&& x, auto&& y) {
            index = o ? gort::select(x, y, otherwise()) : gort::select(x, y);
        };
        const auto &ca = c[a.chan], &cb = c[b.chan];
        if (a.sends && b.sends) run(on_send(ca, a.value), on_send(cb, b.value));
        else if (a.sends) run(on_send(ca, a.value), on_recv(cb, chosen(1)));
        else if (b.sends) run(on_recv(ca, chosen(0)), on_send(cb, b.value));
        else run(on_recv(ca, chosen(0)), on_recv(cb, chosen(1)));
    } else {
        std::vector<select_case> cases;
        for (size_t i = 0; i < n; ++i) {
            const Case& k = op.cases[i];
            if (k.sends) cases.push_back(on_send(c[k.chan], k.value));
            else cases.push_back(on_recv(c[k.chan], chosen(i)));
        }
        if (op.has_otherwise) cases.push_back(otherwise());
        index = gort::select_any(cases);
    }
    op.at = static_cast<size_t>(index);
    op.saw = op.at == n ? Saw::kOtherwise : Saw::kCase;
}

void plain_op(Op& op, const std::vector<chan<int>>& c) {
    const Case& k = op.cases[0];
    const auto& ch = c[k.chan];
    op.saw = Saw::kCase;
    if (k.sends) {
        if (!op.has_otherwise) ch << k.value;
        else if (!ch.try_send(k.value)) op.saw = Saw::kOtherwise;
    } else if (!op.has_otherwise) {
        op.ok = ch.recv(op.value);
    } else {
        const auto r = ch.try_recv(op.value);
        op.ok = r == gort::recv_result::ok;
        if (r == gort::recv_result::empty) op.saw = Saw::kOtherwise;
    }
}

struct Slot {
    std::atomic<gort::rt::G*> g{nullptr};
    std::atomic<int> calls{0};  // what was noted before a call is seen by who sees its number
    std::atomic<bool> over{false};
};

void act(std::vector<Op>& ops, const std::vector<chan<int>>& c, Slot& slot, const std::atomic<bool>& enough) {
    gort::rt::M* mp = gort::rt::enter();  // attaches a thread
    slot.g = mp->curg;
    gort::rt::leave(mp);
    for (Op& op : ops) {
        for (int i = 0; i < op.yields; ++i) gort::yield();
        if (enough) break;
        op.called = ++g_clock;
        ++slot.calls;
        try {
            if (op.form == Op::kClose) c[op.cases[0].chan].close();
            else if (op.form == Op::kPlain) plain_op(op, c);
            else select_op(op, c);
        } catch (const gort::runtime_error&) {
            op.saw = Saw::kPanic;
        }
        if (!enough) op.returned = ++g_clock;
    }
    slot.over = true;
}

// Everybody has ended or waits. An operation that wakes somebody does not wait itself, so if no operation began or
// ended while we looked at all of them, all wait at once.
bool quiet(const std::vector<Slot>& slots) {
    const uint64_t before = g_clock;
    for (const Slot& s : slots) {
        const gort::rt::G* gp = s.g;
        const bool waits = gp && s.calls && gp->status.load() == gort::rt::GStatus::kWaiting;
        // Only then: who is over waits as well, to be joined, and what it noted is seen by who sees that it is over.
        if (!s.over && !waits) return false;
    }
    return g_clock == before;
}

// ---- explaining it ----

struct State {
    uint32_t done = 0;  // ops that took effect
    std::array<std::array<int, 2>, kMostChans> buffer{};
    std::array<int8_t, kMostChans> len{};
    std::array<bool, kMostChans> closed{};
    auto operator<=>(const State&) const = default;
};

class Search {
public:
    Search(const Program& p) : caps_(p.caps) {
        for (const auto& ops : p.actors)
            for (const Op& op : ops)
                if (op.called != kNever) ops_.push_back(&op);
    }
    bool explain() { return step(State{}); }

private:
    bool returned(size_t i) const { return ops_[i]->returned != kNever; }

    bool step(const State& s) {
        uint64_t bound = kNever;  // whoever was called later cannot be next
        bool all = true;
        for (size_t i = 0; i < ops_.size(); ++i)
            if (!(s.done >> i & 1) && returned(i)) all = false, bound = std::min(bound, ops_[i]->returned);
        if (all) return rightly_waiting(s);
        if (!seen_.insert(s).second) return false;
        for (size_t i = 0; i < ops_.size(); ++i) {
            if ((s.done >> i & 1) || !returned(i) || ops_[i]->called > bound) continue;
            State next = s;
            next.done |= 1u << i;
            const Op& op = *ops_[i];
            if (op.form != Op::kClose && op.saw == Saw::kCase && caps_[op.cases[op.at].chan] == 0 &&
                (op.cases[op.at].sends || op.ok)) {
                if (op.cases[op.at].sends && pair(s, next, i, bound)) return true;
            } else if (apply(op, next) && step(next)) {
                return true;
            }
        }
        return false;
    }

    // A send and a receive on an unbuffered channel take effect together.
    bool pair(const State& s, const State& next, size_t i, uint64_t bound) {
        const Case& k = ops_[i]->cases[ops_[i]->at];
        if (s.closed[k.chan]) return false;
        for (size_t j = 0; j < ops_.size(); ++j) {
            const Op& r = *ops_[j];
            if ((next.done >> j & 1) || !returned(j) || r.called > bound || r.form == Op::kClose) continue;
            if (r.saw != Saw::kCase || r.cases[r.at].sends || r.cases[r.at].chan != k.chan || !r.ok ||
                r.value != k.value)
                continue;
            State both = next;
            both.done |= 1u << j;
            if (step(both)) return true;
        }
        return false;
    }

    bool apply(const Op& op, State& s) const {
        if (op.form == Op::kClose) {
            bool& closed = s.closed[op.cases[0].chan];
            return std::exchange(closed, true) == (op.saw == Saw::kPanic);
        }
        if (op.saw == Saw::kPanic)
            return std::any_of(op.cases.begin(), op.cases.end(),
                               [&](const Case& k) { return k.sends && s.closed[k.chan]; });
        if (op.saw == Saw::kOtherwise)
            return std::none_of(op.cases.begin(), op.cases.end(), [&](const Case& k) { return ready(k, s); });
        const Case& k = op.cases[op.at];
        auto& buffer = s.buffer[k.chan];
        int8_t& len = s.len[k.chan];
        if (k.sends) {
            if (s.closed[k.chan] || len >= caps_[k.chan]) return false;
            buffer[static_cast<size_t>(len++)] = k.value;
            return true;
        }
        if (!op.ok) return s.closed[k.chan] && len == 0 && op.value == 0;
        if (len == 0 || buffer[0] != op.value) return false;
        buffer[0] = std::exchange(buffer[1], 0);
        --len;
        return true;
    }
    // By itself; of unbuffered ones only a close is certain.
    bool ready(const Case& k, const State& s) const {
        if (s.closed[k.chan]) return true;
        return caps_[k.chan] != 0 && (k.sends ? s.len[k.chan] < caps_[k.chan] : s.len[k.chan] > 0);
    }
    bool rightly_waiting(const State& s) const {
        std::vector<const Op*> left;
        for (size_t i = 0; i < ops_.size(); ++i)
            if (!returned(i)) left.push_back(ops_[i]);
        for (const Op* a : left) {
            if (a->has_otherwise || a->form == Op::kClose) return false;
            for (const Case& k : a->cases) {
                if (ready(k, s)) return false;
                for (const Op* b : left)  // nor for each other
                    for (const Case& m : b->cases)
                        if (a != b && k.chan == m.chan && k.sends != m.sends) return false;
            }
        }
        return true;
    }

    std::vector<int> caps_;
    std::vector<const Op*> ops_;
    std::set<State> seen_;
};

void print(const Program& p) {
    for (size_t c = 0; c < p.caps.size(); ++c)
        std::fprintf(stderr, "channel %zu: capacity %d\n", c, p.caps[c]);
    for (size_t a = 0; a < p.actors.size(); ++a)
        for (const Op& op : p.actors[a]) {
            if (op.called == kNever) continue;
            std::string text = op.form == Op::kClose ? "close" : op.form == Op::kPlain ? "" : "select";
            for (const Case& k : op.cases) {
                text += ' ' + std::to_string(k.chan);
                if (op.form != Op::kClose) text += k.sends ? "<-" + std::to_string(k.value) : "->";
            }
            if (op.has_otherwise) text += " otherwise";
            text += op.returned == kNever       ? ": waits"
                    : op.saw == Saw::kPanic     ? ": panics"
                    : op.saw == Saw::kOtherwise ? ": otherwise"
                    : op.form == Op::kClose     ? ""
                    : op.cases[op.at].sends     ? ": case " + std::to_string(op.at)
                                                : ": case " + std::to_string(op.at) + " got " +
                                                  std::to_string(op.value) + (op.ok ? "" : ", closed");
            std::fprintf(stderr, "actor %zu [%3" PRIu64 ", %3" PRId64 "] %s\n", a, op.called,
                         static_cast<int64_t>(op.returned), text.c_str());
        }
}

void one(uint64_t seed, bool threads) {
    Program p = invent(seed, threads);
    std::vector<chan<int>> c;
    for (int cap : p.caps) c.push_back(make_chan<int>(cap));
    std::vector<Slot> slots(p.actors.size());
    std::atomic<bool> enough{false};
    Join join;
    int goroutines = 0;
    std::thread thread;
    for (size_t a = 0; a < p.actors.size(); ++a) {
        auto body = [&, a] { act(p.actors[a], c, slots[a], enough); };
        if (p.thread && a + 1 == p.actors.size()) thread = std::thread(body);
        else go_join(join, body), ++goroutines;
    }
    EVENTUALLY(quiet(slots));
    enough = true;
    if (!Search(p).explain()) {
        print(p);
        std::fprintf(stderr, "no order of operations explains this; again: GORT_FUZZ_SEED=%" PRIu64 "\n",
                     seed);
        CHECK(false);
    }
    for (auto& ch : c) panic_of([&] { ch.close(); });
    join.wait(goroutines);
    if (thread.joinable()) thread.join();
    for (auto& ch : c) CHECK_EQ(waiting(ch, Side::kReceivers) + waiting(ch, Side::kSenders), 0);
}

}  // namespace

TEST_P(chan_fuzz, 1, 2, 8) {
    using namespace gort::test;
    const auto ms =
        static_cast<int64_t>(env_number("GORT_FUZZ_MS", 1, 1'000'000'000, stress() ? 20000 : 400));
    const uint64_t only = env_number("GORT_FUZZ_SEED", 1, UINT64_MAX, 0);
    TEST_TIMEOUT(static_cast<int>(ms / 1000 + 20));
    run(procs, [=] {
        const int64_t end = now_ms() + ms;
        long programs = 0;
        for (; now_ms() < end; ++programs) one(only ? only : rnd(), procs > 1);
        std::printf("%ld programs\n", programs);
    });
}

// The search finds what cannot be.
TEST(the_search_rejects) {
    auto op = [](Op::Form form, size_t ch, bool sends, int value, uint64_t called, uint64_t returned) {
        Op o;
        o.form = form;
        o.cases = {{ch, sends, value}};
        o.called = called;
        o.returned = returned;
        o.value = sends ? 0 : value;
        o.ok = true;
        return o;
    };
    auto explained = [](std::vector<int> caps, std::vector<Op> ops) {
        Program p;
        p.caps = std::move(caps);
        for (Op& o : ops) p.actors.push_back({o});
        return Search(p).explain();
    };
    const auto send = [&](int v, uint64_t a, uint64_t b) { return op(Op::kPlain, 0, true, v, a, b); };
    const auto recv = [&](int v, uint64_t a, uint64_t b) { return op(Op::kPlain, 0, false, v, a, b); };
    CHECK(explained({2}, {send(1, 1, 2), send(2, 3, 4), recv(1, 5, 6), recv(2, 7, 8)}));
    CHECK(!explained({2}, {send(1, 1, 2), send(2, 3, 4), recv(2, 5, 6), recv(1, 7, 8)}));  // order
    CHECK(!explained({1}, {send(1, 1, 2), recv(1, 3, 4), recv(1, 5, 6)}));                 // twice
    CHECK(!explained({1}, {send(1, 1, 2), send(2, 3, 4)}));                                // too many
    CHECK(!explained({0}, {send(1, 1, 2), recv(1, 3, 4)}));                                // not at a time
    CHECK(explained({0}, {send(1, 1, 3), recv(1, 2, 4)}));
    CHECK(!explained({1}, {send(1, 1, 2), recv(1, 3, kNever)}));       // waits without reason
    CHECK(!explained({0}, {send(1, 1, kNever), recv(1, 2, kNever)}));  // two that miss each other
    Op close = op(Op::kClose, 0, false, 0, 1, 2);
    CHECK(!explained({1}, {close, send(1, 3, 4)}));  // sent on closed
    Op missed = recv(0, 3, 4);
    missed.has_otherwise = true;
    missed.saw = Saw::kOtherwise;
    CHECK(!explained({1}, {send(1, 1, 2), missed}));  // was ready
}
