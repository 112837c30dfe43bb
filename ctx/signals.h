// PUBLIC
// ctx/signals.h - signals: the process's signals as values on channels, and as the end of a context.
// SPDX-License-Identifier: BSD-2-Clause
//
//      auto [c, stop] = gort::signals::notify_context(gort::ctx::background(), {SIGINT, SIGTERM});
//      serve(c);                       // until somebody presses ^C
//      stop();                         // from now on ^C ends the process again
//
// As Go's package os/signal. What nobody asks for does what it did. A signal that is asked for is caught on whatever
// thread it comes to, and handed to all who want it by a thread that exists as long as somebody does; several of one
// number that come at once may count as one, as always with signals. While something is notified, no deadlock is
// declared. A child made by fork catches what its parent caught, but hands out nothing: it should exec.
//
// Signals are the numbers of <signal.h>, 1 to 64. SIGKILL and SIGSTOP cannot be caught: naming them has no effect, nor
// has it for 32 and 33, which are libc's. SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGTRAP are handed out if somebody sends
// them; those that the program's own instructions cause stay what they were. "All signals", an empty list, are all but
// these and SIGABRT. SIGQUIT prints no dump while it is notified or ignored.
//
// Panics:  "os/signal: Notify using nil channel"; "signals: N is no signal; accepted: 1 to 64".
// Errors:  std::system_error, from notify and notify_context, if no thread can be made.
// Context: any goroutine and any other thread; blocks for no more than a lock and a thread's start or end. Not in a
//          signal handler.
// Memory order: a send from the handing thread happens before its receive; what came before kill orders nothing.
// Source:  Go's package os/signal: Notify, Stop, Ignore, Reset, Ignored, NotifyContext.
#pragma once

#include "../rt/config.h"

#include <csignal>
#include <initializer_list>
#include <utility>

#include "../chan/chan.h"
#include "context.h"

namespace gort::signals {

// Hands these signals, or all, to c as well, without ever blocking: for one that finds the channel full it is lost, so
// make_chan<int>(1) is enough to learn that something came. A channel that is given again gets those, too. A channel
// that is closed gets nothing more.
void notify(const send_chan<int>& c, std::initializer_list<int> signals = {});

// No more to c: when it returns nothing is sent to it any more. A signal that nobody wants then does again what it did
// before it was first notified.
void stop(const send_chan<int>& c);

// These signals, or all, are ignored from now on: nobody is notified of them.
void ignore(std::initializer_list<int> signals = {});

// Takes notify's and ignore's effect back for these signals, or all.
void reset(std::initializer_list<int> signals = {});

// Is it ignored, by ignore or by whoever started the process?
bool ignored(int signal);

// A context that is done when one of these signals (or any) comes, when stop is called, or with its parent. Its err()
// is ctx::errc::canceled; cause() names the signal, "interrupt signal received". stop also takes the notification back:
// until then the signals stay caught, so call it as soon as you want a second one to end the process. It is harmless to
// call twice: false then.
std::pair<ctx::context, ctx::stop_func> notify_context(const ctx::context& parent,
                                                       std::initializer_list<int> signals = {});

}  // namespace gort::signals
