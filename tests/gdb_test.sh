#!/bin/bash
# tests/gdb_test.sh [live] [cores] [many] [arm64] - tools/gort-gdb.py on processes and cores of both CPUs.
# SPDX-License-Identifier: BSD-2-Clause
#
# tests/gdb_test_prog.cc says which goroutines there are and how it dies. OUT and ARM are the build folders of the
# libraries (default: those of make and make ARCH=aarch64, which is left out without the cross compiler).
# MANY: a live process with so many goroutines more, within 60 s (default 20000; a million takes 2 GiB).
# shellcheck disable=SC2016 # what gdb says and reads has $ and `
set -u
cd "$(dirname "$0")/.." || exit 1
.ci/need gdb || exit 1
make -s build/libgort.a >/dev/null || exit 1
lib=${OUT:-build}/libgort.a
arm=${ARM:-build/aarch64-release-g++}/libgort.a
script=$PWD/tools/gort-gdb.py
src=$PWD/tests/gdb_test_prog.cc
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
export LC_ALL=C DEBUGINFOD_URLS=
ulimit -c unlimited
passed=0 failed=0 skipped=0
parts=" ${*:-live cores many arm64} "
wants() { [[ $parts == *" $1 "* ]]; }

ok() { passed=$((passed + 1)); }
fail() {
    failed=$((failed + 1))
    printf 'FAIL %s\n' "$1"
    [ -z "${2:-}" ] || sed 's/^/    /' "$2" | tail -n "${3:-60}"
}
skip() {
    skipped=$((skipped + 1))
    echo "skip $1"
}
has() { # has NAME FILE PATTERN...: each extended regular expression is on some line
    local name=$1 file=$2 pattern
    shift 2
    for pattern; do
        grep -Eq -- "$pattern" "$file" || {
            fail "$name: no line with $pattern" "$file"
            return
        }
    done
    ok
}
lacks() { # lacks NAME FILE PATTERN
    if grep -Eq -- "$3" "$2"; then fail "$1: there is a line with $3" "$2"; else ok; fi
}
look() { # look GDB-ARGUMENT...: our script in a gdb that knows nothing else
    timeout 120 "${gdb:-gdb}" -batch -nx -iex 'set pagination off' -iex 'set width 0' -iex "source $script" "$@" 2>&1
}
build() { # build NAME FLAG...
    local name=$1
    shift
    ${cxx:-g++} -std=c++20 -O2 -g -mno-red-zone -I. "$@" -o "$dir/$name" "$src" "$lib" -pthread \
        >"$dir/$name.log" 2>&1 || {
        fail "build of $name" "$dir/$name.log"
        return 1
    }
}
die() { # die PROGRAM HOW: its core is then $dir/core
    rm -f "$dir"/core*
    # Without a report, which takes so long on a busy machine that what has not begun may begin elsewhere.
    (cd "$dir" && GORT_TRACEBACK=none "./$1" "$2" >/dev/null 2>&1)
    set -- "$dir"/core*
    [ -s "$1" ] && mv "$1" "$dir/core" 2>/dev/null
    [ -s "$dir/core" ]
}

# What `info goroutines` says of the nine that are the same however the program ends.
usual=('^. 2 +chan receive +[0-9.]+ s +receiver\(gort::chan<int>, int\) at .*gdb_test_prog.cc:[0-9]+'
    '^. 3 +chan receive .* receiver\(.*, created by .* at .*gdb_test_prog.cc:[0-9]+'
    '^. 7 +sleep +[0-9.]+ s +main::.*lambda.*operator\(\)'
    '^. 8 +sync.Mutex.Lock .* locks\(gort::mutex\*\) at '
    '^. 9 +tied +chan receive, locked to thread .* locked_sleeper\(gort::chan<int>\) at '
    '^. 10 +running on LWP [0-9]+ .* computes\(\) at ')

# ---- live ----

cat >"$dir/live.gdb" <<'EOF'
break stop_here
run
echo ==== before\n
info all-registers
echo ==== list\n
info goroutines
echo ==== three\n
goroutine 3 bt
echo ==== locals\n
goroutine 3 frame apply all -s -q print local
echo ==== main\n
goroutine 1 bt
echo ==== all\n
goroutine all bt
echo ==== where\n
goroutine all frame apply all -s -q print local
echo ==== after\n
info all-registers
echo ==== end\n
set var g_go_on = 1
delete
continue
EOF
wants live || wants cores || wants many && build pie
wants live && [ -x "$dir/pie" ] && {
    cat >"$dir/errors.gdb" <<'EOF'
info goroutines
break stop_here
run
goroutine 1 step
goroutine 77 bt
goroutine 2
goroutine x bt
goroutine 2 nonsense
EOF
    while read -r line; do # each alone: the first error ends a batch
        printf 'break stop_here\nrun\n%s\n' "$line" >"$dir/error.gdb"
        look -x "$dir/error.gdb" "$dir/pie"
    done <"$dir/errors.gdb" >"$dir/errors" 2>&1
    look -ex 'info goroutines' "$dir/pie" >>"$dir/errors"
    has 'errors say what was wrong' "$dir/errors" 'goroutine: `step` lets the process run' \
        'goroutine 77: there is none; `info goroutines` lists them' 'usage: goroutine N CMD' \
        'Undefined command: "nonsense"' 'there is no process and no core'
    cat >"$dir/nogort.c" <<'EOF'
int main(void) { return 0; }
EOF
    gcc -g -o "$dir/nogort" "$dir/nogort.c"
    look -ex 'break main' -ex run -ex 'info goroutines' "$dir/nogort" >"$dir/out"
    has 'a program without gort' "$dir/out" 'there is no gort in this program'
}

