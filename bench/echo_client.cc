// bench/echo_client.cc - the epoll client, and the process that serves it.
// SPDX-License-Identifier: BSD-2-Clause
#include "bench/echo_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace bench {

namespace {

constexpr char kRequest[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
constexpr double kGiveUpNs = 10e9;  // without one reply in this time the server is broken

struct Tally {
    uint64_t ops = 0;
    double ns = 0;
    std::string error;
};

struct Conn {
    int fd = -1;
    uint64_t sent = 0;  // messages
    std::vector<char> out, in;
    size_t got = 0;
    size_t reply = 0;  // its length; 0: an HTTP reply not yet seen to its end
};

sockaddr_in loopback(uint16_t port) {
    sockaddr_in addr{};
    addr.sin_family = AF_INET;
    addr.sin_port = htons(port);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return addr;
}

bool send_next(Conn* c, bool http) {
    if (!http) std::memcpy(c->out.data(), &c->sent, std::min(sizeof c->sent, c->out.size()));
    ++c->sent;
    c->got = 0;
    return send(c->fd, c->out.data(), c->out.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(c->out.size());
}

// The length of the HTTP reply that starts the buffer, or 0 while its header is incomplete.
size_t http_reply_length(const Conn& c) {
    const std::string text(c.in.data(), c.got);
    const size_t end = text.find("\r\n\r\n"), field = text.find("Content-Length: ");
    if (end == std::string::npos || field == std::string::npos || field > end) return 0;
    return end + 4 + std::strtoul(text.c_str() + field + 16, nullptr, 10);
}

// Reads what is there. True when that completes a reply; *error is set when the connection is of no use any
// more.
bool receive(Conn* c, bool http, std::string* error) {
    const ssize_t got = recv(c->fd, c->in.data() + c->got, c->in.size() - c->got, 0);
    if (got <= 0) {
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
        *error = "server closed a connection";
        return false;
    }
    c->got += static_cast<size_t>(got);
    if (http && !c->reply) c->reply = http_reply_length(*c);
    if (!c->reply || c->got < c->reply) return false;
    if (c->got > c->reply) *error = "more came back than was asked for";
    else if (!http && std::memcmp(c->in.data(), c->out.data(), c->reply))
        *error = "the echo differs from what was sent";
    else if (http && std::memcmp(c->in.data(), "HTTP/1.1 200", 12)) *error = "not a 200 reply";
    return error->empty();
}

Tally drive(bool http, uint16_t port, unsigned conns, unsigned bytes, double ms) {
    Tally tally;
    std::vector<Conn> all(conns);
    const int ep = epoll_create1(EPOLL_CLOEXEC);
    const sockaddr_in addr = loopback(port);
    for (unsigned i = 0; i < conns && tally.error.empty(); ++i) {
        Conn& c = all[i];
        c.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(c.fd, reinterpret_cast<const sockaddr*>(&addr), sizeof addr))
            tally.error = "cannot connect";
        const int one = 1;
        setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        fcntl(c.fd, F_SETFL, O_NONBLOCK);
        if (http) {
            c.out.assign(kRequest, kRequest + sizeof kRequest - 1);
            c.in.resize(4096);
        } else {
            c.out.assign(bytes, static_cast<char>('a' + i % 26));
            c.in.resize(bytes + 1);  // one more, to notice a server that says too much
            c.reply = bytes;
        }
        epoll_event ev{};
        ev.events = EPOLLIN;
        ev.data.u32 = i;
        epoll_ctl(ep, EPOLL_CTL_ADD, c.fd, &ev);
    }

    const double start = now_ns(), end = start + ms * 1e6;
    double now = start, last = start;
    for (Conn& c : all)
        if (tally.error.empty() && !send_next(&c, http)) tally.error = "cannot send";
    epoll_event events[64];
    while (tally.error.empty() && (now < end || !tally.ops)) {  // on a busy machine the first may come late
        const int n = epoll_wait(ep, events, 64, 100);
        now = now_ns();
        for (int i = 0; i < n && tally.error.empty(); ++i) {
            Conn& c = all[events[i].data.u32];
            if (!receive(&c, http, &tally.error)) continue;
            ++tally.ops;
            last = now;
            if (!send_next(&c, http)) tally.error = "cannot send";
        }
        if (tally.error.empty() && now - last > kGiveUpNs) tally.error = "no reply for 10 s";
    }
    tally.ns = now - start;
    for (const Conn& c : all)
        if (c.fd >= 0) close(c.fd);
    close(ep);
    return tally;
}

bool have_wrk() {
    static const bool have = system("command -v wrk >/dev/null 2>&1") == 0;
    return have;
}

// wrk counts whole seconds.
Tally drive_wrk(uint16_t port, unsigned conns, double ms) {
    char line[256];
    std::snprintf(line, sizeof line, "wrk -t1 -c%u -d%us http://127.0.0.1:%u/", conns,
                  static_cast<unsigned>((ms + 999) / 1000), port);
    Tally tally;
    FILE* out = popen(line, "re");
    if (!out) return tally.error = "cannot start wrk", tally;
    while (std::fgets(line, sizeof line, out)) {
        unsigned long long requests;
        double seconds;
        if (std::sscanf(line, " %llu requests in %lfs", &requests, &seconds) == 2) {
            tally.ops = requests;
            tally.ns = seconds * 1e9;
        }
        if (std::strstr(line, "Socket errors") || std::strstr(line, "Non-2xx")) tally.error = line;
    }
    pclose(out);
    if (tally.error.empty() && !tally.ops) tally.error = "not one reply";
    return tally;
}

Tally load(const std::string& kind, uint16_t port, unsigned conns, unsigned bytes, double ms) {
    if (kind == "http" && have_wrk()) return drive_wrk(port, conns, ms);
    return drive(kind == "http", port, conns, bytes, ms);
}

}  // namespace

int listen_on_loopback(uint16_t* port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in addr = loopback(0);
    socklen_t len = sizeof addr;
    if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&addr), len) || listen(fd, 1024) ||
        getsockname(fd, reinterpret_cast<sockaddr*>(&addr), &len)) {
        std::perror("listen");
        _exit(1);
    }
    *port = ntohs(addr.sin_port);
    return fd;
}

