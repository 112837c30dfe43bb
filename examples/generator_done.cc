// examples/generator_done.cc - an endless generator whose reader says when it has enough, by closing `done`.
// SPDX-License-Identifier: BSD-2-Clause
#include <gort.h>

#include <cstdio>

gort::recv_chan<long> fibonacci(gort::recv_chan<gort::unit> done) {
    auto out = gort::make_chan<long>();
    gort::go([=] {
        gort::defer close{[&] { out.close(); }};
        for (long a = 0, b = 1; gort::select(gort::on_send(out, a), gort::on_recv(done)) == 0;) {
            b += a;
            a = b - a;
        }
    });
    return out;
}

int main() {
    return gort::run([] {
        auto done = gort::make_chan<gort::unit>();
        auto numbers = fibonacci(done);
        for (long v : numbers) {
            std::printf("%ld\n", v);
            if (v > 20) break;
        }
        done.close();
        for (long v : numbers) (void)v;  // until the generator has gone, its last offer included
        std::printf("ended\n");
    });
}