live() { # live NAME
    local name=$1
    look -x "$dir/live.gdb" "$dir/$name" >"$dir/out"
    part() { awk -v part="==== $1" '/^==== / { on = $0 == part; next } on && !/^\[/' "$dir/out" >"$dir/part"; }
    part list
    has "$name, live: info goroutines" "$dir/part" "${usual[@]}" '^\* 1 +running on LWP .* stop_here'
    part three
    has "$name, live: goroutine 3 bt" "$dir/part" '^#0 ' 'receiver \(c=.*depth=(depth@entry=)?2\) at' 'gort_entry'
    lacks "$name, live: one stack only" "$dir/part" 'stop_here|computes'
    part locals
    has "$name, live: the variables of its frames" "$dir/part" '= 40$' '= 41$' '= 42$'
    part main
    has "$name, live: the running one" "$dir/part" '^#0 .*stop_here'
    part all
    has "$name, live: equal stacks once" "$dir/part" '^3 goroutines 2, 4, 6 \[chan receive\]:' \
        '^2 goroutines 3, 5 \[chan receive\]:' '^created by '
    part where
    has "$name, live: a command on each" "$dir/part" '^goroutine 6 \[chan receive\]:' '= 42$'
    # Everything that `info all-registers` shows is as before, and all goes on to its right end.
    part before && mv "$dir/part" "$dir/before"
    part after && mv "$dir/part" "$dir/after"
    if [ -s "$dir/before" ] && diff "$dir/before" "$dir/after" >"$dir/diff"; then ok
    else fail "$name, live: registers are given back" "$dir/diff"; fi
    has "$name, live: it goes on" "$dir/out" '^sum 2$' 'exited normally'
}
wants live && [ -x "$dir/pie" ] && live pie

# In the middle of a system call that is to be restarted, from outside.
if wants live && [ -x "$dir/pie" ]; then
    "$dir/pie" wait >"$dir/attached" 2>&1 &
    pid=$!
    sleep 0.5
    look -p $pid -ex 'p $orig_rax' -ex 'thread apply all -q p $rip' -ex 'goroutine 2 bt' -ex 'goroutine all bt' \
        -ex 'p $orig_rax' -ex 'thread apply all -q p $rip' -ex 'set var g_go_on = 1' -ex detach >"$dir/out"
    has 'attached' "$dir/out" 'receiver \(c='
    grep -E '^\$[0-9]+ = ' "$dir/out" | sed 's/^[^=]*= //' >"$dir/values"
    n=$(wc -l <"$dir/values")
    half=$((n / 2))
    if [ "$n" -ge 8 ] && diff <(head -n $half "$dir/values") <(tail -n $half "$dir/values") >"$dir/diff"; then ok
    else fail 'attached: pc and orig_rax are given back' "$dir/diff"; fi
    if wait $pid && grep -q '^sum 2$' "$dir/attached"; then ok
    else fail 'attached: it goes on' "$dir/attached"; fi
fi

# ---- cores ----

core() { # core NAME PROGRAM-FILE WHAT-MAIN-SHOWS
    look "$dir/$2" "$dir/core" -ex 'echo ==== list\n' -ex 'info goroutines' \
        -ex 'echo ==== three\n' -ex 'goroutine 3 bt' \
        -ex 'echo ==== locals\n' -ex 'goroutine 3 frame apply all -s -q print local' -ex 'echo ==== main\n' \
        -ex 'goroutine 1 bt' -ex 'echo ==== all\n' -ex 'goroutine all bt' >"$dir/out"
    part() { awk -v part="==== $1" '/^==== / { on = $0 == part; next } on && !/^\[/' "$dir/out" >"$dir/part"; }
    part list
    has "$1: info goroutines" "$dir/part" "${usual[@]}" '^\* 1 +running on LWP '
    part three
    has "$1: goroutine 3 bt" "$dir/part" '^#0 .*gort::' 'receiver \(c=.*depth=(depth@entry=)?2\) at' 'gort_entry'
    part locals
    has "$1: the variables of its frames" "$dir/part" '= 40$' '= 41$' '= 42$'
    part main
    has "$1: the goroutine that died" "$dir/part" "$3" 'gort_entry'
    part all
    has "$1: equal stacks once" "$dir/part" '^3 goroutines 2, 4, 6 \[chan receive\]:'
}
if ! wants cores; then
    :
