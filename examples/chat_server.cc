// examples/chat_server.cc [HOST:PORT] - a chat room: the first line is your name, every other one goes to all others.
// SPDX-License-Identifier: BSD-2-Clause
// ci: build only (tests/net_examples_test.sh drives it)
//
// The room belongs to one goroutine, which hears of everything by one channel; so it needs no lock. Each guest has a
// goroutine that reads and one that writes from a channel. Who reads too slowly to keep up is put out, so that the room
// never waits for anybody. A name of 1 to 32 visible characters, lines of up to 1000 bytes.
#include <atomic>
#include <map>
#include <string>
#include <string_view>

#include "examples/serve.h"

namespace {

constexpr size_t kMostName = 32, kMostLine = 1000;
constexpr int kBacklog = 64;

struct Event {
    enum Kind { kJoin, kSay, kLeave } kind = kSay;
    int guest = 0;
    std::string text;  // a name, or a line
    gort::chan<std::string> outbox;
};

struct Guest {
    std::string name;
    gort::chan<std::string> outbox;
};

void tell_others(std::map<int, Guest>* guests, int from, const std::string& line) {
    for (auto it = guests->begin(); it != guests->end();) {
        if (it->first != from && !it->second.outbox.try_send(line)) {
            it->second.outbox.close();  // its writer ends, and closes the connection
            it = guests->erase(it);
        } else {
            ++it;
        }
    }
}

void room(gort::chan<Event> events) {
    std::map<int, Guest> guests;
    for (Event e : events) {
        if (e.kind == Event::kJoin) {
            tell_others(&guests, e.guest, "* " + e.text + " has come\n");
            std::string who = "* here:";
            for (auto& [id, g] : guests) who += " " + g.name;
            e.outbox.try_send(who + "\n");
            guests[e.guest] = {e.text, e.outbox};
            continue;
        }
        auto it = guests.find(e.guest);
        if (it == guests.end()) continue;  // put out already
        const std::string name = it->second.name;
        if (e.kind == Event::kLeave) {
            it->second.outbox.close();
            guests.erase(it);
        }
        tell_others(&guests, e.guest,
                    e.kind == Event::kSay ? name + ": " + e.text + "\n" : "* " + name + " has gone\n");
    }
}

// The next line without its end; false at the end of the connection, or if the line is too long.
bool read_line(const gort::net::conn& c, std::string* have, size_t most, std::string* line, bool* too_long) {
    for (;;) {
        const size_t end = have->find('\n');
        *too_long = (end == std::string::npos ? have->size() : end) > most;
        if (*too_long) return false;
        if (end != std::string::npos) {
            *line = have->substr(0, end && (*have)[end - 1] == '\r' ? end - 1 : end);
            have->erase(0, end + 1);
            return true;
        }
        char buf[512];
        auto n = c.read(buf);
        if (!n) return false;
        have->append(buf, *n);
    }
}

bool good_name(std::string_view s) {
    for (char c : s)
        if (static_cast<unsigned char>(c) <= ' ' || c == 127) return false;
    return !s.empty() && s.size() <= kMostName;
}

void converse(const gort::net::conn& c, const gort::chan<Event>& events, int id) {
    std::string have, line;
    bool too_long = false;
    (void)c.write("your name?\n");
    if (!read_line(c, &have, kMostLine, &line, &too_long) || !good_name(line)) {
        (void)c.write("error: a name has 1 to 32 visible characters\n");
        return;
    }
    auto outbox = gort::make_chan<std::string>(kBacklog);
    gort::wait_group writer;
    writer.go([&] {
        for (std::string s : outbox)
            if (!c.write(s)) break;
        (void)c.set_read_deadline(std::chrono::seconds(0));  // put out, or gone
    });
    events << Event{Event::kJoin, id, line, outbox};
    while (read_line(c, &have, kMostLine, &line, &too_long)) events << Event{Event::kSay, id, line, {}};
    events << Event{Event::kLeave, id, "", {}};
    writer.wait();
    if (too_long) (void)c.write("error: a line has up to 1000 bytes\n");
}

}  // namespace

int main(int argc, char** argv) {
    // The first guest opens the room: before that there is no runtime to open it in.
    const auto open = [] {
        auto events = gort::make_chan<Event>();
        gort::go(room, events);
        return events;
    };
    return serve_main(argc, argv, "127.0.0.1:5000",
                      [open](const gort::net::conn& c, const gort::ctx::context&) {
                          static const gort::chan<Event> events = open();
                          static std::atomic<int> next{0};
                          converse(c, events, next.fetch_add(1));
                      });
}
