// examples/quit.cc - three ways to end a goroutine: a channel that is closed, a wait, a case of a select.
// SPDX-License-Identifier: BSD-2-Clause
#include <gort.h>

#include <cstdio>

void by_channel() {  // the worker says that it is through
    auto done = gort::make_chan<gort::unit>();
    gort::go([=] {
        std::printf("worker: through\n");
        done.close();
    });
    done.recv();
    std::printf("main: it was through\n");
}

void by_wait() {
    gort::wait_group group;
    int parts[3] = {};
    for (int& part : parts) group.go([&part] { part = 7; });
    group.wait();
    std::printf("main: %d\n", parts[0] + parts[1] + parts[2]);
}

void by_select() {  // main asks, the worker tidies up and confirms
    auto numbers = gort::make_chan<int>();
    auto quit = gort::make_chan<gort::chan<int>>();
    gort::go([=] {
        for (int n = 0;;) {
            gort::chan<int> confirm;
            switch (gort::select(gort::on_send(numbers, n), gort::on_recv(quit, confirm))) {
            case 0: ++n; break;
            case 1: confirm << n; return;
            }
        }
    });
    for (int i = 0; i < 5; ++i) numbers.recv();
    auto confirm = gort::make_chan<int>();
    quit << confirm;
    std::printf("main: quit after %d numbers\n", confirm.recv());
}

int main() {
    return gort::run([] {
        by_channel();
        by_wait();
        by_select();
    });
}
