#!/bin/bash
# tests/plugin_test.sh - shared objects with a gort of their own: loaded and unloaded again, beside other copies.
# SPDX-License-Identifier: BSD-2-Clause
#
# A host without gort loads a plugin, uses it and unloads it, again and again, and looks whether anything of it is left:
# mappings, threads, descriptors, signal handlers, the terminate handler, keys of thread-specific data, a thread's
# signal stack. Then a host with a gort of its own, all of whose symbols the plugin can see.
set -u
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=tests/script.sh
. tests/script.sh
warn=(-std=c++20 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast -Werror -I.)
as_pkg_config_says=(-fstack-clash-protection -pthread '-Wl,-Bsymbolic-functions')

cat >"$dir/plugin.cc" <<'EOF'
#include <gort.h>
#include <signal.h>
#include <unistd.h>
#include <atomic>
#include <string>
#define API extern "C" [[gnu::visibility("default")]]
using namespace std::chrono_literals;
namespace {
gort::chan<int> g_kept;  // destroyed when the plugin goes
gort::mutex g_mu;
gort::pool<std::string> g_pool{[] { return std::string("p"); }};
constexpr gort::ctx::key<int> kKey{"key"};
struct Counted {
    inline static int* alive = nullptr;
    Counted() { ++*alive; }
    ~Counted() { --*alive; }
};
gort::goroutine_local<Counted> g_mine;

int all_kinds() {
    g_kept = gort::make_chan<int>(4);
    std::atomic<int> sum = 0;
    gort::wait_group wg;
    for (int i = 0; i < 500; ++i)
        wg.go([&, i] {
            std::lock_guard guard(g_mu);
            gort::yield();
            sum += i;
        });
    auto words = gort::make_chan<std::string>();
    gort::go([=] {
        for (int i = 0; i < 10; ++i) words << "x";
        words.close();
    });
    for (const std::string& s : words) sum += static_cast<int>(s.size());
    wg.wait();
    auto [timed, cancel] = gort::ctx::with_timeout(gort::ctx::with_value(gort::ctx::background(), kKey, 5), 1ms);
    timed.done().recv();
    sum += *timed.value(kKey);
    std::string s = g_pool.get();
    g_pool.put(std::move(s));
    gort::blocking([] { usleep(1000); });
    auto listener = gort::net::listen("127.0.0.1:0");
    sum += listener ? 1 : 0;
    int got = 0;
    g_kept << 7;
    gort::select_case cases[] = {gort::on_recv(g_kept, got), gort::on_recv(words)};
    gort::select_any(cases);
    g_kept << 8;
    try {
        gort::make_chan<int>(-1);
    } catch (const gort::panic_error&) {
        sum += 1;
    }
    return sum == 500 * 499 / 2 + 10 + 5 + 1 + 1 ? 0 : 1;
}
}  // namespace

API int work(int procs) {
    gort::options o;
    o.max_procs = procs;
    return gort::run(all_kinds, o);
}
API void catches_signals() {
    static auto got = gort::make_chan<int>(1);
    gort::signals::notify(got, {SIGUSR1, SIGTERM});
    gort::signals::ignore({SIGUSR2});
}
API void panics() { gort::make_chan<int>(-1); }
// A run that leaves a goroutine behind which computes until *stop.
API int leave_one_behind(std::atomic<int>* stop, std::atomic<int>* ended) {
    gort::options o;
    o.max_procs = 2;
    return gort::run([=] {
        std::atomic<int> runs{0};
        gort::go([=, &runs] {
            runs = 1;
            while (*stop == 0) {
            }
            ++*ended;
        });
        while (runs == 0) gort::yield();
    }, o);
}
API void start_and_go(std::atomic<int>* ticks) {
    gort::start();
    gort::go([=] {
        for (gort::ticker t(1ms);; t.c().recv()) ++*ticks;
    });
    gort::go([] { gort::select(); });
}
// On a thread of the program's own.
API int call_in(int* alive) {
    Counted::alive = alive;
    (void)*g_mine;
    auto c = gort::make_chan<int>(1);
    c << 1;
    return c.recv();
}
EOF

