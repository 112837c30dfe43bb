// examples/recipes/graceful_shutdown.cc - at SIGTERM no new clients, and a while for those that are served.
// SPDX-License-Identifier: BSD-2-Clause
//
//      graceful_shutdown 8080     serves until ^C: each line is answered, after some work
//      graceful_shutdown          tries itself out: a client is being served when SIGTERM comes
#include <gort.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>

using namespace std::chrono_literals;
namespace ctx = gort::ctx;
namespace net = gort::net;

namespace {

class server {
public:
    explicit server(const std::string& address) : listener_(net::listen(address).value()) {}
    uint16_t port() const { return listener_.port(); }

    // Serves until c ends; then whoever is being served has `grace` to be done. True if all were.
    bool run(const ctx::context& c, gort::duration grace) {
        auto [busy, give_up] = ctx::with_cancel(ctx::background());  // what the clients' work hangs on: not c
        const auto close_listener = ctx::after_func(c, [this] { static_cast<void>(listener_.close()); });
        while (const auto client = listener_.accept())
            clients_.go([this, client = *client, c = c, busy = busy] { serve(c, busy, client); });

        const auto all_done = gort::make_chan<gort::unit>();
        gort::go([this, all_done] {
            clients_.wait();
            all_done.close();
        });
        const bool in_time = gort::select(gort::on_recv(all_done), gort::on_recv(gort::after(grace))) == 0;
        give_up();        // ends the reads and writes of those that are left
        all_done.recv();  // and so these, too
        return in_time;
    }

private:
    // One line in, two lines out. `stopping` ends a wait for the next line, `busy` the work on one as well.
    static void serve(const ctx::context& stopping, const ctx::context& busy, const net::conn& client) {
        net::reader in{client};
        for (;;) {
            std::string line;
            {
                const auto bound = ctx::bind(stopping, client);
                auto got = in.read_line();
                if (!got) return;
                line = std::move(*got);
            }
            const auto bound = ctx::bind(busy, client);
            if (!client.write("working on " + line + "\n")) return;
            if (gort::select(gort::on_recv(busy.done()), gort::on_recv(gort::after(50ms))) == 0)
                return;  // hard work
            if (!client.write("done: " + line + "\n")) return;
        }
    }

    net::listener listener_;
    gort::wait_group clients_;
};

// A client that asks, and tells the process to stop while it waits for the answer.
void try_out(uint16_t port) {
    const std::string address = "127.0.0.1:" + std::to_string(port);
    const net::conn c = net::dial(address).value();
    net::reader in{c};
    c.write("one\n").value();
    for (int i = 0; i < 2; ++i) std::printf("%s\n", in.read_line().value().c_str());
    c.write("two\n").value();
    std::printf("%s\n", in.read_line().value().c_str());
    kill(getpid(), SIGTERM);
    const auto last = in.read_line();
    std::printf("%s\n", last ? last->c_str() : "no answer");
    std::printf("then: %s\n", in.read_line() ? "more" : "closed");
    while (net::dial(address)) gort::sleep(1ms);
    std::printf("nobody else gets in\n");
}

}  // namespace

int main(int argc, char** argv) {
    return gort::run([=] {
        auto [c, stop] = gort::signals::notify_context(ctx::background(), {SIGINT, SIGTERM});
        gort::defer no_more{[stop = stop] { stop(); }};
        server s(argc > 1 ? std::string(":") + argv[1] : "127.0.0.1:0");
        gort::wait_group client;
        if (argc == 1) client.go([port = s.port()] { try_out(port); });
        const bool in_time = s.run(c, 5s);
        client.wait();
        std::printf("%s\n", in_time ? "all were served" : "some were cut off");
        return in_time ? 0 : 1;
    });
}
