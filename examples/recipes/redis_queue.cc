// examples/recipes/redis_queue.cc - a work queue in Redis: producers push jobs, workers pop them, a result comes back.
// SPDX-License-Identifier: BSD-2-Clause
// needs: hiredis
//
//      redis_queue 6379
//
// hiredis formats and parses; its socket is non-blocking and net::fd waits for it, so a worker that sits in BLPOP for
// seconds costs a parked goroutine. ctx::bind lets a worker go when the server shuts down.
#include <gort.h>
#include <hiredis/hiredis.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;
namespace ctx = gort::ctx;
namespace net = gort::net;

namespace {

struct free_reply {
    void operator()(redisReply* r) const { freeReplyObject(r); }
};
using reply = std::unique_ptr<redisReply, free_reply>;

// One connection, for one goroutine at a time.
class redis {
public:
    redis(const ctx::context& c, const char* host, int port)
        : ctx_(c), conn_(redisConnectNonBlock(host, port)), fd_(net::fd::borrow(conn_->fd).value()) {
        const auto bound = ctx::bind(ctx_, fd_);
        fd_.wait_writable().value();  // connected, or refused: the first command tells
    }
    ~redis() {
        static_cast<void>(fd_.close());  // before hiredis closes the descriptor
        redisFree(conn_);
    }
    redis(const redis&) = delete;
    redis& operator=(const redis&) = delete;

    // Sends one command and waits for its reply. Throws std::system_error when the context ends first; the connection
    // is of no use then.
    reply call(const std::vector<std::string>& words) {
        std::vector<const char*> at;
        std::vector<size_t> size;
        for (const std::string& w : words) {
            at.push_back(w.data());
            size.push_back(w.size());
        }
        redisAppendCommandArgv(conn_, static_cast<int>(at.size()), at.data(), size.data());
        const auto bound = ctx::bind(ctx_, fd_);
        for (int done = 0; !done;) {
            check(redisBufferWrite(conn_, &done));
            if (!done) fd_.wait_writable().value();
        }
        for (;;) {
            void* r = nullptr;
            check(redisGetReplyFromReader(conn_, &r));
            if (r) {
                reply got(static_cast<redisReply*>(r));
                if (got->type == REDIS_REPLY_ERROR) throw std::runtime_error(got->str);
                return got;
            }
            fd_.wait_readable().value();
            check(redisBufferRead(conn_));
        }
    }

private:
    void check(int status) const {
        if (status != REDIS_OK) throw std::runtime_error(conn_->errstr);
    }
    ctx::context ctx_;
    redisContext* conn_;
    net::fd fd_;
};

// Until the context ends: takes jobs, squares them, adds to the sum.
void work(const ctx::context& c, int port) {
    try {
        redis db(c, "127.0.0.1", port);
        for (;;) {
            const reply job = db.call({"BLPOP", "gort:jobs", "0"});
            const long n = std::strtol(job->element[1]->str, nullptr, 10);
            db.call({"INCRBY", "gort:sum", std::to_string(n * n)});
            db.call({"RPUSH", "gort:done", job->element[1]->str});
        }
    } catch (const std::system_error&) {
        if (!c.err()) throw;  // the context has ended: that is how workers go
    }
}

}  // namespace

int main(int argc, char** argv) {
    const int port = argc > 1 ? std::atoi(argv[1]) : 6379;
    return gort::run([=] {
        auto [serving, stop] = ctx::with_cancel(ctx::background());
        redis db(ctx::background(), "127.0.0.1", port);
        db.call({"DEL", "gort:jobs", "gort:sum", "gort:done"});

        gort::wait_group workers;
        for (int i = 0; i < 4; ++i) workers.go([=, c = serving] { work(c, port); });

        constexpr int kJobs = 100;
        for (int i = 1; i <= kJobs; ++i) db.call({"RPUSH", "gort:jobs", std::to_string(i)});
        for (int i = 1; i <= kJobs; ++i) db.call({"BLPOP", "gort:done", "0"});
        std::printf("%s\n", db.call({"GET", "gort:sum"})->str);

        stop();  // all four wait for jobs
        workers.wait();
        std::printf("workers are gone\n");
        db.call({"DEL", "gort:jobs", "gort:sum", "gort:done"});
    });
}
