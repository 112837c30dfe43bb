// rt/trace/gdb_table.cc - see gdb_table.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/trace/gdb_table.h"

#include "arch/context.h"
#include "rt/own/m.h"
#include "rt/own/wait_reason.h"
#include "rt/sched/sched.h"
#include "rt/stack/pool.h"
#include "rt/trace/label.h"

#pragma GCC diagnostic ignored "-Winvalid-offsetof"  // of types with a base class; all compilers have it

namespace gort::rt {

namespace {

constexpr uint64_t number(GStatus s) { return static_cast<uint64_t>(s); }

// clang-format off
#define GORT_NUMBERS(X)                                                   \
    X("G.size", sizeof(G))                                                \
    X("G.sp", offsetof(G, ctx) + offsetof(arch::Context, sp))             \
    X("G.stack", offsetof(G, stack))                                      \
    X("G.status", offsetof(G, status))                                    \
    X("G.wait_reason", offsetof(G, wait_reason))                          \
    X("G.flags", offsetof(G, flags))                                      \
    X("G.locked_m", offsetof(G, locked_m))                                \
    X("G.invoke", offsetof(G, invoke))                                    \
    X("G.id", offsetof(G, id))                                            \
    X("G.site.file", offsetof(G, site) + offsetof(Site, file))            \
    X("G.site.function", offsetof(G, site) + offsetof(Site, function))    \
    X("G.site.line", offsetof(G, site) + offsetof(Site, line))            \
    X("G.wait_since", offsetof(G, wait_since))                            \
    X("status.free", number(GStatus::kFree))                              \
    X("status.runnable", number(GStatus::kRunnable))                      \
    X("status.waiting", number(GStatus::kWaiting))                        \
    X("status.dead", number(GStatus::kDead))                              \
    X("flag.system", kGSystem)                                            \
    X("flag.locked", kGLocked)                                            \
    X("flag.main", kGMain)                                                \
    X("flag.labeled", kGLabeled)                                          \
    X("Label.text", offsetof(Label, text))                                \
    X("M.next", offsetof(M, next_all))                                    \
    X("M.curg", offsetof(M, curg))                                        \
    X("M.left_g", offsetof(M, left_g))                                    \
    X("M.locked_sp", offsetof(M, locked_sp))                              \
    X("M.tid", offsetof(M, tid))                                          \
    X("M.foreign", offsetof(M, foreign))                                  \
    X("frame.fp", offsetof(arch::Frame, fp))                              \
    X("frame.pc", offsetof(arch::Frame, pc))                              \
    X("frame.size", sizeof(arch::Frame))                                  \
    X("stack.lo", kGSize + offsetof(SlotInfo, lo))                        \
    X("slab.chunks", Slab<G>::layout().chunks)                            \
    X("chunk.next", Slab<G>::layout().next)                               \
    X("chunk.used", Slab<G>::layout().used)                               \
    X("chunk.first", Slab<G>::layout().first)

#define GORT_ADDRESSES(X)                                                 \
    X("allm", &sched.allm)                                                \
    X("coarse_now", &sched.coarse_now)                                    \
    X("slab", &g_slab)
// clang-format on

#define GORT_NAME(name, value) name " "
#define GORT_VALUE(name, value) value,

// The names of the numbers, of the addresses, and the wait reasons in the order of the enum: a line each.
constexpr char kNames[] = GORT_NUMBERS(GORT_NAME) "\n" GORT_ADDRESSES(GORT_NAME) "\n";

template <class F>
constexpr void for_each_char(F f) {
    for (size_t i = 0; i + 1 < sizeof kNames; ++i) f(kNames[i]);
    for (uint8_t why = 0; why < static_cast<uint8_t>(WaitReason::kCount); ++why) {
        for (const char* p = wait_reason_name(static_cast<WaitReason>(why)); *p; ++p) f(*p);
        f(',');
    }
}
constexpr size_t text_size() {
    size_t n = 0;
    for_each_char([&n](char) { ++n; });
    return n;
}

}  // namespace

struct Text {
    char chars[text_size()] = {};
    constexpr Text() {
        size_t n = 0;
        for_each_char([this, &n](char c) { chars[n++] = c; });
    }
};

#define GORT_COUNT(name, value) +1

struct Table {
    char magic[8];
    uint32_t numbers, addresses, text_size, unused;
    uint64_t number[0 GORT_NUMBERS(GORT_COUNT)];
    const void* address[0 GORT_ADDRESSES(GORT_COUNT)];
    Text text;
};

extern "C" {
extern const Table gort_gdb_table;
[[gnu::used, gnu::section("gort_gdb")]] constinit const Table gort_gdb_table = {
    {'g', 'o', 'r', 't', '-', 'g', 'd', 'b'},
    0 GORT_NUMBERS(GORT_COUNT),
    0 GORT_ADDRESSES(GORT_COUNT),
    text_size(),
    0,
    {GORT_NUMBERS(GORT_VALUE)},
    {GORT_ADDRESSES(GORT_VALUE)},
    {}};
}

void gdb_table_keep() { asm volatile("" : : "r"(&gort_gdb_table)); }

}  // namespace gort::rt
