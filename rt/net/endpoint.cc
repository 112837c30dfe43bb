// rt/net/endpoint.cc - addresses as text: numbers in, numbers out.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/net/endpoint.h"

#include "kernel/mem.h"
#include "rt/net/socket.h"

namespace gort::net::detail {

namespace {

constexpr size_t kPath = sizeof(sockaddr_un{}.sun_path);
constexpr size_t kPathAt = offsetof(sockaddr_un, sun_path);

bool digit(char c) { return c >= '0' && c <= '9'; }

// A decimal number from the start of s, which it is taken off; -1: none, or above max.
int64_t number(std::string_view* s, int64_t max) {
    int64_t n = -1;
    while (!s->empty() && digit(s->front())) {
        n = (n < 0 ? 0 : n * 10) + (s->front() - '0');
        if (n > max) return -1;
        s->remove_prefix(1);
    }
    return n;
}

int hex(char c) {
    if (digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool parse_v4(std::string_view s, unsigned char* out) {
    for (int i = 0; i < 4; ++i) {
        if (i > 0) {
            if (s.empty() || s.front() != '.') return false;
            s.remove_prefix(1);
        }
        if (s.size() > 1 && s[0] == '0' && digit(s[1])) return false;  // octal to some, decimal to others
        const int64_t n = number(&s, 255);
        if (n < 0) return false;
        out[i] = static_cast<unsigned char>(n);
    }
    return s.empty();
}

// Groups before "::" go to the front, those after it to the end.
bool parse_v6(std::string_view s, unsigned char* out, uint32_t* zone) {
    *zone = 0;
    if (const size_t at = find_char(s, '%'); at != kNone) {
        std::string_view z = part(s, at + 1, s.size() - at - 1);
        const int64_t n = number(&z, INT32_MAX);
        if (n < 0 || !z.empty()) return false;  // an interface's name: the resolver knows those
        *zone = static_cast<uint32_t>(n);
        s = part(s, 0, at);
    }
    unsigned char parts[16] = {};
    size_t have = 0, gap = SIZE_MAX;
    if (s.size() >= 2 && s[0] == ':' && s[1] == ':') {
        gap = 0;
        s.remove_prefix(2);
    }
    while (!s.empty()) {
        if (have == 16) return false;
        if (find_char(s, ':') == kNone && find_char(s, '.') != kNone) {
            if (have > 12 || !parse_v4(s, parts + have)) return false;
            have += 4;
            break;
        }
        unsigned group = 0, n = 0;
        for (; n < 4 && n < s.size() && hex(s[n]) >= 0; ++n)
            group = group << 4 | static_cast<unsigned>(hex(s[n]));
        if (n == 0) return false;
        parts[have++] = static_cast<unsigned char>(group >> 8);
        parts[have++] = static_cast<unsigned char>(group & 0xff);
        s.remove_prefix(n);
        if (s.empty()) break;
        if (s.front() != ':') return false;
        s.remove_prefix(1);
        if (!s.empty() && s.front() == ':') {
            if (gap != SIZE_MAX) return false;
            gap = have;
            s.remove_prefix(1);
        } else if (s.empty()) {
            return false;
        }
    }
    if (gap == SIZE_MAX ? have != 16 : have > 14) return false;
    const size_t after = gap == SIZE_MAX ? 0 : have - gap;
    for (size_t i = 0; i < 16; ++i) out[i] = 0;
    for (size_t i = 0; i < have - after; ++i) out[i] = parts[i];
    for (size_t i = 0; i < after; ++i) out[16 - after + i] = parts[have - after + i];
    return true;
}

struct Text {
    char* to;
    size_t room, n = 0;
    void ch(char c) {
        if (n < room) to[n++] = c;
    }
    void dec(uint32_t v) {
        if (v >= 10) dec(v / 10);
        ch(static_cast<char>('0' + v % 10));
    }
    void hex(unsigned v) {
        if (v >= 16) hex(v / 16);
        ch("0123456789abcdef"[v % 16]);
    }
};

void put_v4(Text* t, const unsigned char* a) {
    for (int i = 0; i < 4; ++i) {
        if (i) t->ch('.');
        t->dec(a[i]);
    }
}

// An IPv4 peer of a socket for both families.
bool mapped_v4(const unsigned char* a) {
    for (int i = 0; i < 10; ++i)
        if (a[i]) return false;
    return a[10] == 0xff && a[11] == 0xff;
}

// The longest run of at least two zero groups becomes "::" (RFC 5952).
void put_v6(Text* t, const unsigned char* a) {
    unsigned group[8];
    int best = -1, best_n = 1;
    for (size_t i = 0; i < 8; ++i) group[i] = static_cast<unsigned>(a[2 * i] << 8 | a[2 * i + 1]);
    for (int i = 0, n = 0; i < 8; ++i) {
        n = group[i] ? 0 : n + 1;
        if (n > best_n) {
            best_n = n;
            best = i - n + 1;
        }
    }
    for (int i = 0; i < 8; ++i) {
        if (i == best) {
            t->ch(':');
            t->ch(':');
            i += best_n - 1;
            continue;
        }
        if (i && i != best + (best < 0 ? 0 : best_n)) t->ch(':');
        t->hex(group[i]);
    }
}

}  // namespace

bool numeric_endpoint(std::string_view host, uint16_t port, endpoint* out) {
    unsigned char a[16];
    uint32_t zone = 0;
    if (parse_v4(host, a)) {
        sockaddr_in s{};
        s.sin_family = AF_INET;
        s.sin_port = __builtin_bswap16(port);
        kernel::copy_bytes(&s.sin_addr, a, 4);
        kernel::copy_bytes(out->raw(), &s, sizeof s);
        out->set_raw_size(sizeof s);
        return true;
    }
    if (!parse_v6(host, a, &zone)) return false;
    sockaddr_in6 s{};
    s.sin6_family = AF_INET6;
    s.sin6_port = __builtin_bswap16(port);
    s.sin6_scope_id = zone;
    kernel::copy_bytes(&s.sin6_addr, a, 16);
    kernel::copy_bytes(out->raw(), &s, sizeof s);
    out->set_raw_size(sizeof s);
    return true;
}

int split_host_port(std::string_view text, std::string_view* host, std::string_view* port) {
    size_t colon = text.size();
    while (colon > 0 && text.data()[colon - 1] != ':') --colon;
    if (colon == 0 || text.back() == ']') return net_error(errc::missing_port);
    *port = part(text, colon, text.size() - colon);
    *host = part(text, 0, colon - 1);
    if (!host->empty() && host->front() == '[') {
        if (host->back() != ']') return net_error(errc::bad_address);
        *host = part(*host, 1, host->size() - 2);
    } else if (find_char(*host, ':') != kNone) {
        return net_error(errc::bad_address);  // an IPv6 address wants brackets
    }
    return find_char(*host, '[') == kNone && find_char(*host, ']') == kNone ? 0
                                                                            : net_error(errc::bad_address);
}

// 0 to 65535, or -1: it is no number; -2: too large.
int port_number(std::string_view text) {
    if (text.empty()) return 0;
    for (char c : text)
        if (!digit(c)) return -1;
    const int64_t n = number(&text, 65535);
    return n < 0 ? -2 : static_cast<int>(n);
}

int parse_endpoint(std::string_view text, endpoint* out) {
    std::string_view host, port;
    if (const int r = split_host_port(text, &host, &port)) return r;
    const int n = port_number(port);
    if (n < 0 || port.empty()) return net_error(errc::bad_port);
    return numeric_endpoint(host, static_cast<uint16_t>(n), out) ? 0 : net_error(errc::bad_address);
}

// The name of an abstract socket is as long as the address says, and may hold any byte. A path ends at a NUL, which
// therefore may not be in it.
int unix_endpoint(std::string_view path, endpoint* out) {
    if (path.empty() || path.size() >= kPath) return net_error(errc::bad_address);
    const bool abstract = path.front() == '@' || path.front() == '\0';
    if (!abstract && find_char(path, '\0') != kNone) return net_error(errc::bad_address);
    sockaddr_un s{};
    s.sun_family = AF_UNIX;
    kernel::copy_bytes(s.sun_path, path.data(), path.size());
    size_t n = kPathAt + path.size() + 1;
    if (abstract) {
        s.sun_path[0] = '\0';
        --n;
    }
    kernel::copy_bytes(out->raw(), &s, sizeof s);
    out->set_raw_size(static_cast<uint32_t>(n));
    return 0;
}

size_t format_endpoint(const endpoint& e, char* to, size_t room, bool with_port) {
    Text t{to, room};
    const auto* raw = static_cast<const unsigned char*>(e.raw());
    switch (e.family()) {
    case AF_INET: put_v4(&t, raw + offsetof(sockaddr_in, sin_addr)); break;
    case AF_INET6: {
        const unsigned char* a = raw + offsetof(sockaddr_in6, sin6_addr);
        if (mapped_v4(a)) {
            put_v4(&t, a + 12);
            break;
        }
        if (with_port) t.ch('[');
        put_v6(&t, a);
        uint32_t zone;
        kernel::copy_bytes(&zone, raw + offsetof(sockaddr_in6, sin6_scope_id), sizeof zone);
        if (zone) {
            t.ch('%');
            t.dec(zone);
        }
        if (with_port) t.ch(']');
        break;
    }
    case AF_UNIX: {
        const auto* path = reinterpret_cast<const char*>(raw) + kPathAt;
        const size_t n = e.raw_size() > kPathAt ? e.raw_size() - kPathAt : 0;
        const bool abstract = n && !path[0];
        if (abstract) t.ch('@');
        for (size_t i = abstract; i < n && (abstract || path[i]); ++i) t.ch(path[i]);
        return t.n;
    }
    default: return 0;
    }
    if (with_port) {
        t.ch(':');
        t.dec(e.port());
    }
    return t.n;
}

}  // namespace gort::net::detail
