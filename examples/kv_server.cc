// examples/kv_server.cc [HOST:PORT] - a small key-value server that speaks Redis's protocol (RESP2).
// SPDX-License-Identifier: BSD-2-Clause
// ci: build only (tests/net_examples_test.sh drives it)
//
// PING [text], ECHO, SET key value [EX s | PX ms], GET, DEL key…, EXISTS key…, INCR, EXPIRE, TTL, DBSIZE, QUIT; and
// enough of CONFIG and COMMAND for redis-benchmark and redis-cli. A broken request gets "-ERR Protocol error: …" and
// ends that connection; a wrong command only gets an error.
#include <charconv>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "examples/serve.h"

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

constexpr size_t kMostBulk = 1 << 20, kMostParts = 1024, kMostInline = 64 << 10;

struct Value {
    std::string text;
    std::optional<clock_type::time_point> expires;
};

gort::mutex store_lock;
std::unordered_map<std::string, Value> store;

// With store_lock held. What has expired goes when it is looked for.
Value* find(const std::string& key) {
    auto it = store.find(key);
    if (it == store.end()) return nullptr;
    if (it->second.expires && *it->second.expires <= clock_type::now()) {
        store.erase(it);
        return nullptr;
    }
    return &it->second;
}

bool number(std::string_view s, int64_t* out) {
    auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), *out);
    return error == std::errc{} && end == s.data() + s.size();
}

std::string upper(std::string s) {
    for (char& c : s)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return s;
}

using Parts = std::vector<std::string>;

std::string bulk(std::string_view s) {
    return "$" + std::to_string(s.size()) + "\r\n" + std::string(s) + "\r\n";
}
std::string integer(int64_t n) { return ":" + std::to_string(n) + "\r\n"; }
const std::string kOk = "+OK\r\n", kNil = "$-1\r\n",
                  kNoNumber = "-ERR value is not an integer or out of range\r\n";

std::string set(const Parts& p) {
    Value v{p[2], {}};
    for (size_t i = 3; i < p.size(); i += 2) {
        const std::string option = upper(p[i]);
        int64_t n = 0;
        if ((option != "EX" && option != "PX") || i + 1 == p.size()) return "-ERR syntax error\r\n";
        if (!number(p[i + 1], &n)) return kNoNumber;
        if (n <= 0 || n > 1'000'000'000'000) return "-ERR invalid expire time in 'set' command\r\n";
        v.expires = clock_type::now() +
                    (option == "EX" ? std::chrono::milliseconds(n) * 1000 : std::chrono::milliseconds(n));
    }
    std::lock_guard guard(store_lock);
    store[p[1]] = std::move(v);
    return kOk;
}

std::string increment(const std::string& key) {
    std::lock_guard guard(store_lock);
    Value* v = find(key);
    int64_t n = 0;
    if (v && !number(v->text, &n)) return kNoNumber;
    if (__builtin_add_overflow(n, 1, &n)) return "-ERR increment or decrement would overflow\r\n";
    if (v) v->text = std::to_string(n);
    else store[key].text = std::to_string(n);
    return integer(n);
}

