// rt/sched/retake.cc - see retake.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/sched/retake.h"

#include "arch/sanitize.h"
#include "kernel/sys.h"
#include "kernel/thread.h"
#include "rt/time/clock.h"

namespace gort::rt {

namespace {

constexpr uint32_t kFirst = 100'000, kLeast = 50'000;  // ns; below kLeast is none
constexpr uint32_t kMost = 10'000'000;                 // the time slice, which ends anyway
constexpr int64_t kPays = 500'000;                     // that it sleeps on
constexpr int64_t kRoams = 500'000;                    // of CPU time, that it is awake without coming back
constexpr uint32_t kRoamCosts = 16;
constexpr int64_t kAskAgain = 200'000;  // after /proc has said that the thread waits for a CPU
constexpr int64_t kNoProc = 2'000'000;  // that its clock has to stand still where /proc does not answer
constexpr uint32_t kKinds = 256;

// Patience, plus 1; 0: kFirst. Kinds may share a place: then they learn together.
std::atomic<uint32_t> learned[kKinds];

// The last look at the thread of each P. sysmon's own.
struct Look {
    const M* mp = nullptr;
    int64_t cpu = 0;    // what its clock said,
    int64_t since = 0;  // for how long
    int64_t ask_after = 0;
};
Look looks[kMaxProcs];

// One of the threads that have lost each P so. sysmon's own.
struct Lesson {
    const M* mp = nullptr;  // null: none
    uint32_t kind = 0;
    int tid = 0;
    int64_t cpu = 0;    // what its clock said when it fell asleep
    int64_t since = 0;  // when it lost the P; of a roamer, when it was seen awake, or 0
};
Lesson lessons[kMaxProcs];  // until it is known whether it sleeps on
Lesson roamers[kMaxProcs];  // that did: until it is known whether they come back when they wake
int open_lessons = 0;

GORT_UNCHECKED uint32_t kind_of(const Site& site) {
    const auto file = reinterpret_cast<uintptr_t>(site.file);
    return static_cast<uint32_t>(file * 31 + uint64_t{site.line} * 0x9e3779b1U) % kKinds;
}

// Others write what is read here: a guess.
GORT_UNCHECKED uint32_t kind_of(const M* mp) {
    const G* gp = mp->curg;
    return gp ? kind_of(gp->site) : 0;
}

GORT_UNCHECKED int tid_of(const M* mp) { return mp->tid; }

uint32_t patience_of(uint32_t kind) {
    const uint32_t plus_one = learned[kind].load(std::memory_order_relaxed);
    return plus_one ? plus_one - 1 : kFirst;
}

// -1: it cannot be told.
int64_t cpu_time_of(int tid) {
    kernel::Timespec t;
    // The kernel's number for the clock of a thread: see clock_getcpuclockid.
    if (tid <= 0 || kernel::sys_clock_gettime(static_cast<int>(~static_cast<unsigned>(tid) << 3 | 6), &t))
        return -1;
    return t.sec * 1'000'000'000 + t.nsec;
}

void learn(uint32_t kind, uint64_t ns) {
    if (ns > kMost) ns = kMost;
    learned[kind].store(static_cast<uint32_t>(ns) + 1, std::memory_order_relaxed);
}
void too_early(uint32_t kind, uint32_t factor) {
    const uint64_t ns = patience_of(kind);
    learn(kind, (ns < kLeast ? kLeast : ns) * factor);
}
void paid(uint32_t kind) {
    const uint32_t ns = patience_of(kind) / 2;
    learn(kind, ns < kLeast ? 0 : ns);
}

void end(Lesson* lesson) {
    lesson->mp = nullptr;
    --open_lessons;
}

void judge_sleeper(Lesson* lesson, Lesson* roamer, int64_t now, int64_t* again) {
    const int64_t cpu = cpu_time_of(lesson->tid), slept = now - lesson->since;
    if (cpu != lesson->cpu) {
        if (cpu >= 0 && slept < kPays + kPays / 2) too_early(lesson->kind, 2);
        return end(lesson);
    }
    if (slept < kPays) {
        if (lesson->since + kPays < *again) *again = lesson->since + kPays;
        return;
    }
    paid(lesson->kind);
    if (!roamer->mp) {
        *roamer = *lesson;
        ++open_lessons;
    }
    end(lesson);
}

void judge_roamer(Lesson* roamer) {
    if (!roamer->mp->lost_p.load(std::memory_order_relaxed)) return end(roamer);  // it is back
    const int64_t cpu = cpu_time_of(roamer->tid);
    if (cpu >= 0 && cpu - roamer->cpu < kRoams) return;
    if (cpu >= 0) too_early(roamer->kind, kRoamCosts);
    end(roamer);
}

}  // namespace

void retakes_begin() {
    for (auto& kind : learned) kind.store(0, std::memory_order_relaxed);
    for (Look& look : looks) look = {};
    for (Lesson& lesson : lessons) lesson = {};
    for (Lesson& roamer : roamers) roamer = {};
    open_lessons = 0;
}

bool sleeps_in_a_call(P* pp, int64_t now, bool late, int64_t* again) {
    const M* mp = pp->m.load(std::memory_order_acquire);
    Look& look = looks[pp->index];
    if (!mp || mp->in_rt.load(std::memory_order_relaxed)) {
        look.mp = nullptr;
        return false;
    }
    const int tid = tid_of(mp);
    const int64_t cpu = cpu_time_of(tid);
    if (mp != look.mp || cpu != look.cpu) {
        look = {mp, cpu_time_of(tid), now, look.ask_after};
        if (look.cpu != cpu) return false;  // it computes
    }
    if (cpu < 0) return false;
    int64_t when = look.since + (late ? 0 : patience_of(kind_of(mp)));
    if (when < look.ask_after) when = look.ask_after;
    if (now >= when) {
        const char state = kernel::thread_state(tid);
        if (state == 'S' || state == 'D' || (!state && now - look.since >= kNoProc)) return true;
        when = look.ask_after = now + kAskAgain;
    }
    if (when < *again) *again = when;
    return false;
}

void note_retake(P* pp, const M* holder, int64_t now) {
    Lesson& lesson = lessons[pp->index];
    const Look& look = looks[pp->index];
    if (lesson.mp || look.mp != holder || look.cpu != cpu_time_of(holder->tid)) return;
    lesson = {holder, kind_of(holder), holder->tid, look.cpu, now};
    ++open_lessons;
}

void judge_retakes(int64_t now, int64_t* again) {
    if (!open_lessons) return;
    for (int i = 0, n = sched.nallp.load(std::memory_order_acquire); i < n; ++i) {
        if (roamers[i].mp) judge_roamer(&roamers[i]);
        if (lessons[i].mp) judge_sleeper(&lessons[i], &roamers[i], now, again);
    }
}

uint32_t patience_of(const Site& site) { return patience_of(kind_of(site)); }

}  // namespace gort::rt
