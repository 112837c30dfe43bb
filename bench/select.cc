// bench/select.cc - select over 2 and 4 producers, with otherwise over empty channels, and of one ready channel of two.
// SPDX-License-Identifier: BSD-2-Clause
#include <array>

#include "bench/runtime.h"
#include "chan/select.h"

namespace {

using gort::chan;
using gort::make_chan;
using gort::on_recv;
using gort::otherwise;
using gort::select;

template <size_t kProducers>
std::array<chan<int>, kProducers> producers(uint64_t n) {
    std::array<chan<int>, kProducers> chans;
    for (auto& c : chans) {
        c = make_chan<int>();
        gort::go([c, n] {
            for (uint64_t i = n / kProducers; i > 0; --i) c << 1;
        });
    }
    return chans;
}

}  // namespace

WORKLOAD(select, "select over 2 and 4 producers, with default, and of one ready channel") {
    bench::on_gort(run, [&run] {
        const auto check_all = [&run](uint64_t sum, uint64_t n) {
            run.check(sum == n, "an item was lost or doubled");
        };
        const auto check_none = [&run](bool none) {
            run.check(none, "something came out of an empty channel");
        };
        run.per_op(
            "recv2",
            [&](uint64_t n) {
                auto [a, b] = producers<2>(n);
                uint64_t sum = 0;
                for (uint64_t i = 0; i < n; ++i) {
                    int v = 0;
                    switch (select(on_recv(a, v), on_recv(b, v))) {
                    case 0: sum += static_cast<uint64_t>(v); break;
                    case 1: sum += static_cast<uint64_t>(v); break;
                    }
                }
                check_all(sum, n);
            },
            2);
        run.per_op(
            "recv4",
            [&](uint64_t n) {
                auto [a, b, d, e] = producers<4>(n);
                uint64_t sum = 0;
                for (uint64_t i = 0; i < n; ++i) {
                    int v = 0;
                    switch (select(on_recv(a, v), on_recv(b, v), on_recv(d, v), on_recv(e, v))) {
                    case 0: sum += static_cast<uint64_t>(v); break;
                    case 1: sum += static_cast<uint64_t>(v); break;
                    case 2: sum += static_cast<uint64_t>(v); break;
                    case 3: sum += static_cast<uint64_t>(v); break;
                    }
                }
                check_all(sum, n);
            },
            4);
        auto a = make_chan<int>(), b = make_chan<int>();
        run.per_op("default1", [&](uint64_t n) {
            uint64_t missed = 0;
            for (uint64_t i = 0; i < n; ++i) missed += select(on_recv(a), otherwise()) == 1;
            check_none(missed == n);
        });
        run.per_op("default2", [&](uint64_t n) {
            uint64_t missed = 0;
            for (uint64_t i = 0; i < n; ++i) missed += select(on_recv(a), on_recv(b), otherwise()) == 2;
            check_none(missed == n);
        });
        // One of the two is ready, in turns: what comes out of one goes into the other.
        run.per_op("ready2_and_send", [&](uint64_t n) {
            auto x = make_chan<int>(1), y = make_chan<int>(1);
            x << 0;
            for (uint64_t i = 0; i < n; ++i) {
                int v = 0;
                switch (select(on_recv(x, v), on_recv(y, v))) {
                case 0: y << v + 1; break;
                case 1: x << v + 1; break;
                }
            }
            run.check(x.len() + y.len() == 1, "an item was lost or doubled");
        });
    });
}
