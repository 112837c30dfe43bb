// rt/net/poller.h - the poller as rt/net/netpoll.cc sees it, and what the two ask of each other.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "kernel/poll.h"
#include "rt/net/netpoll.h"

namespace gort::rt {

// An event's tag: where the PollDesc lies, and its life.
inline constexpr unsigned kGenBits = 22;

// --- poller.cc. 0 or -errno
int poller_open();  // the first time; from then on the scheduler asks it. Not by two at once
int poller_add(PollDesc* d);
void poller_remove(int fd);
int poller_own_fds();
void poller_close();  // for good: no thread polls any more

// --- netpoll.cc
// d's event, if that is still its life: who waited, for each side; else the side is ready.
void poll_event(PollDesc* d, uint32_t gen, uint32_t bits, G* wake[2]);
void poll_end_run();
void poll_forked();  // nothing is registered with this process's epoll

}  // namespace gort::rt
