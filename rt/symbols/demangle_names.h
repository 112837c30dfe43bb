// rt/symbols/demangle_names.h - the codes of operators and of built-in types in C++'s mangled names.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

namespace gort::rt {

struct ManglingName {
    char code[3];
    const char* name;
};

// clang-format off
inline constexpr ManglingName kOperators[] = {
    {"cl", "()"}, {"ix", "[]"}, {"eq", "=="}, {"ne", "!="}, {"lt", "<"}, {"gt", ">"}, {"le", "<="},
    {"ge", ">="}, {"ss", "<=>"}, {"ls", "<<"}, {"rs", ">>"}, {"pl", "+"}, {"mi", "-"}, {"ml", "*"},
    {"dv", "/"}, {"rm", "%"}, {"an", "&"}, {"or", "|"}, {"eo", "^"}, {"aS", "="}, {"pL", "+="},
    {"mI", "-="}, {"mL", "*="}, {"dV", "/="}, {"rM", "%="}, {"aN", "&="}, {"oR", "|="},
    {"eO", "^="}, {"lS", "<<="}, {"rS", ">>="}, {"nt", "!"}, {"co", "~"}, {"pp", "++"},
    {"mm", "--"}, {"cm", ","}, {"pm", "->*"}, {"pt", "->"}, {"aa", "&&"}, {"oo", "||"},
    {"ng", "-"}, {"ps", "+"}, {"ad", "&"}, {"de", "*"}, {"nw", " new"}, {"na", " new[]"},
    {"dl", " delete"}, {"da", " delete[]"}, {"aw", " co_await"}};

inline constexpr ManglingName kOneLetterTypes[] = {
    {"v", "void"}, {"w", "wchar_t"}, {"b", "bool"}, {"c", "char"}, {"a", "signed char"},
    {"h", "unsigned char"}, {"s", "short"}, {"t", "unsigned short"}, {"i", "int"},
    {"j", "unsigned int"}, {"l", "long"}, {"m", "unsigned long"}, {"x", "long long"},
    {"y", "unsigned long long"}, {"n", "__int128"}, {"o", "unsigned __int128"}, {"f", "float"},
    {"d", "double"}, {"e", "long double"}, {"g", "__float128"}, {"z", "..."}};

inline constexpr ManglingName kTwoLetterTypes[] = {
    {"Dn", "decltype(nullptr)"}, {"Di", "char32_t"}, {"Ds", "char16_t"}, {"Du", "char8_t"},
    {"Da", "auto"}, {"Dc", "decltype(auto)"}, {"Df", "decimal32"}, {"Dh", "half"}};
// clang-format on

}  // namespace gort::rt
