#!/bin/bash
# tests/lint/selftest.sh - shows that every lint rule fires: one bad sample a rule, in a small tree of its own.
# SPDX-License-Identifier: BSD-2-Clause
#
# The small tree passes every part first, so what a sample is blamed for is the sample's own doing.
set -u
export LC_ALL=C
root=$(cd "$(dirname "$0")/../.." && pwd)
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
cd "$tree" || exit 1
arch=$(uname -m)
passed=0 failed=0

mkdir -p .ci tests/lint "arch/$arch" kernel rt/own rt/sched rt/sync rt/net chan ctx out/tests
cp "$root"/Makefile "$root"/.clang-format "$root"/.clang-tidy .
cp "$root"/.ci/need .ci/
mkdir -p rt tests/explore && cp "$root"/rt/{version,config,safe_errno}.h rt/ && : >tests/explore/explore.mk
cp "$root"/tests/lint/* tests/lint/
[ "$arch" = aarch64 ] && cet=-mbranch-protection=standard || cet=-fcf-protection=branch

# put FILE LINE... - a file with the two lines that every one of ours begins with
put() {
    local file=$1 c='//'
    shift
    case $file in *.sh) c='#' ;; esac
    mkdir -p "$(dirname "$file")"
    printf '%s\n' "$c $file - a sample" "$c SPDX-License-Identifier: BSD-2-Clause" "$@" >"$file"
}
verdict() { # verdict OK NAME DETAILS
    if [ "$1" = yes ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "selftest: $2"
        printf '    %s\n' "${3//$'\n'/$'\n    '}"
    fi
}
clean() { # clean PART...: must pass as things are
    local text
    for part; do
        if text=$(tests/lint/run.sh out "$part" 2>&1); then
            verdict yes ""
        else
            verdict no "$part does not pass without a sample" "$text"
        fi
    done
}
fires() { # fires PART WORDS FILE [LINE...]: PART must fail with WORDS and FILE in its message; takes FILE away again
    local part=$1 words=$2 file=$3 text
    shift 3
    [ $# -eq 0 ] || put "$file" "$@"
    if text=$(tests/lint/run.sh out "$part" 2>&1); then
        verdict no "$part did not see $words in $file" "$text"
    elif [[ $text == *"$words"* && $text == *"$file"* ]]; then
        verdict yes ""
    else
        verdict no "$part failed, but not with $words in $file" "$text"
    fi
    rm -f "$file"
}

annotations='#define GUARDED_BY(x) __attribute__((guarded_by(x)))
struct __attribute__((capability("mutex"))) Lock {
    void lock() __attribute__((acquire_capability()));
    void unlock() __attribute__((release_capability()));
};'
put kernel/base.h '#pragma once' 'int base();'
put kernel/tls.cc 'extern thread_local int self;' 'thread_local int self = 0;'
put rt/go.h '#pragma once' 'void go();'
sed -i '1s/.*/\/\/ PUBLIC rt\/go.h/' rt/go.h
put rt/sched/run.h '#pragma once' 'void run();'
put rt/own/gate.h '#pragma once'
put rt/sched/sched.h '#pragma once'
put rt/own/gate.cc '#include "rt/own/gate.h"' '#include "rt/sched/sched.h"' # one of the few that may go up
put rt/host_libc.cc '#include "rt/sched/sched.h"'
put rt/sched/run.cc '#include "kernel/base.h"' '#include "rt/go.h"' 'void go() {}'
put rt/sync/mutex.h '#pragma once' '#include "../go.h"'
sed -i '1s/.*/\/\/ PUBLIC rt\/sync\/mutex.h/' rt/sync/mutex.h
put chan/chan.h '#pragma once' '#include "rt/go.h"'
put gort.h '#pragma once' '#include "rt/go.h"' '#include "rt/sync/mutex.h"'
sed -i '1s/.*/\/\/ PUBLIC gort.h/' gort.h
clean layers text format headers tidy shell

