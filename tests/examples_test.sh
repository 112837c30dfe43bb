#!/bin/sh
# tests/examples_test.sh - builds every program of examples/ and runs it: it has to end by itself, with status 0.
# SPDX-License-Identifier: BSD-2-Clause
#
# What it prints must be examples/NAME.out, if that is there. A program that serves until it is stopped says
# `ci: build only` in its first ten lines.
set -u
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0
[ -d examples ] || {
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}
make -s -j2 -k examples || failed=1
out=$(make -s print-OUT)
for source in examples/*.c examples/*.cc; do
    [ -e "$source" ] || continue
    program=$out/${source%.*}
    if [ ! -x "$program" ]; then
        echo "FAIL $source: not built"
        failed=$((failed + 1))
    elif head -n 10 "$source" | grep -q 'ci: build only'; then
        passed=$((passed + 1))
    elif output=$(timeout 60 "$program" 2>&1 </dev/null); then
        want=${source%.*}.out
        if [ ! -e "$want" ] || echo "$output" | cmp -s - "$want"; then
            passed=$((passed + 1))
        else
            echo "FAIL $source: not what $want says"
            echo "$output" | diff "$want" -
            failed=$((failed + 1))
        fi
    else
        echo "FAIL $source: exit status $?"
        echo "$output"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
