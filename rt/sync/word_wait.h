// PUBLIC
// rt/sync/word_wait.h - waiting until a word changes, over the table of waiters; no part of the interface.
// SPDX-License-Identifier: BSD-2-Clause
//
// As a futex: word_wait sleeps as long as *word has the value that it was given; who changes the word calls
// word_wake_all afterwards, with its address only: the object may be gone by then. A waiter looks under the lock of the
// slot that the waker takes after the change, so no wake-up is lost; one that is meant for an object that was at this
// address before only makes it look again.
// Context: any goroutine and any other thread, which sleeps on a futex, and panics once the runtime has been stopped.
// Memory order: the change (a release) happens before the return of word_wait.
#pragma once

#include "../config.h"

#include <atomic>
#include <cstdint>

namespace gort::detail {

enum class WordOf : uint8_t { kLatch, kBarrier, kFuture };  // what dumps say it waits for

void word_wait(const std::atomic<uint32_t>* word, uint32_t value, WordOf what);
bool word_wait_until(const std::atomic<uint32_t>* word, uint32_t value, WordOf what,
                     int64_t deadline);  // false: the deadline has passed
void word_wake_all(const void* word);
[[noreturn]] void word_misuse(const char* text);  // panics

}  // namespace gort::detail
