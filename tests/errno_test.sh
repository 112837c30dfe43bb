#!/bin/bash
# tests/errno_test.sh - errno is safe with each compiler, at each level, whatever is included first, in each header.
# SPDX-License-Identifier: BSD-2-Clause
#
# Two kinds of check. In the assembly of a function that uses errno, calls something, and uses errno again, there are
# two calls for the two uses. A program whose goroutines wake on another thread sees the errno of that thread
# (errno_test.cc says how a goroutine is brought there).
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/script.sh
warn='-Wall -Wextra -Wpedantic -Wredundant-decls -Werror'

cat >"$dir/twice.cc" <<'EOF'
#ifdef FIRST
#include <cerrno>
#include <string>
#endif
#include "rt/config.h"
#include <cerrno>
void park();
extern "C" int twice() {
    errno = 0;
    park();
    return errno;
}
inline int& by_function() { return errno; }
extern "C" int inlined() {
    by_function() = 0;
    park();
    return by_function();
}
EOF
cat >"$dir/twice.c" <<'EOF'
#ifdef FIRST
#include <errno.h>
#endif
#include "rt/safe_errno.h"
#include <errno.h>
void park(void);
int twice(void) {
    errno = 0;
    park();
    return errno;
}
int inlined(void);
int inlined(void) {
    int* before = &errno;
    park();
    return before == &errno;
}
EOF
calls() { # calls FILE.s FUNCTION N: it has N calls
    local n
    n=$(awk -v f="$2:" '$1 == f { on = 1 } on && $1 ~ /^callq?$/ { n++ } /\.cfi_endproc/ { on = 0 }
        END { print n + 0 }' "$1")
    [ "$n" = "$3" ] || echo "$n calls in $2, not $3"
    [ "$n" = "$3" ]
}
[ "$(uname -m)" = x86_64 ] || calls() { :; }

cat >"$dir/run.cc" <<'EOF'
#ifdef FIRST
#include <cerrno>
#include <string>
inline int once() { return errno; }
#endif
#include "rt/go.h"
#include "chan/chan.h"
#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <unistd.h>
#ifndef FIRST
inline int once() { return errno; }
#endif
struct Body {
    gort::chan<int> wake, out;
    [[gnu::flatten]] void operator()() const {
        const pid_t before = gettid();
        errno = ENOENT;
        const int first = once() + std::stoi("17");
        wake.recv();
        int wrong = gettid() == before ? 100 : 0;  // the test itself is wrong
        errno = 0;
        close(-1);
        wrong += errno != EBADF || once() != EBADF || first != ENOENT + 17;
        errno = 0;
        try {
            wrong += std::stoi("99999999999999999999") < 1000;
            wrong += 10;
        } catch (const std::out_of_range&) {
        }
        out << wrong;
    }
};
int other();
int main() {
    errno = 0;
    if (other()) return 1;
    gort::options one_p;
    one_p.max_procs = 1;
    return gort::run([] {
        auto wake = gort::make_chan<int>(), out = gort::make_chan<int>();
        gort::go(Body{wake, out});
        gort::yield();
        gort::lock_os_thread();
        wake << 1;
        const int wrong = out.recv();
        if (wrong) std::printf("%d: an odd number means errno, from 10 on std::stoi\n", wrong);
        gort::unlock_os_thread();
        return wrong;
    }, one_p);
}
EOF
# A file that knows nothing of gort, whose declaration link-time optimization may take for all.
cat >"$dir/other.cc" <<'EOF'
#include <cerrno>
int other() { return errno; }
EOF

for cxx in "${compilers[@]}"; do
    cc=${cxx/clang++/clang}
    cc=${cc/g++/gcc}
    for first in '' -DFIRST; do
        for level in '-O1' '-O2' '-O3' '-Os'; do
            # shellcheck disable=SC2086
            check "$cxx $level $first: compiles" \
                "$cxx" -std=c++20 $warn $level $first -I. -S -o "$dir/twice.s" "$dir/twice.cc"
            check "$cxx $level $first: a call for each use" calls "$dir/twice.s" twice 3
            check "$cxx $level $first: a call for each inlined use" calls "$dir/twice.s" inlined 3
        done
        # shellcheck disable=SC2086
        check "$cc $first: compiles" "$cc" -std=c11 $warn -O2 $first -I. -S -o "$dir/twice.s" "$dir/twice.c"
        check "$cc $first: a call for each use" calls "$dir/twice.s" twice 3
        check "$cc $first: a call for each address" calls "$dir/twice.s" inlined 3
        for level in -O0 -O1 -O2 -O3 '-O2 -flto'; do
            # shellcheck disable=SC2086
            check "$cxx $level $first: a program" \
                "$cxx" -std=c++20 $warn $level $first -I. -o "$dir/run" "$dir/other.cc" "$dir/run.cc" "$lib" -pthread
            check "$cxx $level $first: it runs" timeout 20 "$dir/run"
        done
    done
done

# Each header by itself: nothing of it declares errno as constant.
none_const() { # none_const HEADER
    printf '#include "%s"\n#include <cerrno>\n#include <string>\n' "$1" >"$dir/alone.cc"
    g++ -std=c++20 -I. -E -P -o "$dir/alone.i" "$dir/alone.cc" || return
    ! grep -E '__errno_location *\(.*const' "$dir/alone.i"
}
while read -r header; do
    case $header in arch/*) continue ;; esac # they include nothing of libc and are included by others
    check "$header: errno" none_const "$header"
done < <(make -s print-PUBLIC | tr ' ' '\n')

# What the headers say to a compiler that cannot take them.
echo '#include <gort.h>' >"$dir/old.cc"
for cxx in "${compilers[@]}"; do
    check "$cxx: C++17" says 'needs C++20 or later: compile with -std=c++20' \
        "$cxx" -std=c++17 -I. -fsyntax-only "$dir/old.cc"
    check "$cxx: C" says 'programs in C include <gort_c.h>' "$cxx" -x c -I. -fsyntax-only "$dir/old.cc"
done
finish
