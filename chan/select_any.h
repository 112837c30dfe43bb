// PUBLIC
// chan/select_any.h - select over a range of cases that are made at run time.
// SPDX-License-Identifier: BSD-2-Clause
//
//      std::vector<gort::select_case> cases;
//      for (auto& in : inputs) cases.push_back(gort::on_recv(in, value, ok));
//      int i = gort::select_any(cases);
//
// Cases and results are those of select.h; up to 2^31 - 1 of them. An empty range blocks for ever. More than one
// otherwise panics. A case may be used again and again. A select_case owns what it needs: the channel, and what it
// sends, which moves into it from an rvalue and stays there until it is sent. After that it sends what the move left.
// Copies of a select_case share handler and value. Variables to receive into are the caller's.
// Context: as select. A select_case must not be in two selects at a time, nor be copied or moved meanwhile.
// Memory:  making a case may use the heap, select_any does not.
#pragma once

#include "../rt/config.h"

#include <initializer_list>
#include <memory>
#include <span>

#include "select.h"

namespace gort {
namespace detail {

template <class F>
std::decay_t<F> keep(std::remove_reference_t<F>& f) {
    if constexpr (std::is_lvalue_reference_v<F>) return f;
    else return std::move(f);
}

// What a case does with the element. Shared by copies of a select_case.
struct AnyCase {
    virtual ~AnyCase() = default;
    virtual void fill(SelectItem&) = 0;
    virtual void complete(SelectItem&, bool) = 0;
};

template <class C>
struct GORT_HIDDEN AnyOf final : AnyCase {
    explicit AnyOf(C c) : held(std::move(c)) {}
    void fill(SelectItem& it) override { held.fill(it, place); }
    void complete(SelectItem& it, bool ok) override { held.complete(it, place, ok); }
    C held;
    alignas(C::place_align) unsigned char place[C::place_size];
};

template <class T, class Ref>
auto owned(RecvCase<T, Ref, Drop>&& c) {
    return RecvCase<T, Handle, Drop>{own(c.ch), c.sink};
}
template <class T, class Ref, class U>
auto owned(RecvCase<T, Ref, Assign<U>>&& c) {
    return RecvCase<T, Handle, Assign<U>>{own(c.ch), c.sink};
}
template <class T, class Ref, class F>
auto owned(RecvCase<T, Ref, Handler<F>>&& c) {
    return RecvCase<T, Handle, Handler<std::decay_t<F>>>{own(c.ch), {keep<F>(c.sink.f)}};
}
template <class T>
Word<T> owned(Word<T>& source) {
    return source;
}
template <class T>
Copy<T> owned(Copy<T>& source) {
    return {std::move(source.value)};
}
template <class T>
Copy<T> owned(Move<T>& source) {
    return {std::move(*source.value)};
}
template <class T, class Ref, class Source, class F>
auto owned(SendCase<T, Ref, Source, F>&& c) {
    return SendCase<T, Handle, decltype(owned(c.source)), std::decay_t<F>>{own(c.ch), owned(c.source),
                                                                           keep<F>(c.f)};
}

struct GORT_HIDDEN AnyOtherwiseBase : AnyCase {
    void fill(SelectItem&) override {}
};
template <class F>
struct GORT_HIDDEN AnyOtherwise final : AnyOtherwiseBase {
    explicit AnyOtherwise(F g) : f(std::move(g)) {}
    void complete(SelectItem&, bool) override { f(); }
    F f;
};

}  // namespace detail

// One case: what on_recv, on_send and otherwise return converts to it.
class select_case {
public:
    template <class C>
    // NOLINTNEXTLINE(google-explicit-constructor): on_recv makes cases of both
    requires detail::Case<C> &&(!std::is_lvalue_reference_v<C>)select_case(C&& c)
        : otherwise_(C::is_otherwise) {
        using namespace detail;
        if constexpr (C::is_otherwise) {
            using F = decltype(keep<decltype(c.f)>(c.f));
            what_ = std::make_shared<AnyOtherwise<F>>(keep<decltype(c.f)>(c.f));
        } else {
            using O = decltype(owned(std::move(c)));
            what_ = std::make_shared<AnyOf<O>>(owned(std::move(c)));
        }
    }

private:
    friend int select_any(std::span<select_case> cases);
    friend int select_any(std::initializer_list<select_case> cases);
    static int run(const select_case* cases, size_t n);

    mutable detail::SelectItem item_{};  // the waiting goroutine's; not part of the value
    std::shared_ptr<detail::AnyCase> what_;
    bool otherwise_ = false;
};

inline int select_case::run(const select_case* cases, size_t n) {
    using namespace detail;
    if (n == 0) select_for_ever();
    int other = -1;
    for (size_t i = 0; i < n; ++i) {
        if (cases[i].otherwise_) {
            if (other >= 0) select_two_otherwise();
            other = static_cast<int>(i);
        }
        cases[i].what_->fill(cases[i].item_);
    }
    const Selected got = other < 0 ? select_wait(&cases->item_, static_cast<uint32_t>(n), sizeof(select_case))
                                   : select_try(&cases->item_, static_cast<uint32_t>(n), sizeof(select_case));
    const int chosen = got.index < 0 ? other : got.index;
    const select_case& winner = cases[chosen];
    winner.what_->complete(winner.item_, got.ok);
    return chosen;
}

// Does what select does, and gives the place of the chosen case, counted from 0.
inline int select_any(std::span<select_case> cases) { return select_case::run(cases.data(), cases.size()); }

// The cases are evaluated in the order in which they stand between the braces.
inline int select_any(std::initializer_list<select_case> cases) {
    return select_case::run(cases.begin(), cases.size());
}

}  // namespace gort
