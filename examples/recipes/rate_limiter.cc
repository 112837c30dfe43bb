// examples/recipes/rate_limiter.cc - so many a second, with bursts: a ticker puts tokens into a channel.
// SPDX-License-Identifier: BSD-2-Clause
#include <gort.h>

#include <cstdio>

using namespace std::chrono_literals;
namespace ctx = gort::ctx;

namespace {

// A token bucket: `burst` tokens to begin with, one more every `interval`, never more than `burst`.
class rate_limiter {
public:
    rate_limiter(gort::duration interval, int burst) : tokens_(gort::make_chan<gort::unit>(burst)) {
        for (int i = 0; i < burst; ++i) tokens_ << gort::unit{};
        gort::go([ticker = gort::ticker(interval), tokens = tokens_, closed = closed_] {
            for (;;) {
                if (gort::select(gort::on_recv(ticker.c()), gort::on_recv(closed)) == 1) return;
                tokens.try_send({});  // full: nobody has come for a while
            }
        });
    }
    ~rate_limiter() { closed_.close(); }
    rate_limiter(const rate_limiter&) = delete;
    rate_limiter& operator=(const rate_limiter&) = delete;

    // Waits for a token; false if c ends first.
    bool wait(const ctx::context& c) const {
        return gort::select(gort::on_recv(tokens_), gort::on_recv(c.done())) == 0;
    }
    bool try_take() const {
        gort::unit token;
        return tokens_.try_recv(token) == gort::recv_result::ok;
    }

private:
    gort::chan<gort::unit> tokens_;
    gort::chan<gort::unit> closed_ = gort::make_chan<gort::unit>();
};

}  // namespace

int main() {
    return gort::run([] {
        const rate_limiter limit(5ms, 3);
        int at_once = 0;
        while (limit.try_take()) ++at_once;
        std::printf("burst: %s\n", at_once >= 3 ? "yes" : "no");

        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < 10; ++i) limit.wait(ctx::background());
        const auto took = std::chrono::steady_clock::now() - start;
        std::printf("ten more take 35 ms at least: %s\n", took >= 35ms ? "yes" : "no");

        auto [c, cancel] = ctx::with_cancel(ctx::background());
        cancel();
        int turned_away = 0;
        while (limit.wait(c)) ++turned_away;  // select is fair: a token may be there as well
        std::printf("cancelled\n");
    });
}
