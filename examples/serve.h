// examples/serve.h - what the servers beside this file share: a listener that stops cleanly on SIGINT and SIGTERM.
// SPDX-License-Identifier: BSD-2-Clause
//
// int main(int argc, char** argv) { return serve_main(argc, argv, "127.0.0.1:8080", conversation); }
// conversation(const gort::net::conn&, const gort::ctx::context&) runs once for each connection, in its own goroutine.
// At the first signal the context is canceled: nobody is accepted any more, and reads that wait for a peer end, so
// that each conversation finishes the reply it is at. The program ends when all have ended.
#pragma once

#include <gort.h>
#include <signal.h>
#include <sys/signalfd.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <system_error>

// Before any thread starts: the signals are blocked everywhere and come as a descriptor instead.
inline int stop_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

template <class Conversation>
void serve_until_done(const gort::ctx::context& c, const gort::net::listener& l, Conversation conversation) {
    gort::wait_group running;
    gort::ctx::after_func(c, [l] { (void)l.close(); });
    for (;;) {
        auto accepted = l.accept();
        if (accepted) {
            running.go([conn = *accepted, c, conversation] {
                auto stop = gort::ctx::after_func(
                    c, [conn] { (void)conn.set_read_deadline(std::chrono::seconds(0)); });
                conversation(conn, c);
                stop();
                (void)conn.close();
            });
        } else if (accepted.error() == gort::net::errc::closed) {
            break;
        } else {  // no more descriptors, no memory: what is connected goes on, and may make room
            std::fprintf(stderr, "accept: %s\n", accepted.error().message().c_str());
            gort::sleep(std::chrono::milliseconds(50));
        }
    }
    running.wait();
}

template <class Conversation>
int serve_main(int argc, char** argv, const char* otherwise, Conversation conversation) {
    const char* address = argc > 1 ? argv[1] : otherwise;
    const int signals = stop_signals();
    return gort::run([&] {
        auto l = gort::net::listen(address);
        if (!l) {
            std::fprintf(stderr, "%s: %s\n", address, l.error().message().c_str());
            return 1;
        }
        auto [c, cancel] = gort::ctx::with_cancel(gort::ctx::background());
        gort::go([signals, cancel = cancel] {
            gort::net::fd stop(signals);
            stop.wait_readable().value();
            cancel();
        });
        std::printf("listening on %s\n", l->local_endpoint().value().to_string().c_str());
        std::fflush(stdout);
        serve_until_done(c, *l, conversation);
        std::printf("stopped\n");
        return 0;
    });
}
