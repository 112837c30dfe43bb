#!/bin/bash
# tests/net_examples_test.sh - the servers of examples/ and real clients: curl, redis-cli, redis-benchmark, nc where
# they are, else bash's own /dev/tcp. Malformed and oversized input gets a clear error, and ends that connection only.
# SPDX-License-Identifier: BSD-2-Clause
set -u
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0 skipped=0
dir=$(mktemp -d) servers=
trap 'kill $servers 2>/dev/null; rm -rf "$dir"' EXIT
make -s -j2 examples >"$dir/make" 2>&1 || {
    cat "$dir/make"
    exit 1
}
out=$(make -s print-OUT)
have() { command -v "$1" >/dev/null 2>&1; }

ok() { passed=$((passed + 1)); }
bad() {
    failed=$((failed + 1))
    echo "FAIL $1: got: $(printf '%s' "$2" | head -c 300)"
}
is() { if [ "$2" = "$3" ]; then ok; else bad "$1" "$2"; fi; }               # is NAME GOT WANT
has() { case $2 in *"$3"*) ok ;; *) bad "$1 (no '$3')" "$2" ;; esac; }      # has NAME GOT PART

# start PROGRAM [ARGS] - sets $pid and $port
start() {
    : >"$dir/$1.out" # of an earlier one of this name, whose port it said
    "$out/examples/$1" 127.0.0.1:0 "${@:2}" >"$dir/$1.out" 2>"$dir/$1.err" &
    pid=$!
    servers="$servers $pid"
    for _ in {1..200}; do
        port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$dir/$1.out" 2>/dev/null)
        [ -n "$port" ] && return
        sleep 0.05
    done
    echo "FAIL $1 does not start: $(cat "$dir/$1.err")"
    exit 1
}
# ends NAME SIGNAL - it ends well at the signal
ends() {
    kill "-$2" "$pid"
    wait "$pid"
    is "$1 ends at $2" "$? $(tail -n 1 "$dir/$1.out")" "0 stopped"
}
# talk TEXT - sends it, ends our side, prints what comes back until the end
talk() {
    exec 3<>"/dev/tcp/127.0.0.1/$port" || return
    printf '%b' "$1" >&3
    timeout 10 cat <&3 2>/dev/null
    exec 3<&- 3>&-
}
# The servers keep a connection as long as we do not end it, so a talk ends by a request that closes it.
zeros() { head -c "$1" /dev/zero | tr '\0' "${2:-x}"; }

# ---- http
start http_server
url=http://127.0.0.1:$port
get='GET / HTTP/1.1\r\nHost: x\r\n\r\n' last='GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
if have curl; then
    is "curl" "$(curl -s "$url/")" "Hello, World!"
    is "curl, kept alive" \
        "$(curl -sv "$url/a" "$url/b" 2>&1 >"$dir/x" | grep -c 'Re-using existing connection')" 1
    is "curl HEAD" "$(curl -sI "$url/" | head -n 1 | tr -d '\r')" "HTTP/1.1 200 OK"
    is "curl POST" "$(curl -s -o "$dir/x" -w '%{http_code}' -d x=1 "$url/")" 405
    is "curl HTTP/1.0" "$(curl -s0 "$url/")" "Hello, World!"
    is "curl, large header" "$(curl -s -o "$dir/x" -w '%{http_code}' -H "X: $(zeros 9000)" "$url/")" 431
    is "curl, chunked" \
        "$(curl -s -o "$dir/x" -w '%{http_code}' -X GET -H 'Transfer-Encoding: chunked' -d abc "$url/")" 501
else
    skipped=$((skipped + 7))
