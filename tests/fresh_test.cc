// tests/fresh_test.cc - goroutines that have not run yet: the order of their queue, trees depth first, nobody starves.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/own/fresh.h"

#include <deque>

#include "chan/chan.h"
#include "tests/sched_test.h"

using namespace gort::sched_test;
using gort::rt::FreshQueue;
using gort::rt::G;

namespace {

// A stack of queues, as slow and plain as can be.
struct Model {
    std::deque<std::deque<G*>> groups;
    uint64_t maker = ~uint64_t{0};
    void push(G* gp, uint64_t by) {
        if (groups.empty() || by != maker) groups.emplace_back();
        maker = by;
        groups.back().push_back(gp);
    }
    G* pop(bool oldest) {
        if (groups.empty()) return nullptr;
        auto at = oldest ? groups.begin() : groups.end() - 1;
        G* gp = at->front();
        at->pop_front();
        if (at->empty()) groups.erase(at);
        return gp;
    }
    std::deque<G*> cut_oldest(uint32_t most) {
        std::deque<G*> cut;
        if (groups.empty()) return cut;
        auto& group = groups.front();
        for (; cut.size() < most && !group.empty(); group.pop_front()) cut.push_back(group.front());
        if (group.empty()) groups.pop_front();
        return cut;
    }
    void push_group(const std::deque<G*>& group) {
        groups.push_back(group);
        maker = ~uint64_t{0};
    }
};

TEST(as_a_stack_of_queues) {
    static G gs[4000];
    FreshQueue q;
    FreshQueue::Group first[FreshQueue::kFirst];
    q.init(first);
    Model model;
    std::vector<G*> idle;
    for (G& g : gs) idle.push_back(&g);
    uint64_t maker = 0;
    uint32_t pops = 0;
    for (int step = 0; step < 300000; ++step) {
        const uint64_t r = gort::test::rnd();
        const bool fills = step / 20000 % 2 == 0;  // now growing, now draining
        if (r % 100 < (fills ? 60u : 40u) && !idle.empty()) {
            if (r >> 32 & 1) ++maker;
            q.push(idle.back(), maker);
            model.push(idle.back(), maker);
            idle.pop_back();
        } else if (r >> 40 & 7) {
            const bool oldest = r % 5 == 0;
            const bool any = !q.empty();
            G* gp = oldest ? q.pop_oldest() : q.pop();
            CHECK_EQ(gp, model.pop(oldest));
            if (gp) idle.push_back(gp);
            pops += any && !oldest;
        } else if (!q.empty()) {
            const auto most = static_cast<uint32_t>(1 + (r >> 44) % 9);
            const gort::rt::FreshChain chain = q.cut_oldest(most);
            const std::deque<G*> cut = model.cut_oldest(most);
            CHECK_EQ(chain.count, cut.size());
            const G* gp = chain.first;
            for (const G* want : cut) {
                CHECK_EQ(gp, want);
                gp = gp->next;
            }
            CHECK(!gp);
            CHECK_EQ(chain.last, cut.back());
            CHECK_EQ(q.size(), std::size(gs) - idle.size() - cut.size());
            q.push_chain(chain);
            model.push_group(cut);
        }
        CHECK_EQ(q.size(), std::size(gs) - idle.size());
        CHECK_EQ(q.popped(), pops);
    }
    while (G* gp = q.pop()) CHECK_EQ(gp, model.pop(false));
    CHECK(model.groups.empty());
    q.destroy();
}

// A thief takes from one group at a time: the number tells it when the next one begins.
TEST(the_oldest_group_has_a_number) {
    static G gs[4];
    FreshQueue q;
    FreshQueue::Group first[FreshQueue::kFirst];
    q.init(first);
    q.push(&gs[0], 1);
    q.push(&gs[1], 1);
    q.push(&gs[2], 2);
    const uint32_t group = q.oldest_group();
    CHECK_EQ(q.pop_oldest(), &gs[0]);
    CHECK_EQ(q.oldest_group(), group);
    CHECK_EQ(q.pop_oldest(), &gs[1]);
    CHECK_NE(q.oldest_group(), group);
    CHECK_EQ(q.pop_oldest(), &gs[2]);
    q.destroy();
}

// GR-15: the last one spawned runs first, then what that spawned, then the others in the order of spawning.
TEST(order_of_two_levels) {
    // main, readied by c, displaces 8, which goes behind 6 and 7
    const std::string want = "c678a012b345";
    auto once = [] {
        std::string order;
        with_procs(1, [&] {
            auto done = gort::make_chan<int>(100);
            for (int i = 0; i < 3; ++i)
                gort::go([&, i, done] {
                    order += char('a' + i);
                    for (int j = 0; j < 3; ++j)
                        gort::go([&, i, j, done] {
                            order += char('0' + i * 3 + j);
                            done << 1;
                        });
                    done << 1;
                });
            for (int i = 0; i < 12; ++i) done.recv();
        });
        return order;
    };
    CHECK_EQ(order_of(once), want);
}

void tree(int depth, const gort::chan<int>& up) {
    if (depth == 0) {
        up << 1;
        return;
    }
    auto mine = gort::make_chan<int>();
    for (int i = 0; i < 10; ++i) gort::go([mine, depth] { tree(depth - 1, mine); });
    int sum = 0;
    for (int i = 0; i < 10; ++i) sum += mine.recv();
    up << sum;
}

// 11,111 goroutines of which breadth first 10,000 would hold a stack at once.
TEST(a_tree_needs_few_stacks) {
    size_t stacks = 0;
    with_procs(1, [&] {
        auto up = gort::make_chan<int>();
        gort::go([up] { tree(4, up); });
        CHECK_EQ(up.recv(), 10000);
        const auto t = gort::rt::stack_totals();
        stacks = t.in_use + t.hot + t.warm + t.cold;
    });
    CHECK_LT(stacks, 700);
}

TEST_P(a_tree_is_shared_out, 2, 8) {
    with_procs(procs, [&] {
        constexpr int depth = GORT_TSAN ? 4 : 5;  // a stack is dear for TSan
        auto up = gort::make_chan<int>();
        gort::go([up] { tree(depth, up); });
        CHECK_EQ(up.recv(), depth == 4 ? 10000 : 100000);
    });
}

// For ever there is something fresh.
void stream(std::atomic<bool>* stop) {
    if (*stop) return;
    gort::go([stop] { stream(stop); });
    gort::go([] {});
}

TEST(goroutines_that_have_run_are_not_starved_by_fresh_ones) {
    with_procs(1, [&] {
        std::atomic<bool> stop{false};
        gort::go([&] { stream(&stop); });
        for (int i = 0; i < 100; ++i) gort::yield();
        stop = true;
        while (gort::num_goroutine() > 1) gort::yield();
    });
}

TEST(the_oldest_fresh_ones_are_not_starved_by_newer_ones) {
    with_procs(1, [&] {
        std::atomic<bool> stop{false};
        auto ran = gort::make_chan<int>(10);
        for (int i = 0; i < 10; ++i) gort::go([=] { ran << i; });
        gort::go([&] { stream(&stop); });
        for (int i = 0; i < 10; ++i) ran.recv();
        stop = true;
        while (gort::num_goroutine() > 1) gort::yield();
    });
}

}  // namespace
