#!/bin/sh
# tests/arch_gdb_test.sh [quick] - single-steps gdb through every kind of switch: `bt` is exact at each instruction.
# SPDX-License-Identifier: BSD-2-Clause
#
# At every instruction the backtrace must be the whole of one of the two stacks of tests/arch_test_gdb.cc,
# under at most the running switcher and the gort_switch_abi that suspended it, and end at main or at
# gort_entry without a complaint. It must change from one stack to the other only inside of a switcher, once
# for each switch, and every instruction of both switchers must have been seen. Before each look the memory
# below the stack pointer is overwritten, as a signal would, so that no rule can live on what was there. On
# x86-64 the registers that the switchers keep are compared as well, as gdb finds them in the frames above.
# CXX is the compiler (default g++). quick: at one level instead of three.
# Without gdb: says so and passes.
set -u
cd "$(dirname "$0")/.." || exit 1
arch=$(uname -m)
case $arch in
x86_64) flags='-mno-red-zone -fcf-protection=branch' switches=12 ;;
aarch64) flags=-mbranch-protection=standard switches=8 ;;
*) echo "skip: no gort for $arch" && exit 0 ;;
esac
if ! command -v gdb >/dev/null; then
    echo "skip: gdb is not installed, so nothing was stepped through"
    exit 0
fi
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

# The regs lines follow the frame they belong to; a register that is unknown there prints none.
# shellcheck disable=SC2016 # gdb's variables, not ours
six='  frame apply all -s printf "regs %lx %lx %lx %lx %lx %lx\n", $rbp, $rbx, $r12, $r13, $r14, $r15
  frame apply all -s printf "fp %lx\n", $rbp'
[ "$arch" = x86_64 ] || six=
cat >"$dir/script" <<EOF
set pagination off
set confirm off
set width 0
set disable-randomization off
break steps_begin
run
delete
set \$n = 0
set \$end = (unsigned long)&steps_end
while (unsigned long)\$pc != \$end && \$n < 2000
  set \$k = 1
  while \$k <= 16
    set {unsigned long}(\$sp - 8 * \$k) = 0xdead
    set \$k = \$k + 1
  end
  printf "STEP %d\n", \$n
  x/i \$pc
  bt
  printf "REGS\n"
$six
  printf "STEPPING\n"
  stepi
  set \$n = \$n + 1
end
printf "END %d\n", (unsigned long)\$pc == \$end
kill
EOF

# The judge of one run. insns = how many instructions the two switchers have; switches = how many there must
# be.
cat >"$dir/judge" <<'EOF'
function fail(why) { printf "step %d: %s\n%s", step, why, text; failed = 1; exit 1 }
function side_of_hold(   i) { # whose stack is the one on show
    for (i = 0; i < frames; i++) if (frame[i] ~ /^[ab]_inner$/) return substr(frame[i], 1, 1)
    return "?"
}
function judge(   i, top, rest, now) {
    if (step < 0) return
    top = frame[0]; rest = ""
    for (i = 0; i < frames; i++)
        if (!(i == 0 && frame[i] ~ /^(gort_switch|gort_switch_abi|steps_begin)$/) &&
            !(i == 1 && frame[i] == "gort_switch_abi" && top ~ /^gort_switch/)) rest = rest " " frame[i]
    if (frames == 0) fail("no backtrace")
    sub(/^ hold_(abi|raw)/, "", rest)
    now = rest == " a_inner a_outer main" ? "a" : \
          rest ~ /^( b_inner)?( b_outer)?( b_entry)? gort_entry$/ ? "b" : ""
    # The first instructions of b's functions belong to stacks that are not complete yet; the tail of each
    # must be.
    if (rest ~ / b_inner/ && rest != " b_inner b_outer b_entry gort_entry") now = ""
    if (rest ~ / b_outer/ && rest !~ / b_outer b_entry gort_entry$/) now = ""
    if (now == "") fail("neither stack:" rest)
    if (side != "" && now != side) {
        if (top !~ /^gort_switch/ || last !~ /^gort_switch/) fail("the stacks changed outside of a switcher")
        swaps++
    }
    side = now; last = top
}
/^STEP / { judge(); step = $2; frames = 0; text = ""; regs = 0; next }
/^STEPPING/ { regs = 2; next }
/^REGS/  { regs = 1; at = ""; next }
regs == 2 && !/^END/ { next } # what stepi says
regs == 1 && /^#/ { at = $1 == "#0" ? "" : $2 ~ /^0x/ ? $4 : $2; next }
regs == 1 && /^regs/ && at == "hold_abi" {
    base = substr($2, 1, 1) "0"
    if ($0 !~ "^regs (" base "0 " base "1 " base "2 " base "3 " base "4 " base "5)$") fail("in hold_abi: " $0)
    if (base != (side_of_hold() "0")) fail("the other stack is in the registers: " $0)
    held++
}
regs == 1 && /^fp/ && at ~ /^hold_/ {
    if ($2 != side_of_hold() "00") fail("in " at ": " $0)
    held_fp++
}
regs == 1 { next }
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
    if (swaps != switches) { print swaps " changes of the stack instead of " switches; exit 1 }
    # each of the switchers' instructions has been looked at with a hold above it, on both stacks
    if (switches == 12 && (held < insns || held_fp < 2 * insns - 10)) {
        print held " and " held_fp " looks at registers"
        exit 1
    }
    if (n != insns) { print n " of the switchers' " insns " instructions seen"; exit 1 }
}
EOF

passed=0 failed=0
step_through() { # FLAGS
    # flags and $1 are lists of words
    # shellcheck disable=SC2086
    ${CXX:-g++} -std=c++20 -g $flags $1 -I. -o "$dir/prog" tests/arch_test_gdb.cc "arch/$arch/switch.S" || exit 1
    insns=$(gdb -batch -ex 'disassemble gort_switch' -ex 'disassemble gort_switch_abi' "$dir/prog" |
        grep '<+' | grep -cv nop)
    timeout 120 gdb -batch -nx -x "$dir/script" "$dir/prog" >"$dir/out" 2>&1
    if awk -v insns="$insns" -v switches="$switches" -f "$dir/judge" "$dir/out" >"$dir/verdict"; then
        passed=$((passed + 1))
    else
        echo "$1: $(cat "$dir/verdict")"
        failed=$((failed + 1))
    fi
}
passed=0 failed=0
step_through '-O2 -fomit-frame-pointer'
[ "${1-}" = quick ] || {
    step_through -O0
    step_through '-O2 -fno-omit-frame-pointer'
}
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
