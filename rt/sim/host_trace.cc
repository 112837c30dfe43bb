// rt/sim/host_trace.cc - from return addresses to "receive at worker.cc:42", and the lines of a trace.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/sim/trace.h"

#include <cxxabi.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "rt/sim/engine.h"
#include "rt/symbols/symbols.h"
#include "rt/trace/traceback.h"

namespace gort::sim {

using namespace rt;

namespace {

bool starts(std::string_view s, std::string_view with) { return s.substr(0, with.size()) == with; }

// Is this function the library's? What runs a user's callable is taken for the user's, since that may be inlined there.
bool is_ours(const char* name) {
    if (!name) return false;
    const std::string_view s(name);
    for (const char* runs : {"invoke_inline", "invoke_boxed", "3sim6detail8Callable"})
        if (s.find(runs) != s.npos) return false;
    return starts(s, "_ZN4gort") || starts(s, "_ZNK4gort") || starts(s, "_ZZN4gort") ||
           starts(s, "_ZZNK4gort") || starts(s, "gort_");
}

bool is_std(std::string_view s) { return starts(s, "_ZSt") || starts(s, "_ZNSt") || starts(s, "_ZNKSt"); }

std::string path_of(const LineInfo& line) {
    std::string s = line.base;
    if (!s.empty()) s += '/';
    if (*line.dir) s += std::string(line.dir) + '/';
    s += line.file;
    for (size_t up; (up = s.find("/../")) != s.npos && up > 0;) {  // "rt/sync/../gate_fast.h"
        const size_t from = s.rfind('/', up - 1);
        if (from == s.npos) s.erase(0, up + 4);
        else s.erase(from, up + 3 - from);
    }
    return s;
}

// A header of ours, or of the standard library.
bool is_header_of_libraries(const LineInfo& line) {
    const std::string s = path_of(line);
    if (s.find("/c++/") != s.npos) return true;
    static constexpr const char* kOurs[] = {"rt/",         "rt/base/",     "rt/stack/",    "rt/time/",
                                            "rt/symbols/", "rt/own/",      "rt/sched/",    "rt/trace/",
                                            "rt/sync/",    "rt/net/",      "rt/sim/",      "chan/",
                                            "ctx/",        "arch/x86_64/", "arch/aarch64/"};
    const size_t slash = s.rfind('/');
    if (slash == s.npos || s.size() < 2 || s.compare(s.size() - 2, 2, ".h") != 0) return false;
    const std::string_view dir(s.data(), slash + 1);
    for (const char* ours : kOurs) {
        const std::string_view o(ours);
        if (dir.size() < o.size() || dir.substr(dir.size() - o.size()) != o) continue;
        if (dir.size() == o.size() || dir[dir.size() - o.size() - 1] == '/') return true;
    }
    return false;
}

std::string demangled(const char* name) {
    int status = 0;
    char* text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
    std::string s = text ? text : name;
    std::free(text);
    return s;
}

// "void gort::chan<int>::send(int&&) const" -> "chan<int>::send"
std::string short_name(const char* mangled) {
    std::string s = demangled(mangled);
    static constexpr const char kUnnamed[] = "(anonymous namespace)::";
    for (size_t at; (at = s.find(kUnnamed)) != s.npos;) s.erase(at, sizeof kUnnamed - 1);
    int depth = 0;
    size_t begin = 0, end = s.size();
    for (size_t i = 0; i < s.size(); ++i) {
        const char c = s[i];
        if (c == '<') ++depth;
        else if (c == '>') --depth;
        else if (depth == 0 && c == ' ' && end == s.size()) begin = i + 1;
        else if (depth == 0 && c == '(' && i > begin) {
            end = i;
            break;
        }
    }
    s = s.substr(begin, end - begin);
    for (const char* prefix : {"gort::", "detail::", "rt::", "sim::"})
        if (starts(s, prefix)) s.erase(0, std::strlen(prefix));
    return s;
}

// What the library's inner functions do for the user.
constexpr size_t kFirst = 400, kMost = 2000;  // events that a trace keeps: the first ones, and all together

struct Name {
    const char* inner;
    const char* outer;
};
constexpr Name kNames[] = {
    {"chan_send", "send"},
    {"send_", "send"},
    {"chan_try_send", "try_send"},
    {"chan_recv", "receive"},
    {"recv_", "receive"},
    {"chan_try_recv", "try_receive"},
    {"chan_close", "close"},
    {"chan_", "channel"},
    {"select_try", "select with otherwise"},
    {"select", "select"},
    {"mutex_lock_slow", "lock"},
    {"mutex_try_lock", "try_lock"},
    {"mutex_unlock", "unlock"},
    {"mutex_wake", "unlock"},
    {"rw_lock_shared", "lock_shared"},
    {"lock_shared_slow", "lock_shared"},
    {"rw_unlock_shared", "unlock_shared"},
    {"unlock_shared_slow", "unlock_shared"},
    {"rw_try_lock_shared", "try_lock_shared"},
    {"rw_lock", "rw_mutex lock"},
    {"rw_try_lock", "rw_mutex try_lock"},
    {"rw_unlock", "rw_mutex unlock"},
    {"wait_group_wait", "wait_group wait"},
    {"wait_group", "wait_group add or done"},
    {"add_settled", "wait_group add or done"},
    {"cond_wait", "cond wait"},
    {"cond_signal", "cond signal"},
    {"cond_broadcast", "cond broadcast"},
    {"sleep_ns", "sleep"},
    {"spawn", "go"},
    {"submit", "go"},
    {"yield", "yield"},
    {"time_chan_stop", "timer stop"},
    {"time_chan_reset", "timer reset"},
    {"time_chan", "new timer"},
    {"func_timer_stop", "timer stop"},
    {"func_timer", "timer"},
    {"check_in", "look"},
};

std::string operation_name(const char* mangled) {
    const std::string s = short_name(mangled);
    const Name* best = nullptr;
    for (const Name& n : kNames)
        if (starts(s, n.inner) && (!best || std::strlen(n.inner) > std::strlen(best->inner))) best = &n;
    return best ? best->outer : s;
}

std::string place(const char* file, uint32_t line) { return std::string(file) + ":" + std::to_string(line); }

// The operation and where the user calls it.
struct Described {
    std::string what, where;
};
Described describe_anew(Images* images, const uintptr_t* pc, uint32_t depth) {
    Described d;
    const char* inner = nullptr;
    bool polls = false;
    for (uint32_t i = 0; i < depth; ++i) {
        Symbol s;
        find_symbol(images, pc[i], &s);
        const bool ours = is_ours(s.name);
        if (ours) {
            const std::string_view name(s.name);
            // not the simulation's own, nor what every operation begins with
            if (!starts(name, "_ZN4gort3sim6Engine") && !starts(name, "_ZN4gort3sim8Recorder") &&
                !starts(name, "_ZN4gort3sim5Hooks") && !starts(name, "_ZN4gort2rt") &&
                !starts(name, "_ZN4gort6detail4Call") && !starts(name, "_ZZ") && name != "gort_entry")
                inner = s.name;
            polls = polls || name.find("poll_") != name.npos;
            continue;
        }
        // Where the user's own code is, in what the compiler has put into this function one into the other.
        LineInfo line = s.line;
        for (uint32_t k = 0; k < s.inlined_n && line.file && is_header_of_libraries(line); ++k)
            line = s.inlined[k].from;
        if (s.name && line.file && is_header_of_libraries(line)) {
            if (is_std(s.name)) continue;
            if (s.inlined_n || !s.image) break;  // of what calls the goroutine's function
            // Nothing is said of what was inlined (-g1): the line nearest before, in this function.
            const uintptr_t inside = (pc[i] & ~kExactPc) - (pc[i] & kExactPc ? 0 : 1) - s.image->bias;
            find_line(*s.image, inside, &line, inside - s.offset, is_header_of_libraries);
            if (line.file && is_header_of_libraries(line)) line.file = nullptr;
        }
        if (line.file) {
            const std::string path = path_of(line);
            d.where = place(path.c_str(), line.line);
        } else if (s.name && !std::strstr(s.name, "invoke_")) {
            d.where = short_name(s.name);
        }
        break;
    }
    d.what = inner ? operation_name(inner) : polls ? "network" : "goes on";
    return d;
}

// To find a line takes milliseconds, and a program has few places.
const Described& describe(Images* images, const uintptr_t* pc, uint32_t depth) {
    static std::map<std::vector<uintptr_t>, Described> known;
    const auto [at, is_new] = known.try_emplace({pc, pc + depth});
    if (is_new) at->second = describe_anew(images, pc, depth);
    return at->second;
}

// What is mapped, and where the symbols are. Kept, for the same reason.
Images* images_of_process() {
    static Images* const images = Images::take();
    return images;
}

std::string time_text(int64_t ns) {
    char buf[40];
    std::snprintf(buf, sizeof buf, "%lld.%09llds", static_cast<long long>(ns / 1'000'000'000),
                  static_cast<long long>(ns % 1'000'000'000));
    return buf;
}

// Paths as short as they can be read: from the last two folders on.
std::string shorter(const std::string& path) {
    size_t at = path.npos;
    for (int i = 0; i < 2; ++i) {
        at = path.rfind('/', at == path.npos ? at : at - 1);
        if (at == path.npos || at == 0) return path;
    }
    return path.substr(at + 1);
}

}  // namespace

// ---- while it runs ----

Recorder::Recorder() : images_(images_of_process()) {}

Recorder::Event& Recorder::add(Kind kind, uint64_t id, int64_t now) {
    if (events_.size() >= kMost) {
        events_.erase(events_.begin() + kFirst, events_.begin() + kFirst + kMost / 2);
        left_out_ += kMost / 2;
    }
    Event& e = events_.emplace_back();
    e.kind = kind;
    e.id = id;
    e.now = now;
    return e;
}

Recorder::Event* Recorder::last_of(uint64_t id) {
    for (size_t i = events_.size(); i-- > 0;)
        if (events_[i].id == id) return &events_[i];
    return nullptr;
}

void Recorder::born(const Task& t, const Task* by, int64_t now) {
    add(Kind::kBorn, t.id, now).other = by ? by->id : 0;
    sites_[t.id] = t.site;
}

void Recorder::operation(const Task& t, int64_t now) {
    Trace trace;
    trace.total = 0;
    if (images_) trace_here(images_, &trace);
    Event& e = add(Kind::kOperation, t.id, now);
    e.depth = trace.stored() < kDepth ? trace.stored() : kDepth;
    std::memcpy(e.pc, trace.pc, e.depth * sizeof e.pc[0]);
}

void Recorder::says(const Task& t, std::string_view text, int64_t now) {
    add(Kind::kSays, t.id, now).text = text;
}

void Recorder::blocks(const Task& t, WaitReason why) {
    if (Event* e = last_of(t.id))
        e->result += std::string(e->result.empty() ? "" : ", ") + "waits [" + wait_reason_text(why) + "]";
}

void Recorder::gives_way(const Task& t, bool could_go_on) {
    if (Event* e = last_of(t.id))
        if (could_go_on) e->result += std::string(e->result.empty() ? "" : ", ") + "others go first";
}

void Recorder::wakes(const Task* by, const Task& whom) {
    Event* e = by ? last_of(by->id) : events_.empty() ? nullptr : &events_.back();
    if (!e) return;
    e->result += (e->result.empty() ? "wakes goroutine " : ", wakes goroutine ") + std::to_string(whom.id);
}

void Recorder::ends(const Task& t, int64_t now) { add(Kind::kEnds, t.id, now); }
void Recorder::fires(int64_t now) { add(Kind::kFires, 0, now); }
void Recorder::passes(int64_t from, int64_t to) {
    add(Kind::kPasses, 0, to).other = static_cast<uint64_t>(to - from);
}

void Recorder::fails(const Task* t, std::string_view what, int64_t now) {
    add(Kind::kFails, t ? t->id : 0, now).text = what;
}

void Recorder::left(const Task& t, int64_t now) {
    const Event* last = last_of(t.id);
    Event e;
    e.kind = Kind::kLeft;
    const bool waits = t.g->status.load(std::memory_order_relaxed) == GStatus::kWaiting;
    e.text = waits ? wait_reason_text(t.g->wait_reason) : "runnable";
    if (last && last->kind == Kind::kOperation) {
        e.depth = last->depth;
        std::memcpy(e.pc, last->pc, sizeof e.pc);
    }
    add(Kind::kLeft, t.id, now) = [&] {
        e.id = t.id;
        e.now = now;
        return e;
    }();
}

// ---- the text ----

std::string Recorder::text(int64_t began) const {
    std::string out;
    std::map<uint64_t, std::string> names;
    for (const auto& [id, site] : sites_) {
        std::string name = "goroutine " + std::to_string(id);
        if (id == 1) name += " (the test)";
        else if (site.file) name += " (" + shorter(place(site.file, site.line)) + ")";
        names[id] = name;
    }
    auto described = [&](const Event& e) {
        Described d;
        if (images_ && e.depth) d = describe(images_, e.pc, e.depth);
        return d;
    };
    // `go` comes to two or three points of one line: the last one stands for all.
    auto same_as_next = [&](size_t i) {
        const Event& e = events_[i];
        if (i + 1 == events_.size() || e.kind != Kind::kOperation || !e.result.empty()) return false;
        const Event& n = events_[i + 1];
        if (n.kind != e.kind || n.id != e.id) return false;
        const Described a = described(e), b = described(n);
        return a.what == "go" && b.what == "go" && a.where == b.where;
    };
    for (size_t i = 0; i < events_.size(); ++i) {
        const Event& e = events_[i];
        if (i == kFirst && left_out_) out += "... " + std::to_string(left_out_) + " events left out ...\n";
        if (same_as_next(i)) continue;
        std::string line = time_text(e.now - began) + "  ";
        if (e.id) line += names[e.id] + ": ";
        switch (e.kind) {
        case Kind::kBorn:
            line += "created";
            if (e.other) line += " by goroutine " + std::to_string(e.other);
            break;
        case Kind::kOperation: {
            const Described d = described(e);
            line += d.what;
            if (!d.where.empty()) line += " at " + shorter(d.where);
            break;
        }
        case Kind::kSays: line += e.text; break;
        case Kind::kEnds: line += "ends"; break;
        case Kind::kFires: line += "a timer fires"; break;
        case Kind::kPasses: line += time_text(static_cast<int64_t>(e.other)) + " pass: nobody can run"; break;
        case Kind::kFails: line += "FAILED: " + e.text; break;
        case Kind::kLeft: {
            const Described d = described(e);
            line += "is left [" + e.text + "]";
            if (e.depth && !d.where.empty()) line += ", " + d.what + " at " + shorter(d.where);
            break;
        }
        }
        if (!e.result.empty()) line += " -> " + e.result;
        out += line;
        out += '\n';
    }
    return out;
}

}  // namespace gort::sim
