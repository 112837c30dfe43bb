#!/bin/bash
# tests/recipes_test.sh - builds and runs examples/recipes/, with the real servers on loopback where Debian has them.
# SPDX-License-Identifier: BSD-2-Clause
#
# A recipe that needs a library says `// needs: NAME` in its head, NAME as pkg-config knows it. As root on a Debian the
# libraries and servers are installed (.ci/need); where they are not to be had the recipe is skipped. Servers run with
# their data in a folder of this test's and are stopped at its end.
set -u
cd "$(dirname "$0")/.." || exit 1
cxx=${CXX:-g++}
lib=$(make -s print-LIB) && make -s "$lib" || exit 1
dir=$(mktemp -d) || exit 1
chmod 755 "$dir"
passed=0 failed=0 skipped=0
stop_servers() {
    [ -z "${redis:-}" ] || kill "$redis" 2>/dev/null
    [ -z "${postgres:-}" ] || as_postgres "$postgres/pg_ctl" -s -D "$dir/pg" -m immediate stop
    rm -rf "$dir"
}
trap stop_servers EXIT

skip() {
    skipped=$((skipped + 1))
    echo "skip $1"
}
fail() {
    failed=$((failed + 1))
    echo "FAIL $1"
}
build() { # build NAME: 0 if $dir/NAME is there
    local source=examples/recipes/$1.cc needs log flags=()
    needs=$(sed -n 's|^// needs: ||p' "$source")
    if [ -n "$needs" ]; then
        log=$(.ci/need pkg-config "$needs" 2>&1)
        # shellcheck disable=SC2086
        pkg-config --exists $needs || {
            skip "$1: no $needs here. $log"
            return 1
        }
        # shellcheck disable=SC2086
        read -ra flags < <(pkg-config --cflags --libs $needs)
    fi
    log=$("$cxx" -std=c++20 -O1 -Wall -Wextra -Werror -I. -o "$dir/$1" "$source" "$lib" "${flags[@]}" \
        -pthread 2>&1) || {
        fail "$1 does not build"
        echo "$log"
        return 1
    }
}
run() { # run NAME WANTED-OUTPUT [ARGUMENT...]
    local name=$1 want=$2 got
    shift 2
    got=$(timeout 100 "$dir/$name" "$@" 2>&1) || {
        fail "$name: exit status $?"
        echo "$got"
        return
    }
    if [ "$got" = "$want" ]; then
        passed=$((passed + 1))
    else
        fail "$name: its output is not as it should be"
        diff <(echo "$want") <(echo "$got")
    fi
}
free_port() { # the kernel's choice; somebody else may take it in between, then the test fails and says so
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
as_postgres() { # PostgreSQL does not run as root
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=postgres --regid=postgres --clear-groups env HOME="$dir" "$@"
    else
        "$@"
    fi
}

build rate_limiter && run rate_limiter 'burst: yes
ten more take 35 ms at least: yes
cancelled'

build subprocess && run subprocess 'hello
exit status 3
waiting
killed by signal 9
/no/such/program: No such file or directory'

build graceful_shutdown && run graceful_shutdown 'working on one
done: one
working on two
done: two
then: closed
nobody else gets in
all were served'

build tls_echo && run tls_echo 'hello under TLS
a megabyte: the same
another name: refused'

if build gtest_fixture; then
    if got=$(timeout 100 "$dir/gtest_fixture" 2>&1) && grep -q 'PASSED.* 3 tests' <<<"$got"; then
        passed=$((passed + 1))
    else
        fail gtest_fixture
        echo "$got"
    fi
fi

if build redis_queue; then
    .ci/need redis-server >/dev/null 2>&1
    if ! command -v redis-server >/dev/null; then
        skip 'redis_queue: no redis-server here'
    else
        port=$(free_port)
        redis-server --bind 127.0.0.1 --port "$port" --save '' --appendonly no --dir "$dir" >"$dir/redis.log" 2>&1 &
        redis=$!
        for _ in $(seq 100); do # until it answers
            redis-cli -p "$port" ping >/dev/null 2>&1 && break
            sleep 0.1
        done
        run redis_queue '338350
workers are gone' "$port"
    fi
fi

if build postgres_pool; then
    .ci/need postgres >/dev/null 2>&1
    postgres=$(find /usr/lib/postgresql/*/bin -name initdb -printf '%h\n' 2>/dev/null | sort -V | tail -n 1)
    if [ -z "$postgres" ]; then
        skip 'postgres_pool: no PostgreSQL server here'
    else
        mkdir "$dir/pg"
        [ "$(id -u)" != 0 ] || chown postgres "$dir/pg" "$dir"
        if as_postgres "$postgres/initdb" -A trust -N -U gort -D "$dir/pg" >"$dir/pg.log" 2>&1 &&
            as_postgres "$postgres/pg_ctl" -s -w -D "$dir/pg" -l "$dir/pg/log" \
                -o "-c listen_addresses='' -c unix_socket_directories='$dir' -c fsync=off" start; then
            run postgres_pool '2470
ERROR:  division by zero
too slow
nobody sleeps' "host=$dir user=gort dbname=postgres"
        else
            postgres=''
            fail 'postgres_pool: the server does not start'
            cat "$dir/pg.log" "$dir/pg/log" 2>/dev/null
        fi
    fi
fi

printf '%d passed, %d failed' $passed $failed
[ $skipped = 0 ] || printf ', %d skipped' $skipped
echo
[ $failed = 0 ]