fires layers '[layers]' kernel/up.cc '#include "rt/go.h"'
fires layers '[layers]' rt/up.cc '#include "rt/sync/mutex.h"'
fires layers '[layers]' rt/own/up.h '#pragma once' '#include "rt/sched/run.h"'
fires layers '[layers]' rt/own/up.cc '#include "rt/sched/run.h"'
fires layers '[layers]' chan/beside.cc '#include "rt/sync/mutex.h"'
fires layers '[layers]' rt/net/beside.h '#pragma once' '#include "../sync/mutex.h"'
fires layers '[layers]' kernel/spaced.cc '#  include   "rt/go.h"'
fires layers 'angle brackets' ctx/angle.cc '#include <rt/go.h>'
fires layers 'no part of the library' ctx/umbrella.cc '#include "gort.h"'
fires layers 'no part of the library' ctx/test.cc '#include "tests/test.h"'
fires layers 'only the preprocessor' rt/macro.cc '#define WHAT "rt/go.h"' '#include WHAT'
fires layers 'does not exist' rt/gone.cc '#include "kernel/gone.h"'
put rt/public.h '#pragma once' '#include "kernel/base.h"'
sed -i '1s/.*/\/\/ PUBLIC rt\/public.h/' rt/public.h
fires layers 'is PUBLIC' rt/public.h
put rt/public.h '#pragma once' '#include <cstddef>' '#include "rt/go.h"'
sed -i '1s/.*/\/\/ PUBLIC rt\/public.h/' rt/public.h
fires layers 'comes first' rt/public.h

for room in arch kernel chan ctx rt/own rt/sched rt/sync rt/net; do echo "# $room" >$room/README.md; done
clean rooms
mv rt/own/README.md own
fires rooms '[readme]' rt/own:
mv own rt/own/README.md
# shellcheck disable=SC2016
echo 'See `gone.h`.' >rt/net/README.md
fires rooms '[gone]' rt/net/README.md
# shellcheck disable=SC2016
echo 'See `run.h:runs` and `run.h:run`.' >rt/sched/README.md
fires rooms 'is called runs' rt/sched/README.md
for room in rt/net rt/sched; do echo "# $room" >$room/README.md; done
clean rooms

# behaviours LINE: the list of one entry, shown by one test
behaviours() { printf '%s\n' '# Behaviours' "$1" >tests/BEHAVIOURS.md; }
put tests/chan_test.cc '// CH-01' 'TEST(ch01_capacity) {}'
# shellcheck disable=SC2016
good='- **CH-01** P0 It holds n. → `chan_test.cc:ch01_capacity`'
behaviours "$good"
clean behaviours
behaviours "${good/ch01_capacity/ch01_size}"
fires behaviours 'has no test ch01_size' tests/BEHAVIOURS.md
behaviours "${good/chan_test/can_test}"
fires behaviours 'there is no tests/can_test.cc' tests/BEHAVIOURS.md
behaviours '- **CH-01** P0 It holds n. → no test'
fires behaviours 'must have a test' tests/BEHAVIOURS.md
behaviours '- **CH-01** P0 It holds n. → no test: a figure'
clean behaviours
behaviours "$good"
fires behaviours 'CH-02 is cited' tests/more_test.cc '// CH-02'
rm tests/chan_test.cc

fires text '[tls]' rt/tls.cc 'static thread_local int here;'
fires text '[tls]' kernel/tls2.cc 'static __thread int here;'
fires text '[errno]' rt/errno.cc 'int f() { return errno; }'
fires text '[errno]' chan/errno.h '#pragma once' 'inline int f() { return *__errno_location(); }'
fires text '[std]' rt/sync/mutex.cc 'static std::mutex m;'
fires text '[std]' rt/thread.cc 'void f() { std::thread([] {}).detach(); }'
fires text '[std]' rt/sync/cond.cc 'static std::condition_variable c;'
fires text '[std]' ctx/function.cc 'static std::function<void()> f;'
fires text '[tsa]' rt/tsa.cc 'void f() GORT_NO_TSA {}'
fires text '[tab]' rt/tab.cc $'int\tx;'
fires text '[trailing]' rt/blank.cc 'int x; '
fires text '[crlf]' rt/dos.cc $'int x;\r'
fires text '[width]' rt/wide.cc "// $(printf 'x%.0s' {1..120})"
mapfile -t lines < <(seq -f '// %g' 700)
fires text '[length]' rt/long.cc "${lines[@]}"
fires text '[pragma]' rt/sync/once.h '#include <cstddef>'
fires text '[align]' "arch/$arch/a.S" '        .align 4'
put rt/open.cc 'int x;'
truncate -s -1 rt/open.cc
fires text '[newline]' rt/open.cc
put rt/spdx.cc 'int x;' 'int y;' 'int z;' 'int w;'
sed -i 2d rt/spdx.cc
fires text '[spdx]' rt/spdx.cc
put rt/fine.cc '// errno and thread_local in a comment' '/* std::mutex' '   errno */' \
    'const char* s = "std::thread";' 'int x = errno;  // lint-ok: errno a sample'
