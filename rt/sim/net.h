// rt/sim/net.h - the network of a run: sockets in memory, and what happens on the way between hosts.
// SPDX-License-Identifier: BSD-2-Clause
//
// rt/net makes the system calls of a socket; for descriptors from kSimFd on they come here (SimNet of
// rt/base/sim_seam.h). Whatever travels is a timer in virtual time, also without latency: so what arrives at the same
// instant arrives in any order, but for the bytes of one direction of one connection. A wait ends as with the real
// poller, by an edge.
// HOSTS. A goroutine lives on a host, 0 if it has not said where, and so do its sockets. A host has the address
// 10.0.0.(number + 1) and the names that network::host and dial have used, in the order in which they came up.
// Context: the thread of the simulation.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rt/base/sim_seam.h"
#include "rt/net/endpoint.h"
#include "rt/net/netpoll.h"
#include "rt/sim.h"
#include "rt/time/timers.h"

namespace gort::sim {

class Net {
public:
    ~Net();

    int host_named(std::string_view name);
    link& link_between(int a, int b);  // to be set
    void set_all(const link& l) { all_ = l; }
    void set_between(int a, int b, const link& l) { links_[pair_of(a, b)] = l; }
    void cut(const std::vector<int>& a, const std::vector<int>& b);
    void heal();

    int socket(int family, int type);
    int bind(int fd, const void* address, uint32_t n);
    int listen(int fd, int backlog);
    int connect(int fd, const void* address, uint32_t n);
    int accept(int fd);
    long receive(int fd, void* to, size_t n, void* from, uint32_t* from_size, bool* truncated);
    long send(int fd, const void* from, size_t n, const void* to, uint32_t to_size);
    int shutdown(int fd, int how);
    int name(int fd, bool peer, void* out, uint32_t* n);
    int take_error(int fd);
    int ready(int fd, bool to_write);
    void watch(int fd, rt::PollDesc* d);
    void close(int fd);
    int resolve(std::string_view host, uint16_t port, int family, net::endpoint* out);

private:
    struct Packet {
        std::string bytes;
        net::endpoint from;
    };
    struct Socket {
        int family = 0, type = 0, host = 0;
        net::endpoint local, peer;
        std::string key;        // while it is bound
        bool loopback = false;  // bound to that only
        bool listens = false, connecting = false, connected = false, closed = false;
        bool end = false;   // the other side has finished
        bool shut = false;  // this one has
        int error = 0;      // to be told; then `broken`
        bool broken = false;
        int other = -1;
        size_t room = 0;          // backlog
        std::deque<int> waiting;  // connections to be accepted
        std::deque<Packet> in;
        size_t arrived = 0;  // bytes in `in`
        size_t flying = 0;   // bytes on the way here
        int64_t last = 0;    // when the last packet on the way here arrives
        rt::PollDesc* d = nullptr;
        uint32_t gen = 0;
    };
    struct Event {
        rt::Timer timer{};
        Net* net = nullptr;
        int from = 0, to = 0;  // hosts
        std::function<void()> run;
        std::list<Event>::iterator self;
    };
    struct Where {
        int host = -1;
        std::string key;
        bool loopback = false;
        uint16_t port = 0;
    };

    static std::pair<int, int> pair_of(int a, int b) { return a < b ? std::pair{a, b} : std::pair{b, a}; }
    Socket& at(int fd) { return *sockets_[static_cast<size_t>(fd - rt::kSimFd)]; }
    Where where(const Socket& s, const void* address, uint32_t n) const;
    net::endpoint address_of(const Socket& s, const Where& w) const;
    const link& link_of(int a, int b) const;
    bool is_cut(int a, int b) const { return cuts_.count(pair_of(a, b)) != 0; }
    bool happens(double chance);
    int64_t delay(const link& l);
    void after(int64_t ns, int from, int to, std::function<void()> run);
    void edge(Socket& s, uint32_t bits);
    void arrive_at(int fd, std::function<void()> run, size_t bytes);  // in order
    void break_off(int fd, int error);
    void syn(int fd, const std::string& key, int tries);
    void end_of(int fd, int other, bool hard);
    static void fire(rt::Timer* t, int64_t, uint64_t);

    std::vector<std::unique_ptr<Socket>> sockets_;
    std::map<std::string, int> bound_;
    std::vector<std::string> hosts_{""};
    link all_;
    std::map<std::pair<int, int>, link> links_;
    std::map<std::pair<int, int>, int> cuts_;
    std::list<Event> events_;
    std::vector<std::function<void()>> held_;  // until heal
    uint16_t next_port_ = 32768;
};

extern const rt::SimNet kSimNet;

}  // namespace gort::sim
