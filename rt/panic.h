// PUBLIC
// rt/panic.h - panic, recover, defer and goexit: Go's, as C++ exceptions and scope guards.
// SPDX-License-Identifier: BSD-2-Clause
//
// A panic is a C++ exception; `catch` is recover. An exception that leaves a goroutine, of any type, first runs the
// destructors of all its frames and then ends the process: "panic: " and what(), the stack of the throw point, exit 2.
// Below what() of any other class than panic_error and runtime_error stands its type: "[exception std::out_of_range]".
// Fatal errors (deadlock, stack overflow, unlock of an unlocked mutex) are not exceptions: nothing can catch them.
//
// What differs from Go, because C++ does:
//   - `catch` in any function recovers, not only a deferred one.
//   - A deferred function that throws while another exception unwinds cannot replace it. The first one goes on; if it
//     ends the process the report shows both, as Go's does ("panic: first", then "<tab>panic: second"); if it is
//     caught, the second is dropped. Any other destructor that throws then calls std::terminate, as always.
//   - goexit unwinds through `catch (...)`: a handler that does not rethrow loses its effect, the goroutine ends all
//     the same. Only a handler that throws something else instead replaces the exit by that. A noexcept function on
//     the way ends the process (std::terminate), so call goexit neither there nor in a destructor; a deferred
//     function may.
// Context: goroutines; panic and defer also on any other thread.
#pragma once

#include "config.h"

#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

// With -fno-exceptions: panic ends the process with its report all the same, or reaches a handler in a function that
// was compiled with exceptions, but no destructor and no deferred function of this file's frames runs on its way.
namespace gort {

// What gort::panic throws. what() is the message.
class [[gnu::visibility("default")]] panic_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// A panic that the runtime itself makes: misuse of a channel (send on closed, close of nil, …).
class [[gnu::visibility("default")]] runtime_error : public panic_error {
public:
    using panic_error::panic_error;
};

// Throws a panic_error with this message. Nothing is printed unless it leaves its goroutine: then the process ends as
// described above. The text is copied.
//
//      if (n < 0) gort::panic("negative count");
[[noreturn]] void panic(const char* message);
[[noreturn]] void panic(std::string_view message);

// Ends this goroutine only, after the destructors of all its frames. From main: the others go on. On a thread that is
// not a goroutine's: a panic. It cannot be called in code that is compiled with -fno-exceptions: the destructors of its
// frames would not run.
#if !defined(__cpp_exceptions) && __STDC_HOSTED__
[[noreturn]] void goexit() __attribute__((
    unavailable("with -fno-exceptions: goexit unwinds the stack, and the destructors of this file's "
                "functions would not run; return from the goroutine's function instead")));
#else
[[noreturn]] void goexit();
#endif

namespace detail {
[[noreturn]] void exit_goroutine();  // goexit for the library's own headers
// Is this scope being left by an exception that was not there when `uncaught` was asked, or by goexit?
bool scope_unwinds(int uncaught) noexcept;
void run_deferred(void* f, void (*call)(void*));  // keeps what it throws for the report
}  // namespace detail

// Go's defer statement, as an object: it calls f when its scope is left, by return, panic or goexit. Several in one
// scope are called last first.
//
//      gort::defer d{[&] { file.close(); }};
template <class F>
class [[nodiscard]] defer {
public:
    explicit defer(F f) : f_(std::move(f)), uncaught_(std::uncaught_exceptions()) {}
    defer(const defer&) = delete;
    defer& operator=(const defer&) = delete;
    ~defer() noexcept(false) {
        if (detail::scope_unwinds(uncaught_)) [[unlikely]]
            detail::run_deferred(&f_, [](void* f) { (*static_cast<F*>(f))(); });
        else f_();
    }

private:
    F f_;
    int uncaught_;
};

}  // namespace gort
