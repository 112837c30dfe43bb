// tests/c/throw.cc - C++ code on both sides of gort_c.h; one way for an exception to meet it for each argument.
// SPDX-License-Identifier: BSD-2-Clause
//
// -DWITH_GORT_H: includes gort.h too, as a program that uses both does.
#ifdef WITH_GORT_H
#include "gort.h"
#endif
#include "gort_c.h"

#include <cstdio>
#include <cstring>
#include <stdexcept>

namespace {

const char* g_how;
bool is(const char* how) { return std::strcmp(g_how, how) == 0; }

[[noreturn]] void throws(void*) { throw std::out_of_range("too far"); }
void* task_throws(void*) { throw std::out_of_range("too far"); }
void throws_and_catches(void*) {
    try {
        throw std::out_of_range("near");
    } catch (const std::out_of_range&) {
        gort_yield();  // another goroutine handles one of its own meanwhile
        try {
            throw;
        } catch (const std::exception& e) {
            std::puts(e.what());
        }
    }
}
struct Says {
    const char* text;
    ~Says() { std::puts(text); }
};
void leaves(void*) {
    Says one{"unwound"};
    gort_goexit();
}

int program(void*) {
    gort_wg w = GORT_INIT;
    gort_once o = GORT_INIT;
    if (is("run")) throws(nullptr);
    try {  // nothing of this is ever caught
        if (is("go")) gort_go(throws, nullptr);
        if (is("once")) gort_once_do(&o, throws, nullptr);
        if (is("blocking")) gort_blocking(throws, nullptr);
        if (is("spawn")) gort_join(gort_spawn(task_throws, nullptr), nullptr, GORT_FOREVER);
        if (is("wg_go")) gort_wg_go(&w, throws, nullptr);
        if (is("timer")) gort_after_func(0, throws, nullptr);
        if (is("above")) gort_wg_done(&w);
        if (is("above-go")) gort_go_sized(size_t{1} << 40, leaves, nullptr);
        if (is("above-lock")) gort_stop();
        if (is("goexit")) gort_wg_go(&w, leaves, nullptr);
        if (is("caught")) {
            gort_wg_go(&w, throws_and_catches, nullptr);
            gort_wg_go(&w, throws_and_catches, nullptr);
        }
    } catch (const std::logic_error&) {
        std::puts("caught");
    } catch (const std::runtime_error&) {
        std::puts("caught");
    }
    gort_wg_wait(&w);
    for (int i = 0; i < 100; ++i) gort_sleep_ns(is("go") || is("timer") ? 1000000 : 0);
    return 7;
}

}  // namespace

int main(int argc, char** argv) {
    g_how = argc > 1 ? argv[1] : "";
    return gort_run(program, nullptr, nullptr);
}
