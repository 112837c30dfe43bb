// examples/generator.cc - a function that returns a channel; its goroutine makes the values and closes it.
// SPDX-License-Identifier: BSD-2-Clause
#include <gort.h>

#include <cstdio>

gort::recv_chan<int> squares(int count) {
    auto out = gort::make_chan<int>();
    gort::go([=] {
        for (int i = 1; i <= count; ++i) out << i * i;
        out.close();
    });
    return out;
}

int main() {
    return gort::run([] {
        for (int v : squares(5)) std::printf("%d\n", v);
    });
}
