// PUBLIC
// ctx/signals.h - signals: the process's signals as values on channels, and as the end of a context.
// SPDX-License-Identifier: BSD-2-Clause
//
//      auto [c, stop] = gort::signals::notify_context(gort::ctx::background(), {SIGINT, SIGTERM});
//      serve(c);                       // until the user presses ^C
//      stop();                         // from now on ^C ends the process again
//
// As Go's package os/signal. Signals that the program does not ask for do what they did. One that it asks for is
// caught on the thread that it comes to, and a thread of gort's, which exists as long as there is such a signal,
// sends it to all channels that want it. Several of one number that come at once may count as one, as always with
// signals. While a signal is notified, no deadlock is declared. A child made by fork catches what its parent
// caught, but hands out nothing: it should exec.
//
// Signals are the numbers of <signal.h>, 1 to 64. SIGKILL and SIGSTOP cannot be caught: naming them has no effect, nor
// has it for 32 and 33, which are libc's. SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGTRAP are handed out if a process sends
// them; if the program's own instructions cause them they do what they did. "All signals", an empty list, are all but
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

// Sends these signals, or all, to c from now on, without ever blocking: a signal that finds the channel full is
// lost, so make_chan<int>(1) is enough to learn that something came. Called again with the same channel it adds
// signals. A channel that is closed gets nothing more.
void notify(const send_chan<int>& c, std::initializer_list<int> signals = {});

// Takes every notify of c back: when it returns nothing is sent to c any more. A signal that goes to no other
// channel then does again what it did before it was first notified.
void stop(const send_chan<int>& c);

// Makes the process ignore these signals, or all: they are sent to no channel any more.
void ignore(std::initializer_list<int> signals = {});

// Takes notify's and ignore's effect back for these signals, or all.
void reset(std::initializer_list<int> signals = {});

// Is the signal ignored, because of ignore or since the process was started that way?
bool ignored(int signal);

// A context that is done when one of these signals (or any) comes, when stop is called, or with its parent. Its err()
// is ctx::errc::canceled; cause() names the signal, "interrupt signal received". stop also takes the notification back:
// until then the signals stay caught, so call it as soon as you want a second one to end the process. It is harmless to
// call twice: false then.
std::pair<ctx::context, ctx::stop_func> notify_context(const ctx::context& parent,
                                                       std::initializer_list<int> signals = {});

}  // namespace gort::signals
