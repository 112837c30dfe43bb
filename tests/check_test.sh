#!/bin/bash
# tests/check_test.sh - GORT_CHECK=locks: what is reported of a program linked with libgort_check.a, and what is not.
# SPDX-License-Identifier: BSD-2-Clause
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/script.sh
archive=$(make -s print-CHECK)
make -s "$archive" || exit 1
cat >"$dir/prog.cc" <<'END'
#include <gort.h>
#include <pthread.h>
#include <threads.h>
#include <cstring>
#include <mutex>
#include <shared_mutex>
// Sleeps, for that parks whatever others do.
[[gnu::noinline]] void parks() { gort::sleep(std::chrono::milliseconds(1)); asm volatile(""); }
[[gnu::noinline]] void with_mutex(std::mutex& mu) {
    std::lock_guard guard(mu);
    parks();
}
[[gnu::noinline]] void with_timed(std::timed_mutex& mu) {
    if (mu.try_lock_for(std::chrono::seconds(1))) parks();
    mu.unlock();
}
[[gnu::noinline]] void with_shared(std::shared_mutex& mu) {
    std::shared_lock guard(mu);
    parks();
}
[[gnu::noinline]] void with_c11(mtx_t* mu) {
    mtx_lock(mu);
    parks();
    mtx_unlock(mu);
}
// Nothing is held when it parks, or nobody else can come to its thread.
[[gnu::noinline]] void is_right(std::mutex& mu) {
    for (int i = 0; i < 10; ++i) {
        { std::lock_guard guard(mu); }
        parks();
    }
    gort::lock_os_thread();
    std::lock_guard guard(mu);
    parks();
    gort::unlock_os_thread();
}
int main(int, char** argv) {
    gort::options o;
    o.max_procs = argv[2][0] - '0';
    static std::mutex mu, outer;
    static std::timed_mutex timed;
    static std::shared_mutex shared;
    static mtx_t c11;
    mtx_init(&c11, mtx_plain);
    std::lock_guard guard(outer);  // of the thread that runs main: nobody's
    return gort::run([how = argv[1]] {
        auto is = [&](const char* text) { return std::strcmp(how, text) == 0; };
        gort::wait_group wg;
        wg.go([&] {
            gort::set_label("tester");
            if (is("mutex")) with_mutex(mu);
            if (is("timed")) with_timed(timed);
            if (is("shared")) with_shared(shared);
            if (is("c11")) with_c11(&c11);
            if (is("twice"))
                for (volatile int i = 0; i < 2; i = i + 1) with_mutex(mu);
            if (is("right")) is_right(mu);
        });
        wg.wait();
        return 7;
    }, o);
}
END
build() { # build NAME FLAG...
    local name=$1
    shift
    check "$name: builds" "$cxx" -std=c++20 -g -O2 -I. "$@" -o "$dir/$name" "$dir/prog.cc" -Wl,-u,gort_check_locks \
        "$archive" "$lib" -pthread
}
run() { # run PROGRAM HOW PROCS: its words are in $dir/log
    GORT_CHECK=locks timeout 60 "$dir/$1" "$2" "$3" >"$dir/log" 2>&1
    [ $? = 7 ] || {
        cat "$dir/log"
        return 1
    }
}
reports() { # reports HOW PROCS KIND WHERE: once
    run prog "$1" "$2" || return 1
    if [ "$(grep -c '^gort: check: goroutine [0-9]* parks while its thread holds the '"$3"' 0x' "$dir/log")" = 1 ] &&
        grep -q '^goroutine [0-9]* \[sleep, "tester"\]:$' "$dir/log" && grep -q '^locked at:$' "$dir/log" &&
        [ "$(grep -c "^$4" "$dir/log")" -ge 2 ] && grep -q '^parks()' "$dir/log" &&
        grep -q '^created by .*prog.cc' "$dir/log"
    then return 0; fi
    cat "$dir/log"
    return 1
}
silent() { # silent COMMAND...
    "$@" || return 1
    [ ! -s "$dir/log" ] || {
        cat "$dir/log"
        return 1
    }
}
for cxx in "${compilers[@]}"; do
    build prog
    for procs in 1 2; do
        check "$cxx, $procs: std::mutex" reports mutex $procs 'pthread mutex' 'with_mutex('
        check "$cxx, $procs: timed" reports timed $procs 'pthread mutex' 'with_timed('
        check "$cxx, $procs: rwlock" reports shared $procs 'pthread rwlock' 'with_shared('
        check "$cxx, $procs: C11" reports c11 $procs 'C11 mutex' 'with_c11('
        check "$cxx, $procs: one place is told once" reports twice $procs 'pthread mutex' 'with_mutex('
        check "$cxx, $procs: nothing to report" silent run prog right $procs
    done
done
unset_runs() { env -u GORT_CHECK timeout 60 "$dir/prog" mutex 2 >"$dir/log" 2>&1; [ $? = 7 ]; }
check 'nothing without GORT_CHECK' silent unset_runs
check 'another value' says 'GORT_CHECK=loks: not a check; accepted: locks' env GORT_CHECK=loks "$dir/prog" mutex 1
check 'without the archive: builds' g++ -std=c++20 -O2 -I. -o "$dir/plain" "$dir/prog.cc" "$lib" -pthread
check 'without the archive: says so' says 'nothing is checked' env GORT_CHECK=locks "$dir/plain" mutex 1
finish
