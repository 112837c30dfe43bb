#!/bin/bash
# tests/perf_test.sh - perf walks goroutines' stacks to their entry, by frame pointers and by the unwind tables.
# SPDX-License-Identifier: BSD-2-Clause
#
# Where perf may not record (a container, no permission): says so and passes.
set -u
cd "$(dirname "$0")/.." || exit 1
make -s build/libgort.a >/dev/null || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
cat >"$dir/busy.cc" <<'EOF'
#include <gort.h>
volatile unsigned long g_sum;
[[gnu::noinline]] void innermost() {
    for (int i = 0; i < 1000; ++i) g_sum = g_sum + 1;
}
[[gnu::noinline]] void middle() {
    for (int i = 0; i < 100; ++i) innermost();
    asm volatile("");
}
[[gnu::noinline]] void outermost() {
    for (int i = 0; i < 1500; ++i) {
        middle();
        gort::yield();
    }
}
int main() {
    gort::options o;
    o.max_procs = 1;
    return gort::run([] {
        gort::wait_group wg;
        for (int i = 0; i < 2; ++i) wg.go(outermost);
        wg.wait();
    }, o);
}
EOF
g++ -std=c++20 -O2 -g -fno-omit-frame-pointer -mno-red-zone -I. -o "$dir/busy" \
    "$dir/busy.cc" build/libgort.a -pthread ||
    exit 1
if ! perf record -q -e cpu-clock -g -o "$dir/probe" "$dir/busy" >/dev/null 2>&1; then
    echo 'skip: perf is not here or may not record'
    echo '0 passed, 0 failed, 2 skipped'
    exit 0
fi
for how in fp dwarf,16384; do
    perf record -q -e cpu-clock -F 199 --call-graph "$how" -o "$dir/data" "$dir/busy" >/dev/null 2>&1
    # A sample is a paragraph. Those in innermost must show all callers, each in its place, and the entry last.
    # (By frame pointers all but the one that called a leaf, which has none of its own.)
    callers='^ innermost.* middle.* outermost.* gort_invoke .*gort_entry $'
    [ "$how" != fp ] || callers='^ innermost.* outermost.* gort_invoke .*gort_entry $'
    perf script -i "$dir/data" -F comm,ip,sym 2>/dev/null | awk -v how="$how" -v callers="$callers" '
        function judge() {
            if (stack !~ /^ innermost/) return
            n++
            if (stack ~ callers) whole++
            else if (!bad) bad = stack
        }
        NF == 0 { judge(); stack = ""; next }
        /^[ \t]+[0-9a-f]+ / { name = $2; sub(/\(.*/, "", name); stack = stack " " name " " }
        END {
            judge()
            if (n >= 20 && whole * 10 >= n * 9) exit 0
            printf "%s: %d of %d samples reach the entry; one that does not:%s\n", how, whole, n, bad
            exit 1
        }' >"$dir/verdict"
    if [ -z "$(cat "$dir/verdict")" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        cat "$dir/verdict"
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
