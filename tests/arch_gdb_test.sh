#!/bin/sh
# tests/arch_gdb_test.sh - single-steps gdb through every kind of switch: `bt` is exact at each instruction.
# SPDX-License-Identifier: BSD-2-Clause
#
# At every instruction the backtrace must be the whole of one of the two stacks of tests/arch_test_gdb.cc, under at most
# the running switcher and the gort_switch_abi that suspended it, and end at main or at gort_entry without a complaint. It must change from one stack to the other only
# inside of a switcher, once for each of the eight switches, and every instruction of both switchers must have been seen.
# CXX is the compiler (default g++). Without gdb: says so and passes.
set -u
cd "$(dirname "$0")/.." || exit 1
arch=$(uname -m)
case $arch in
x86_64) flags='-mno-red-zone -fcf-protection=branch' ;;
aarch64) flags=-mbranch-protection=standard ;;
*) echo "skip: no gort for $arch" && exit 0 ;;
esac
if ! command -v gdb >/dev/null; then
    echo "skip: gdb is not installed, so nothing was stepped through"
    exit 0
fi
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

cat >"$dir/script" <<'EOF'
set pagination off
set confirm off
set width 0
set disable-randomization off
break steps_begin
run
delete
set $n = 0
set $end = (unsigned long)&steps_end
while (unsigned long)$pc != $end && $n < 2000
  printf "STEP %d\n", $n
  x/i $pc
  bt
  stepi
  set $n = $n + 1
end
printf "END %d\n", (unsigned long)$pc == $end
kill
EOF

# The judge of one run. insns = how many instructions the two switchers have.
cat >"$dir/judge" <<'EOF'
function fail(why) { printf "step %d: %s\n%s", step, why, text; failed = 1; exit 1 }
function judge(   i, top, rest, now) {
    if (step < 0) return
    top = frame[0]; rest = ""
    for (i = 0; i < frames; i++)
        if (!(i == 0 && frame[i] ~ /^(gort_switch|gort_switch_abi|steps_begin)$/) &&
            !(i == 1 && frame[i] == "gort_switch_abi" && top ~ /^gort_switch/)) rest = rest " " frame[i]
    if (frames == 0) fail("no backtrace")
    now = rest == " a_inner a_outer main" ? "a" : \
          rest ~ /^( b_inner)?( b_outer)?( b_entry)? gort_entry$/ ? "b" : ""
    # The first instructions of b's functions belong to stacks that are not complete yet; the tail of each must be.
    if (rest ~ / b_inner/ && rest != " b_inner b_outer b_entry gort_entry") now = ""
    if (rest ~ / b_outer/ && rest !~ / b_outer b_entry gort_entry$/) now = ""
    if (now == "") fail("neither stack:" rest)
    if (side != "" && now != side) {
        if (top !~ /^gort_switch/ || last !~ /^gort_switch/) fail("the stacks changed outside of a switcher")
        swaps++
    }
    side = now; last = top
}
/^STEP / { judge(); step = $2; frames = 0; text = ""; next }
/^END /  { judge(); ended = $2; step = -1; next }
step < 0 { next }
{ text = text $0 "\n" }
/^=> / { if ($3 ~ /^<gort_switch/) seen[$3] = 1; next }
/^#/ {
    name = $2 ~ /^0x/ ? $4 : $2
    if (name != "gort::arch::switch_to") frame[frames++] = name # inlined: not a frame of its own
    next
}
/stopped|corrupt|\?\?|[Ww]arning|[Ee]rror/ { fail("gdb complains") }
BEGIN { step = -1 }
END {
    if (failed) exit 1
    for (i in seen) n++
    if (ended != 1) { print "the program did not get to its end"; exit 1 }
    if (swaps != 8) { print swaps " changes of the stack instead of 8"; exit 1 }
    if (n != insns) { print n " of the switchers' " insns " instructions seen"; exit 1 }
}
EOF

passed=0 failed=0
for level in -O0 '-O2 -fomit-frame-pointer' '-O2 -fno-omit-frame-pointer'; do
    # flags and level are lists of words
    # shellcheck disable=SC2086
    ${CXX:-g++} -std=c++20 -g $flags $level -I. -o "$dir/prog" tests/arch_test_gdb.cc "arch/$arch/switch.S" || exit 1
    insns=$(gdb -batch -ex 'disassemble gort_switch' -ex 'disassemble gort_switch_abi' "$dir/prog" |
        grep '<+' | grep -cv nop)
    timeout 120 gdb -batch -nx -x "$dir/script" "$dir/prog" >"$dir/out" 2>&1
    if awk -v insns="$insns" -f "$dir/judge" "$dir/out" >"$dir/verdict"; then
        passed=$((passed + 1))
    else
        echo "$level: $(cat "$dir/verdict")"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