fi
is "pipelined requests" "$(talk "$get$get$get$last" | grep -c 'Hello, World!')" 4
has "a request in pieces" "$( (
    printf 'GET / HT'
    sleep 0.1
    printf 'TP/1.1\r\nHost: x\r\nConnection: cl'
    sleep 0.1
    printf 'ose\r\n\r\n'
) | { exec 3<>"/dev/tcp/127.0.0.1/$port"; cat >&3; timeout 10 cat <&3; })" "200 OK"
has "a body is skipped" "$(talk "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde$last")" "200 OK"
has "nonsense" "$(talk 'nonsense\r\n\r\n')" "400 Bad Request"
has "nonsense says why" "$(talk 'nonsense\r\n\r\n')" "malformed request line"
has "binary" "$(talk '\x00\x01\x02\xff \x03\r\n\r\n')" "400 Bad Request"
has "no host" "$(talk 'GET / HTTP/1.1\r\n\r\n')" "no Host"
has "two hosts" "$(talk 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n')" "400 Bad Request"
has "bad header line" "$(talk 'GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n')" "malformed header line"
has "bad length" "$(talk 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n')" "malformed Content-Length"
has "large body" "$(talk 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n')" "413 Content Too Large"
has "another version" "$(talk 'GET / HTTP/3.0\r\nHost: a\r\n\r\n')" "505 HTTP Version"
has "endless header" "$(talk "GET / HTTP/1.1\r\nX: $(zeros 20000)")" "431 Request Header"
has "broken after good" "$(talk "${get}oops\r\n\r\n")" "400 Bad Request"
exec 4<>"/dev/tcp/127.0.0.1/$port" # one that idles over all this and over the shutdown
has "others go on" "$(talk "$last")" "Hello, World!"
if have wrk; then
    report=$(wrk -t1 -c64 -d1s "$url/" 2>&1)
    case $report in
    *"Socket errors"* | *Non-2xx*) bad "wrk" "$report" ;;
    *Requests/sec*) ok ;;
    *) bad "wrk" "$report" ;;
    esac
else
    skipped=$((skipped + 1))
fi
ends http_server TERM
exec 4<&- 4>&-

# ---- key-value
start kv_server
kv=$pid kvport=$port
if have redis-cli; then
    r() { redis-cli -p "$port" "$@" 2>&1; }
    is "PING" "$(r ping)" PONG
    is "SET" "$(r set k v1)" OK
    is "GET" "$(r get k)" v1
    is "binary value" \
        "$(printf 'a\0b\r\nc' | r -x set b >/dev/null && r get b | od -An -tx1 | tr -d ' \n')" 6100620d0a630a
    is "INCR" "$(r incr n) $(r incr n)" "1 2"
    has "INCR of text" "$(r incr k)" "not an integer"
    is "DEL" "$(r del k n nothing)" 2
    is "GET of nothing" "$(r get k)" ""
    is "EXPIRE" "$(r set e 1 >/dev/null; r expire e 100) $(r ttl e)" "1 100"
    is "SET PX, expired" "$(r set e 1 px 1 >/dev/null; sleep 0.05; r exists e)" 0
    has "unknown command" "$(r frobnicate)" "unknown command 'frobnicate'"
    has "arguments" "$(r get)" "wrong number of arguments for 'get'"
else
    skipped=$((skipped + 12))
fi
if have redis-benchmark; then
    report=$(redis-benchmark -p "$port" -q -n 20000 -c 50 -P 8 -t ping,set,get,incr 2>&1)
    is "redis-benchmark" "$(printf '%s' "$report" | tr '\r' '\n' | grep -c '^[A-Z_]*: [0-9.]* requests per second')" 5
else
    skipped=$((skipped + 1))
fi
is "inline command" "$(talk 'ping\r\nquit\r\n' | tr -d '\r' | tr '\n' ' ')" "+PONG +OK "
# The dollar signs are the protocol's.
# shellcheck disable=SC2016
{
    has "broken length" "$(talk '*x\r\n')" "-ERR Protocol error: invalid multibulk length"
    has "broken bulk" "$(talk '*1\r\n#3\r\nabc\r\n')" "-ERR Protocol error: expected '\$'"
    has "negative bulk" "$(talk '*1\r\n$-5\r\n')" "-ERR Protocol error: invalid bulk length"
    has "oversized bulk" "$(talk '*1\r\n$99999999999\r\n')" "-ERR Protocol error: invalid bulk length"
    has "bulk without end" "$(talk '*1\r\n$3\r\nabcde\r\n')" "-ERR Protocol error: a bulk does not end"
    has "too many parts" "$(talk '*100000\r\n')" "-ERR Protocol error: invalid multibulk length"
    has "endless line" "$(talk "$(zeros 70000)")" "-ERR Protocol error: too big inline request"
}
is "others go on" "$(talk 'ping\r\nquit\r\n' | head -n 1 | tr -d '\r')" "+PONG"

