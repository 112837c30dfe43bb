// rt/symbols/demangle.cc - a recursive descent over the grammar; each result is a text in an arena.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/symbols/demangle.h"

#include <cstdint>
#include <initializer_list>
#include <new>

#include "kernel/mem.h"
#include "rt/symbols/demangle_names.h"
#include "rt/symbols/image.h"

namespace gort::rt {

namespace {

// A type or a name. In the text of a function or array a declarator goes to `split`: "void (int)" with a pointer in it
// is "void (*)(int)".
struct Text {
    const char* p = nullptr;
    uint32_t n = 0;
    uint32_t split = 0;        // 0: it goes to the end
    bool in_brackets = false;  // what is at split stands between ( and ) already
    uint32_t pack = 0;         // a pack's number, from 1 on: the text is all of it
    bool ok() const { return p != nullptr; }
};

// So many places, which nobody has made zero: the compiler would call memset for that, and the core has none.
template <unsigned kN>
class Texts {
public:
    Text& operator[](size_t i) { return reinterpret_cast<Text*>(space_)[i]; }
    const Text& operator[](size_t i) const { return reinterpret_cast<const Text*>(space_)[i]; }

private:
    alignas(Text) unsigned char space_[kN * sizeof(Text)];
};

class Parser {
public:
    explicit Parser(const char* s) : s_(s) {}

