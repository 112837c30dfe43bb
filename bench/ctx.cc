// bench/ctx.cc - contexts: making and cancelling one, cancelling a tree, looking a value up.
// SPDX-License-Identifier: BSD-2-Clause
#include <array>
#include <chrono>
#include <vector>

#include "bench/runtime.h"
#include "ctx/context.h"

namespace {

namespace ctx = gort::ctx;

constexpr size_t kChildren = 10'000;
constexpr size_t kDepth = 10;

// Keys have addresses and cannot be moved.
struct Keys {
    ctx::key<int> k0, k1, k2, k3, k4, k5, k6, k7, k8, k9;
    std::array<const ctx::key<int>*, kDepth> all{&k0, &k1, &k2, &k3, &k4, &k5, &k6, &k7, &k8, &k9};
};
const Keys keys;

void create_and_cancel(const bench::Run& run, const ctx::context& parent, uint64_t n) {
    for (; n > 0; --n) {
        auto [c, cancel] = ctx::with_cancel(parent);
        cancel();
        if (!c.err()) run.check(false, "not cancelled");
    }
}

// Nanoseconds that the parent's cancel took, not the making of its children.
double cancel_tree(const bench::Run& run) {
    auto [parent, cancel_all] = ctx::with_cancel(ctx::background());
    auto [last, cancel_last] = ctx::with_cancel(parent);
    std::vector<ctx::cancel_func> cancels{cancel_last};
    for (size_t i = 1; i < kChildren; ++i) cancels.push_back(ctx::with_cancel(parent).second);
    const bench::Stopwatch watch;
    cancel_all();
    const double took = watch.wall_ns();
    run.check(last.err() && cancels.size() == kChildren, "a child was not cancelled");
    return took;
}

}  // namespace

WORKLOAD(ctx, "contexts: create and cancel, a tree's cancel, a value ten up") {
    bench::on_gort(run, [&run] {
        const ctx::context root = ctx::background();
        run.per_op("withcancel_cancel", [&](uint64_t n) { create_and_cancel(run, root, n); });
        {
            auto [parent, stop] = ctx::with_cancel(root);
            run.per_op("withcancel_cancel_under_parent",
                       [&run, &under = parent](uint64_t n) { create_and_cancel(run, under, n); });
            stop();
        }
        run.per_op("withtimeout_cancel", [&root](uint64_t n) {
            for (; n > 0; --n) {
                auto [c, cancel] = ctx::with_timeout(root, std::chrono::seconds(30));
                cancel();
            }
        });

        bench::Series tree{"cancel_tree10k_per_child", "ns", {}, 0};
        for (unsigned r = 0; r < run.reps(); ++r) {
            double took = 0;
            tree.n = 0;
            while (took < run.ms() * 1e6) {
                took += cancel_tree(run);
                tree.n += kChildren;
            }
            tree.values.push_back(took / static_cast<double>(tree.n));
        }
        run.emit(tree);

        ctx::context c = ctx::with_value(root, *keys.all[0], 7);
        for (size_t i = 1; i < kDepth; ++i) c = ctx::with_value(c, *keys.all[i], static_cast<int>(i));
        run.per_op("value_depth10", [&run, &c](uint64_t n) {
            for (; n > 0; --n)
                if (*c.value(*keys.all[0]) != 7) run.check(false, "wrong value");
        });
    });
}
