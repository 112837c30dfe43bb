// rt/sim/host_net.cc - see net.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/sim/net.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/poll.h"
#include "rt/net/poller.h"
#include "rt/panic.h"
#include "rt/sched/park.h"
#include "rt/sim/engine.h"
#include "rt/time/clock.h"

namespace gort::sim {

using namespace rt;

namespace {

constexpr size_t kWindow = 256 << 10;  // bytes on the way and not read yet, of one direction
constexpr int64_t kSecond = 1'000'000'000;
constexpr int kMostSyns = 7;  // after 1, 2, 4 … seconds: 127 s together, as Linux
constexpr uint32_t kIn = kernel::kPollIn, kOut = kernel::kPollOut, kEnd = kernel::kPollRdHup;

}  // namespace

Net::~Net() {
    for (Event& e : events_) timer_stop(&e.timer);
}

// ---- hosts and links ----

int Net::host_named(std::string_view name) {
    for (size_t i = 0; i < hosts_.size(); ++i)
        if (hosts_[i] == name) return static_cast<int>(i);
    hosts_.emplace_back(name);
    return static_cast<int>(hosts_.size()) - 1;
}

const link& Net::link_of(int a, int b) const {
    const auto it = links_.find(pair_of(a, b));
    return it == links_.end() ? all_ : it->second;
}

void Net::cut(const std::vector<int>& a, const std::vector<int>& b) {
    for (int x : a)
        for (int y : b)
            if (x != y) cuts_[pair_of(x, y)] = 1;
}

void Net::heal() {
    cuts_.clear();
    std::vector<std::function<void()>> held;
    held.swap(held_);
    for (auto& run : held) run();
}

// 0 is what a shortened schedule says: nothing bad happens.
bool Net::happens(double chance) {
    if (!(chance > 0)) return false;
    constexpr uint64_t kOf = 1 << 20;
    return chance >= 1 ||
           g_engine->random(kOf) >= kOf - static_cast<uint64_t>(chance * static_cast<double>(kOf));
}

int64_t Net::delay(const link& l) {
    const int64_t jitter = l.jitter.count();
    return l.latency.count() +
           (jitter > 0 ? static_cast<int64_t>(g_engine->random(static_cast<uint64_t>(jitter) + 1)) : 0);
}

// ---- what travels ----

void Net::fire(Timer* t, int64_t, uint64_t) {
    auto* e = static_cast<Event*>(t->arg);
    Net* net = e->net;
    const auto run = std::move(e->run);
    const int from = e->from, to = e->to;
    net->events_.erase(e->self);
    if (net->is_cut(from, to)) {  // and sent again, until it gets through
        net->held_.push_back([=] { net->after(net->delay(net->link_of(from, to)), from, to, run); });
        return;
    }
    run();
}

void Net::after(int64_t ns, int from, int to, std::function<void()> run) {
    Event& e = events_.emplace_back();
    e.self = std::prev(events_.end());
    e.net = this;
    e.from = from;
    e.to = to;
    e.run = std::move(run);
    e.timer.fn = fire;
    e.timer.arg = &e;
    e.timer.when = deadline_after(g_engine->now(), ns);
    timer_start(timers_of(self()), &e.timer);
}

// In the order of the sends of one direction, whatever the jitter; a cut delays all that follows.
void Net::arrive_at(int fd, std::function<void()> run, size_t bytes) {
    Socket& s = at(fd);
    const int from = at(s.other).host, to = s.host;
    s.flying += bytes;
    const int64_t now = g_engine->now();
    int64_t when = deadline_after(now, delay(link_of(from, to)));
    if (when <= s.last) when = s.last + 1;
    if (s.family == AF_UNIX) when = now;
    else s.last = when;
    if (s.family == AF_UNIX) return run();
    after(when - now, from, to, std::move(run));
}

void Net::edge(Socket& s, uint32_t bits) {
    if (!s.d) return;
    G* wake[2] = {};
    const Engine::Quiet quiet(*g_engine);  // the caller is not yet through with its sockets
    poll_event(s.d, s.gen, bits, wake);
    for (G* gp : wake)
        if (gp) rt::ready(self(), gp);
}

void Net::break_off(int fd, int error) {
    Socket& s = at(fd);
    if (s.closed || s.broken) return;
    s.error = error;
    s.broken = true;
    s.in.clear();
    s.arrived = 0;
    edge(s, kIn | kOut | kEnd | kernel::kPollHup);
}

// ---- the calls ----

int Net::socket(int family, int type) {
    auto s = std::make_unique<Socket>();
    s->family = family;
    s->type = type & 0xf;
    s->host = g_engine->current().host;
    sockets_.push_back(std::move(s));
    return kSimFd + static_cast<int>(sockets_.size()) - 1;
}

int Net::bind(int fd, const void* address, uint32_t n) {
    Socket& s = at(fd);
    Where w = where(s, address, n);
    if (w.host != s.host) return -EADDRNOTAVAIL;
    if (s.family != AF_UNIX && w.port == 0) {
        do {
            w.port = next_port_++;
            w.key = std::to_string(w.host) + ":" + std::to_string(w.port) + "/" + std::to_string(s.type);
        } while (bound_.count(w.key));
    }
    if (!bound_.emplace(w.key, fd).second) return -EADDRINUSE;
    s.key = w.key;
    s.loopback = w.loopback;
    if (s.family == AF_UNIX) {
        std::memcpy(s.local.raw(), address, n);
        s.local.set_raw_size(n);
        return 0;
    }
    s.local = address_of(s, w);
    // "any" stays that, for who asks
    uint16_t family = 0;
    std::memcpy(&family, address, sizeof family);
    if (!w.loopback && family == AF_INET) {
        sockaddr_in a{};
        std::memcpy(&a, address, sizeof a);
        a.sin_port = htons(w.port);
        std::memcpy(s.local.raw(), &a, sizeof a);
    } else if (!w.loopback) {
        sockaddr_in6 a{};
        std::memcpy(&a, address, sizeof a);
        a.sin6_port = htons(w.port);
        std::memcpy(s.local.raw(), &a, sizeof a);
    }
    return 0;
}

int Net::listen(int fd, int backlog) {
    at(fd).listens = true;
    at(fd).room = static_cast<size_t>(backlog);
    return 0;
}

// The first packet has come to where it is to go.
void Net::syn(int fd, const std::string& key, int tries) {
    Socket& c = at(fd);
    if (c.closed) return;
    const auto it = bound_.find(key);
    Socket* l = it == bound_.end() ? nullptr : &at(it->second);
    if (l && l->loopback && l->host != c.host) l = nullptr;
    const int there = std::stoi(key);
    if (!l || !l->listens) {
        after(delay(link_of(there, c.host)), there, c.host, [this, fd] {
            at(fd).connecting = false;
            break_off(fd, ECONNREFUSED);
        });
        return;
    }
    if (l->waiting.size() >= l->room) {  // is sent again
        if (tries == kMostSyns) return break_off(fd, ETIMEDOUT);
        after(kSecond << tries, c.host, there, [=, this] { syn(fd, key, tries + 1); });
        return;
    }
    const int listener = it->second;
    const int server = kSimFd + static_cast<int>(sockets_.size());
    sockets_.push_back(std::make_unique<Socket>());
    Socket& client = at(fd);
    Socket& s = at(server);
    Socket& from = at(listener);
    s.family = from.family;
    s.type = client.type;
    s.host = from.host;
    s.connected = true;
    s.other = fd;
    s.peer = client.local;
    s.local = client.peer;
    client.other = server;
    from.waiting.push_back(server);
    edge(from, kIn);
    const auto done = [this, fd] {
        Socket& me = at(fd);
        if (me.closed || me.broken) return;
        me.connecting = false;
        me.connected = true;
        edge(me, kOut);
    };
    if (client.family == AF_UNIX) return done();
    after(delay(link_of(there, client.host)), there, client.host, done);
}

int Net::connect(int fd, const void* address, uint32_t n) {
    Socket& s = at(fd);
    const Where w = where(s, address, n);
    if (w.host < 0) return -ENETUNREACH;
    std::memcpy(s.peer.raw(), address, n);
    s.peer.set_raw_size(n);
    if (s.key.empty() && s.family != AF_UNIX) {
        net::endpoint any = address_of(s, {s.host, "", w.loopback, 0});
        if (const int r = bind(fd, any.raw(), any.raw_size())) return r;
    }
    if (s.type == SOCK_DGRAM) {
        s.connected = true;
        return 0;
    }
    if (s.family == AF_UNIX) {
        if (!bound_.count(w.key)) return -ENOENT;
        syn(fd, w.key, 0);
        return at(fd).connected ? 0 : -EAGAIN;
    }
    s.connecting = true;
    after(delay(link_of(s.host, w.host)), s.host, w.host, [this, fd, key = w.key] { syn(fd, key, 0); });
    after(127 * kSecond, s.host, s.host, [this, fd] {
        if (at(fd).connecting) break_off(fd, ETIMEDOUT);
    });
    return -EINPROGRESS;
}

int Net::accept(int fd) {
    Socket& s = at(fd);
    if (s.waiting.empty()) return -EAGAIN;
    const int server = s.waiting.front();
    s.waiting.pop_front();
    return server;
}

long Net::receive(int fd, void* to, size_t n, void* from, uint32_t* from_size, bool* truncated) {
    Socket& s = at(fd);
    if (s.error) return -take_error(fd);
    if (s.in.empty()) {
        if (s.broken || s.end) return 0;
        return -EAGAIN;
    }
    if (s.type != SOCK_STREAM) {
        const Packet p = std::move(s.in.front());
        s.in.pop_front();
        s.arrived -= p.bytes.size();
        const size_t k = std::min(n, p.bytes.size());
        std::memcpy(to, p.bytes.data(), k);
        if (from) {
            std::memcpy(from, p.from.raw(), p.from.raw_size());
            *from_size = p.from.raw_size();
        }
        if (truncated) *truncated = k < p.bytes.size();
        return static_cast<long>(k);
    }
    const bool was_full = s.arrived + s.flying >= kWindow;
    size_t most = std::min(n, s.arrived);
    if (s.other >= 0 && most > 1 && link_of(s.host, at(s.other).host).partial)
        most -= static_cast<size_t>(g_engine->random(most));
    size_t done = 0;
    while (done < most) {
        std::string& b = s.in.front().bytes;
        const size_t k = std::min(most - done, b.size());
        std::memcpy(static_cast<char*>(to) + done, b.data(), k);
        done += k;
        if (k == b.size()) s.in.pop_front();
        else b.erase(0, k);
    }
    s.arrived -= done;
    if (was_full && s.other >= 0) edge(at(s.other), kOut);
    if (!s.in.empty() || s.end)
        edge(s, kIn | (s.end ? kEnd : 0));  // a short read promises that nothing is left
    return static_cast<long>(done);
}

long Net::send(int fd, const void* from, size_t n, const void* to, uint32_t to_size) {
    Socket& s = at(fd);
    if (s.error && s.type == SOCK_STREAM) return -take_error(fd);
    if (s.type == SOCK_DGRAM) {
        if (!to && !s.connected) return -EDESTADDRREQ;
        const Where w = to ? where(s, to, to_size) : where(s, s.peer.raw(), s.peer.raw_size());
        if (w.host < 0) return -ENETUNREACH;
        if (s.key.empty() && s.family != AF_UNIX) {
            net::endpoint any = address_of(s, {s.host, "", w.loopback, 0});
            bind(fd, any.raw(), any.raw_size());
        }
        const link& l = link_of(s.host, w.host);
        if (is_cut(s.host, w.host) || happens(l.loss)) return static_cast<long>(n);
        Packet p{std::string(static_cast<const char*>(from), n), s.local};
        if (s.family != AF_UNIX && !w.loopback)
            p.from = address_of(s, where(s, s.local.raw(), s.local.raw_size()));
        for (int copies = happens(l.duplicate) ? 2 : 1; copies > 0; --copies)
            after(delay(l), s.host, w.host, [this, key = w.key, p] {
                const auto it = bound_.find(key);
                if (it == bound_.end()) return;
                Socket& there = at(it->second);
                if (there.arrived + p.bytes.size() > kWindow) return;
                there.arrived += p.bytes.size();
                there.in.push_back(p);
                edge(there, kIn);
            });
        return static_cast<long>(n);
    }
    if (s.shut || s.broken) return -EPIPE;
    if (!s.connected || s.other < 0) return -ENOTCONN;
    Socket& o = at(s.other);
    const link& l = link_of(s.host, o.host);
    if (happens(l.reset)) {
        const int other = s.other;
        break_off(other, ECONNRESET);
        break_off(fd, ECONNRESET);
        return -take_error(fd);
    }
    const size_t used = o.arrived + o.flying;
    if (used >= kWindow && !o.closed) return -EAGAIN;
    size_t k = std::min(n, kWindow - std::min(used, kWindow));
    if (o.closed) k = n;
    if (l.partial && k > 1) k -= static_cast<size_t>(g_engine->random(k));
    const int other = s.other;
    arrive_at(
        other,
        [this, fd, other, bytes = std::string(static_cast<const char*>(from), k)] {
            Socket& there = at(other);
            there.flying -= bytes.size();
            if (there.closed) return break_off(fd, ECONNRESET);
            if (there.broken || bytes.empty()) return;
            there.arrived += bytes.size();
            there.in.push_back({bytes, {}});
            edge(there, kIn);
        },
        k);
    return static_cast<long>(k);
}

// This side has finished; hard: it has thrown away what it had not read.
void Net::end_of(int fd, int other, bool hard) {
    (void)fd;
    arrive_at(
        other,
        [this, other, hard] {
            if (hard) return break_off(other, ECONNRESET);
            Socket& there = at(other);
            if (there.closed || there.broken) return;
            there.end = true;
            edge(there, kIn | kEnd);
        },
        0);
}

int Net::shutdown(int fd, int how) {
    Socket& s = at(fd);
    if (!s.connected) return -ENOTCONN;
    if (how != SHUT_RD && !s.shut) {
        s.shut = true;
        if (s.other >= 0) end_of(fd, s.other, false);
    }
    if (how != SHUT_WR) {
        s.end = true;
        edge(s, kIn | kEnd);
    }
    return 0;
}

int Net::name(int fd, bool peer, void* out, uint32_t* n) {
    Socket& s = at(fd);
    if (peer && !s.connected) return -ENOTCONN;
    const net::endpoint& e = peer ? s.peer : s.local;
    std::memcpy(out, e.raw(), e.raw_size());
    if (!e.raw_size()) {  // a Unix socket without a name
        const uint16_t family = static_cast<uint16_t>(s.family);
        std::memcpy(out, &family, sizeof family);
    }
    *n = e.raw_size() ? e.raw_size() : sizeof(uint16_t);
    return 0;
}

int Net::take_error(int fd) { return std::exchange(at(fd).error, 0); }

int Net::ready(int fd, bool to_write) {
    Socket& s = at(fd);
    if (s.broken) return 1;
    if (!to_write) return !s.in.empty() || s.end || !s.waiting.empty();
    if (s.type == SOCK_DGRAM) return 1;
    return s.connected && (s.other < 0 || at(s.other).arrived + at(s.other).flying < kWindow);
}

void Net::watch(int fd, PollDesc* d) {
    Socket& s = at(fd);
    s.d = d;
    s.gen = d->gen;
    // epoll tells at once what holds when a descriptor comes to it; we are under its lock
    if (ready(fd, false)) d->side[kRead].ready = true;
    if (ready(fd, true)) d->side[kWrite].ready = true;
    if (s.end || s.broken) d->always = true;
}

void Net::close(int fd) {
    Socket& s = at(fd);
    if (s.closed) return;
    s.closed = true;
    s.d = nullptr;
    if (!s.key.empty() && bound_.count(s.key) && bound_[s.key] == fd) bound_.erase(s.key);
    for (int waiting : s.waiting) close(waiting);
    if (s.other >= 0 && s.connected && !s.broken) {
        const bool hard = !s.in.empty();
        if (!s.shut || hard) end_of(fd, s.other, hard);
        edge(at(s.other), kOut);
    }
    s.in.clear();
    s.arrived = 0;
}

}  // namespace gort::sim
