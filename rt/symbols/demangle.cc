// rt/symbols/demangle.cc - the names of functions and data, and what is made of them; types: demangle_types.cc.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/symbols/demangle.h"

#include <new>

#include "rt/symbols/demangle_names.h"
#include "rt/symbols/demangler.h"
#include "rt/symbols/image.h"

namespace gort::rt {
namespace mangling {

bool Demangler::whole(char* out, size_t size) {
    if (!eat('_') || !eat('Z')) return false;
    const Text t = encoding(true);
    if (!t.ok() || (*s_ && *s_ != '.' && *s_ != '@')) return false;
    size_t n = 0;
    for (; n < t.n && n + 1 < size; ++n) out[n] = t.p[n];
    // Parts that the compiler has split off: "f.constprop.0.cold" is "f [clone .constprop.0] [clone .cold]"
    while (*s_ == '.') {
        for (const char* p = " [clone "; *p && n + 1 < size; ++p) out[n++] = *p;
        do
            if (n + 1 < size) out[n++] = *s_;
        while (*++s_ && (*s_ != '.' || digit(s_[1])));
        if (n + 1 < size) out[n++] = ']';
    }
    if (size) out[n] = '\0';
    return true;
}

Text Demangler::join(std::initializer_list<Text> parts) {
    size_t n = 0;
    for (const Text& t : parts) {
        if (!t.ok()) return {};
        n += t.n;
    }
    char* p = room(n);
    if (!p) return {};
    Text all{p, static_cast<uint32_t>(n), 0, false};
    for (const Text& t : parts)
        for (uint32_t i = 0; i < t.n; ++i) *p++ = t.p[i];
    return all;
}

Text Demangler::declare(const Text& type, const Text& what) {
    if (!type.ok() || !what.ok()) return {};
    if (!type.split) return join({type, what});
    const Text before = part(type, 0, type.split), after = part(type, type.split, type.n);
    const char* open = type.in_brackets ? "" : *after.p == ' ' ? " (" : "(";  // " [3]": an array
    Text t = join({before, text(open), what, text(type.in_brackets ? "" : ")"), after});
    t.split = type.split + what.n + static_cast<uint32_t>(kernel::str_len(open));
    t.in_brackets = true;
    return t;
}

bool Demangler::number(uint64_t* out) {
    if (!digit(*s_)) return false;
    for (*out = 0; digit(*s_); ++s_)
        if (__builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, static_cast<uint64_t>(*s_ - '0'), out))
            return false;
    return true;
}

bool Demangler::sequence(unsigned base, uint64_t* out) {
    if (eat('_')) return *out = 0, true;
    uint64_t v = 0;
    for (; *s_ != '_'; ++s_) {
        unsigned d;
        if (digit(*s_)) d = static_cast<unsigned>(*s_ - '0');
        else if (base == 36 && *s_ >= 'A' && *s_ <= 'Z') d = static_cast<unsigned>(*s_ - 'A' + 10);
        else return false;
        v = v * base + d;
        if (v > 1u << 20) return false;
    }
    ++s_;
    *out = v + 1;
    return true;
}

Text Demangler::source_name() {
    uint64_t n = 0;
    if (!number(&n) || n == 0) return {};
    for (uint64_t i = 0; i < n; ++i)
        if (!s_[i]) return {};
    Text t{s_, static_cast<uint32_t>(n), 0, false};
    s_ += n;
    if (n >= 10 && kernel::str_starts_with(t.p, "_GLOBAL__N")) t = text("(anonymous namespace)");
    else last_ = t;
    return t;
}

Text Demangler::operator_name() {
    if (eat("cv")) {
        conversion_ = true;
        return join({text("operator "), type()});
    }
    if (eat("li")) return join({text("operator\"\" "), source_name()});
    for (const auto& o : kOperators)
        if (eat(o.code)) return join({text("operator"), text(o.name)});
    return {};
}

Text Demangler::numbered(const char* what, const Text& of, const char* end) {
    uint64_t n = 0;
    if (!sequence(10, &n)) return {};
    char digits[24];
    char* p = digits + sizeof digits;
    for (uint64_t v = n + 1;; v /= 10) {
        *--p = static_cast<char>('0' + v % 10);
        if (v < 10) break;
    }
    const Text number{p, static_cast<uint32_t>(digits + sizeof digits - p), 0, false};
    return join({text(what), of, number, text(end)});
}

Text Demangler::unqualified() {
    Text t;
    eat('L');  // of internal linkage
    if (digit(*s_)) {
        t = source_name();
    } else if (s_[0] == 'U' && s_[1] == 'l') {
        s_ += 2;
        const Text parameters = types_until('E');
        t = numbered("{lambda(", join({parameters, text(")#")}), "}");
    } else if (s_[0] == 'U' && s_[1] == 't') {
        s_ += 2;
        t = numbered("{unnamed type#", text(""), "}");
    } else if (*s_ == 'C' && s_[1] >= '1' && s_[1] <= '5') {
        s_ += 2;
        plain_ = true;
        t = last_;
    } else if (*s_ == 'D' && s_[1] >= '0' && s_[1] <= '5') {
        s_ += 2;
        plain_ = true;
        t = join({text("~"), last_});
    } else {
        t = operator_name();
    }
    while (eat('B')) t = join({t, text("[abi:"), tag(), text("]")});
    return t;
}

Text Demangler::tag() {
    const Text before = last_, t = source_name();
    last_ = before;
    return t;
}

Text Demangler::substitution() {
    // clang-format off
    static constexpr struct {
        char code;
        const char* name;
        const char* last;
    } kStd[] = {
        {'a', "std::allocator", "allocator"}, {'b', "std::basic_string", "basic_string"},
        {'s', "std::string", "string"}, {'i', "std::istream", "istream"},
        {'o', "std::ostream", "ostream"}, {'d', "std::iostream", "iostream"}};
    // clang-format on
    for (const auto& s : kStd)
        if (*s_ == s.code) {
            ++s_;
            last_ = text(s.last);
            return text(s.name);
        }
    uint64_t n = 0;
    return sequence(36, &n) && n < subs_n_ ? subs_[n] : Text{};
}

Text Demangler::nested() {
    Deeper deeper(this);
    if (!deeper.ok) return {};
    Text q = text("");
    while (eat('r')) q = join({text(" restrict"), q});
    while (eat('V')) q = join({text(" volatile"), q});
    while (eat('K')) q = join({text(" const"), q});
    if (eat('R')) q = join({q, text(" &")});
    else if (eat('O')) q = join({q, text(" &&")});
    Text t;
    bool with_args = false;
    while (!eat('E')) {
        Text next;
        bool fresh = true;  // to be kept for substitutions
        if (*s_ != 'I') plain_ = conversion_ = false;
        if (*s_ == 'S' && s_[1] != 't') {
            if (t.ok()) return {};
            ++s_;
            next = substitution();
            fresh = false;
        } else if (eat("St")) {
            next = text("std");
            fresh = false;
        } else if (*s_ == 'T') {
            ++s_;
            next = template_parameter();
        } else if (*s_ == 'I') {
            if (!t.ok()) return {};
            t = join({t, template_args(true, &t)});
            if (!t.ok()) return {};
            with_args = true;
            if (*s_ != 'E') keep(t);
            continue;
        } else if (eat('M')) {  // of a data member's initializer
            continue;
        } else {
            next = unqualified();
        }
        if (!next.ok()) return {};
        with_args = false;
        t = t.ok() ? join({t, text("::"), next}) : next;
        if (!t.ok()) return {};
        if (fresh && *s_ != 'E') keep(t);
    }
    qualifiers_ = q;
    has_args_ = with_args;
    return t;
}

Text Demangler::local() {
    Deeper deeper(this);
    if (!deeper.ok) return {};
    const Text function = encoding(false);
    if (!function.ok() || !eat('E')) return {};
    qualifiers_ = text("");
    has_args_ = plain_ = conversion_ = false;
    Text entity;
    if (eat('s')) entity = text("string literal");
    else if (eat('d')) {
        uint64_t n;
        if (!sequence(10, &n)) return {};
        entity = name();
    } else entity = name();
    // _3 or __12_: which of several of this name
    uint64_t n = 0;
    if (eat("__")) {
        if (!number(&n) || !eat('_')) return {};
    } else if (*s_ == '_' && digit(s_[1])) {
        s_ += 2;
    }
    return join({function, text("::"), entity});
}

Text Demangler::name() {
    Deeper deeper(this);
    if (!deeper.ok) return {};
    qualifiers_ = text("");
    has_args_ = plain_ = conversion_ = false;
    if (eat('N')) return nested();
    if (eat('Z')) return local();
    Text t;
    if (*s_ == 'S' && s_[1] != 't') {
        ++s_;
        t = substitution();
    } else {
        const bool std = eat("St");
        t = unqualified();
        if (std) t = join({text("std::"), t});
        if (*s_ == 'I') keep(t);
    }
    if (*s_ == 'I') {
        t = join({t, template_args(true, &t)});
        has_args_ = true;
    }
    return t;
}

Text Demangler::special() {
    // clang-format off
    static constexpr struct {
        char code[3];
        const char* name;
    } kTypes[] = {
        {"TV", "vtable for "}, {"TT", "VTT for "}, {"TI", "typeinfo for "},
        {"TS", "typeinfo name for "}};
    // clang-format on
    for (const auto& t : kTypes)
        if (eat(t.code)) return join({text(t.name), type()});
    if (eat("GV")) return join({text("guard variable for "), name()});
    if (s_[0] == 'T' && (s_[1] == 'h' || s_[1] == 'v')) {
        const bool virt = s_[1] == 'v';
        s_ += 2;
        for (int i = virt ? 2 : 1; i > 0; --i) {
            uint64_t n;
            eat('n');
            if (!number(&n) || !eat('_')) return {};
        }
        return join({text(virt ? "virtual thunk to " : "non-virtual thunk to "), encoding(false)});
    }
    if (eat("TW")) return join({text("TLS wrapper function for "), name()});
    if (eat("TH")) return join({text("TLS init function for "), name()});
    return {};
}

Text Demangler::encoding(bool with_result) {
    Deeper deeper(this);
    if (!deeper.ok) return {};
    if (*s_ == 'T' || (*s_ == 'G' && s_[1] == 'V')) return special();
    const Text function = name();
    if (!function.ok()) return {};
    const Text q = qualifiers_;
    const bool has_result = has_args_ && !plain_ && !conversion_;
    if (!*s_ || *s_ == 'E' || *s_ == '.' || *s_ == '@') return function;
    Text result = text("");
    if (has_result) {
        result = type();
        if (!result.ok()) return {};
    }
    Text parameters = text("");
    if (!eat('v'))
        while (*s_ && *s_ != 'E' && *s_ != '.' && *s_ != '@') {
            const Text t = type();
            if (!t.ok()) return {};
            if (t.n) parameters = parameters.n ? join({parameters, text(", "), t}) : part(t, 0, t.n);
            if (!parameters.ok()) return {};
        }
    const Text call = join({function, text("("), parameters, text(")"), q});
    if (!has_result || !with_result) return call;
    if (result.split)
        return join({part(result, 0, result.split), call, part(result, result.split, result.n)});
    return join({result, text(" "), call});
}

}  // namespace mangling

bool demangle(const char* name, char* out, size_t size) {
    if (name[0] != '_' || name[1] != 'Z') return false;
    void* memory = take_memory(sizeof(mangling::Demangler));
    if (!memory) return false;
    const bool done = (new (memory) mangling::Demangler(name))->whole(out, size);
    give_memory(memory, sizeof(mangling::Demangler));
    return done;
}

}  // namespace gort::rt
