// ctx/text.cc - contexts and their errors for people.
// SPDX-License-Identifier: BSD-2-Clause
#include <cxxabi.h>

#include <cstdlib>
#include <vector>

#include "ctx/node.h"
#include "rt/time/clock.h"

namespace gort::ctx {

namespace {

class Category final : public std::error_category {
public:
    constexpr Category() = default;
    const char* name() const noexcept override { return "context"; }
    std::string message(int code) const override {
        switch (static_cast<errc>(code)) {
        case errc::canceled: return "context canceled";
        case errc::deadline_exceeded: return "context deadline exceeded";
        }
        return "unknown error " + std::to_string(code);
    }
    std::error_condition default_error_condition(int code) const noexcept override {
        switch (static_cast<errc>(code)) {
        case errc::canceled: return std::errc::operation_canceled;
        case errc::deadline_exceeded: return std::errc::timed_out;
        }
        return {code, *this};
    }
};

// As Go prints a duration: 1h2m3.5s, 1.5ms, 0s.
std::string duration_text(int64_t ns) {
    if (ns < 0) return "-" + duration_text(ns == INT64_MIN ? INT64_MAX : -ns);
    if (ns == 0) return "0s";
    const auto with_fraction = [](int64_t value, int64_t unit) {
        std::string text = std::to_string(value / unit),
                    fraction = std::to_string(unit + value % unit).substr(1);
        fraction.erase(fraction.find_last_not_of('0') + 1);
        return fraction.empty() ? text : text + "." + fraction;
    };
    constexpr int64_t kUs = 1000, kMs = 1000 * kUs, kSecond = 1000 * kMs, kMinute = 60 * kSecond;
    if (ns < kUs) return std::to_string(ns) + "ns";
    if (ns < kMs) return with_fraction(ns, kUs) + "us";
    if (ns < kSecond) return with_fraction(ns, kMs) + "ms";
    std::string text;
    if (ns >= 60 * kMinute) text = std::to_string(ns / (60 * kMinute)) + "h";
    if (ns >= kMinute) text += std::to_string(ns / kMinute % 60) + "m";
    return text + with_fraction(ns % kMinute, kSecond) + "s";
}

}  // namespace

const std::error_category& category() noexcept {
    static constinit Category the;
    return the;
}

namespace detail {

std::string type_text(const std::type_info& type) {
    int status = 0;
    char* text = abi::__cxa_demangle(type.name(), nullptr, nullptr, &status);
    std::string result = text ? text : type.name();
    std::free(text);
    return result;
}

std::string type_text(const char* function) {
    const std::string text = function;
    const size_t at = text.find("T = ");
    return at == text.npos ? "a value" : text.substr(at + 4, text.rfind(']') - at - 4);
}

}  // namespace detail

std::string context_base::to_string() const {
    // The type_info is the word before the virtual table's first function; a class that was compiled with -fno-rtti has
    // a null pointer there, which typeid would not look at.
    const std::type_info* type = (*reinterpret_cast<const std::type_info* const* const*>(this))[-1];
    return type ? detail::type_text(*type) : "a context";
}

std::string to_string(const context& context) {
    using namespace detail;
    const context_base* c = Tree::get(context);
    if (!c) return "<nil>";
    std::vector<const context_base*> path;
    const auto is_root = [](Kind k) {
        return k == Kind::kBackground || k == Kind::kTodo || k == Kind::kCustom;
    };
    for (; !is_root(Tree::kind(c)); c = Tree::up(c)) path.push_back(c);
    std::string text;
    switch (Tree::kind(c)) {
    case Kind::kBackground: text = "context.Background"; break;
    case Kind::kTodo: text = "context.TODO"; break;
    default: text = c->to_string();
    }
    for (; !path.empty(); path.pop_back()) {
        c = path.back();
        switch (Tree::kind(c)) {
        case Kind::kCancel: text += ".WithCancel"; break;
        case Kind::kWithoutCancel: text += ".WithoutCancel"; break;
        case Kind::kTimer: {
            const int64_t when = static_cast<const TimerNode*>(c)->timer.when;
            text += ".WithDeadline(" + duration_text(when) + " [" + duration_text(when - rt::now()) + "])";
            break;
        }
        default: {
            const auto* v = static_cast<const ValueNode*>(c);
            text += std::string(".WithValue(") + v->bound->name() + ", ";
            if (v->at) v->text(&text, v->at);
            else text += "<nil>";
            text += ")";
        }
        }
    }
    return text;
}

}  // namespace gort::ctx
