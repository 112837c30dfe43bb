#!/bin/bash
# tests/tlscheck_test.sh - tools/tlscheck finds planted thread_local addresses that outlive a park, and nothing else.
# SPDX-License-Identifier: BSD-2-Clause
#
# Planted cases for both CPUs, by each compiler, at several levels and with link-time optimization; they are never run,
# and what stands for gort's switch is compiled alone, as the library is. Then programs with gort: planted, and the
# examples, which are clean.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/script.sh
tool=tools/tlscheck
command -v python3 objdump >/dev/null || {
    skip 'no python3 or no objdump'
    finish
    exit
}

cat >"$dir/switch.cc" <<'EOF'
extern "C" { [[gnu::noinline]] void gort_switch() { asm volatile(""); } }
[[gnu::noinline]] void park() { gort_switch(); asm volatile(""); }
[[gnu::noinline]] void harmless() { asm volatile(""); }
[[gnu::noinline]] int take(int* p) { asm volatile("" ::: "memory"); return ++*p; }
thread_local int elsewhere = 3;
void (*pointer)() = park;
EOF
cat >"$dir/cases.cc" <<'EOF'
#include <errno.h>
#if defined(__clang__)
#define CASE extern "C" __attribute__((noinline, used)) int
#else
#define CASE extern "C" __attribute__((noipa, used)) int
#endif
void park(); void harmless(); int take(int*);
// The compiler no longer knows which address it is, so it cannot compute it again.
#define HIDE(p) asm("" : "+r"(p))
extern void (*pointer)();
thread_local int counter;
thread_local struct { int a, b, c[20]; } record;
extern thread_local int elsewhere;
CASE bad_address() { int* p = &counter; HIDE(p); take(p); park(); return take(p); }
CASE bad_slot(int n) {
    int *p = &record.c[3], k[8];
    HIDE(p);
    for (int& i : k) i = take(p) + n;
    park();
    for (int& i : k) i += take(p);
    return k[0] + k[n] + *p;
}
CASE bad_spilled(int n, int m) {
    int *p = &counter, s = take(p);
    asm volatile("" : "+r"(p), "+r"(s), "+r"(n), "+r"(m) :: "memory");
    int q[6]; for (int& i : q) { asm volatile("" : "=r"(i)); }
    park();
    return take(p) + s + n + m + q[0] + q[1] + q[2] + q[3] + q[4] + q[5];
}
CASE bad_external() { int* p = &elsewhere; HIDE(p); take(p); park(); return take(p); }
CASE bad_errno() { errno = 1; park(); return errno; }
CASE bad_loop(int n) { int s = 0, *p = &counter; HIDE(p); while (n--) { s += take(p); if (n & 1) park(); } return s; }
CASE good_harmless() { int* p = &counter; HIDE(p); take(p); harmless(); return take(p); }
CASE good_before() { int* p = &counter; int v = take(p); park(); return v; }
CASE good_value() { int v = counter; park(); return v; }
CASE pointed() { int* p = &counter; HIDE(p); take(p); pointer(); return take(p); }
int main() {
    return bad_address() + bad_slot(3) + bad_spilled(1, 2) + bad_external() + bad_errno() + bad_loop(4) +
           good_harmless() + good_before() + good_value() + pointed();
}
EOF

# found PROGRAM OPTION...: "function:variable" of each find, sorted
found() {
    local program=$1
    shift
    $tool "$@" "$program" >"$dir/found"
    local status=$?
    sed 's/^\(.*\): the address of \(.*\) is kept across the call of .*/\1:\2/' "$dir/found" | sort -u | tr '\n' ' '
    echo "exit $status"
}
is() { # is WANT COMMAND...
    local want=$1 got
    shift
    got=$("$@")
    [ "$got" = "$want" ] || printf 'got  %s\nwant %s\n' "$got" "$want"
    [ "$got" = "$want" ]
}
all='bad_address:counter bad_errno:errno bad_external:elsewhere bad_loop:counter bad_slot:record bad_spilled:counter'
planted() { # planted COMPILER FLAGS: all bad ones, by name, and none of the good ones
    # shellcheck disable=SC2086
    $1 -std=c++20 -O2 -c "$dir/switch.cc" -o "$dir/switch.o" || return
    # shellcheck disable=SC2086
    $1 -std=c++20 -g $2 "$dir/cases.cc" "$dir/switch.o" -o "$dir/cases" || return
    is "$all exit 1" found "$dir/cases" && is "$all pointed:counter exit 1" found "$dir/cases" --indirect
}
sets=("${compilers[@]}")
if command -v aarch64-linux-gnu-g++ >/dev/null && [ "$(uname -m)" = x86_64 ]; then
    sets+=(aarch64-linux-gnu-g++)
    command -v clang++ >/dev/null && sets+=('clang++ --target=aarch64-linux-gnu')