elif [ -x "$dir/pie" ] && die pie segv; then
    core 'core' pie '#[0-9]+ .* die \('
    # Without symbols the list still says who waits for what; with the debug information beside it, all is said.
    cp "$dir/pie" "$dir/bare"
    objcopy --only-keep-debug "$dir/bare" "$dir/bare.debug"
    strip "$dir/bare"
    look "$dir/bare" "$dir/core" -ex 'info goroutines' >"$dir/out"
    has 'stripped: info goroutines' "$dir/out" \
        '^. 2 +chan receive +' '^. 8 +sync.Mutex.Lock ' '^. 10 +running on LWP '
    (cd "$dir" && objcopy --add-gnu-debuglink=bare.debug bare)
    core 'stripped, with separate debug information' bare '#[0-9]+ .* die \('
    die pie handler && core 'died in a signal handler' pie 'signal handler called'
    die pie gort && core 'died in gort' pie 'gort::'
    die pie fresh && {
        look "$dir/pie" "$dir/core" -ex 'info goroutines' -ex 'goroutine all bt' -ex 'goroutine 11 bt' >"$dir/out"
        has 'one that has not begun' "$dir/out" '^. 11 +runnable, not begun .*lambda' '^not begun: ' \
            'goroutine 11 has not begun to run: it has no stack yet'
    }
    for variant in static:-static static-pie:-static-pie no-pie:-no-pie lto:-flto frameless:-fomit-frame-pointer; do
        name=${variant%%:*}
        build "$name" "${variant#*:}" && die "$name" segv && core "$name" "$name" '#[0-9]+ .* die \('
    done
    command -v clang++ >/dev/null && cxx=clang++ build clang && die clang segv &&
        core 'clang++' clang '#[0-9]+ .* die \('
else
    skip 'cores: this system keeps them elsewhere (/proc/sys/kernel/core_pattern)'
fi

# ---- many ----

if wants many && [ -x "$dir/pie" ]; then
    many=${MANY:-20000}
    start=$SECONDS
    look "$dir/pie" -ex 'break stop_here' -ex "run $many" -ex 'echo ==== list\n' -ex 'info goroutines' \
        -ex 'echo ==== all\n' -ex 'goroutine all bt' -ex kill >"$dir/out"
    has "$many goroutines: listed" "$dir/out" "^. $((many + 10)) +chan receive .* receiver"
    # where it changed Ps their ids have gaps
    has "$many goroutines: grouped" "$dir/out" "^$many goroutines 11-[-0-9, ]* \[chan receive\]:"
    if [ $((SECONDS - start)) -le $((60 + many / 20000)) ]; then ok
    else fail "$many goroutines took $((SECONDS - start)) s"; fi
fi

# ---- ARM64, by qemu ----

# A CPU that does not sign return addresses: qemu does not tell gdb how to take the signature off, as Linux does.
gdb=gdb-multiarch cpu=(-cpu cortex-a72)
if ! wants arm64; then
    :
elif ! .ci/need qemu-aarch64 aarch64-linux-gnu-g++ gdb-multiarch; then
    skip 'ARM64: it takes a cross compiler, qemu-user and gdb-multiarch'
elif ! make -s -j2 ARCH=aarch64 CXXFLAGS=-g1 build/aarch64-release-g++/libgort.a >"$dir/log" 2>&1; then
    fail 'ARM64: the library' "$dir/log"
elif aarch64-linux-gnu-g++ -std=c++20 -O2 -g -static -I. -o "$dir/arm" "$src" "$arm" -pthread >"$dir/log" 2>&1; then
    port=$((20000 + $$ % 20000))
    qemu-aarch64 "${cpu[@]}" -g $port "$dir/arm" wait >"$dir/qemu" 2>&1 &
    pid=$!
    sed -e "s/^run$/target remote :$port\nbreak stop_here\ncontinue/" -e '1d' "$dir/live.gdb" >"$dir/arm.gdb"
    look -x "$dir/arm.gdb" "$dir/arm" >"$dir/out"
    part() { awk -v part="==== $1" '/^==== / { on = $0 == part; next } on && !/^\[/' "$dir/out" >"$dir/part"; }
    part list
    has 'ARM64, live: info goroutines' "$dir/part" "${usual[@]}" '^\* 1 +running on LWP .* stop_here'
    part three
    has 'ARM64, live: goroutine 3 bt' "$dir/part" '^#0 ' 'receiver \(c=.*depth=(depth@entry=)?2\) at' 'gort_entry'
    part locals
    has 'ARM64, live: the variables of its frames' "$dir/part" '= 40$' '= 41$' '= 42$'
    part all
    has 'ARM64, live: equal stacks once' "$dir/part" '^3 goroutines 2, 4, 6 \[chan receive\]:'
    wait $pid
    has 'ARM64, live: it goes on' "$dir/qemu" '^sum 2$'
    (cd "$dir" && rm -f core* ./*.core && qemu-aarch64 "${cpu[@]}" ./arm segv >/dev/null 2>&1)
    set -- "$dir"/qemu_*.core
    if [ -s "$1" ] && mv "$1" "$dir/core"; then core 'ARM64, core' arm '#[0-9]+ .* die \('
    else fail 'ARM64: qemu left no core'; fi
else
    fail 'ARM64: build' "$dir/log"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