void load_server(Run& run, const std::string& metric, const std::string& kind, unsigned conns, unsigned bytes,
                 const Server& server) {
    int pipe_fds[2];
    run.check(!pipe2(pipe_fds, O_CLOEXEC), "pipe");
    std::fflush(nullptr);
    const pid_t pid = fork();
    run.check(pid >= 0, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);  // an interrupted run leaves no server behind
        server([&](uint16_t port) {
            if (write(pipe_fds[1], &port, sizeof port) != sizeof port) _exit(1);
        });
        _exit(1);
    }
    close(pipe_fds[1]);
    uint16_t port = 0;
    run.check(read(pipe_fds[0], &port, sizeof port) == sizeof port, "the server did not start");
    close(pipe_fds[0]);

    clockid_t server_clock = CLOCK_PROCESS_CPUTIME_ID;
    const bool has_clock = !clock_getcpuclockid(pid, &server_clock);
    auto server_cpu_ns = [&] {
        timespec ts{};
        if (has_clock) clock_gettime(server_clock, &ts);
        return static_cast<double>(ts.tv_sec) * 1e9 + static_cast<double>(ts.tv_nsec);
    };
    Series s{metric, "/s", {}, 0};
    s.better = Better::kHigher;
    double wall = 0, cpu = 0, ops = 0;
    for (unsigned r = 0; r < run.reps(); ++r) {
        const double cpu_before = server_cpu_ns();
        Stopwatch watch;
        const Tally tally = load(kind, port, conns, bytes, run.ms());
        if (!tally.error.empty()) kill(pid, SIGKILL);
        run.check(tally.error.empty(), tally.error.c_str());
        wall += watch.wall_ns();
        cpu += server_cpu_ns() - cpu_before;
        ops += static_cast<double>(tally.ops);
        s.values.push_back(static_cast<double>(tally.ops) * 1e9 / tally.ns);
        s.n = tally.ops;
    }
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    s.note = kind == "http" && have_wrk() ? "load=wrk" : "load=epoll";
    if (has_clock) {
        char per_op[64];
        std::snprintf(per_op, sizeof per_op, " cpu_us=%.2f", cpu / ops / 1e3);
        s.cpu = cpu / wall;
        s.note += per_op;
    }
    run.emit(s);
}

int client_main(int argc, char** argv) {
    if (argc != 5) {
        std::fprintf(stderr, "--client: wrong arguments; accepted: echo|http PORT CONNS BYTES MS\n");
        return 2;
    }
    const Tally tally =
        load(argv[0], static_cast<uint16_t>(std::atoi(argv[1])), static_cast<unsigned>(std::atoi(argv[2])),
             static_cast<unsigned>(std::atoi(argv[3])), std::atof(argv[4]));
    if (!tally.error.empty()) {
        std::fprintf(stderr, "client: %s\n", tally.error.c_str());
        return 1;
    }
    std::printf("%llu %.0f\n", static_cast<unsigned long long>(tally.ops), tally.ns);
    return 0;
}

}  // namespace bench
