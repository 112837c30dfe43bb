#!/bin/bash
# tests/arch_matrix_test.sh [quick] - the raw switch compiled in every way we could think of, and run (CC-28).
# SPDX-License-Identifier: BSD-2-Clause
#
# Which registers hold live values at a switch is the compiler's choice, so tests/arch_test_matrix.cc runs
# once for each level and flag that changes it, with every compiler of CXXS (default: g++ and clang++, if
# there) and for ARM64, where the cross compiler and qemu-user are. Also: position-independent in a shared
# object, link-time optimisation out of an archive, landing pads on a CPU that checks them, a veneer between
# the wrapper and the switcher, and that the two assemblers write the same CFI.
# quick: only the first of CXXS, for this machine, at two levels.
set -u
cd "$(dirname "$0")/.." || exit 1
unset CDPATH
test=tests/arch_test_matrix.cc

# One way to compile; a line that begins with ok or FAIL.       LABEL KIND ARCH "compiler" flags...
if [ "${1-}" = one ]; then
    label=$2 kind=$3 arch=$4 cxx=$5
    shift 5
    dir=$(mktemp -d) || exit 1
    trap 'rm -rf "$dir"' EXIT
    switch=arch/$arch/switch.S
    case $arch in
    x86_64) flags='-mno-red-zone -fcf-protection=branch' ;;
    aarch64) flags=-mbranch-protection=standard ;;
    esac
    run='' want=ok # what the program prints
    [ "$(uname -m)" = "$arch" ] || run="qemu-$arch -cpu max -L /usr/$arch-linux-gnu"
    # sanitizers' shadow collides with very random mappings
    case "$*" in *-fsanitize=[at]*) run="setarch -R $run" ;; esac
    # shellcheck disable=SC2086 # cxx and flags are lists of words
    compile() { $cxx -std=c++20 -g -I. $flags "$@"; }
    move_away() { aarch64-linux-gnu-objcopy --rename-section .text=.far "$dir/switch.o"; }
    build() {
        case $kind in
        plain | fails) compile "$@" -o "$dir/t" $test "$switch" ;;
        dso)
            compile "$@" -fPIC -shared -DGORT_MATRIX_DSO -o "$dir/libt.so" $test "$switch" &&
                compile "$@" -DGORT_MATRIX_HOST -o "$dir/t" $test -L"$dir" -lt -Wl,-rpath,"$dir"
            ;;
        archive)
            compile -c -o "$dir/switch.o" "$switch" && ar rcs "$dir/libs.a" "$dir/switch.o" &&
                compile "$@" -o "$dir/t" $test -L"$dir" -ls
            ;;
        veneer) # the switchers 256 MiB away from everything else
            compile -c -o "$dir/switch.o" "$switch" &&
                move_away &&
                compile "$@" -o "$dir/t" $test "$dir/switch.o" -static -no-pie -Wl,--section-start=.far=0x10000000
            ;;
        bare) # no libc: then qemu checks landing pads
            compile -c -o "$dir/switch.o" "$switch" || return
            case "$*" in *.far=*) move_away ;; esac
            compile -ffreestanding -fno-exceptions -fno-rtti -fno-stack-protector -nostdlib -static -no-pie "$@" \
                -o "$dir/t" tests/arch_test_bare.cc "$dir/switch.o" && want=
            ;;
        esac
    }
    if ! build "$@" >"$dir/out" 2>&1; then
        echo "FAIL $label does not build: $(head -n 5 "$dir/out")"
        exit 0
    fi
    # run is a list of words
    # shellcheck disable=SC2086
    if timeout "${LIMIT:-60}" $run "$dir/t" >"$dir/out" 2>&1 && [ "$(cat "$dir/out")" = "$want" ]; then
        [ "$kind" != fails ] && echo "ok $label" || echo "FAIL $label: passes, and must not"
    else
        [ "$kind" = fails ] && echo "ok $label" || echo "FAIL $label: $(tail -n 5 "$dir/out")"
    fi
    exit 0
fi

jobs=$(mktemp) results=$(mktemp)
trap 'rm -f "$jobs" "$results"' EXIT
job() { # KIND ARCH COMPILER FLAGS...
    local kind=$1 arch=$2 cxx=$3
    shift 3
    printf '%q ' one "$arch ${cxx%% *} $kind $*" "$kind" "$arch" "$cxx" "$@" >>"$jobs"
    echo >>"$jobs"
}
have() { command -v "$1" >/dev/null; }

host=$(uname -m)
skipped=0
CXXS=${CXXS:-g++ clang++}
if [ "${1-}" = quick ]; then
    for level in -O0 -O3; do job plain "$host" "${CXXS%% *}" $level; done
