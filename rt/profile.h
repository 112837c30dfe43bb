// PUBLIC
// rt/profile.h - where goroutines wait: a profile of the parked ones, for flamegraph.pl, speedscope and the like.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "config.h"

namespace gort::profile {

// Writes the stacks of all goroutines that are parked now to the descriptor, as folded stacks: a line for each
// stack that differs from the others,
//
//      "label";main::{lambda()#1}::operator()() const;worker(int);[chan receive] 1500
//
// outermost frame first, then why they wait; the number is for how long, in microseconds, summed over the goroutines
// that wait there (at least 1 each; the clock is read every few milliseconds). The label comes first where set_label
// gave one. Frames are as in tracebacks: the program's own.
//
//      gort::profile::waits(fd);        // then: flamegraph.pl --countname us <file >waits.svg, or speedscope <file>
//
// Context: goroutines and any other thread. Others run on meanwhile; one that is woken while its stack is read is left
//          out. Takes some 10 us for each goroutine; needs memory for each stack that differs. Does not park: what
//          blocks is writing to fd.
// Errors:  none are reported; what cannot be written is lost. Without memory nothing is written.
// Source:  our own; Go's block profile samples what has waited, this shows what waits.
void waits(int fd);

}  // namespace gort::profile
