// examples/http_server.cc [HOST:PORT] - HTTP/1.1 hello: keep-alive, pipelining, limits, clean shutdown.
// SPDX-License-Identifier: BSD-2-Clause
// ci: build only (tests/net_examples_test.sh drives it)
//
// GET and HEAD of any path. What is wrong with a request is said in the reply's status and body, and only that
// connection is closed: 400 malformed, 405 another method, 413 a body above 1 MiB, 431 a header above 8 KiB, 501 a
// transfer encoding, 505 another version.
#include <algorithm>
#include <cctype>
#include <cstring>
#include <string>
#include <string_view>

#include "examples/serve.h"

namespace {

constexpr size_t kMostHeader = 8192;
constexpr uint64_t kMostBody = 1 << 20;
constexpr auto kIdle = std::chrono::seconds(60);

struct Request {
    bool head = false, keep = true;
    uint64_t body = 0;  // bytes that follow the header
    int status = 200;
    const char* why = "";
};

Request refused(int status, const char* why) {
    Request r;
    r.status = status;
    r.why = why;
    r.keep = false;
    return r;
}

bool same(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string_view trimmed(std::string_view s) {
    while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
    while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
    return s;
}

bool is_token(std::string_view s) {
    for (char c : s)
        if (c <= ' ' || c == 127 || std::strchr("()<>@,;:\\\"/[]?={}", c)) return false;
    return !s.empty();
}

// `text` is a header without the empty line at its end.
Request parse(std::string_view text) {
    Request r;
    size_t end = text.find("\r\n");
    std::string_view line = text.substr(0, end);
    const size_t first = line.find(' '), last = line.rfind(' ');
    if (first == std::string_view::npos || first == last) return refused(400, "malformed request line");
    const std::string_view method = line.substr(0, first), target = line.substr(first + 1, last - first - 1),
                           version = line.substr(last + 1);
    if (!is_token(method) || target.empty() || target.find(' ') != std::string_view::npos)
        return refused(400, "malformed request line");
    if (version != "HTTP/1.1" && version != "HTTP/1.0")
        return version.starts_with("HTTP/") ? refused(505, "only HTTP/1.1 and HTTP/1.0")
                                            : refused(400, "malformed request line");
    if (method != "GET" && method != "HEAD") return refused(405, "only GET and HEAD");
    r.head = method == "HEAD";
    r.keep = version == "HTTP/1.1";
    bool host = false, length = false;
    while (end != std::string_view::npos) {
        text.remove_prefix(end + 2);
        end = text.find("\r\n");
        line = text.substr(0, end);
        const size_t colon = line.find(':');
        if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
            return refused(400, "malformed header line");
        const std::string_view name = line.substr(0, colon), value = trimmed(line.substr(colon + 1));
        if (same(name, "host")) {
            if (host) return refused(400, "more than one Host");
            host = true;
        } else if (same(name, "connection")) {
            if (same(value, "close")) r.keep = false;
            if (same(value, "keep-alive")) r.keep = true;
        } else if (same(name, "transfer-encoding")) {
            return refused(501, "no transfer encodings");
        } else if (same(name, "content-length")) {
            if (length || value.empty() || value.size() > 18 ||
                !std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; }))
                return refused(400, "malformed Content-Length");
            length = true;
            r.body = std::stoull(std::string(value));
            if (r.body > kMostBody) return refused(413, "a body above 1 MiB");
        }
    }
    if (version == "HTTP/1.1" && !host) return refused(400, "no Host");
    return r;
}

const char* reason(int status) {
    switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 405: return "Method Not Allowed";
    case 413: return "Content Too Large";
    case 431: return "Request Header Fields Too Large";
    case 501: return "Not Implemented";
    case 505: return "HTTP Version Not Supported";
    }
    return "Error";
}

void append_reply(std::string* out, const Request& r) {
    const std::string body = r.status == 200 ? "Hello, World!" : std::string(r.why) + "\n";
    *out +=
        "HTTP/1.1 " + std::to_string(r.status) + " " + reason(r.status) + "\r\nContent-Type: text/plain\r\n";
    *out += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    if (r.status == 405) *out += "Allow: GET, HEAD\r\n";
    if (!r.keep) *out += "Connection: close\r\n";
    *out += "\r\n";
    if (!r.head) *out += body;
}

// The peer may still be sending; a close with unread bytes would reset the connection before it has read our reply.
void close_politely(const gort::net::conn& c) {
    (void)c.close_write();
    (void)c.set_read_deadline(std::chrono::seconds(1));
    char drop[4096];
    for (size_t n = 0; n < (4 << 20);) {
        auto got = c.read(drop);
        if (!got) break;
        n += *got;
    }
}

void converse(const gort::net::conn& c, const gort::ctx::context& server) {
    std::string in, out;
    uint64_t skip = 0;  // of a body that is still coming
    char buf[4096];
    while (!server.err()) {
        (void)c.set_read_deadline(kIdle);
        if (server.err()) break;  // canceled in between: that deadline must not outlast it
        auto n = c.read(buf);
        if (!n) return;
        in.append(buf, *n);
        bool keep = true;
        while (keep) {  // as many requests as have come
            const size_t gone = std::min<uint64_t>(skip, in.size());
            in.erase(0, gone);
            skip -= gone;
            if (skip) break;
            while (in.starts_with("\r\n")) in.erase(0, 2);  // between requests
            const size_t end = in.find("\r\n\r\n");
            if (end == std::string::npos && in.size() <= kMostHeader) break;
            Request r = end == std::string::npos || end > kMostHeader
                            ? refused(431, "a header above 8 KiB")
                            : parse(std::string_view(in).substr(0, end));
            if (server.err()) r.keep = false;
            append_reply(&out, r);
            keep = r.keep;
            if (end != std::string::npos) in.erase(0, end + 4);
            skip = r.body;
        }
        if (!out.empty() && !c.write(out)) return;
        out.clear();
        if (!keep) return close_politely(c);
    }
}

}  // namespace

int main(int argc, char** argv) { return serve_main(argc, argv, "127.0.0.1:8080", converse); }
