#!/bin/sh
# tests/arch_elf_test.sh [OUT [PROGRAM]] - what the assembly says in ELF, and what a program keeps of it.
# SPDX-License-Identifier: BSD-2-Clause
#
# CC-33: the marks for landing pads.
# OUT is a folder of built objects (default: of the release build, which is then made). PROGRAM is a program linked
# with them (default OUT/tests/arch_test). Needs binutils; a cross build's objects need the cross ld.
set -u
if [ $# -eq 0 ]; then
    cd "$(dirname "$0")/.." || exit 1
    set -- "$(make -s print-OUT)"
    make -s -j2 "$1/tests/arch_test" >&2 || exit 1
fi
out=$1 program=${2:-$1/tests/arch_test}
passed=0 failed=0
check() { # NAME STATUS OUTPUT
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
    else
        echo "$1: $3"
        failed=$((failed + 1))
    fi
}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

case $(readelf -hW "$program" | sed -n 's/.*Machine: *//p') in
*X86-64*) arch=x86_64 feature='x86 feature: IBT' ;;
*AArch64*) arch=aarch64 feature='AArch64 feature: BTI' ;;
*) echo "$program: not one of ours" >&2 && exit 2 ;;
esac
ld=ld
[ "$(uname -m)" = "$arch" ] || ld=$arch-linux-gnu-ld

# The program: stacks are not executable. A single object without .note.GNU-stack would make them so.
flags=$(readelf -lW "$program" | awk '$1 == "GNU_STACK" { print $(NF - 1) }')
[ "$flags" = RW ]
check 'stacks of the program' $? "flags '$flags' instead of RW"

for s in "$out/arch/$arch"/*.S.o; do
    name=${s##*/}
    readelf -SW "$s" | grep -q 'note\.GNU-stack'
    check "$name: .note.GNU-stack" $? missing

    # IBT or BTI, and nothing that we cannot keep: a shadow stack would not survive a switch.
    notes=$(readelf -nW "$s" | sed -n 's/.*Properties: *//p')
    [ "$notes" = "$feature" ]
    check "$name: property note" $? "'$notes' instead of '$feature'"

    # No symbol of ours is for the dynamic linker.
    open=$(readelf -sW "$s" | awk '$5 == "GLOBAL" && $6 == "DEFAULT" { print $8 }')
    [ -z "$open" ]
    check "$name: hidden symbols" $? "$open"

    # Every function has type and size.
    odd=$(readelf -sW "$s" | awk '$7 ~ /^[0-9]+$/ && $5 == "GLOBAL" && $4 == "FUNC" && $3 == 0 { print $8 }')
    [ -z "$odd" ]
    check "$name: sizes" $? "none for $odd"
done

# The note and the hiding survive the linker: an object of the switchers alone, because a whole program has
# the note only if its libc has it.
$ld -shared --fatal-warnings -z noexecstack -o "$dir/switch.so" "$out/arch/$arch/switch.S.o"
check 'link' $? 'ld failed'
notes=$(readelf -nW "$dir/switch.so" | sed -n 's/.*Properties: *//p')
[ "$notes" = "$feature" ]
check 'property note after linking' $? "'$notes' instead of '$feature'"
open=$(readelf --dyn-syms -W "$dir/switch.so" | grep gort_)
[ -z "$open" ]
check 'dynamic symbols' $? "$open"
readelf -rW "$dir/switch.so" | grep -q 'no relocations'
check 'position independence' $? 'needs relocations'

# The program exports none of our symbols either, also not to a plugin that it loads.
open=$(readelf --dyn-syms -W "$program" | grep -w -e gort_switch -e gort_switch_abi -e gort_entry -e gort_call_below)
[ -z "$open" ]
check 'dynamic symbols of the program' $? "$open"

# A function that blocked returns by a jump, not by a call of it: each such call costs a wrong prediction.
case $out in
*x86_64-release-g++)
    ways=$(objdump -dr --no-show-raw-insn "$out/libgort.a" | grep -B 1 gort_return_by_jump |
        awk '$2 ~ /^(call|jmp)/ { print $2 }')
    [ "$(printf '%s\n' "$ways" | sort -u)" = jmp ] && [ "$(printf '%s\n' "$ways" | wc -l)" -ge 8 ]
    check 'returns by jump' $? "$(printf '%s\n' "$ways" | sort | uniq -c | tr -s ' \n' ' ')"
    ;;
esac

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
