// tests/count_new.h - counts the calls of operator new, by replacing it: for one .cc of a test binary.
// SPDX-License-Identifier: BSD-2-Clause
//
// Not with sanitizers, which have their own: there it stays 0.
#pragma once

#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/test.h"

inline std::atomic<long> g_allocations{0};

#if !GORT_TEST_SANITIZER
[[gnu::noinline]] void* operator new(size_t n) {
    g_allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* p = std::malloc(n ? n : 1)) return p;
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }
#endif
