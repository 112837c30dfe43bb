#!/bin/bash
# tests/flags_test.sh - programs that are compiled without RTTI, without exceptions, or without both.
# SPDX-License-Identifier: BSD-2-Clause
#
# The headers compile, a program that uses what has exceptions or type names inside behaves as with them, and what
# cannot work says so where it is called.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/script.sh
warn=(-std=c++20 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast -Werror -I.)
make -s print-PUBLIC | tr ' ' '\n' | sed 's/.*/#include "&"/' >"$dir/all.cc"

cat >"$dir/user.cc" <<'EOF'
#include <gort.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#define CK(x) do if (!(x)) { std::printf("line %d: %s\n", __LINE__, #x); std::_Exit(1); } while (0)
using namespace std::chrono_literals;
namespace user {
struct plain { int x; };
struct own : gort::ctx::context_base {};  // has no name of its own
}
inline constexpr gort::ctx::key<user::plain> key{"key"};

static int everything() {
    auto once = gort::once_value([] { return 7; });
    CK(once() == 7 && once() == 7);
    int calls = 0;
    auto f = gort::once_func([&] { ++calls; });
    f();
    f();
    CK(calls == 1);

    gort::single_flight<std::string, int> flight;
    CK(flight.call("k", [] { return 3; }).value == 3);
    auto got = gort::make_chan<gort::single_flight<std::string, int>::result>(1);
    flight.call_chan("k", [] { return 4; }, got);
    CK(got.recv().value == 4);

    gort::err_group group;
    group.go([] { return std::make_error_code(std::errc::io_error); });
    group.go([] {});
    CK(group.wait() == std::errc::io_error);

    auto c = gort::ctx::with_value(gort::ctx::background(), key, user::plain{1});
    CK(c.value(key)->x == 1);
    const std::string text = to_string(c);
    CK(text.find("user::plain") != text.npos);
    auto mine = gort::ctx::make_context<user::own>();
    const std::string name = to_string(mine);
#ifdef __cpp_rtti
    CK(name.find("user::own") != name.npos);
#else
    CK(name.find("a context") != name.npos);
#endif
    auto [timed, cancel] = gort::ctx::with_timeout(gort::ctx::background(), 1ms);
    timed.done().recv();
    CK(timed.err() == gort::ctx::errc::deadline_exceeded);
    cancel();

    auto ch = gort::make_chan<std::string>(2);
    gort::go([=] { ch << "a"; ch << "b"; ch.close(); });
    std::string all;
    for (std::string s : ch) all += s;
    CK(all == "ab");
    CK(gort::select(gort::on_recv(ch, all), gort::otherwise()) == 0);
    {
        gort::defer d{[&] { ++calls; }};
    }
    CK(calls == 2);
    gort::wait_group wg;
    gort::mutex mu;
    for (int i = 0; i < 10; ++i) wg.go([&] { std::lock_guard g(mu); ++calls; });
    wg.wait();
    CK(calls == 12);
    auto no = gort::net::listen("no such host:1");
    CK(!no);
    return 0;
}
int main(int argc, char**) {
    return gort::run([=] {
        if (argc > 1) gort::make_chan<int>(-1);
        return everything();
    });
}
EOF
cat >"$dir/exits.cc" <<'EOF'
#include <gort.h>
int main() { return gort::run([] { gort::goexit(); }); }
EOF

for cxx in "${compilers[@]}"; do
    for flags in '' '-fno-rtti' '-fno-exceptions' '-fno-rtti -fno-exceptions'; do
        read -ra flag <<<"$flags"
        name="$cxx $flags"
        check "$name: all headers" "$cxx" "${warn[@]}" "${flag[@]}" -fsyntax-only "$dir/all.cc"
        check "$name: a program" \
            "$cxx" "${warn[@]}" "${flag[@]}" -O1 -o "$dir/user" "$dir/user.cc" "$lib" -pthread
        check "$name: it runs" timeout 20 "$dir/user"
        check "$name: a panic is reported" says 'panic: makechan: size out of range' timeout 20 "$dir/user" panic
        if [[ $flags == *-fno-exceptions* ]]; then
            check "$name: goexit" says 'with -fno-exceptions: goexit unwinds the stack' \
                "$cxx" "${warn[@]}" "${flag[@]}" -fsyntax-only "$dir/exits.cc"
        else
            check "$name: goexit" "$cxx" "${warn[@]}" "${flag[@]}" -fsyntax-only "$dir/exits.cc"
        fi
    done
done
finish