# ---- proxy, in front of the key-value server
start tcp_proxy "127.0.0.1:$kvport"
is "through the proxy" "$(talk 'ping\r\nquit\r\n' | head -n 1 | tr -d '\r')" "+PONG"
is "many through the proxy" "$(for i in {1..20}; do talk "set p$i x\r\nquit\r\n" & done | grep -c OK)" 40
ends tcp_proxy TERM
start tcp_proxy 127.0.0.1:1 # nobody there
is "a proxy without a target closes" "$(talk x)" ""
for _ in {1..100}; do # the connection is closed first
    ! grep -q refused "$dir/tcp_proxy.err" || break
    sleep 0.1
done
has "and says why" "$(cat "$dir/tcp_proxy.err")" "Connection refused"
ends tcp_proxy INT
pid=$kv
ends kv_server INT

# ---- echo
start echo_server
if have nc; then
    over_nc() { printf 'over nc' | timeout 10 nc "$@" 127.0.0.1 "$port" 2>/dev/null; }
    is "nc" "$(over_nc -q 1 || over_nc -N)" "over nc"
    head -c 3000000 /dev/urandom >"$dir/big"
    timeout 20 nc -q 2 127.0.0.1 "$port" <"$dir/big" >"$dir/back"
    is "a large echo" "$(cmp "$dir/big" "$dir/back" 2>&1)" ""
else
    skipped=$((skipped + 2))
fi
exec 5<>"/dev/tcp/127.0.0.1/$port"
printf 'hello\n' >&5
read -r -t 10 line <&5
is "echo" "$line" hello
ends echo_server INT
is "the end is seen" "$(timeout 10 cat <&5)" ""
exec 5<&- 5>&-

# ---- chat
start chat_server
say() { printf '%s\n' "$2" >&"$1"; }
hear() {
    line=
    read -r -t 10 line <&"$1"
    is "chat: $2" "$line" "$2"
}
exec 5<>"/dev/tcp/127.0.0.1/$port" 6<>"/dev/tcp/127.0.0.1/$port" 7<>"/dev/tcp/127.0.0.1/$port"
hear 5 "your name?"
hear 6 "your name?"
hear 7 "your name?"
say 5 ann
hear 5 "* here:"
say 6 bob
hear 6 "* here: ann"
hear 5 "* bob has come"
say 5 "hi all"
hear 6 "ann: hi all"
say 7 "bad name"
hear 7 "error: a name has 1 to 32 visible characters"
is "chat: put out" "$(timeout 10 cat <&7)" ""
exec 7<>"/dev/tcp/127.0.0.1/$port"
hear 7 "your name?"
say 7 cy
read -r -t 10 line <&7
[ "$line" != "* here: bob ann" ] || line="* here: ann bob" # in any order
is "chat: who is here" "$line" "* here: ann bob"
hear 5 "* cy has come"
hear 6 "* cy has come"
say 7 "$(zeros 2000)"
hear 7 "error: a line has up to 1000 bytes"
hear 5 "* cy has gone"
hear 6 "* cy has gone"
exec 6<&- 6>&-
hear 5 "* bob has gone"
ends chat_server TERM

# ---- a bad address
is "a bad address" "$("$out/examples/echo_server" nonsense 2>&1) $?" "nonsense: missing port in address 1"

line="$passed passed, $failed failed"
[ $skipped -gt 0 ] && line="$line, $skipped skipped"
echo "$line"
[ $failed -eq 0 ]