else
    for cxx in $CXXS; do
        have "$cxx" || { echo "skip: no $cxx" && continue; }
        for level in -O0 -O1 -O2 -O3 -Os; do
            job plain "$host" "$cxx" $level
            job plain "$host" "$cxx" $level -fomit-frame-pointer -march=native
        done
        job plain "$host" "$cxx" -O2 -fno-omit-frame-pointer
        job plain "$host" "$cxx" -O2 -fstack-protector-all
        job plain "$host" "$cxx" -O2 -ffunction-sections -fdata-sections -Wl,--gc-sections
        job plain "$host" "$cxx" -O3 -funroll-loops -fno-inline-small-functions
        job plain "$host" "$cxx" -O2 -static -no-pie
        if .ci/need "$cxx/sanitizers"; then
            for san in address thread undefined; do job plain "$host" "$cxx" -O1 -fsanitize=$san; done
            job plain "$host" "$cxx" -O0 -fsanitize=address,undefined
        else
            echo "skip: $cxx -fsanitize"
            skipped=$((skipped + 4))
        fi
        job dso "$host" "$cxx" -O2
        job dso "$host" "$cxx" -O3 -fno-plt
        job dso "$host" "$cxx" -O2 -flto
        job archive "$host" "$cxx" -O2
        job bare "$host" "$cxx" -O2
        job archive "$host" "$cxx" -O3 -flto
        if [ "$host" = x86_64 ]; then
            job plain "$host" "$cxx" -O2 -fcf-protection=full
            job plain "$host" "$cxx" -O2 -mavx2
            job plain "$host" "$cxx" -O2 -mcmodel=large
            grep -qw avx512bw /proc/cpuinfo &&
                job plain "$host" "$cxx" -O3 -march=skylake-avx512 -mprefer-vector-width=512
            job fails "$host" "$cxx" -O2 -mred-zone # the wrapper's rule 1: this is why
            [ "$cxx" = g++ ] && job plain "$host" "$cxx" -O2 -mfpmath=387 -mpc64
        fi
    done
    if [ "$host" != aarch64 ] && have aarch64-linux-gnu-g++ && have qemu-aarch64; then
        for cxx in aarch64-linux-gnu-g++ 'clang++ --target=aarch64-linux-gnu'; do
            have "${cxx%% *}" || continue
            for level in -O0 -O1 -O2 -O3 -Os; do job plain aarch64 "$cxx" $level; done
            job plain aarch64 "$cxx" -O2 -fomit-frame-pointer
            job plain aarch64 "$cxx" -O2 -mbranch-protection=none
            job plain aarch64 "$cxx" -O2 -march=armv8-a+sve
            job plain aarch64 "$cxx" -O3 -march=armv8-a+sve
            job plain aarch64 "$cxx" -O2 -static
            job dso aarch64 "$cxx" -O2
            job veneer aarch64 "$cxx" -O2
            job bare aarch64 "$cxx" -O2 -Wl,-z,force-bti
            job bare aarch64 "$cxx" -O2 -Wl,-z,force-bti -Wl,--section-start=.far=0x10000000
        done
        job archive aarch64 aarch64-linux-gnu-g++ -O3 -flto
    else
        echo 'skip: ARM64 needs aarch64-linux-gnu-g++ and qemu-aarch64'
    fi
fi
# each line of jobs is quoted for a shell
# shellcheck disable=SC2016
xargs -P 2 -d '\n' -n 1 bash -c 'eval "set -- $1"; exec "$0" "$@"' "$0" <"$jobs" >"$results"

# What the unwinder reads, from both assemblers. Only the rows of each function: what stands in the CIE is
# their choice.
rows() {
    readelf --debug-dump=frames-interp "$1" |
        awk '/FDE/ { f = 1 } /CIE/ { f = 0 } f && /^[0-9a-f]+ +[a-z]/ { $1 = $1; print }' |
        sort # the compilers order the functions differently
}
if have g++ && have clang++ && [ "${1-}" != quick ]; then
    one=$(mktemp) two=$(mktemp)
    for s in arch/*/*.S; do
        gcc=g++ target=$(basename "$(dirname "$s")")
        [ "$target" = "$host" ] || gcc=$target-linux-gnu-g++
        have "$gcc" || continue
        "$gcc" -I. -c -o "$one" "$s" && clang++ --target="$target-linux-gnu" -I. -c -o "$two" "$s" &&
            difference=$(diff <(rows "$one") <(rows "$two")) && [ -n "$(rows "$one")" ] &&
            echo "ok $s: CFI" || echo "FAIL $s: g++ and clang++ write different CFI: ${difference-}"
    done >>"$results"
    rm -f "$one" "$two"
fi

grep -v '^ok ' "$results"
failed=$(grep -c ^FAIL "$results")
passed=$(grep -c '^ok ' "$results")
wanted=$(wc -l <"$jobs")
if [ $((passed + failed)) -lt "$wanted" ]; then
    echo "only $((passed + failed)) of $wanted ran"
    failed=$((failed + 1))
fi
printf '%d passed, %d failed' "$passed" "$failed"
[ $skipped = 0 ] || printf ', %d skipped' $skipped
echo
[ "$failed" -eq 0 ]
