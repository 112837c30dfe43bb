# tests/script.sh - what some tests that are shell scripts share; each sources it from the root of the tree.
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# shellcheck disable=SC2034 # they use it
#
# dir is a directory of theirs, lib the library's file, built; compilers the C++ compilers that are there.
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0 skipped=0

compilers=(g++)
for cxx in clang++ clang++-19; do
    command -v $cxx >/dev/null && compilers+=("$cxx")
done
lib=$(make -s print-LIB)
make -s -j2 "$lib" >"$dir/make" 2>&1 || {
    cat "$dir/make"
    exit 1
}

check() { # check NAME COMMAND...: passes when the command does; its output is shown when it does not
    local name=$1 log
    shift
    if log=$("$@" 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL %s\n%s\n' "$name" "$log"
    fi
}
skip() {
    skipped=$((skipped + 1))
    echo "skip $1"
}
exits_with() { # exits_with STATUS COMMAND...
    local want=$1 got
    shift
    timeout 20 "$@"
    got=$?
    [ $got = "$want" ] || echo "exit status $got, not $want"
    [ $got = "$want" ]
}
says() { # says WORDS COMMAND...: it fails, and says so
    local words=$1 log
    shift
    log=$("$@" 2>&1) && echo 'it succeeds' && return 1
    [[ $log == *"$words"* ]] || {
        echo "$log" | head -n 5
        return 1
    }
}
finish() { # the last line, and the script's status
    printf '%d passed, %d failed' $passed $failed
    [ $skipped = 0 ] || printf ', %d skipped' $skipped
    echo
    [ $failed = 0 ]
}
