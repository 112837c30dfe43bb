// rt/symbols/demangle_types.cc - the types, template arguments and literals in a mangled name.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/symbols/demangle_names.h"
#include "rt/symbols/demangler.h"

namespace gort::rt::mangling {

Text Demangler::template_parameter() {
    uint64_t n = 0;
    if (!sequence(10, &n)) return {};
    if (n >= args_n_) return {};
    if (!args_[n].pack || !expanding_) return args_[n];
    const Pack& pack = packs_[args_[n].pack - 1];
    expanded_of_ = pack.n;
    return element_ < pack.n ? elements_[pack.first + element_] : text("");
}

Text Demangler::expansion() {
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

Text Demangler::template_args(bool set, const Text* of) {
    Deeper deeper(this);
    if (!deeper.ok || !eat('I')) return {};
    const Text before = last_;
    Text list = text("");
    Texts<kArgs> own;
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

Text Demangler::template_arg() {
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

Text Demangler::literal() {
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

Text Demangler::types_until(char end) {
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

Text Demangler::builtin() {
    for (const auto& t : kOneLetterTypes)
        if (*s_ == t.code[0]) return ++s_, text(t.name);
    for (const auto& t : kTwoLetterTypes)
        if (eat(t.code)) return text(t.name);
    return {};
}

Text Demangler::function_type(const char* suffix) {
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

Text Demangler::array_type() {
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

Text Demangler::type() {
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

Text Demangler::type_name() {
    const State before = state();
    const Text t = name();
    restore(before);
    return t;
}

Text Demangler::reference(const Text& to, const char* what) {
    // && of & is &
    if (to.ok() && to.n && !to.split && to.p[to.n - 1] == '&') {
        if (what[1] || (to.n > 1 && to.p[to.n - 2] != '&')) return to;
        return part(to, 0, to.n - 1);
    }
    return declare(to, text(what));
}

Demangler::State Demangler::state() const {
    State s;
    for (unsigned i = 0; i < args_n_; ++i) s.args[i] = args_[i];
    s.n = args_n_;
    s.qualifiers = qualifiers_;
    s.has_args = has_args_;
    s.plain = plain_;
    s.conversion = conversion_;
    return s;
}

void Demangler::restore(const State& s) {
    for (unsigned i = 0; i < s.n; ++i) args_[i] = s.args[i];
    args_n_ = s.n;
    qualifiers_ = s.qualifiers;
    has_args_ = s.has_args;
    plain_ = s.plain;
    conversion_ = s.conversion;
}

}  // namespace gort::rt::mangling
