// bench/http.cc - a minimal keep-alive HTTP/1.1 server on raw connections, a goroutine per connection; loaded by wrk.
// SPDX-License-Identifier: BSD-2-Clause
#include <cstring>
#include <string_view>

#include "bench/echo_client.h"
#include "bench/runtime.h"
#include "rt/net/tcp.h"

namespace {

constexpr std::string_view kHello =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";

// Requests may arrive in pieces, and several at once: each is answered as its header ends.
void converse(const gort::net::conn& c) {
    char buf[4096];
    size_t have = 0;
    while (have < sizeof buf) {
        auto n = c.read(std::span(buf).subspan(have));
        if (!n) return;
        have += *n;
        for (;;) {
            const size_t end = std::string_view(buf, have).find("\r\n\r\n");
            if (end == std::string_view::npos) break;
            if (!c.write(kHello)) return;
            have -= end + 4;
            std::memmove(buf, buf + end + 4, have);
        }
    }
}

}  // namespace

WORKLOAD(http, "HTTP hello on raw connections, a goroutine per connection") {
    bench::load_server(run, "requests", "http", 64, 0, [&](const auto& ready) {
        bench::on_gort(run, [&] {
            auto l = gort::net::listen("127.0.0.1:0").value();
            ready(l.port());
            while (auto c = l.accept()) gort::go([c = *c] { converse(c); });
        });
    });
}