clean text
rm rt/fine.cc

fires format '[format]' rt/layout.cc 'int  f( ){return 1 ;}'
put rt/fine.cc 'int a;         // one column' 'int long_name;  // by hand'
clean format
rm rt/fine.cc
fires headers '[alone]' kernel/alone.h '#pragma once' 'inline size_t f() { return 0; }'
fires tidy 'thread-safety' rt/stack/guard.cc "$annotations" 'Lock l;' 'int n GUARDED_BY(l);' 'int f() { return n; }'
fires tidy 'thread-safety' rt/leak.cc "$annotations" 'Lock l;' 'int f() {' '    l.lock();' '    return 0;' '}'
fires tidy '[bugprone-' rt/tidy.cc 'int f(int a) {' '    if (a) return 1;' '    return 0;' '}' \
    'long g(int a, int b) { return a * b; }'
fires tidy 'google-explicit-constructor' rt/tidy.cc 'struct S {' '    S(int);' '};'
# shellcheck disable=SC2016
put tests/bad.sh 'rm $1'
sed -i '1s/.*/#!\/bin\/sh/' tests/bad.sh
fires shell SC2086 tests/bad.sh

# Objects: built here by hand, each with one thing wrong.
object() { # object FILE.cc FLAG... <<< code
    local file=$1
    shift
    mkdir -p "out/$(dirname "$file")"
    g++ -std=c++20 -O1 -ffreestanding -fno-exceptions -I. "$@" -x c++ -c -o "out/$file.o" -
}
assembly() {
    mkdir -p "out/$(dirname "$1")"
    g++ -c -x assembler -o "out/$1.o" -
}
object kernel/base.cc "$cet" <<<'int base() { return 1; }'
object rt/user.cc "$cet" <<<'int base(); int user() { return base(); }'
object rt/host_libc.cc "$cet" <<<'extern "C" int puts(const char*); int host() { return puts(""); }'
g++ -o out/tests/some_test -x c++ - <<<'int main() {}'
clean objects
object rt/libc.cc "$cet" <<<'extern "C" int puts(const char*); int libc() { return puts(""); }'
fires objects '[undefined] puts' rt/libc.cc.o
rm -f out/rt/libc.cc.o
object rt/copy.cc "$cet" <<<'struct S { char c[99999]; }; void copy(S* a, S* b) { *a = *b; }'
fires objects '[undefined] mem' rt/copy.cc.o
rm -f out/rt/copy.cc.o
object rt/weak.cc "$cet" <<<'extern "C" [[gnu::weak]] int puts(const char*); int weak() { return puts ? 1 : 0; }'
fires objects '[undefined] puts' rt/weak.cc.o
rm -f out/rt/weak.cc.o
assembly "arch/$arch/stack.S" <<<'.text'
fires objects '[execstack]' "arch/$arch/stack.S.o"
assembly "arch/$arch/stack.S" <<<'.section .note.GNU-stack, "x", %progbits'
fires objects 'asks for an executable stack' "arch/$arch/stack.S.o"
assembly "arch/$arch/stack.S" <<<'.section .note.GNU-stack, "", %progbits'
fires objects '[landing]' "arch/$arch/stack.S.o"
rm -f "out/arch/$arch/stack.S.o"
if [ "$arch" = x86_64 ]; then
    object rt/shstk.cc -fcf-protection=full <<<'int shstk() { return 1; }'
    fires objects '[shstk]' rt/shstk.cc.o
    rm -f out/rt/shstk.cc.o
fi
g++ -z execstack -o out/tests/some_test -x c++ - <<<'int main() {}' 2>/dev/null
fires objects '[execstack] out/tests/some_test' out/tests/some_test
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
