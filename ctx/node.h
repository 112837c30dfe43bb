// ctx/node.h - what can be cancelled: the nodes of the tree of contexts, and what happens to them.
// SPDX-License-Identifier: BSD-2-Clause
//
// Up is by parent_, which every context has and holds a reference to. Down is only from what can be cancelled to
// what is to be cancelled with it: CancelNodes and after_func's functions, in a list of the nearest CancelNode
// above, which holds no references to the nodes in it. (So a child without holders goes at once; one that is still
// seen, see last_of, is made an orphan: then its own reference keeps it until it is cancelled.) Functions in a list
// are owned by it.
//
// Invariants: (1) a node is in its parent's list from its making until it is cancelled or destroyed.
//             (2) state == 1: err and cause are constant, done is closed, and the list of children is empty or is being
//             emptied by who holds the lock.
//             (3) holders = 1 for the node, + 1 while its timer is pending or its fn on the way: the memory's
//             references.
// Lock:     CancelNode::lock, a parent's before its children's. cancel_tree holds those of the path from where it began
//           to where it is, as Go does; so a second canceller, anywhere in that tree, returns when all of it is done.
//           The lock is taken inside the gate only. Nothing is readied, spawned or released under it, and no user code
//           is called: Aftermath keeps that for later.
// Ordering: X1 state's release -> the acquire of err, cause and done: who sees that it is cancelled sees why.
//           X2 linked's release when a parent has cancelled a child, its last touch of it -> the acquire of who
//           destroys it.
// Cost:     locked instructions at P=2: with_cancel and cancel 1, and 1 for dropping two handles; under a parent 5
//           more, for its lock twice and its count twice; with one P 1 and 3. err and value 0. done 2, of its handle.
#pragma once

#include "chan/hchan.h"
#include "ctx/context.h"
#include "rt/base/inside_lock.h"
#include "rt/time/timers.h"

namespace gort::ctx::detail {

using gort::detail::Hchan;

struct CancelNode : context_base, Child {
    explicit CancelNode(context_base* parent, Kind kind = Kind::kCancel) noexcept
        : context_base(kind, 2, parent) {}

    rt::InsideLock lock{kernel::LockRank::kContext};
    std::atomic<uint32_t> state{0};  // 1: cancelled
    // --- under lock, and constant once state is 1
    std::error_code err_code;
    std::error_code cause_code;
    // --- under lock; done may be read without once it is there
    std::atomic<Hchan*> done_chan{nullptr};  // one reference, or closed_chan()
    Child* children = nullptr;               // newest first
    bool orphan = false;                     // it has a reference to itself
    // Of one that is in no list, under a parent of an own kind: to be called when it is cancelled otherwise.
    stop_func* watch = nullptr;
};

struct TimerNode final : CancelNode {
    explicit TimerNode(context_base* parent) noexcept : CancelNode(parent, Kind::kTimer) {}
    rt::Timer timer;       // timer.when is the deadline
    std::error_code late;  // the cause if it comes to that
    uint64_t epoch = 0;
    bool armed = false;  // under lock: pending, or fn is on its way
    std::atomic<uint32_t> holders{1};
};

// --- tree.cc
Hchan* closed_chan();                              // for ever, and everybody's
Hchan* done_of(CancelNode* n);                     // with a reference for the caller
void link(CancelNode* child, CancelNode* parent);  // cancels it if the parent is
void cancel(CancelNode* n, const std::error_code& err, const std::error_code& cause, bool by_parent);
void arm(TimerNode* n);
bool link_func(AfterFunc* f, CancelNode* parent);  // false: the parent is cancelled
bool unlink_func(AfterFunc* f);                    // true if it was in a list

// --- derive.cc
std::error_code err_of(const context_base* c);
recv_chan<unit> done_chan_of(const context_base* c);
std::optional<time_point> deadline_of(const context_base* c);
const void* value_of(const context_base* c, const any_key& k);
std::error_code cause_of(const context_base* c);
// value_of(c, cancel_key) is the nearest CancelNode, through other kinds as well
extern const any_key& cancel_key;

}  // namespace gort::ctx::detail
