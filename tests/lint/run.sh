#!/bin/sh
# tests/lint/run.sh OUT [PART...] - make lint: runs the parts, two at a time, and says how many passed.
# SPDX-License-Identifier: BSD-2-Clause
#
# OUT is the build folder whose objects are looked at and where stamps are kept. A part passes when it prints nothing
# and ends well; each rule's name is in brackets in its messages, and selftest.sh shows that each of them fires.
set -u
export LC_ALL=C
unset MAKEFLAGS MFLAGS MAKELEVEL
out=$1
shift
library='arch kernel rt chan ctx'

# What is text and ours. No git here: a release tarball has none.
text_files() {
    # shellcheck disable=SC2046,SC2086
    find $(ls -d $library tests bench examples tools .ci 2>/dev/null) -type f \
        \( -name '*.h' -o -name '*.cc' -o -name '*.c' -o -name '*.S' -o -name '*.sh' -o -name '*.awk' -o -name '*.mk' \
        -o -name "*.go" -o -name "*.pml" -o -name "*.md" -o -name "*.py" -o -path ".ci/*" -o -path "tools/*" \
        -o -path bench/run \) -print
    ls gort.h gort_c.h README.md Makefile .clang-format .clang-tidy 2>/dev/null
}

part() {
    case $1 in
    layers)
        # shellcheck disable=SC2046,SC2086
        awk -f tests/lint/layers.awk $(find $(ls -d $library gort.h gort_c.h 2>/dev/null) \
            -name '*.h' -o -name '*.cc' -o -name '*.S')
        ;;
    rooms)
        status=0
        for room in arch kernel chan ctx rt/*/; do
            if [ -d "$room" ] && [ ! -s "${room%/}/README.md" ]; then
                echo "${room%/}: [readme] a room without a README.md"
                status=1
            fi
        done
        # shellcheck disable=SC2046
        awk -f tests/lint/rooms.awk \
            $(find . -name README.md -not -path './build/*' | sed 's|^\./||') /dev/null || status=1
        return $status
        ;;
    behaviours)
        # shellcheck disable=SC2046
        awk -f tests/lint/behaviours.awk tests/BEHAVIOURS.md $(find tests -path tests/lint -prune -o \
            \( -name '*.cc' -o -name '*.h' -o -name '*.sh' -o -name '*.c' \) -print)
        ;;
    text)
        # shellcheck disable=SC2046
        awk -f tests/lint/text.awk $(text_files)
        status=$?
        # tail prints a header for each file, and an empty line where the last byte is a newline
        # shellcheck disable=SC2046
        tail -v -c 1 $(text_files) | awk '
            /^==> .* <==$/ { name = $2; next }
            length { print name ": [newline] no newline at the end of the file"; bad = 1 }
            END { exit bad }' || status=1
        return $status
        ;;
    objects) tests/lint/objects.sh "$out" ;;
    selftest)
        # Once for each version of the rules.
        stamp=$out/lint/selftest
        [ -e "$stamp" ] && [ -z "$(find tests/lint Makefile .clang-format .clang-tidy -newer "$stamp")" ] && return 0
        log=$(tests/lint/selftest.sh) || {
            echo "$log"
            return 1
        }
        mkdir -p "$out/lint" && touch "$stamp"
        ;;
    headers | tidy | format | shell)
        make -k -s -j2 -f tests/lint/lint.mk OUT="$out" "lint-$1" 2>&1 | grep -v '^make: .*\(Error\|remade\)' >"$log.$1"
        cat "$log.$1"
        [ ! -s "$log.$1" ]
        ;;
    *)
        echo "no such part of lint: $1"
        return 1
        ;;
    esac
}

if [ "${1:-}" = -one ]; then # how we call ourselves: one part, in its own process
    log=$out/lint/.log
    mkdir -p "$out/lint"
    part "$2"
    exit
fi

.ci/need clang++ clang-format clang-tidy shellcheck readelf || exit 1
parts=${*:-layers rooms behaviours text objects shell format headers selftest tidy} # the cheap ones first
results=$(mktemp -d) || exit 1
trap 'rm -rf "$results"' EXIT
# shellcheck disable=SC2086,SC2016
printf '%s\n' $parts | xargs -P "$(nproc)" -I{} sh -c \
    '"$0" "$1" -one {} >"$2/{}.log" 2>&1; echo $? >"$2/{}.status"' "$0" "$out" "$results"
passed=0 failed=0
for p in $parts; do
    if [ "$(cat "$results/$p.status" 2>/dev/null)" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "== lint $p"
        cat "$results/$p.log"
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
