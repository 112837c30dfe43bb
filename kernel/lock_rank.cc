// kernel/lock_rank.cc - the held locks of each thread, in GORT_DEBUG only.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/lock_rank.h"

#if defined(GORT_DEBUG)
#include "kernel/fatal.h"
#include "kernel/mem.h"
#include "kernel/tls.h"

namespace gort::kernel {

namespace {

bool several_allowed(LockRank rank) {
    return rank == LockRank::kContext || rank == LockRank::kChan || rank == LockRank::kTimers ||
           rank == LockRank::kGate;
}
// A parent's context lock is taken before its children's, wherever they lie.
bool by_address(LockRank rank) { return rank != LockRank::kContext; }

[[noreturn]] void violation(const char* what, LockRank rank, const void* lock) {
    const ThreadArea* area = thread_area();
    Out out;
    out.str("lock rank violation: ").str(what).str(" lock ").hex(lock).str(" of rank ");
    out.udec(static_cast<uint32_t>(rank)).str("; this thread holds");
    for (int i = 0; i < area->held; ++i)
        out.ch(i ? ',' : ' ').hex(area->ranks[i].lock).str(" of rank ").udec(area->ranks[i].rank);
    out.str(area->held ? "\n" : " none\n").flush();
    abort_process();
}

}  // namespace

void lock_rank_acquire(LockRank rank, const void* lock) {
    if (rank == LockRank::kUnranked) return;
    ThreadArea* area = thread_area();
    const auto r = static_cast<uint32_t>(rank);
    for (int i = 0; i < area->held; ++i) {
        const auto& h = area->ranks[i];
        if (h.lock == lock) violation("takes again", rank, lock);
        if (h.rank > r) violation("takes", rank, lock);
        if (h.rank == r && (!several_allowed(rank) || (by_address(rank) && h.lock > lock)))
            violation("takes out of order", rank, lock);
    }
    lock_rank_tried(rank, lock);
}

void lock_rank_tried(LockRank rank, const void* lock) {
    if (rank == LockRank::kUnranked) return;
    ThreadArea* area = thread_area();
    // A select on more channels than the list holds goes unchecked beyond it.
    if (area->held == kMaxHeldLocks) ++area->unlisted;
    else area->ranks[area->held++] = {lock, static_cast<uint32_t>(rank)};
}

void lock_rank_release(LockRank rank, const void* lock) {
    if (rank == LockRank::kUnranked) return;
    ThreadArea* area = thread_area();
    for (int i = area->held; i-- > 0;) {
        if (area->ranks[i].lock != lock) continue;
        --area->held;
        const auto above = static_cast<size_t>(area->held - i);
        move_bytes(&area->ranks[i], &area->ranks[i + 1], above * sizeof(area->ranks[0]));
        return;
    }
    if (area->unlisted-- > 0) return;
    violation("releases", rank, lock);
}

bool lock_rank_held(const void* lock) {
    const ThreadArea* area = thread_area();
    for (int i = 0; i < area->held; ++i)
        if (area->ranks[i].lock == lock) return true;
    return false;
}

int lock_rank_count() { return thread_area()->held; }

}  // namespace gort::kernel
#endif
