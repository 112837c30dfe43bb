#!/bin/sh
# tests/readme_test.sh - every C++ snippet of README.md is compiled and run; what it says it prints, it prints.
# SPDX-License-Identifier: BSD-2-Clause
#
# A snippet with `main` is the program, one with `gort::run` the body of main, any other that of the main goroutine.
set -u
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
lib=$(make -s print-LIB) && cxx=$(make -s print-CXX) && flags=$(make -s print-FLAGS) || exit 1
make -s -j2 "$lib" >"$dir/make" 2>&1 || {
    cat "$dir/make"
    exit 1
}
awk -v dir="$dir" '
    /^```cpp$/ { n++; file = dir "/" n ".cc"; text = ""; line = NR; next }
    /^```$/ && file {
        if (text !~ /main\(\)/)
            text = "int main() {\n" (text ~ /gort::run/ ? text : "return gort::run([] {\n" text "});\n") "}\n"
        if (text !~ /#include <gort.h>/)
            text = "#include <gort.h>\n#include <cstdio>\n#include <map>\n#include <mutex>\n#include <string>\n" \
                "#include <vector>\nusing namespace std::chrono_literals;\n" text
        printf "%s", text > file
        close(file)
        print line > (dir "/" n ".line")
        file = ""
        next
    }
    file {
        text = text $0 "\n"
        if (match($0, /\/\/ prints: .*/)) print substr($0, RSTART + 11) > (dir "/" n ".want")
    }' README.md
for source in "$dir"/*.cc; do
    [ -e "$source" ] || break
    base=${source%.cc}
    at="README.md:$(cat "$base.line")"
    # shellcheck disable=SC2086
    if ! $cxx $flags -o "$base" "$source" "$lib" >"$base.log" 2>&1; then
        echo "FAIL $at: does not compile"
        cat "$base.log"
        failed=$((failed + 1))
    elif ! timeout 60 "$base" >"$base.out" 2>"$base.log" </dev/null; then
        echo "FAIL $at: ends badly"
        cat "$base.out" "$base.log"
        failed=$((failed + 1))
    elif [ -e "$base.want" ] && ! diff "$base.want" "$base.out"; then
        echo "FAIL $at: prints something else (< is the README)"
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
    fi
done
if [ $passed -lt 8 ]; then
    echo "FAIL README.md: fewer snippets than there were"
    failed=$((failed + 1))
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
