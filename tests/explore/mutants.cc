// tests/explore/mutants.cc - the list of orderings to weaken.
// SPDX-License-Identifier: BSD-2-Clause
#include "tests/explore/mutants.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace gort::explore {

namespace {

// Of a demangled signature the last two names before the arguments.
void short_name(const char* signature, char* to, size_t size) {
    int depth = 0;
    const char* start = signature;
    const char* before = signature;  // where the name before it starts: of the class, or of the namespace
    const char* at = signature;
    for (; *at && !(*at == '(' && depth == 0 && at > start); ++at) {
        if (*at == '<' && std::strncmp(at - (at > signature), "operator<", 9) != 0) ++depth;
        if (*at == '>') --depth;
        if (*at == ' ' && depth == 0) start = before = at + 1;
        if (*at == ':' && depth == 0) {
            if (at[1] == ':') before = start;
            start = at + 1;
        }
    }
    size_t n = 0;
    for (start = before; start < at && *start != '<' && *start != '[' && n + 1 < size; ++start)
        to[n++] = *start;
    to[n] = 0;
}

}  // namespace

void Orderings::add(const Use& u) {
    if (table_.empty()) table_.resize(kSlots);
    auto i = (reinterpret_cast<uintptr_t>(u.pc) * 0x9e3779b97f4a7c15u >> 40) % kSlots;
    for (; table_[i]; i = (i + 1) % kSlots)
        if (uses[table_[i] - 1].pc == u.pc) return;
    if (uses.size() + 1 == kSlots) return;
    uses.push_back(u);
    table_[i] = static_cast<uint32_t>(uses.size());
}

void Orderings::note(const World& w) {
    for (const Event& e : w.events) {
        switch (e.what) {
        case Op::kLoad:
        case Op::kStore:
        case Op::kModify:
        case Op::kExchange:
            if (e.order != Order::kRelaxed && e.order != Order::kPlain) add({e.pc, e.what, e.order, false});
            break;
        case Op::kFence:
        case Op::kCompilerFence: add({e.pc, e.what, e.order, false}); break;
        case Op::kBarrier: add({e.asker, e.what, e.order, true}); break;
        default: break;
        }
    }
}

Vector<Mutant> mutants_of(const Orderings& orderings, Places* places) {
    Vector<const void*> pcs;
    for (const auto& u : orderings.uses) pcs.push_back(u.pc);
    places->resolve(pcs);
    Vector<Mutant> all;
    for (const auto& u : orderings.uses) {
        const Place* p = places->find(u.pc);
        // The library's orderings, not those of the pieces that use it.
        if (!p || !p->line || std::strncmp(p->file, "tests/", 6) == 0) continue;
        const auto add = [&](Weaken how) {
            for (Mutant& m : all) {
                if (m.line != p->line || m.how != how || std::strcmp(m.file, p->file) != 0) continue;
                const bool same_kind = (m.what == Op::kBarrier) == (u.what == Op::kBarrier) &&
                                       (m.what == Op::kCompilerFence) == (u.what == Op::kCompilerFence);
                if (same_kind) return m.weak.push_back({u.pc, static_cast<int>(how)});
            }
            Mutant m{};
            std::memcpy(m.file, p->file, sizeof m.file);
            short_name(p->function, m.function, sizeof m.function);
            m.line = p->line;
            m.what = u.what;
            m.order = u.order;
            m.how = how;
            m.weak.push_back({u.pc, static_cast<int>(how)});
            all.push_back(m);
        };
        if (u.what == Op::kBarrier || u.what == Op::kCompilerFence || u.what == Op::kFence) {
            add(Weaken::kNothing);
            continue;
        }
        if (u.order == Order::kSeqCst) add(Weaken::kNoSc);
        if (acquires(u.order) && u.what != Op::kStore) add(Weaken::kNoAcquire);
        if (releases(u.order) && u.what != Op::kLoad) add(Weaken::kNoRelease);
    }
    std::sort(all.begin(), all.end(), [](const Mutant& a, const Mutant& b) {
        const int c = std::strcmp(a.file, b.file);
        return c ? c < 0 : a.line != b.line ? a.line < b.line : a.how < b.how;
    });
    for (size_t i = 1; i < all.size(); ++i)
        for (size_t j = i; j-- > 0 && std::strcmp(all[j].file, all[i].file) == 0;)
            if (std::strcmp(all[j].function, all[i].function) == 0 &&
                std::strcmp(how_name(all[j]), how_name(all[i])) == 0) {
                all[i].number = all[j].number + 1;
                break;
            }
    return all;
}

void Mutant::print_key(char* to, size_t size) const {
    const int n = std::snprintf(to, size, "%s %s, %s", file, function, how_name(*this));
    if (number) std::snprintf(to + n, size - static_cast<size_t>(n), " (%d)", number + 1);
}

const char* how_name(const Mutant& m) {
    switch (m.how) {
    case Weaken::kNoAcquire: return "no acquire";
    case Weaken::kNoRelease: return "no release";
    case Weaken::kNoSc: return "no seq_cst";
    default: break;
    }
    return m.what == Op::kBarrier         ? "no barrier"
           : m.what == Op::kCompilerFence ? "no compiler fence"
                                          : "no fence";
}

}  // namespace gort::explore
