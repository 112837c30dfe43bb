// examples/recipes/postgres_pool.cc - PostgreSQL connections: libpq's non-blocking calls, contexts' deadlines.
// SPDX-License-Identifier: BSD-2-Clause
// needs: libpq
//
//      postgres_pool 'host=/run/postgresql dbname=postgres'
//
// libpq tells which descriptor it waits for and in which direction; net::fd parks the goroutine meanwhile. ctx::bind
// ends the wait when the request's context ends: then the server is told to cancel, and the connection, whose answer
// nobody will read, is replaced by a new one.
#include <gort.h>
#include <libpq-fe.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;
namespace ctx = gort::ctx;
namespace net = gort::net;

namespace {

using rows = std::vector<std::vector<std::string>>;

struct close_connection {
    void operator()(PGconn* c) const { PQfinish(c); }
};
using connection = std::unique_ptr<PGconn, close_connection>;
struct clear_result {
    void operator()(PGresult* r) const { PQclear(r); }
};

[[noreturn]] void fail(PGconn* c) { throw std::runtime_error(PQerrorMessage(c)); }

// Parks until libpq's socket is readable or writable; throws std::system_error when c ends first.
void wait(const ctx::context& c, PGconn* conn, bool to_write) {
    const auto socket = net::fd::borrow(PQsocket(conn)).value();
    const auto bound = ctx::bind(c, socket);
    if (to_write) socket.wait_writable().value();
    else socket.wait_readable().value();
}

connection connect(const ctx::context& c, const std::string& where) {
    connection conn(PQconnectStart(where.c_str()));
    if (!conn) throw std::bad_alloc();
    if (PQstatus(conn.get()) == CONNECTION_BAD) fail(conn.get());
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (next != PGRES_POLLING_OK) {
        if (next == PGRES_POLLING_FAILED) fail(conn.get());
        wait(c, conn.get(), next == PGRES_POLLING_WRITING);
        next = PQconnectPoll(conn.get());
    }
    PQsetnonblocking(conn.get(), 1);
    return conn;
}

rows read_all(const ctx::context& c, PGconn* conn) {
    rows table;
    std::string error;
    for (;;) {
        while (PQisBusy(conn)) {
            wait(c, conn, false);
            if (!PQconsumeInput(conn)) fail(conn);
        }
        const std::unique_ptr<PGresult, clear_result> r(PQgetResult(conn));
        if (!r) break;
        if (PQresultStatus(r.get()) == PGRES_FATAL_ERROR) error = PQresultErrorMessage(r.get());
        for (int row = 0; row < PQntuples(r.get()); ++row) {
            table.emplace_back();
            for (int col = 0; col < PQnfields(r.get()); ++col)
                table.back().emplace_back(PQgetvalue(r.get(), row, col));
        }
    }
    if (!error.empty()) throw std::runtime_error(error);
    return table;
}

rows query(const ctx::context& c, PGconn* conn, const char* sql, const std::vector<std::string>& params) {
    std::vector<const char*> values;
    for (const std::string& p : params) values.push_back(p.c_str());
    if (!PQsendQueryParams(conn, sql, static_cast<int>(values.size()), nullptr, values.data(), nullptr,
                           nullptr, 0))
        fail(conn);
    for (int left; (left = PQflush(conn)) != 0;) {
        if (left < 0) fail(conn);
        wait(c, conn, true);
    }
    return read_all(c, conn);
}

// Asks the server to stop what the connection does. A call that blocks, for a round trip.
void cancel(PGconn* conn) {
    gort::blocking([conn] {
        char why[256];
        if (PGcancel* request = PQgetCancel(conn)) {
            PQcancel(request, why, sizeof why);
            PQfreeCancel(request);
        }
    });
}

// At most `size` connections, made when they are needed first. A null in the channel stands for one still to be made.
class pool {
public:
    pool(std::string where, int size) : where_(std::move(where)), idle_(gort::make_chan<connection>(size)) {
        for (int i = 0; i < size; ++i) idle_ << connection();
    }

    rows run(const ctx::context& c, const char* sql, const std::vector<std::string>& params = {}) {
        connection conn;
        if (gort::select(gort::on_recv(idle_, conn), gort::on_recv(c.done())) == 1)
            throw std::system_error(c.err());
        gort::defer give_back{[&] { idle_ << std::move(conn); }};
        if (!conn) conn = connect(c, where_);
        try {
            return query(c, conn.get(), sql, params);
        } catch (const std::system_error&) {  // c has ended, or the connection has
            cancel(conn.get());
            conn.reset();
            throw;
        } catch (const std::exception&) {
            if (PQstatus(conn.get()) != CONNECTION_OK) conn.reset();
            throw;
        }
    }

private:
    std::string where_;
    gort::chan<connection> idle_;
};

}  // namespace

int main(int argc, char** argv) {
    return gort::run([=] {
        pool db(argc > 1 ? argv[1] : "dbname=postgres", 4);
        auto [request, cancel_request] = ctx::with_timeout(ctx::background(), 30s);
        gort::defer over{[cancel_request = cancel_request] { cancel_request(); }};

        // Twenty requests at a time, four of them in the database, and no thread waits for any.
        std::vector<long> squares(20);
        gort::wait_group all;
        for (size_t i = 0; i < squares.size(); ++i)
            all.go([&db, &squares, i, c = request] {
                const rows r = db.run(c, "select $1::int * $1::int", {std::to_string(i)});
                squares[i] = std::stol(r.at(0).at(0));
            });
        all.wait();
        long sum = 0;
        for (long s : squares) sum += s;
        std::printf("%ld\n", sum);

        try {
            db.run(request, "select 1 / 0");
        } catch (const std::exception& e) {
            std::printf("%s", e.what());
        }

        auto [hurried, cancel_hurried] = ctx::with_timeout(request, 100ms);
        try {
            db.run(hurried, "select pg_sleep(60)");
        } catch (const std::system_error& e) {
            std::printf("%s\n", e.code() == std::errc::timed_out ? "too slow" : e.what());
        }
        cancel_hurried();

        // The pool goes on, and the server does not sleep for us any more.
        const char* left =
            "select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'";
        while (db.run(request, left).at(0).at(0) != "0") gort::sleep(10ms);
        std::printf("nobody sleeps\n");
    });
}