cat >"$dir/host.h" <<'EOF'
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <string>
#include <thread>
#define CK(x) do if (!(x)) { std::printf("line %d: %s\n", __LINE__, #x); std::fflush(stdout); std::_Exit(1); } while (0)
inline long count(const char* path) {
    long n = 0;
    DIR* d = opendir(path);
    while (readdir(d)) ++n;
    closedir(d);
    return n;
}
inline long mappings(const std::string& of = "") {
    std::ifstream maps("/proc/self/maps");
    long n = 0;
    for (std::string line; std::getline(maps, line);) n += line.find(of) != line.npos;
    return n;
}
// What a plugin may have changed.
struct State {
    struct sigaction actions[32];
    stack_t stack;
    std::terminate_handler terminate;
    pthread_key_t key;
    long fds, threads;
    static State now() {
        State s;
        std::memset(static_cast<void*>(&s), 0, sizeof s);
        for (int sig = 1; sig < 32; ++sig) sigaction(sig, nullptr, &s.actions[sig]);
        sigaltstack(nullptr, &s.stack);
        s.terminate = std::get_terminate();
        pthread_key_create(&s.key, nullptr);
        pthread_key_delete(s.key);
        s.fds = count("/proc/self/fd");
        s.threads = count("/proc/self/task");
        return s;
    }
    const char* differs(const State& o) const {
        for (int sig = 1; sig < 32; ++sig)
            if (actions[sig].sa_handler != o.actions[sig].sa_handler) return "a signal's handler";
        if (stack.ss_sp != o.stack.ss_sp || stack.ss_flags != o.stack.ss_flags) return "the signal stack";
        if (terminate != o.terminate) return "the terminate handler";
        if (key != o.key) return "keys";
        if (fds != o.fds) return "descriptors";
        return threads != o.threads ? "threads" : nullptr;
    }
};
struct Plugin {
    void* handle;
    explicit Plugin(const char* path) : handle(dlopen(path, RTLD_NOW)) {
        if (!handle) std::puts(dlerror());
        CK(handle);
    }
    void close() { CK(dlclose(handle) == 0); }
    template <class F>
    auto* get(const char* name) {
        return reinterpret_cast<F*>(dlsym(handle, name));
    }
};
EOF

cat >"$dir/host.cc" <<'EOF'
#include "host.h"
int main(int, char** argv) {
    const std::string what = argv[1];
    const char* path = argv[2];
    const State before = State::now();
    const auto all_is_as_before = [&] {
        if (const char* d = before.differs(State::now())) std::printf("left behind: %s\n", d);
        CK(!before.differs(State::now()));
        CK(mappings("plugin.so") == 0);
    };
    if (what == "again") {
        long after_some = 0;
        for (int i = 0; i < 30; ++i) {
            Plugin p(path);
            CK(p.get<int(int)>("work")(1 + i % 3) == 0);
            p.close();
            all_is_as_before();
            if (i == 10) after_some = mappings();
        }
        CK(mappings() < after_some + 15);  // libc keeps stacks of threads
    } else if (what == "twice in one") {
        Plugin p(path);
        p.get<void()>("catches_signals")();
        for (int i = 0; i < 3; ++i) CK(p.get<int(int)>("work")(2) == 0);
        p.close();
        all_is_as_before();
    } else if (what == "threads") {
        // One that has run and one that has called in outlive the plugin; their ends call nothing of it.
        Plugin p(path);
        std::atomic<int> ready{0}, over{0};
        int alive = 0, other = 0;
        std::thread runs([&] {
            const State mine = State::now();
            CK(p.get<int(int)>("work")(2) == 0);
            CK(State::now().stack.ss_sp == mine.stack.ss_sp);
            ++ready;
            while (!over) usleep(100);
        });
        while (ready != 1) usleep(100);
        std::thread calls([&] {
            CK(p.get<int(int*)>("call_in")(&alive) == 1);
            ++ready;
            while (!over) usleep(100);
        });
        while (ready != 2) usleep(100);
        std::thread([&] { CK(p.get<int(int*)>("call_in")(&other) == 1); }).join();
        CK(other == 0);
        CK(p.get<int(int*)>("call_in")(&alive) == 1);
        CK(alive == 2);
        p.close();
        CK(alive == 0);  // their goroutine_locals
        over = 1;
        runs.join();
        calls.join();
        all_is_as_before();
        Plugin q(path);
        CK(q.get<int(int)>("work")(2) == 0);
        q.close();
        all_is_as_before();
    } else if (what == "left behind") {
        std::atomic<int> stop{0}, ended{0};
        Plugin p(path);
        CK(p.get<int(std::atomic<int>*, std::atomic<int>*)>("leave_one_behind")(&stop, &ended) == 0);
        p.close();
        CK(mappings("plugin.so") != 0);
        stop = 1;
        while (!ended) usleep(100);
        Plugin q(path);
        CK(q.get<int(int)>("work")(2) == 0);
        q.close();
    } else if (what == "started") {
        std::atomic<int> ticks{0};
        for (int i = 0; i < 3; ++i) {
            Plugin p(path);
            p.get<void(std::atomic<int>*)>("start_and_go")(&ticks);
            const int seen = ticks;
            while (ticks == seen) usleep(100);
            p.close();
            all_is_as_before();
        }
    } else if (what == "exit") {
        static std::atomic<int> ticks{0};
        Plugin p(path);
        p.get<void(std::atomic<int>*)>("start_and_go")(&ticks);
        static auto* call_in = p.get<int(int*)>("call_in");
        static int alive = 0;
        std::thread([] {
            for (;;) call_in(&alive);  // goes on while the process exits
        }).detach();
        while (ticks < 3) usleep(100);
        std::exit(7);
    } else if (what == "forked") {
        Plugin p(path);
        CK(p.get<int(int)>("work")(2) == 0);
        if (fork() == 0) {
            CK(p.get<int(int)>("work")(2) == 0);
            p.close();
            all_is_as_before();
            std::_Exit(7);
        }
        int status = 0;
        wait(&status);
        p.close();
        all_is_as_before();
        return WEXITSTATUS(status);
    }
    return 0;
}
EOF
sed -i 's/#include <unistd.h>/#include <sys\/wait.h>\n&/' "$dir/host.h"

