#!/bin/bash
# tests/python_test.sh - gort_c.h from another language: a shared object made of libgort.a, and Python's ctypes on it.
# SPDX-License-Identifier: BSD-2-Clause
set -u
cd "$(dirname "$0")/.." || exit 1
command -v python3 >/dev/null || {
    echo '0 passed, 0 failed, 1 skipped'
    exit 0
}
lib=$(make -s print-LIB) && make -s "$lib" || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
# All functions of the header, and of the archive only what they need.
mapfile -t wanted < <(grep -o '\bgort_[a-z_]*(' gort_c.h | tr -d '(' | sort -u | sed 's/^/-Wl,-u,/')
if ! gcc -shared -o "$dir/libgort.so" "${wanted[@]}" "$lib" -pthread -Wl,-Bsymbolic-functions -Wl,-z,defs \
    >"$dir/log" 2>&1; then
    if grep -q 'recompile with -fPIC' "$dir/log"; then
        echo 'skip: this build is not position-independent'
        echo '0 passed, 0 failed, 1 skipped'
        exit 0
    fi
    cat "$dir/log"
    echo 'FAIL the shared object does not link'
    echo '0 passed, 1 failed'
    exit 1
fi
if readelf -d "$dir/libgort.so" | grep -q 'stdc++\|TEXTREL'; then
    echo 'FAIL the shared object needs the C++ runtime, or its text is relocated'
    echo '0 passed, 1 failed'
    exit 1
fi
if timeout 60 python3 tests/c/smoke.py "$dir/libgort.so"; then exit 0; fi
echo 'FAIL smoke.py'
echo '0 passed, 1 failed'
exit 1
