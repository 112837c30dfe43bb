#!/bin/sh
# tests/arch_valgrind_test.sh [PROGRAM...] - debug builds of the arch tests, which it makes, under memcheck (CC-32).
# SPDX-License-Identifier: BSD-2-Clause
#
# A stack that memcheck does not know looks like a huge jump of the stack pointer: it warns, and then takes
# live locals for freed ones. So this shows that every stack is registered, and that no switch reads what
# nobody wrote.
set -u
passed=0 failed=0
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
if [ $# -eq 0 ]; then
    cd "$(dirname "$0")/.." || exit 1
    .ci/need valgrind || exit 1
    out=$(make -s print-OUT BUILD=debug)
    set -- "$out/tests/arch_test" "$out/tests/arch_unwind_test" "$out/tests/arch_live_test"
    make -s -j2 BUILD=debug "$@" >&2 || exit 1
fi
for program; do
    # Each test is a child of its own with a log of its own; one that traps on purpose ends in valgrind's
    # report of it.
    valgrind -q --error-exitcode=99 --log-file="$dir/log.%p" "$program" >"$dir/out" 2>&1
    status=$?
    said=$(grep -hvE -e '^==[0-9]+== *$' "$dir"/log.* | sed 's/^==[0-9]*== //' | sort | uniq -c |
        grep -vE 'Process terminating with default action|Illegal opcode at address|^ *[0-9]+ +(at|by) 0x')
    rm -f "$dir"/log.*
    if [ $status -eq 0 ] && [ -z "$said" ] && grep -qE '^[1-9][0-9]* passed, 0 failed' "$dir/out"; then
        passed=$((passed + 1))
    else
        printf '%s: exit status %d\n%s\n' "$program" $status "$said"
        tail -n 20 "$dir/out"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
