// bench/switch.cc - the library's switch of stacks beside the cheapest conceivable and today's usual ones.
// SPDX-License-Identifier: BSD-2-Clause
//
// Two bare stacks switch to each other, one site a side; figures are per one-way switch. All loops are sliced
// into each repetition, so the ratios hold on a machine whose speed drifts. The table in arch/x86_64/switch.S
// is this output.
#include "arch/arch.h"
#include "bench/counters.h"
#include "bench/harness.h"
#include "bench/switch_variants.h"

namespace {

namespace arch = gort::arch;

struct Pair {
    void* here = nullptr;
    void* there = nullptr;
    uint64_t seen = 0;  // switches that arrived at the other side, as counted there
};
Pair g_raw, g_abi;

// The timed sides address globals, as the alternatives' do, so that every loop spills and reloads as little
// as it can.
[[noreturn]] void raw_side(void*, void* transfer) {
    for (;;) transfer = arch::switch_to(&g_raw.there, g_raw.here, transfer);
}

[[noreturn]] void abi_side(void*, void* transfer) {
    for (;;) transfer = gort_switch_abi(&g_abi.there, g_abi.here, transfer);
}

// Counts what arrives, to check that the switches timed are switches and carry their transfer.
[[noreturn]] void counting_side(void* arg, void* transfer) {
    auto* pair = static_cast<Pair*>(arg);
    for (;;) {
        ++pair->seen;
        void* next = static_cast<char*>(transfer) + 1;
        transfer = pair == &g_raw ? arch::switch_to(&pair->there, pair->here, next)
                                  : gort_switch_abi(&pair->there, pair->here, next);
    }
}

void start(Pair* pair, arch::EntryFn side) {
    *pair = {};
    pair->there = arch::init_stack(bench::new_switch_stack(), side, pair);
}

void raw(uint64_t n) {
    for (void* transfer = nullptr; n; n -= 2) transfer = arch::switch_to(&g_raw.here, g_raw.there, transfer);
}

void abi(uint64_t n) {
    for (void* transfer = nullptr; n; n -= 2) transfer = gort_switch_abi(&g_abi.here, g_abi.there, transfer);
}

void self_check(const bench::Run& run) {
    char base[1];
    start(&g_raw, counting_side);
    start(&g_abi, counting_side);
    for (uint64_t i = 0; i < 100; ++i) {
        void* from_raw = arch::switch_to(&g_raw.here, g_raw.there, base);
        void* from_abi = gort_switch_abi(&g_abi.here, g_abi.there, base);
        run.check(from_raw == base + 1 && from_abi == base + 1, "a switch lost its transfer");
        run.check(g_raw.seen == i + 1 && g_abi.seen == i + 1, "a switch did not arrive");
    }
    start(&g_raw, raw_side);
    start(&g_abi, abi_side);
}

}  // namespace

WORKLOAD(switch, "one switch between two bare stacks, per one-way switch, beside the alternatives") {
    self_check(run);
    const auto insns = bench::count_instructions(raw);
    const bench::CycleCounter cycles;

    const std::vector<bench::Series> all = run.interleaved({
        {"raw", raw, 2, [&] { return cycles.now(); }},
        {"abi", abi, 2, {}},
        {"floor", bench::switch_floor, 2, {}},
        {"raw_call", bench::switch_raw_call, 2, {}},
        {"raw_inline", bench::switch_raw_inline, 2, {}},
        {"raw_ret", bench::switch_raw_ret, 2, {}},
        {"abi_ret", bench::switch_abi_ret, 2, {}},
        {"swapcontext", bench::switch_swapcontext, 2, {}},
        {"pthread_futex", bench::switch_pthread_futex, 2, {}},
    });
    const bench::Series &raw_ns = all[0], &abi_ns = all[1], &floor_ns = all[2];

    run.emit(raw_ns);
    bench::Series raw_cycles{"raw_cycles", "cycles", raw_ns.metered, raw_ns.n};
    raw_cycles.note = std::string("source=") + cycles.source();
    run.emit(raw_cycles);
    if (insns) {
        bench::Series raw_insns{"raw_insns", "insns", {insns->per_op}, 1};
        raw_insns.note = std::string("source=") + insns->source;
        run.emit(raw_insns);
    } else {
        std::fputs(
            "switch: raw_insns: nothing here can count instructions (no counters, no single-stepping)\n",
            stderr);
    }
    for (size_t i = 1; i < all.size(); ++i) run.emit(all[i]);
    run.emit(bench::ratio("raw_over_floor", raw_ns, floor_ns));
    run.emit(bench::ratio("abi_over_floor", abi_ns, floor_ns));
    run.emit(bench::ratio("abi_ret_over_abi", all[6], abi_ns));
    run.emit(bench::ratio("swapcontext_over_raw", all[7], raw_ns));
}
