// examples/echo_server.cc [HOST:PORT] - sends everybody's bytes back.
// SPDX-License-Identifier: BSD-2-Clause
// ci: build only (tests/net_examples_test.sh drives it)
#include <span>

#include "examples/serve.h"

int main(int argc, char** argv) {
    return serve_main(argc, argv, "127.0.0.1:7000", [](const gort::net::conn& c, const gort::ctx::context&) {
        char buf[8192];
        while (auto n = c.read(buf))
            if (!c.write(std::span(buf, *n))) break;
    });
}
