#!/bin/bash
# tests/fuzz/run.sh [SECONDS] - libFuzzer on what reads program files: ELF, DWARF, unwind tables (default: a minute).
# SPDX-License-Identifier: BSD-2-Clause
#
# It begins with tests/fuzz/corpus and keeps what it finds new in build/fuzz/corpus; what crashes or hangs is written to
# build/fuzz/. A finding that is mended goes into tests/fuzz/corpus, where tests/symbols_fuzz_test.cc replays it.
#   tests/fuzz/run.sh seeds    makes the corpus' first files anew: small libraries by both compilers
#   tests/fuzz/run.sh merge    adds to tests/fuzz/corpus what build/fuzz/corpus covers more, files of up to 8 KiB only
set -u
cd "$(dirname "$0")/../.." || exit 1
cxx=${CXX:-clang++}
.ci/need "$cxx" "$cxx/sanitizers" || exit 1
out=build/fuzz
mkdir -p $out/corpus $out/tmp

seeds() {
    cat >$out/tmp/seed.cc <<'END'
struct Point { int x, y; };
static inline __attribute__((always_inline)) int twice(int a) { return a + a; }
namespace shapes { template <class T> __attribute__((noinline)) T area(T a, T b) { return twice(a) * b; } }
int far_away(const Point& p) { return shapes::area(p.x, p.y) + twice(p.y); }
END
    for how in 'g++ -gdwarf-5' 'g++ -gdwarf-4' 'clang++ -gdwarf-5' 'clang++ -gdwarf-4' 'g++ -g0'; do
        # $how is a list of words
        # shellcheck disable=SC2086
        (cd $out/tmp && $how -O1 -shared -fPIC -nostdlib -ffile-prefix-map="$PWD=/src" \
            -Wl,-z,noseparate-code,--build-id=none -o seed.so seed.cc) &&
            cp $out/tmp/seed.so "tests/fuzz/corpus/${how// /}.so" || exit 1
    done
}
[ "${1:-}" != seeds ] || { seeds; exit; }

# What the readers need of the library, and nothing that starts a runtime.
sources=(tests/fuzz/symbols_fuzz.cc rt/symbols/*.cc kernel/*.cc)
for file in arch/"$(uname -m)"/*.S; do
    [[ $file == */invoke.S ]] || sources+=("$file")
done
$cxx -std=c++20 -O1 -g -mno-red-zone -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -I. \
    -o $out/symbols_fuzz "${sources[@]}" -pthread || exit 1
if [ "${1:-}" = merge ]; then
    $out/symbols_fuzz -merge=1 -max_len=8192 tests/fuzz/corpus $out/corpus
    exit
fi
$out/symbols_fuzz -max_total_time="${1:-60}" -timeout=10 -max_len=65536 -artifact_prefix=$out/ $out/corpus \
    tests/fuzz/corpus