cat >"$dir/both.cc" <<'EOF'
#define work own_work
#define panics own_panics
#define leave_one_behind own_leave_one_behind
#define start_and_go own_start_and_go
#define call_in own_call_in
#define catches_signals own_catches_signals
#include "plugin.cc"
#undef work
#undef panics
#undef call_in
#include "host.h"
int main(int argc, char** argv) {
    CK(own_work(2) == 0);
    while (count("/proc/self/task") != 3) usleep(100);
    const State before = State::now();
    for (int i = 0; i < 3; ++i) {
        Plugin p(argv[1]);
        auto* work = p.get<int(int)>("work");
        CK(work(2) == 0);
        gort::options o;
        o.max_procs = 2;
        const int bad = gort::run([&] {
            gort::wait_group wg;
            std::atomic<int> wrong = 0, sum = 0;
            auto c = gort::make_chan<int>();
            wg.go([&] {
                for (int k = 0; k < 1000; ++k) c << k;
                c.close();
            });
            for (int k = 0; k < 3; ++k) wg.go([&] { for (int v : c) sum += v; });
            wg.go([&] { wrong += work(2); });  // the other's run, as a call that blocks the thread
            wg.wait();
            try {
                p.get<void()>("panics")();
                wrong += 10;
            } catch (const gort::panic_error&) {
            }
            return wrong + (sum != 1000 * 999 / 2) + all_kinds();
        }, o);
        CK(bad == 0);
        p.close();
        CK(mappings("plugin.so") == 0);
        while (count("/proc/self/task") != before.threads) usleep(100);  // our own, on their way out
        CK(!before.differs(State::now()));
        CK(own_work(2) == 0);
    }
    if (argc > 2) gort::run([] {
        struct Deep {
            static int down(int n) {
                volatile char b[1000];
                b[0] = 1;
                return n == 0 ? 0 : down(n - 1) + b[0];
            }
        };
        gort::go([] { Deep::down(-1); });
        gort::select();
    });
    return 0;
}
EOF

for cxx in ${CXXS:-"${compilers[@]}"}; do
    unique=()
    [[ $cxx != g++* ]] || unique=(-fno-gnu-unique)
    check "$cxx: host" "$cxx" "${warn[@]}" -O1 -o "$dir/host" "$dir/host.cc" -ldl -pthread
    for level in -O0 -O2; do
        name="$cxx $level"
        check "$name: plugin" "$cxx" "${warn[@]}" "${unique[@]}" "$level" -fPIC -shared -o "$dir/plugin.so" \
            "$dir/plugin.cc" "$lib" "${as_pkg_config_says[@]}"
        for what in again 'twice in one' threads 'left behind' started; do
            check "$name: $what" exits_with 0 "$dir/host" "$what" "$dir/plugin.so"
        done
        for what in exit forked; do
            check "$name: $what" exits_with 7 "$dir/host" "$what" "$dir/plugin.so"
        done
        check "$name: host with a gort" "$cxx" "${warn[@]}" "$level" -rdynamic -o "$dir/both" \
            "$dir/both.cc" "$lib" -ldl "${as_pkg_config_says[@]}"
        check "$name: both" exits_with 0 "$dir/both" "$dir/plugin.so"
        check "$name: the host's reports" says 'fatal error: stack overflow' "$dir/both" "$dir/plugin.so" overflow
    done
    # As most plugins are built: it may stay loaded, and works all the same.
    check "$cxx: plugin without a flag" "$cxx" "${warn[@]}" -O1 -fPIC -shared -o "$dir/plugin.so" \
        "$dir/plugin.cc" "$lib" -pthread
    check "$cxx: it works" exits_with 0 "$dir/host" 'left behind' "$dir/plugin.so"
done
finish