std::string expire(const Parts& p) {
    int64_t s = 0;
    if (!number(p[2], &s) || s > 1'000'000'000) return kNoNumber;
    std::lock_guard guard(store_lock);
    Value* v = find(p[1]);
    if (!v) return integer(0);
    if (s <= 0) store.erase(p[1]);
    else v->expires = clock_type::now() + std::chrono::seconds(s);
    return integer(1);
}

std::string ttl(const std::string& key) {
    std::lock_guard guard(store_lock);
    const Value* v = find(key);
    if (!v) return integer(-2);
    if (!v->expires) return integer(-1);
    return integer(std::chrono::ceil<std::chrono::seconds>(*v->expires - clock_type::now()).count());
}

std::string execute(const Parts& p, bool* quit) {
    const std::string name = upper(p[0]);
    const size_t n = p.size() - 1;
    const auto wrong = [&] {
        return "-ERR wrong number of arguments for '" + p[0].substr(0, 64) + "' command\r\n";
    };
    if (name == "PING") return n > 1 ? wrong() : n == 1 ? bulk(p[1]) : "+PONG\r\n";
    if (name == "ECHO") return n != 1 ? wrong() : bulk(p[1]);
    if (name == "SET") return n < 2 ? wrong() : set(p);
    if (name == "GET") {
        if (n != 1) return wrong();
        std::lock_guard guard(store_lock);
        const Value* v = find(p[1]);
        return v ? bulk(v->text) : kNil;
    }
    if (name == "DEL" || name == "EXISTS") {
        if (n < 1) return wrong();
        std::lock_guard guard(store_lock);
        int64_t found = 0;
        for (size_t i = 1; i < p.size(); ++i)
            if (find(p[i])) {
                ++found;
                if (name == "DEL") store.erase(p[i]);
            }
        return integer(found);
    }
    if (name == "INCR") return n != 1 ? wrong() : increment(p[1]);
    if (name == "EXPIRE") return n != 2 ? wrong() : expire(p);
    if (name == "TTL") return n != 1 ? wrong() : ttl(p[1]);
    if (name == "DBSIZE") {
        std::lock_guard guard(store_lock);
        return integer(static_cast<int64_t>(store.size()));
    }
    if (name == "QUIT") return *quit = true, kOk;
    if (name == "CONFIG" && n == 2) return "*2\r\n" + bulk(p[2]) + bulk("");
    if (name == "COMMAND") return "*0\r\n";
    return "-ERR unknown command '" + p[0].substr(0, 64) + "'\r\n";
}

enum class Parsed { kRequest, kMore, kBroken };

// One request off the front of `in`, from *at on. *why is set when it is broken.
Parsed parse(const std::string& in, size_t* at, Parts* out, const char** why) {
    out->clear();
    size_t pos = *at;
    const auto line = [&](std::string_view* l) {
        const size_t end = in.find("\r\n", pos);
        if (end == std::string::npos) return false;
        *l = std::string_view(in).substr(pos, end - pos);
        pos = end + 2;
        return true;
    };
    const auto broken = [&](const char* text) { return *why = text, Parsed::kBroken; };
    if (pos == in.size()) return Parsed::kMore;
    std::string_view l;
    if (in[pos] != '*') {  // a line of words, as typed into nc
        const size_t end = in.find('\n', pos);
        if (end == std::string::npos)
            return in.size() - pos > kMostInline ? broken("too big inline request") : Parsed::kMore;
        size_t word = pos;
        for (size_t i = pos; i <= end; ++i)
            if (in[i] == ' ' || in[i] == '\r' || in[i] == '\n') {
                if (i > word) out->push_back(in.substr(word, i - word));
                word = i + 1;
            }
        *at = end + 1;
        return out->size() > kMostParts ? broken("too many words") : Parsed::kRequest;
    }
    ++pos;
    int64_t parts = 0, size = 0;
    if (!line(&l)) return in.size() - pos > 32 ? broken("invalid multibulk length") : Parsed::kMore;
    if (!number(l, &parts) || parts < -1 || parts > static_cast<int64_t>(kMostParts))
        return broken("invalid multibulk length");
    for (; parts > 0; --parts) {
        if (pos < in.size() && in[pos] != '$') return broken("expected '$'");
        ++pos;
        if (pos > in.size() || !line(&l))
            return in.size() > pos + 32 ? broken("invalid bulk length") : Parsed::kMore;
        if (!number(l, &size) || size < 0 || size > static_cast<int64_t>(kMostBulk))
            return broken("invalid bulk length");
        const size_t n = static_cast<size_t>(size);
        if (in.size() - pos < n + 2) return Parsed::kMore;
        if (in.compare(pos + n, 2, "\r\n") != 0) return broken("a bulk does not end where it should");
        out->push_back(in.substr(pos, n));
        pos += n + 2;
    }
    *at = pos;
    return Parsed::kRequest;
}

void converse(const gort::net::conn& c, const gort::ctx::context& server) {
    std::string in, out;
    Parts parts;
    std::vector<char> buf(16 << 10);
    bool quit = false;
    while (!quit && !server.err()) {
        auto n = c.read(buf);
        if (!n) return;
        in.append(buf.data(), *n);
        size_t at = 0;
        const char* why = nullptr;
        Parsed parsed = Parsed::kMore;
        while (!quit && (parsed = parse(in, &at, &parts, &why)) == Parsed::kRequest)
            if (!parts.empty()) out += execute(parts, &quit);
        in.erase(0, at);
        if (parsed == Parsed::kBroken) {
            out += "-ERR Protocol error: " + std::string(why) + "\r\n";
            quit = true;
        }
        if (!out.empty() && !c.write(out)) return;
        out.clear();
    }
    // Unread bytes at a close would reset the connection before the peer has our last reply.
    (void)c.close_write();
    (void)c.set_read_deadline(1s);
    for (int i = 0; i < 256 && c.read(buf); ++i) {
    }
}

}  // namespace

int main(int argc, char** argv) { return serve_main(argc, argv, "127.0.0.1:6379", converse); }
