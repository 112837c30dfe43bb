// rt/trace/stall.cc - see stall.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/trace/stall.h"

#include "arch/sanitize.h"
#include "kernel/env.h"
#include "kernel/mem.h"
#include "kernel/sys.h"
#include "rt/base/report.h"
#include "rt/sched/sched.h"
#include "rt/trace/frames.h"
#include "rt/trace/label.h"
#include "rt/trace/traceback.h"

namespace gort::rt {

namespace {

constexpr int64_t kMs = 1'000'000;
constexpr uint64_t kMostMs = 3'600'000;
constexpr int kMost = 16;  // that are named at one look

int64_t stall_ns = 0;  // 0: GORT_STALL is not set
bool with_stack = false;

struct Stalled {
    const G* gp;
    int tid;
    uint64_t id;
    int64_t ns;
    Site site;
    char label[kLabelRoom];
};

// [sched.lock] Has mp run the same goroutine since a look so long ago? Others write what is read here: a guess.
GORT_UNCHECKED bool look_at(M* mp, int64_t now, Stalled* out) {
    const G* gp = mp->foreign ? nullptr : mp->curg;
    const P* pp = mp->p;
    const uint64_t id = gp ? gp->id : 0;
    // Which turn of which P; without a P it is still the last one.
    const uint64_t turn = pp ? pp->turn() * kMaxProcs + pp->index : mp->stall_turn;
    if (!gp || id != mp->stall_goid || turn != mp->stall_turn) {
        mp->stall_goid = id;
        mp->stall_turn = turn;
        mp->stall_since = now;
        mp->stall_said = false;
        return false;
    }
    if (mp->stall_said || now - mp->stall_since < stall_ns || (gp->flags & kGSystem)) return false;
    mp->stall_said = true;
    out->gp = gp;
    out->tid = mp->tid;
    out->id = id;
    out->ns = now - mp->stall_since;
    if (!(gp->flags & kGMain)) {
        out->site.file = gp->site.file;
        out->site.function = gp->site.function;
        out->site.line = gp->site.line;
    }
    const char* label = gp->flags & kGLabeled ? label_text(gp->label) : "";
    size_t n = 0;
    for (; n + 1 < kLabelRoom && label[n]; ++n) out->label[n] = label[n];
    out->label[n] = '\0';
    return true;
}

void print_stack(kernel::Out& out, Images* images, const Stalled& s) {
    Trace trace;
    if (images && ask_for_stack(s.gp, s.tid, &trace)) print_trace(out, images, trace, {});
    else out.str("\tits stack is not to be had\n");
}

void print(void* arg) {
    const auto& s = *static_cast<const Stalled*>(arg);
    kernel::Out out(2);
    out.str("gort: stall: goroutine ").udec(s.id);
    const char* before = " [";
    if (s.label[0]) {
        out.str(before).ch('"').str(s.label).ch('"');
        before = ", ";
    }
    Images* images = with_stack || !s.site.file ? Images::take() : nullptr;
    if (print_created_by(out, images, s.site, {}, before)) before = ", ";
    out.str(*before == ',' ? "]" : "").str(" has kept its P for ").dec(s.ns / kMs).str(" ms\n");
    if (with_stack) print_stack(out, images, s);
    if (images) images->free();
}

}  // namespace

bool stall_begin() {
    const char* text = kernel::env_get_to_show("GORT_STALL");
    stall_ns = 0;
    if (!text) return false;
    char number[24] = {};
    size_t n = 0;
    for (; n + 1 < sizeof number && text[n] && text[n] != ','; ++n) number[n] = text[n];
    with_stack = kernel::str_equal(text + n, ",stack");
    uint64_t ms = 0;
    const char* why = text[n] && !with_stack ? "not a time" : kernel::parse_uint(number, 1, kMostMs, &ms);
    if (why) {
        kernel::Out(2)
            .str("GORT_STALL=")
            .str(text)
            .str(": ")
            .str(why)
            .str("; accepted: 1 to 3600000 (ms), or that and \",stack\"\n");
        kernel::sys_exit_group(2);
    }
    stall_ns = static_cast<int64_t>(ms) * kMs;
    return true;
}

int64_t stall_tick(int64_t now) {
    if (stall_ns == 0) return INT64_MAX;
    Stalled found[kMost];
    int n = 0;
    {
        kernel::LockGuard guard(sched.lock);
        for (M* mp = sched.allm; mp && n < kMost; mp = mp->next_all) n += look_at(mp, now, &found[n]);
    }
    for (int i = 0; i < n; ++i) on_big_stack(print, &found[i]);
    return now + stall_ns / 4;
}

}  // namespace gort::rt
