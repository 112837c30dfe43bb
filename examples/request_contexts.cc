// examples/request_contexts.cc - a server without a network: each request has a context with an id, a user and a
// deadline, which what serves it passes on; a client that goes away, and the server's end, cancel what is being done
// for them.
// SPDX-License-Identifier: BSD-2-Clause
#include <gort.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <tuple>
#include <utility>

using namespace std::chrono_literals;
namespace ctx = gort::ctx;

inline constexpr ctx::key<int> request_id{"request_id"};
inline constexpr ctx::key<std::string> user{"user"};

struct Request {
    int id;
    std::string who;
    std::chrono::milliseconds takes;  // to look it up
    std::chrono::milliseconds limit;  // it may take
    ctx::context client;              // done when the client has gone
    gort::chan<std::string> reply;
};

// Deep inside: knows nothing of servers, but that it may be told to stop, and for whom it works.
std::error_code look_up(const ctx::context& c, std::chrono::milliseconds takes, std::string* result) {
    gort::timer found(takes);
    if (gort::select(gort::on_recv(found.c()), gort::on_recv(c.done())) == 1) return ctx::cause(c);
    *result = "42 for " + *c.value(user);
    return {};
}

void serve_one(const ctx::context& server, const Request& r) {
    // Three parents in one: the server's end, the client's going, and the time that a request may take.
    auto [c, cancel] = ctx::with_cancel_cause(server);
    auto forget = ctx::after_func(r.client, [cancel = cancel] { cancel(std::errc::connection_aborted); });
    auto [limited, release] =
        ctx::with_timeout(ctx::with_value(ctx::with_value(c, request_id, r.id), user, r.who), r.limit);
    gort::defer end{[&, &release = release, &cancel = cancel] {
        forget();
        release();
        cancel();
    }};

    std::string result;
    const std::error_code err = look_up(limited, r.takes, &result);
    const std::string id = std::to_string(*limited.value(request_id));
    r.reply << "request " + id + ": " + (err ? err.message() : result);
}

class Server {
public:
    Server() {
        std::tie(context_, stop_) = ctx::with_cancel_cause(ctx::background());
        gort::go([requests = requests_, c = context_] {
            for (Request r : requests) gort::go(serve_one, c, std::move(r));
        });
    }
    gort::chan<std::string> ask(int id, std::string who, std::chrono::milliseconds takes,
                                std::chrono::milliseconds limit, ctx::context client = ctx::background()) {
        auto reply = gort::make_chan<std::string>(1);  // nobody may be there to read it
        requests_ << Request{id, std::move(who), takes, limit, std::move(client), reply};
        return reply;
    }
    void stop() {
        requests_.close();
        stop_(std::make_error_code(std::errc::operation_canceled));
    }

private:
    gort::chan<Request> requests_ = gort::make_chan<Request>();
    ctx::context context_;
    ctx::cancel_cause_func stop_;
};

int main() {
    return gort::run([] {
        Server server;
        std::printf("%s\n", server.ask(1, "ann", 1ms, 1h).recv().c_str());
        std::printf("%s\n", server.ask(2, "bob", 1h, 5ms).recv().c_str());

        auto [client, hang_up] = ctx::with_cancel(ctx::background());
        auto reply = server.ask(3, "eve", 1h, 1h, client);
        hang_up();
        std::printf("%s\n", reply.recv().c_str());

        auto last = server.ask(4, "dan", 1h, 1h);
        server.stop();
        std::printf("%s\n", last.recv().c_str());
    });
}
