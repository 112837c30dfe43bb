#!/bin/sh
# tests/run.sh MODE BINARY... [-- FLAG...] - runs test binaries side by side and sums their last lines.
# SPDX-License-Identifier: BSD-2-Clause
#
# MODE test: each binary once, J at a time (default: as many as CPUs, four at most). MODE stress: one at a time,
# repeated N times (default 5), then on one CPU, then with more Ms than CPUs, all with the TEST_STRESS tests; without
# FLAGs, at last the soak for SOAK seconds (default 1200). RUN goes before each binary (an emulator). FLAGs are the
# binaries' own.
# What a binary prints comes in one piece when it has ended. One that ends badly, or without a result line, counts as
# one more failure. What failed is said again before the last line, which is the sum.
set -u

# run.sh one BINARY FLAG...: what xargs starts below. Says `STATUS BINARY` when the binary has ended.
if [ "${1-}" = one ]; then
    bin=$2
    shift 2
    # prefix and RUN are lists of words; the limit is on the whole, the binary bounds each test itself
    # shellcheck disable=SC2086
    timeout --foreground -k 10 "${LIMIT:-1800}" $prefix ${RUN:-} "./$bin" "$@" >"$dir/$(basename "$bin")" 2>&1
    echo "$? $bin"
    exit 0
fi

mode=$1
shift
bins='' count=0
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    bins="$bins $1" count=$((count + 1))
    shift
done
[ $# -eq 0 ] || shift

dir=$(mktemp -d) || exit 1
export dir prefix=
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
sums=$dir/sums failures=$dir/failures # a line for each binary that ran: passed, failed, skipped; what has failed
: >"$sums"
: >"$failures"

# run_all JOBS PREFIX FLAG... - every binary, JOBS of them at a time
run_all() {
    jobs=$1 prefix=$2 done=0
    shift 2
    # bins is a list of words
    # shellcheck disable=SC2086
    printf '%s\n' $bins | xargs -P "$jobs" -I '{}' "$0" one '{}' "$@" | while read -r status bin; do
        name=$(basename "$bin") done=$((done + 1))
        if [ "$status" -eq 3 ] && [ $# -gt 0 ]; then
            continue # a filter that is meant for other binaries
        fi
        echo "== [$done/$count] $prefix${prefix:+ }$bin $*"
        cat "$dir/$name"
        sum=$(tail -n 1 "$dir/$name" |
            sed -nE 's/^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$/\1 \2 \4/p')
        echo "${sum:-0 1}" >>"$sums"
        if [ -z "$sum" ]; then
            echo "$bin: printed no result line, exit status $status" | tee -a "$failures"
            continue
        fi
        # each failure with the first lines of what was said about it
        awk -v name="$name" '/^FAIL / { left = 8 } left-- > 0 && !/^[0-9]+ passed/ { print name ": " $0 }
                             / again: / { left = 0 }' "$dir/$name" >>"$failures"
        f=${sum#* }
        if [ "$status" -ne 0 ] && [ "${f%% *}" -eq 0 ]; then
            echo "$bin: no test failed, but exit status $status" | tee -a "$failures"
            echo 0 1 >>"$sums"
        fi
    done
}

whole() { # NAME VALUE
    case $2 in *[!0-9]* | 0*) echo "$1=$2: not a whole number from 1 up" >&2 && exit 2 ;; esac
}
whole J "${J-}"
whole N "${N-}"
whole SOAK "${SOAK-}"
case $mode in
test)
    cpus=$(nproc 2>/dev/null || echo 1)
    run_all "${J:-$((cpus < 4 ? cpus : 4))}" '' "$@"
    ;;
stress)
    export GORT_TEST_STRESS=1
    run_all 1 '' -n "${N:-5}" "$@"
    run_all 1 'taskset -c 0' "$@"
    run_all 1 '' -p 16,32 "$@"
    [ $# -gt 0 ] || GORT_SOAK_SECONDS=${SOAK:-1200} run_all 1 '' soak
    ;;
*)
    echo "tests/run.sh: $mode: not one of test stress" >&2
    exit 2
    ;;
esac
[ ! -s "$failures" ] || {
    echo "== failed:"
    cat "$failures"
}
if [ ! -s "$sums" ]; then
    echo "no test ran${*:+: nothing matches $*}"
    echo 0 1 >"$sums"
fi
awk '{ p += $1; f += $2; s += $3 }
     END { printf "%d passed, %d failed", p, f; if (s) printf ", %d skipped", s; print ""; exit f != 0 }' "$sums"
