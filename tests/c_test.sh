#!/bin/bash
# tests/c_test.sh - gort_c.h: the tests in C, linked without a C++ runtime, and what ends a program in C and in C++.
# SPDX-License-Identifier: BSD-2-Clause
#
# CXX='clang++' takes another compiler; BUILD (asan, tsan, ubsan, debug) and ARCH (aarch64) as make knows them.
set -u
cd "$(dirname "$0")/.." || exit 1
cc=$(make -s print-CC) cxx=$(make -s print-CXX) lib=$(make -s print-LIB)
make -s -j2 "$lib" || exit 1
read -ra run < <(make -s print-RUN) # before each program: an emulator
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
case $lib in
*-debug-*) mode=(-DGORT_DEBUG) ;;
*-asan-*) mode=(-fsanitize=address) ;;
*-tsan-*) mode=(-fsanitize=thread) ;;
*-ubsan-*) mode=(-fsanitize=undefined) ;;
*) mode=(-O2) ;;
esac

check() { # check NAME COMMAND...: passes when the command does; its output is shown when it does not
    local name=$1 log
    shift
    if log=$("$@" 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL %s\n%s\n' "$name" "$log"
    fi
}
says() { # says STATUS TEXT... -- COMMAND...: it ends with that status, and its output has each text
    local want=$1 texts=() log status text
    shift
    while [ "$1" != -- ]; do
        texts+=("$1")
        shift
    done
    shift
    log=$(timeout 60 "${run[@]}" "$@" 2>&1)
    status=$?
    for text in "${texts[@]}"; do
        grep -qF -- "$text" <<<"$log" || {
            printf 'it does not say: %s\n%s\n' "$text" "$log"
            return 1
        }
    done
    [ $status = "$want" ] || {
        printf 'exit status %s, not %s\n%s\n' $status "$want" "$log"
        return 1
    }
}

c11=(-std=c11 -Wall -Wextra -Werror -pedantic -Wshadow -Wconversion -D_GNU_SOURCE -g "${mode[@]}" -I.)
check 'main.c compiles' "$cc" "${c11[@]}" -c -o "$dir/main.o" tests/c/main.c
for source in tests/c/*_test.c; do
    name=$(basename "$source" .c)
    check "$name: links with $cc alone" "$cc" "${c11[@]}" -o "$dir/$name" "$source" "$dir/main.o" "$lib" -pthread
    log=$(timeout 300 "${run[@]}" "$dir/$name" 2>&1)
    status=$?
    result=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' <<<"$log")
    read -r p _ f _ <<<"${result:-0 passed, 1 failed}"
    [ "$status$f" = 00 ] || printf '== %s, exit status %s\n%s\n' "$name" $status "$log"
    passed=$((passed + p)) failed=$((failed + f))
done
if [ "${mode[0]}" = -O2 ]; then
    [ ${#run[@]} != 0 ] || check 'no C++ runtime is needed' test -z "$(ldd "$dir"/*_test | grep -E 'stdc\+\+|libc\+\+')"
    check 'a static program links' "$cc" "${c11[@]}" -static -o "$dir/static" tests/c/run_test.c "$dir/main.o" \
        "$lib" -pthread
    check 'and runs' timeout 60 "${run[@]}" "$dir/static" go
    cxx_symbols=$("$(make -s print-CROSS)nm" "$dir/static" | grep -cE '__cxa_(throw|begin_catch|demangle)|_ZNSt|_Znwm')
    check 'nothing of the C++ runtime is in it' test "$cxx_symbols" = 0
fi

awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' README.md >"$dir/readme.c"
check "README.md's program" "$cc" "${c11[@]}" -o "$dir/readme" "$dir/readme.c" "$lib" -pthread
check 'runs' timeout 60 "${run[@]}" "$dir/readme"

check 'die.c compiles' "$cc" "${c11[@]}" -o "$dir/die" tests/c/die.c "$lib" -pthread
dies() { # dies HOW TEXT [MORE...]
    local how=$1 text=$2
    shift 2
    check "dies: $how" says 2 "fatal error: $text" "$@" -- "$dir/die" "$how"
}
dies wg 'sync: negative WaitGroup counter' 'goroutine 1 [running]:' program
dies wg-range 'sync: WaitGroup counter out of range'
dies mutex 'sync: unlock of unlocked mutex' 'goroutine 1 [running]:'
dies rw 'sync: Unlock of unlocked RWMutex'
dies sem 'gort_sem_release: a negative number of units'
dies go-null 'go of nil func value'
dies go-sized 'go: stack_size out of range'
dies run-twice 'run: '
dies stop 'stop: the runtime was not started'
dies ctx 'cannot create context from nil parent'
dies select 'gort_select: n is negative'
dies timer 'time: Stop called on uninitialized Timer'
dies deadlock 'all goroutines are asleep - deadlock!' 'goroutine 1 [chan receive (nil chan)]'
# Each is made on a line of its own, from the first on.
line=$(grep -n 'gort_go(waits_too' tests/c/die.c)
line=${line%%:*}
dies created 'all goroutines are asleep' "created by makes_all at $PWD/tests/c/die.c:$line" \
    tests/c/die.c:$((line + 1)) tests/c/die.c:$((line + 2)) tests/c/die.c:$((line + 3)) tests/c/die.c:$((line + 4))
dies task-deadlock 'all goroutines are asleep - deadlock!' waits
dies goexit-outside 'goexit: called outside of a goroutine'
dies time-outside 'time: the runtime is not running'
dies options 'run: options.max_procs out of range'
dies options-size 'gort_run: options.size'
if [ ${#run[@]} = 0 ] && [[ ${mode[0]} != -fsanitize=* ]]; then # the sanitizers and qemu have handlers of their own
    check 'a crash shows the stack' says 139 SIGSEGV program -- "$dir/die" segv
fi

cxx17=(-std=c++20 -Wall -Wextra -Werror -pedantic -g "${mode[@]}" -I.)
for with in -UWITH_GORT_H -DWITH_GORT_H; do
    check "throw.cc compiles, $with" "$cxx" "${cxx17[@]}" $with -o "$dir/throw" tests/c/throw.cc "$lib" -pthread
    threw() { # threw HOW TEXT...
        local how=$1
        shift
        check "throws: $how, $with" says 2 "$@" -- "$dir/throw" "$how"
    }
    threw go 'panic: too far' 'throws(void*)'
    threw run 'panic: too far' 'throws(void*)'
    for how in once blocking spawn wg_go timer; do
        threw $how 'panic: too far [has met a function of gort_c.h' 'throws(void*)'
    done
    threw above 'fatal error: sync: negative WaitGroup counter' 'program(void*)'
    threw above-go 'fatal error: go: stack_size out of range' 'program(void*)'
    threw above-lock 'fatal error: stop: the runtime was not started' 'program(void*)'
    check "goexit runs destructors, $with" says 7 unwound -- "$dir/throw" goexit
    check "exceptions of goroutines do not mix, $with" says 7 near -- "$dir/throw" caught
done

# A library in C++ that knows nothing of gort, under a program in C.
cat >"$dir/lib.cc" <<'END'
#include <stdexcept>
extern "C" void calls(void (*fn)(void)) {
    try {
        throw std::runtime_error("inner");
    } catch (const std::exception&) {
        fn();
        try { throw; } catch (const std::runtime_error&) {}
    }
}
extern "C" void leaks(void*) { throw std::runtime_error("outer"); }
END
cat >"$dir/user.c" <<'END'
#include "gort_c.h"
void calls(void (*fn)(void));
void leaks(void* arg);
static void work(void* arg) { (void)arg; calls(gort_yield); }
static int program(void* arg) {
    gort_wg w = GORT_INIT;
    for (int i = 0; i < 20; ++i) gort_wg_go(&w, work, arg);
    gort_wg_wait(&w);
    if (arg) gort_go(leaks, arg), gort_sleep_ns(1000000000);
    return 7;
}
int main(int argc, char** argv) { return gort_run(program, argc > 1 ? argv : 0, 0); }
END
check 'C over C++ compiles' "$cxx" -std=c++17 -g "${mode[@]}" -c -o "$dir/lib.o" "$dir/lib.cc"
check 'C over C++ links' "$cc" "${c11[@]}" -o "$dir/user" "$dir/user.c" "$dir/lib.o" "$lib" -lstdc++ -pthread
check "exceptions of a library's own" says 7 -- "$dir/user"
check 'and one that it lets out' says 2 'panic: an exception of another language' 'leaks' -- "$dir/user" leak

echo "$passed passed, $failed failed"
[ $failed = 0 ]
