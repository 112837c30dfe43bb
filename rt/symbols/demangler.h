// rt/symbols/demangler.h - what demangle.cc and demangle_types.cc share: a recursive descent over the grammar of C++'s
// mangled names, in which each result is a text in an arena.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "kernel/mem.h"

namespace gort::rt::mangling {

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

// An array that is not zeroed: the compiler would call memset for that, and the core has none.
template <unsigned kN>
class Texts {
public:
    Text& operator[](size_t i) { return reinterpret_cast<Text*>(space_)[i]; }
    const Text& operator[](size_t i) const { return reinterpret_cast<const Text*>(space_)[i]; }

private:
    alignas(Text) unsigned char space_[kN * sizeof(Text)];
};

class Demangler {
public:
    explicit Demangler(const char* s) : s_(s) {}

    bool whole(char* out, size_t size);

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
    Text join(std::initializer_list<Text> parts);
    static Text text(const char* s) { return {s, static_cast<uint32_t>(kernel::str_len(s)), 0, false}; }
    static Text part(const Text& t, uint32_t from, uint32_t to) { return {t.p + from, to - from, 0, false}; }

    // A declarator (*, &, "X::*", a cv-qualifier) of a type.
    Text declare(const Text& type, const Text& what);

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
    bool number(uint64_t* out);
    // "_" is 0, "0_" is 1; in base 36 for substitutions.
    bool sequence(unsigned base, uint64_t* out);
    Text keep(const Text& t) {
        if (t.ok() && subs_n_ < kSubstitutions) subs_[subs_n_++] = t;
        return t;
    }

    // ---- names ----

    Text source_name();
    Text operator_name();
    Text numbered(const char* what, const Text& of, const char* end);
    Text unqualified();
    Text tag();
    Text substitution();
    Text template_parameter();
    // Dp: the type that follows, once for each element of the packs in it.
    Text expansion();
    struct Pack {
        unsigned first, n;
    };

    // I…E; `set`: these are what T_ means from now on.
    Text template_args(bool set, const Text* of = nullptr);
    Text template_arg();
    Text literal();

    // N…E. The qualifiers of a member function go to the end of the whole.
    Text nested();
    Text local();  // Z…

    Text name();

    // ---- types ----

    Text types_until(char end);
    Text builtin();
    Text function_type(const char* suffix);
    Text array_type();
    Text type();
    // A class: its template arguments are not what T_ means in the function around it.
    Text type_name();
    Text reference(const Text& to, const char* what);

    // ---- functions and data ----

    Text special();

    // with_result: a template function's is printed, but for what encloses a local name.
    Text encoding(bool with_result);

    struct Deeper {
        explicit Deeper(Demangler* p) : parser(p), ok(++p->depth_ < kDepth) {}
        ~Deeper() { --parser->depth_; }
        Demangler* parser;
        bool ok;
    };
    struct State {
        Texts<kArgs> args;
        Text qualifiers;
        unsigned n;
        bool has_args, plain, conversion;
    };
    State state() const;
    void restore(const State& s);

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

}  // namespace gort::rt::mangling
