#!/bin/sh
# tests/explore/arm64.sh [COMPILER...] - what compilers make for ARM64 of each ordering that the source asks for.
# SPDX-License-Identifier: BSD-2-Clause
#
# Each statement of the library with an acquire, release, acq_rel or seq_cst is looked up in the compiled library by its
# line: is there an instruction with that ordering? ldar and ldapr acquire, stlr releases, ldaxr and stlxr are the two
# halves of a read-modify-write, dmb is a fence; the outline atomics of libgcc (__aarch64_cas4_acq ...) say it in their
# name, the instructions of ARM64's LSE in their last letters. What neither compiler has emitted (a template that the
# library does not use itself) is said, and is no failure.
set -u
export LC_ALL=C
[ $# -gt 0 ] || set -- aarch64-linux-gnu-g++ clang++
.ci/need aarch64-linux-gnu-g++ || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
sources=$(find kernel rt chan ctx -name '*.h' -o -name '*.cc')

# Statements with an ordering: FILE FIRST LAST NEEDS, where NEEDS is of a (acquire) and r (release) and f (full fence).
# shellcheck disable=SC2086
awk '
function done() {
    if (orders != "") print name, first, FNR, needs()
    text = orders = ""
}
function needs(   n, full) {
    full = orders ~ /seq_cst/
    if (text ~ /atomic_thread_fence/) return full ? "f" : orders ~ /acq/ ? "a" : "r"
    if (text ~ /signal_fence/) return "-"
    # Of a compare-exchange the stronger of its two orders counts.
    n = ""
    if (text !~ /(\.|>)store\(|_store_n\(/ && orders ~ /acq|seq_cst/) n = n "a"
    if (text !~ /(\.|>)load\(|_load_n\(/ && orders ~ /rel|seq_cst/) n = n "r"
    return n
}
FNR == 1 { text = orders = ""; name = FILENAME }
{
    line = $0
    sub(/\/\/.*/, "", line)
    if (text == "") first = FNR
    text = text line
    while (match(line, /(memory_order_|__ATOMIC_)(acquire|release|acq_rel|seq_cst|ACQUIRE|RELEASE|ACQ_REL|SEQ_CST)/)) {
        orders = orders " " tolower(substr(line, RSTART, RLENGTH))
        line = substr(line, RSTART + RLENGTH)
    }
    # "acquire" and "release" apart: memory_order_acq_rel is both.
    gsub(/acq_rel/, "acq rel", orders)
    if (text ~ /[;{}]/) done()
}' $sources | awk '$4 != "-" && $4 != ""' >"$work/asked"

failed=0 passed=0
for cxx; do
    cross=
    case $cxx in *clang*) cross=--target=aarch64-linux-gnu ;; esac
    lib=$(make -s ARCH=aarch64 CXX="$cxx" print-LIB)
    make -s -j2 ARCH=aarch64 CXX="$cxx" "$lib" >"$work/log" 2>&1 || {
        tail -n 20 "$work/log"
        exit 1
    }
    echo 'int main() {}' >"$work/main.cc"
    # shellcheck disable=SC2086
    "$cxx" $cross "$work/main.cc" -o "$work/all" -pthread -Wl,--whole-archive "$lib" -Wl,--no-whole-archive || exit 1
    aarch64-linux-gnu-objdump -d --no-show-raw-insn "$work/all" | awk '
        { gsub(/[:<>]/, " ") }
        $2 ~ /^(ldar|ldapr|stlr|ldaxr|stlxr|dmb|swp|cas|ldadd|ldset|ldclr|ldeor)/ { print $1, $2, $3 }
        $2 == "bl" && $4 ~ /^__aarch64_/ { print $1, $4 }' >"$work/emitted"
    cut -d' ' -f1 "$work/emitted" | aarch64-linux-gnu-addr2line -a -i -e "$work/all" | awk '
        function flush() { if (pc != "") print pc, at }
        /^0x/ { flush(); pc = $1; at = "?"; next }
        at == "?" && match($1, /(^|\/)(kernel|rt|chan|ctx)\/[a-z0-9_\/]*\.(h|cc):[0-9]+/) {
            at = substr($1, RSTART)
            sub(/^\//, "", at)
        }
        END { flush() }' | cut -d' ' -f2 | paste -d' ' - "$work/emitted" >"$work/places"
    awk -v cxx="$cxx" '
        function means(what, operand) {
            if (what ~ /^(ldar|ldapr|ldaxr)/) return "a"
            if (what ~ /^(stlr|stlxr)/) return "r"
            if (what == "dmb") return operand ~ /ishld/ ? "a" : operand ~ /ishst/ ? "" : "arf"
            if (what ~ /_acq_rel$/) return "ar"
            if (what ~ /_acq$/) return "a"
            if (what ~ /_rel$/) return "r"
            if (what ~ /^(swp|cas|ldadd|ldset|ldclr|ldeor)al/) return "ar"
            if (what ~ /^(swp|cas|ldadd|ldset|ldclr|ldeor)a/) return "a"
            if (what ~ /^(swp|cas|ldadd|ldset|ldclr|ldeor)l/) return "r"
            return ""
        }
        FILENAME == ARGV[1] {
            got[$1] = got[$1] means($3, $4)
            by[$1] = by[$1] " " $3
            next
        }
        {
            have = used = ""
            for (line = $2; line <= $3; ++line) {
                have = have got[$1 ":" line]
                used = used by[$1 ":" line]
            }
            if (used == "") { ++unseen; next }
            ok = 1
            for (i = 1; i <= length($4); ++i) if (index(have, substr($4, i, 1)) == 0) ok = 0
            if (ok) { ++good; next }
            ++bad
            print "FAIL " cxx ": " $1 ":" $2 " asks for " $4 " and has" used
        }
        END { print cxx ": " good + 0 " orderings as asked, " bad + 0 " not, " unseen + 0 " not in the library" }
    ' "$work/places" "$work/asked" >"$work/result"
    cat "$work/result"
    failed=$((failed + $(grep -c '^FAIL' "$work/result")))
    passed=$((passed + $(sed -n 's/.*: \([0-9]*\) orderings as asked.*/\1/p' "$work/result")))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
