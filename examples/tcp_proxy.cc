// examples/tcp_proxy.cc [LISTEN [TARGET]] - passes every connection on to TARGET, both ways, ends included.
// SPDX-License-Identifier: BSD-2-Clause
// ci: build only (tests/net_examples_test.sh drives it)
#include <span>
#include <vector>

#include "examples/serve.h"

namespace {

// Until the end of `from`, which is passed on as the end of what `to` reads. An error ends both ways.
void pump(const gort::net::conn& from, const gort::net::conn& to) {
    std::vector<char> buf(32 << 10);
    for (;;) {
        auto n = from.read(buf);
        if (n.error() == gort::net::errc::eof) {
            (void)to.close_write();
            return;
        }
        if (!n || !to.write(std::span(buf.data(), *n))) {
            (void)from.close();
            (void)to.close();
            return;
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    const std::string target = argc > 2 ? argv[2] : "127.0.0.1:8080";
    return serve_main(argc, argv, "127.0.0.1:9000",
                      [target](const gort::net::conn& c, const gort::ctx::context& server) {
                          auto to = gort::net::dial(target, std::chrono::seconds(5));
                          if (!to) {
                              std::fprintf(stderr, "%s: %s\n", target.c_str(), to.error().message().c_str());
                              return;
                          }
                          auto stop = gort::ctx::after_func(
                              server, [to = *to] { (void)to.set_read_deadline(std::chrono::seconds(0)); });
                          gort::wait_group back;
                          back.go([&] { pump(*to, c); });
                          pump(c, *to);
                          back.wait();
                          stop();
                      });
}
