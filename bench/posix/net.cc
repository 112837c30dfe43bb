// bench/posix/net.cc - echo and http by one bare epoll loop, and echo by a thread per connection.
// SPDX-License-Identifier: BSD-2-Clause
//
// The epoll loop is the floor: nothing between the kernel and the bytes. It serves with one thread whatever P
// is.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string_view>
#include <vector>

#include "bench/echo_client.h"
#include "bench/posix/threads.h"

namespace {

using namespace bench;

constexpr std::string_view kHello =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";

int accept_one(int listener) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    const int one = 1;
    if (fd >= 0) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

bool send_all(int fd, const char* data, size_t n) {
    while (n) {
        const ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        data += sent;
        n -= static_cast<size_t>(sent);
    }
    return true;
}

// Requests may arrive in pieces; `have` bytes of one that is not complete stay at the start of the buffer.
struct HttpConn {
    char buf[4096];
    size_t have = 0;
};

bool answer(int fd, HttpConn* c, size_t more) {
    c->have += more;
    for (;;) {
        const std::string_view text(c->buf, c->have);
        const size_t end = text.find("\r\n\r\n");
        if (end == std::string_view::npos) return c->have < sizeof c->buf;
        if (!send_all(fd, kHello.data(), kHello.size())) return false;
        c->have -= end + 4;
        std::memmove(c->buf, c->buf + end + 4, c->have);
    }
}

void epoll_server(int listener, bool http) {
    const int ep = epoll_create1(EPOLL_CLOEXEC);
    epoll_event ev{};
    ev.events = EPOLLIN;
    ev.data.fd = listener;
    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev);
    std::vector<HttpConn> conns;
    std::vector<char> buf(64 * 1024);
    for (epoll_event events[128];;) {
        const int n = epoll_wait(ep, events, 128, -1);
        for (int i = 0; i < n; ++i) {
            const int fd = events[i].data.fd;
            if (fd == listener) {
                ev.data.fd = accept_one(listener);
                if (ev.data.fd < 0) continue;
                if (conns.size() <= static_cast<size_t>(ev.data.fd))
                    conns.resize(static_cast<size_t>(ev.data.fd) + 1);
                conns[static_cast<size_t>(ev.data.fd)].have = 0;
                epoll_ctl(ep, EPOLL_CTL_ADD, ev.data.fd, &ev);
                continue;
            }
            HttpConn& c = conns[static_cast<size_t>(fd)];
            const ssize_t got = http ? recv(fd, c.buf + c.have, sizeof c.buf - c.have, 0)
                                     : recv(fd, buf.data(), buf.size(), 0);
            const auto bytes = static_cast<size_t>(got);
            if (got <= 0 || !(http ? answer(fd, &c, bytes) : send_all(fd, buf.data(), bytes))) close(fd);
        }
    }
}

void thread_server(int listener) {
    for (;;) {
        const int fd = accept_one(listener);
        pthread_t id;
        pthread_create(
            &id, nullptr,
            [](void* arg) -> void* {
                const int conn = static_cast<int>(reinterpret_cast<intptr_t>(arg));
                char buf[4096];
                for (ssize_t n; (n = recv(conn, buf, sizeof buf, 0)) > 0;)
                    if (!send_all(conn, buf, static_cast<size_t>(n))) break;
                close(conn);
                return nullptr;
            },
            reinterpret_cast<void*>(static_cast<intptr_t>(fd)));
        pthread_detach(id);
    }
}

}  // namespace

WORKLOAD(echo, "TCP echo by one epoll loop, and by a thread per connection") {
    const auto bytes = static_cast<unsigned>(run.size(64));
    load_server(run, "roundtrips", "echo", 64, bytes, [](const auto& ready) {
        uint16_t port;
        const int listener = listen_on_loopback(&port);
        ready(port);
        epoll_server(listener, false);
    });
    load_server(run, "roundtrips_threads", "echo", 64, bytes, [](const auto& ready) {
        uint16_t port;
        const int listener = listen_on_loopback(&port);
        ready(port);
        thread_server(listener);
    });
}

WORKLOAD(http, "HTTP hello by one epoll loop") {
    load_server(run, "requests", "http", 64, 0, [](const auto& ready) {
        uint16_t port;
        const int listener = listen_on_loopback(&port);
        ready(port);
        epoll_server(listener, true);
    });
}
