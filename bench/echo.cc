// bench/echo.cc - TCP echo, a goroutine per connection; loaded by an epoll client in a process of its own.
// SPDX-License-Identifier: BSD-2-Clause
#include <span>

#include "bench/echo_client.h"
#include "bench/runtime.h"
#include "rt/net/tcp.h"

namespace {

void serve(const bench::Run& run, const std::function<void(uint16_t)>& ready) {
    bench::on_gort(run, [&] {
        auto l = gort::net::listen("127.0.0.1:0").value();
        ready(l.port());
        while (auto c = l.accept())
            gort::go([c = *c] {
                char buf[4096];
                while (auto n = c.read(buf))
                    if (!c.write(std::span(buf, *n))) break;
            });
    });
}

}  // namespace

WORKLOAD(echo, "TCP echo, a goroutine per connection") {
    const auto bytes = static_cast<unsigned>(run.size(64));
    bench::load_server(run, "roundtrips", "echo", 64, bytes, [&](const auto& ready) { serve(run, ready); });
}
