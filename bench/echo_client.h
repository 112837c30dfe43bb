// bench/echo_client.h - the load of echo and http: many connections driven from one epoll loop.
// SPDX-License-Identifier: BSD-2-Clause
//
// The server under test runs in a process of its own. A C++ workload calls load_server, which forks the
// server and loads it from the parent; a twin in another language starts `gortbench --client KIND PORT CONNS
// BYTES MS` and reads the two numbers it prints: operations and nanoseconds. So every server meets exactly
// the same client.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "bench/harness.h"

namespace bench {

// A server listens on 127.0.0.1, calls ready(port), and serves until it is killed.
using Server = std::function<void(const std::function<void(uint16_t port)>& ready)>;

// Emits `metric` in operations a second, with cpu= and cpu_us= (CPU time an operation) of the server process
// alone. Each repetition uses fresh connections. kind is "echo" (every reply is compared with what was sent)
// or "http" (by wrk when it is installed).
void load_server(Run& run, const std::string& metric, const std::string& kind, unsigned conns, unsigned bytes,
                 const Server& server);

// Server-side helper: a listening socket on a free port of 127.0.0.1.
int listen_on_loopback(uint16_t* port);

int client_main(int argc, char** argv);

}  // namespace bench
