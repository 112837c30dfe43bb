// rt/sim/host_network.cc - who asks for the network of a run: rt/net's system calls, and the test by sim::network.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/panic.h"
#include "rt/sim/engine.h"
#include "rt/sim/net.h"

namespace gort::sim {

using namespace rt;

// ---- from rt/net ----

namespace {
Net& net() { return g_engine->net(); }
}  // namespace

const SimNet kSimNet{
    [](int family, int type) { return net().socket(family, type); },
    [](int fd, const void* a, uint32_t n) { return net().bind(fd, a, n); },
    [](int fd, int backlog) { return net().listen(fd, backlog); },
    [](int fd, const void* a, uint32_t n) { return net().connect(fd, a, n); },
    [](int fd) { return net().accept(fd); },
    [](int fd, void* to, size_t n, void* from, uint32_t* size, bool* truncated) {
        return net().receive(fd, to, n, from, size, truncated);
    },
    [](int fd, const void* from, size_t n, const void* to, uint32_t size) {
        return net().send(fd, from, n, to, size);
    },
    [](int fd, int how) { return net().shutdown(fd, how); },
    [](int fd, bool peer, void* out, uint32_t* n) { return net().name(fd, peer, out, n); },
    [](int fd) { return net().take_error(fd); },
    [](int fd, bool to_write) { return net().ready(fd, to_write); },
    [](int fd, PollDesc* d) { net().watch(fd, d); },
    [](int fd) { net().close(fd); },
    [](const char* host, size_t n, uint16_t port, int family, void* out) {
        return net().resolve({host, n}, port, family, static_cast<net::endpoint*>(out));
    },
};

// ---- what the test says ----

namespace {

Net& net_of_caller() {
    if (!g_engine) panic("sim::network: not in a simulation");
    return g_engine->net();
}
std::vector<int> hosts_of(Net& n, const std::vector<std::string>& names) {
    std::vector<int> all;
    all.reserve(names.size());
    for (const std::string& name : names) all.push_back(n.host_named(name));
    return all;
}

}  // namespace

void network::all(const link& l) { net_of_caller().set_all(l); }
void network::between(std::string_view a, std::string_view b, const link& l) {
    Net& n = net_of_caller();
    const int x = n.host_named(a), y = n.host_named(b);
    n.set_between(x, y, l);
}
// NOLINTNEXTLINE(performance-unnecessary-value-param): the interface
void network::partition(std::vector<std::string> a, std::vector<std::string> b) {
    Net& n = net_of_caller();
    const auto x = hosts_of(n, a), y = hosts_of(n, b);
    n.cut(x, y);
}
void network::heal() { net_of_caller().heal(); }
void network::host(std::string_view name) { g_engine->current().host = net_of_caller().host_named(name); }

}  // namespace gort::sim