else
    skip 'ARM64: no cross compiler'
fi
for cxx in "${sets[@]}"; do
    for flags in -O1 -O2 '-O3 -fno-omit-frame-pointer' '-O2 -fPIE' '-O2 -flto'; do
        case "$cxx $flags" in clang*lto) continue ;; esac # needs a linker of its own
        check "$cxx $flags" planted "$cxx" "$flags"
    done
done

cat >"$dir/gort.cc" <<'EOF'
#include <gort.h>
#define HIDE(p) asm("" : "+r"(p))
thread_local int counter;
[[gnu::noinline]] int take(int* p) { asm volatile("" ::: "memory"); return ++*p; }
[[gnu::noinline]] int receives(gort::chan<int> c) {
    int* p = &counter; HIDE(p); take(p); int v = c.recv(); return take(p) + v;
}
[[gnu::noinline]] int sleeps() {
    int* p = &counter; HIDE(p); take(p); gort::sleep(std::chrono::nanoseconds(1)); return take(p);
}
[[gnu::noinline]] int locks(gort::mutex& m) {
    int* p = &counter; HIDE(p); take(p); m.lock(); m.unlock(); return take(p);
}
[[gnu::noinline]] int looks(gort::chan<int> c) { int* p = &counter; HIDE(p); take(p); return take(p) + c.len(); }
int main() {
    return gort::run([] {
        auto c = gort::make_chan<int>(1);
        gort::mutex m;
        c << 1;
        return receives(c) + sleeps() + locks(m) + looks(c) == 0;
    });
}
EOF
with_gort() { # with_gort COMPILER FLAGS
    # shellcheck disable=SC2086
    $1 -std=c++20 -g $2 -I. "$dir/gort.cc" "$lib" -pthread -o "$dir/gort" &&
        is 'locks(gort::mutex&):counter receives(gort::chan<int>):counter sleeps():counter exit 1' found "$dir/gort"
}
for cxx in "${compilers[@]}"; do check "$cxx with gort" with_gort "$cxx" -O2; done

if with_gort g++ -O2; then
    printf '%s\n' '# known' 'receives*' 'sleeps() counter' >"$dir/allow"
    check 'the allow file' is 'locks(gort::mutex&):counter exit 1' found "$dir/gort" --allow "$dir/allow"
    echo 'locks(gort::mutex&) cou*er' >>"$dir/allow"
    check 'all is allowed' is 'exit 0' found "$dir/gort" --allow="$dir/allow"
    echo 'sleeps() counter too' >"$dir/allow"
    check 'a bad line' says "accepted: FUNCTION [VARIABLE]" $tool --allow "$dir/allow" "$dir/gort"
    strip "$dir/gort" -o "$dir/stripped"
    check 'stripped' says 'not stripped' $tool "$dir/stripped"
    check 'stripped: 2' exits_with 2 $tool "$dir/stripped" 2>/dev/null
fi
check 'no such file' says 'nowhere: no such file' $tool "$dir/nowhere"
check 'no ELF file' says 'not an ELF file' $tool "$dir/gort.cc"
check 'no file' says 'no BINARY; accepted:' $tool
check 'an option' says "unknown option '--all'; accepted: --indirect --allow FILE --help" $tool --all
check 'help' exits_with 0 $tool --help

make -s -j2 examples
out=$(make -s print-OUT)
for source in examples/*.c examples/*.cc; do
    program=$out/${source%.*}
    check "$source is clean" is 'exit 0' found "$program"
done
finish
