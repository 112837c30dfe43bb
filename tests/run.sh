#!/bin/sh
# tests/run.sh MODE BINARY... [-- FLAG...] - runs test binaries one after the other and sums their last lines.
# SPDX-License-Identifier: BSD-2-Clause
#
# MODE test: each binary once. MODE stress: repeated N times (default 5), then on one CPU, then with more Ms than
# CPUs, all with the TEST_STRESS tests. RUN goes before each binary (an emulator). FLAGs are the binaries' own.
# A binary that ends badly, or without a result line, counts as one more failure. What failed is said again before the
# last line, which is the sum.
set -u
mode=$1
shift
bins=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    bins="$bins $1"
    shift
done
[ $# -eq 0 ] || shift

passed=0 failed=0 skipped=0 ran=0
log=$(mktemp) || exit 1
failures=$(mktemp) || exit 1
trap 'rm -f "$log" "$failures"' EXIT

# run_all PREFIX FLAG... - every binary, with a limit on the whole of it: the binary bounds each test itself.
run_all() {
    prefix=$1
    shift
    for bin in $bins; do
        echo "== $prefix${prefix:+ }$bin $*"
        # RUN and prefix are lists of words
        # shellcheck disable=SC2086
        timeout --foreground -k 10 "${LIMIT:-1800}" $prefix ${RUN:-} "./$bin" "$@" >"$log" 2>&1
        status=$?
        if [ $status -eq 3 ] && [ $# -gt 0 ]; then
            continue # a filter that is meant for other binaries
        fi
        cat "$log"
        ran=$((ran + 1))
        line=$(tail -n 1 "$log" | grep -E '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$')
        if [ -z "$line" ]; then
            echo "$bin: printed no result line, exit status $status" | tee -a "$failures"
            failed=$((failed + 1))
            continue
        fi
        grep '^FAIL ' "$log" | sed "s|^|$(basename "$bin"): |" >>"$failures"
        # shellcheck disable=SC2086
        set_counts $line
        if [ $status -ne 0 ] && [ "$f" -eq 0 ]; then
            echo "$bin: no test failed, but exit status $status" | tee -a "$failures"
            failed=$((failed + 1))
        fi
    done
}
set_counts() { # N passed, N failed, N skipped
    f=$3
    passed=$((passed + $1)) failed=$((failed + $3)) skipped=$((skipped + ${5:-0}))
}

case $mode in
test) run_all '' "$@" ;;
stress)
    export GORT_TEST_STRESS=1
    run_all '' -n "${N:-5}" "$@"
    run_all 'taskset -c 0' "$@"
    run_all '' -p 16,32 "$@"
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
if [ $ran -eq 0 ]; then
    echo "no test ran${*:+: nothing matches $*}"
    failed=1
fi
echo "$passed passed, $failed failed$([ $skipped -eq 0 ] || echo ", $skipped skipped")"
[ $failed -eq 0 ]
