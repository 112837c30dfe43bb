// examples/pipeline.cc - stages that each read from one channel and write to the next; the close runs down the line.
// SPDX-License-Identifier: BSD-2-Clause
#include <gort.h>

#include <cstdio>

template <class F>
gort::recv_chan<int> stage(gort::recv_chan<int> in, F f) {
    auto out = gort::make_chan<int>();
    gort::go([=] {
        for (int v : in) f(v, out);
        out.close();
    });
    return out;
}

int main() {
    return gort::run([] {
        auto numbers = gort::make_chan<int>();
        gort::go([=] {
            for (int i = 1; i <= 10; ++i) numbers << i;
            numbers.close();
        });
        auto odd = stage(numbers, [](int v, auto& out) {
            if (v % 2) out << v;
        });
        auto squared = stage(odd, [](int v, auto& out) { out << v * v; });
        auto both = stage(squared, [](int v, auto& out) { out << v << -v; });
        for (int v : both) std::printf("%d ", v);
        std::printf("\n");
    });
}