    bool whole(char* out, size_t size) {
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

private:
    static constexpr size_t kArena = 112 << 10;
    static constexpr unsigned kSubstitutions = 256, kArgs = 64, kElements = 512, kDepth = 96;

    // ---- texts ----

    char* room(size_t n) {
        if (n > kArena - used_) return nullptr;
        char* p = arena_ + used_;
        used_ += static_cast<uint32_t>(n);
        return p;
    }
    Text join(std::initializer_list<Text> parts) {
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
    static Text text(const char* s) { return {s, static_cast<uint32_t>(kernel::str_len(s)), 0, false}; }
    static Text part(const Text& t, uint32_t from, uint32_t to) { return {t.p + from, to - from, 0, false}; }

    // A declarator (*, &, "X::*", a cv-qualifier) of a type.
    Text declare(const Text& type, const Text& what) {
        if (!type.ok() || !what.ok()) return {};
        if (!type.split) return join({type, what});
        const Text before = part(type, 0, type.split), after = part(type, type.split, type.n);
        const char* open = type.in_brackets ? "" : *after.p == ' ' ? " (" : "(";  // " [3]": an array
        Text t = join({before, text(open), what, text(type.in_brackets ? "" : ")"), after});
        t.split = type.split + what.n + static_cast<uint32_t>(kernel::str_len(open));
        t.in_brackets = true;
        return t;
    }

    // ---- input ----

    bool eat(char c) {
        if (*s_ != c) return false;
        ++s_;
        return true;
    }
    bool eat(const char* two) {
        if (s_[0] != two[0] || s_[1] != two[1]) return false;
        s_ += 2;
        return true;
    }
    static bool digit(char c) { return c >= '0' && c <= '9'; }
    bool number(uint64_t* out) {
        if (!digit(*s_)) return false;
        for (*out = 0; digit(*s_); ++s_)
            if (__builtin_mul_overflow(*out, 10, out) ||
                __builtin_add_overflow(*out, static_cast<uint64_t>(*s_ - '0'), out))
                return false;
        return true;
    }
    // "_" is 0, "0_" is 1; in base 36 for substitutions.
    bool sequence(unsigned base, uint64_t* out) {
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

    Text keep(const Text& t) {
        if (t.ok() && subs_n_ < kSubstitutions) subs_[subs_n_++] = t;
        return t;
    }

    // ---- names ----

    Text source_name() {
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

    Text operator_name() {
        if (eat("cv")) {
            conversion_ = true;
            return join({text("operator "), type()});
        }
        if (eat("li")) return join({text("operator\"\" "), source_name()});
        for (const auto& o : kOperators)
            if (eat(o.code)) return join({text("operator"), text(o.name)});
        return {};
    }

    Text numbered(const char* what, const Text& of, const char* end) {
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

    Text unqualified() {
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
    Text tag() {
        const Text before = last_, t = source_name();
        last_ = before;
        return t;
    }

    Text substitution() {
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

    Text template_parameter() {
        uint64_t n = 0;
        if (!sequence(10, &n)) return {};
        if (n >= args_n_) return {};
        if (!args_[n].pack || !expanding_) return args_[n];
        const Pack& pack = packs_[args_[n].pack - 1];
        expanded_of_ = pack.n;
        return element_ < pack.n ? elements_[pack.first + element_] : text("");
    }
    // Dp: the type that follows, once for each element of the packs in it.
    Text expansion() {
        if (expanding_) return type();
        const char* from = s_;
        const unsigned subs = subs_n_;
        Text list = text("");
        expanding_ = true;
        expanded_of_ = 1;
        for (element_ = 0; element_ == 0 || element_ < expanded_of_; ++element_) {
            s_ = from;
            subs_n_ = subs;
            const Text t = type();
            if (!t.ok()) return {};
            if (expanded_of_) list = list.n ? join({list, text(", "), t}) : join({t});
            if (!list.ok()) return {};
        }
        expanding_ = false;
        return list;
    }
    struct Pack {
        unsigned first, n;
    };

    // I…E; `set`: these are what T_ means from now on.
    Text template_args(bool set, const Text* of = nullptr) {
        Deeper deeper(this);
        if (!deeper.ok || !eat('I')) return {};
        const Text before = last_;
        Text list = text("");
        alignas(
            Text) unsigned char space[kArgs * sizeof(Text)];  // not zeroed: that would be a call of memset
        Text* own = reinterpret_cast<Text*>(space);
        unsigned n = 0;
        for (bool first = true; !eat('E'); first = false) {
            const Text a = template_arg();
            if (!a.ok()) return {};
            if (n < kArgs) own[n++] = a;
            if (a.n == 0) {
                first = list.n == 0;
                continue;
            }
            list = list.n == 0 || first ? join({list, a}) : join({list, text(", "), a});
            if (!list.ok()) return {};
        }
        last_ = before;
        if (set) {
            args_n_ = n;
            for (unsigned i = 0; i < n; ++i) args_[i] = own[i];
        }
        // "> >", as the runtime's demangler has it
        const bool apart = list.n && list.p[list.n - 1] == '>';
        const bool after_less = of && of->n && of->p[of->n - 1] == '<';  // of operator<
        return join({text(after_less ? " <" : "<"), list, text(apart ? " >" : ">")});
    }
    Text template_arg() {
        if (*s_ == 'L') return literal();
        if (eat("XT")) {  // of the expressions these alone: the value of a parameter
            const Text t = template_parameter();
            return eat('E') ? t : Text{};
        }
        if (!eat('J')) return type();
        Text list = text("");
        Pack pack{elements_n_, 0};
        Texts<kArgs> own;
        while (!eat('E')) {
            const Text a = template_arg();
            if (!a.ok() || pack.n == kArgs) return {};
            own[pack.n++] = a;
            list = list.n ? join({list, text(", "), a}) : join({a});
            if (!list.ok()) return {};
        }
        if (elements_n_ + pack.n > kElements || packs_n_ == kArgs) return {};
        pack.first = elements_n_;
        for (unsigned i = 0; i < pack.n; ++i) elements_[elements_n_++] = own[i];
        packs_[packs_n_++] = pack;
        list.pack = packs_n_;
        return list;
    }
    Text literal() {
        ++s_;
        if (eat("_Z")) {
            const Text t = encoding(false);
            return eat('E') ? t : Text{};
        }
        const char kind = *s_;
        const Text of = type();
        const bool minus = eat('n');
        const char* from = s_;
        while (*s_ && *s_ != 'E') ++s_;
        const Text value{from, static_cast<uint32_t>(s_ - from), 0, false};
        if (!of.ok() || !eat('E')) return {};
        const Text sign = text(minus ? "-" : "");
        if (kind == 'b') return text(value.n == 1 && *value.p == '0' ? "false" : "true");
        if (kind == 'i') return join({sign, value});
        // clang-format off
        static constexpr struct {
            char kind;
            const char* suffix;
        } kSuffixes[] = {
            {'j', "u"}, {'l', "l"}, {'m', "ul"}, {'x', "ll"}, {'y', "ull"}};
        // clang-format on
        for (const auto& s : kSuffixes)
            if (kind == s.kind) return join({sign, value, text(s.suffix)});
        return join({text("("), of, text(")"), sign, value});
    }

    // N…E. The qualifiers of a member function go to the end of the whole.
    Text nested() {
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

    Text local() {  // Z…
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

    Text name() {
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

    // ---- types ----

    Text types_until(char end) {
        if (eat('v')) {
            return eat(end) ? text("") : Text{};
        }
        Text list = text("");
        while (!eat(end)) {
            const Text t = type();
            if (!t.ok()) return {};
            if (t.n == 0) continue;  // an empty pack
            list = list.n ? join({list, text(", "), t}) : t;
            if (!list.ok()) return {};
        }
        list.split = 0;
        return list;
    }

    Text builtin() {
        for (const auto& t : kOneLetterTypes)
            if (*s_ == t.code[0]) return ++s_, text(t.name);
        for (const auto& t : kTwoLetterTypes)
            if (eat(t.code)) return text(t.name);
        return {};
    }

    Text function_type(const char* suffix) {
        eat('Y');
        const Text result = type();
        if (!result.ok()) return {};
        Text parameters = text("");
        bool first = true;
        while (*s_ != 'E' && !((*s_ == 'R' || *s_ == 'O') && s_[1] == 'E')) {
            const Text t = eat('v') ? text("") : type();
            if (!t.ok()) return {};
            if (t.n) parameters = first ? t : join({parameters, text(", "), t});
            if (t.n) first = false;
        }
        const char* ref = eat('R') ? " &" : eat('O') ? " &&" : "";
        if (!eat('E')) return {};
        const Text call = join({text("("), parameters, text(")"), text(suffix), text(ref)});
        if (result.split) {  // what is returned is a pointer to a function or an array
            Text t = join({part(result, 0, result.split), call, part(result, result.split, result.n)});
            t.split = result.split;
            return t;
        }
        Text t = join({result, text(" "), call});
        t.split = result.n + 1;
        return t;
    }

    Text array_type() {
        const char* from = s_;
        while (digit(*s_)) ++s_;
        const Text size{from, static_cast<uint32_t>(s_ - from), 0, false};
        if (!eat('_')) return {};
        const Text of = type();
        if (!of.ok()) return {};
        Text t = join({of, text(" ["), size, text("]")});
        t.split = of.n;
        return t;
    }

    Text type() {
        Deeper deeper(this);
        if (!deeper.ok) return {};
        switch (*s_) {
        case 'P': return ++s_, keep(declare(type(), text("*")));
        case 'R': return ++s_, keep(reference(type(), "&"));
        case 'O': return ++s_, keep(reference(type(), "&&"));
        case 'r':
        case 'V':
        case 'K': {
            Text q = text("");
            bool member = false;
            if (eat('r')) q = join({text(" restrict"), q});
            if (eat('V')) q = join({text(" volatile"), q});
            if (eat('K')) q = join({text(" const"), q});
            member = *s_ == 'F';
            const Text t = type();
            if (!t.ok()) return {};
            if (!member) return keep(declare(t, q));
            Text f = join({t, q});
            f.split = t.split;
            f.in_brackets = t.in_brackets;
            return keep(f);
        }
        case 'F': return ++s_, keep(function_type(""));
        case 'A': return ++s_, keep(array_type());
        case 'M': {
            ++s_;
            const Text of = type();
            return keep(declare(type(), join({text(""), of, text("::*")})));
        }
        case 'T': {
            ++s_;
            Text t = keep(template_parameter());
            if (*s_ == 'I') t = keep(join({t, template_args(false)}));
            return t;
        }
        case 'S':
            if (s_[1] != 't') {
                ++s_;
                Text t = substitution();
                if (*s_ != 'I') return t;
                t = join({t, template_args(false)});
                return keep(t);
            }
            break;
        case 'D':
            if (eat("Dp")) return expansion();
            if (eat("Do")) return eat('F') ? keep(function_type(" noexcept")) : Text{};
            break;
        }
        if (const Text t = builtin(); t.ok()) return t;
        if (eat('u')) return keep(source_name());
        if (*s_ == 'N' || *s_ == 'Z' || *s_ == 'S' || *s_ == 'L' || digit(*s_)) return keep(type_name());
        return {};
    }
    // A class: its template arguments are not what T_ means in the function around it.
    Text type_name() {
        const State before = state();
        const Text t = name();
        restore(before);
        return t;
    }
    Text reference(const Text& to, const char* what) {
        // && of & is &
        if (to.ok() && to.n && !to.split && to.p[to.n - 1] == '&') {
            if (what[1] || (to.n > 1 && to.p[to.n - 2] != '&')) return to;
            return part(to, 0, to.n - 1);
        }
        return declare(to, text(what));
    }

    // ---- functions and data ----

    Text special() {
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

    // with_result: a template function's is printed, but for what encloses a local name.
    Text encoding(bool with_result) {
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

    struct Deeper {
        explicit Deeper(Parser* p) : parser(p), ok(++p->depth_ < kDepth) {}
        ~Deeper() { --parser->depth_; }
        Parser* parser;
        bool ok;
    };
    struct State {
        Texts<kArgs> args;
        Text qualifiers;
        unsigned n;
        bool has_args, plain, conversion;
    };
    State state() const {
        State s;
        for (unsigned i = 0; i < args_n_; ++i) s.args[i] = args_[i];
        s.n = args_n_;
        s.qualifiers = qualifiers_;
        s.has_args = has_args_;
        s.plain = plain_;
        s.conversion = conversion_;
        return s;
    }
    void restore(const State& s) {
        for (unsigned i = 0; i < s.n; ++i) args_[i] = s.args[i];
        args_n_ = s.n;
        qualifiers_ = s.qualifiers;
        has_args_ = s.has_args;
        plain_ = s.plain;
        conversion_ = s.conversion;
    }

    const char* s_;
    unsigned depth_ = 0, subs_n_ = 0, args_n_ = 0;
    uint32_t used_ = 0;
    bool has_args_ = false;    // the name ends in template arguments
    bool plain_ = false;       // it is a constructor or destructor
    bool conversion_ = false;  // or a conversion: no result is encoded
    bool expanding_ = false;
    unsigned element_ = 0, expanded_of_ = 0, elements_n_ = 0, packs_n_ = 0;
    Text qualifiers_, last_;
    Texts<kArgs> args_;
    Texts<kSubstitutions> subs_;
    Texts<kElements> elements_;
    Pack packs_[kArgs];
    char arena_[kArena];
};

}  // namespace

bool demangle(const char* name, char* out, size_t size) {
    if (name[0] != '_' || name[1] != 'Z') return false;
    void* memory = take_memory(sizeof(Parser));
    if (!memory) return false;
    const bool done = (new (memory) Parser(name))->whole(out, size);
    give_memory(memory, sizeof(Parser));
    return done;
}

}  // namespace gort::rt
