#!/bin/sh
# tests/lint/objects.sh OUT - what the compiled files of a build may contain.
# SPDX-License-Identifier: BSD-2-Clause
#
# (1) The core (arch, kernel, rt without host_*, chan) has no undefined symbol that the library does not define itself:
#     no libc, no libstdc++. (2) Every object has .note.GNU-stack, none asks for an executable stack, and no program
#     linked with the library has one. (3) Every object promises landing pads (IBT, BTI), none a shadow stack.
set -u
out=$1
bad=0
objects=$(cd "$out" && find arch kernel rt chan ctx -name '*.o' 2>/dev/null | sort)
[ -n "$objects" ] || {
    echo "objects: nothing is built in $out"
    exit 1
}
case $out in
*aarch64-*) cross=aarch64-linux-gnu- property=BTI ;;
*) cross='' property=IBT ;;
esac
[ "${out##*/}" = "${out##*/"$(uname -m)"}" ] || cross=''
command -v "${cross}nm" >/dev/null || cross='' # binutils that read every format do as well

# Sanitizers call their own runtime and let the compiler call libc: (1) is a statement about the other builds.
case $out in
*-asan-* | *-tsan-* | *-ubsan-*) ;;
*)
    # shellcheck disable=SC2086
    (cd "$out" && "${cross}nm" -A -P $objects) | awk '
        { file = $1; sub(/:$/, "", file) }
        $3 ~ /^[Uwv]$/ && NF < 5 { # undefined, also where a weak reference would do without
            if (file !~ /^ctx\/|^rt\/((net|sim)\/)?host_/) wants[$2] = wants[$2] " " file
            next
        }
        { defined[$2] = 1 }
        END {
            for (s in wants)
                if (!(s in defined) && s != "_GLOBAL_OFFSET_TABLE_") {
                    print "[undefined] " s " in" wants[s] ": the core may not need libc or libstdc++"
                    bad = 1
                }
            exit bad
        }' || bad=1
    ;;
esac

# shellcheck disable=SC2086
(cd "$out" && "${cross}readelf" -SnW $objects /dev/null 2>/dev/null) | awk -v property=$property '
    function complain(rule, why) { print "[" rule "] " file ": " why; bad = 1 }
    function done() {
        if (!stack) complain("execstack", "no .note.GNU-stack, which makes all stacks of the program executable")
        if (executable) complain("execstack", "asks for an executable stack")
        if (!promised)
            complain("landing", "no " property " property note: END_OF_FILE, or -fcf-protection/-mbranch-protection")
        if (shadow) complain("shstk", "promises a shadow stack, which a stack switch breaks")
    }
    /^File: / { # /dev/null at the end makes sure that there are two, else readelf names none
        if (file) done()
        file = $2
        stack = executable = promised = shadow = 0
    }
    /\.note\.GNU-stack/ { stack = 1; if (/GNU-stack.* X /) executable = 1 }
    /Properties:|feature:/ { if (index($0, property)) promised = 1; if (/SHSTK|GCS/) shadow = 1 }
    END {
        if (file) done()
        else complain("objects", "readelf says nothing")
        exit bad
    }
' || bad=1

for program in "$out"/gortbench "$out"/tests/*_test; do
    [ -x "$program" ] || continue
    if "${cross}readelf" -lW "$program" | grep -q 'GNU_STACK.*RWE'; then
        echo "[execstack] $program: the stack is executable"
        bad=1
    fi
    if "${cross}readelf" -lW "$program" | grep -q 'LOAD.*RWE'; then
        echo "[execstack] $program: memory both writable and executable"
        bad=1
    fi
done
exit $bad
