// ctx/derive.cc - making contexts, and asking them: what goes up the tree.
// SPDX-License-Identifier: BSD-2-Clause
//
// Every question walks up through the library's own kinds in a loop, however many there are; a context of an own
// kind is asked by its virtual functions, outside of the gate and of all locks.
#include "ctx/node.h"

#include "chan/select.h"
#include "rt/own/gate_fast.h"
#include "rt/time/clock.h"

namespace gort::ctx {

namespace detail {

namespace {

struct RootKey final : any_key {
    constexpr RootKey() : any_key("cancel") {}
};
constexpr RootKey kCancelKey;

bool can_cancel(Kind k) { return k == Kind::kCancel || k == Kind::kTimer; }
CancelNode* as_cancel_node(const context_base* c) {
    return static_cast<CancelNode*>(const_cast<context_base*>(c));
}

// From here up past those that only bind values.
const context_base* past_values(const context_base* c) {
    while (Tree::kind(c) == Kind::kValue) c = Tree::up(c);
    return c;
}

const context_base* checked(const context& c, const char* operation) {
    const context_base* p = Tree::get(c);
    if (!p) [[unlikely]]
        panic_nil_context(operation);
    return p;
}
context_base* parent_of(const context& c) {
    context_base* p = Tree::get(c);
    if (!p) [[unlikely]]
        panic_nil_parent();
    return p;
}

bool is_closed(const recv_chan<unit>& c) { return gort::detail::is_closed(gort::detail::Access::get(c)); }

// The CancelNode that stands for a context of an own kind: the one it lets through, if its done() is that one's.
CancelNode* behind(const context_base* c, const recv_chan<unit>& done) {
    auto* n = static_cast<CancelNode*>(const_cast<void*>(value_of(c, cancel_key)));
    // X1
    if (!n || n->done_chan.load(std::memory_order_acquire) != gort::detail::Access::get(done)) return nullptr;
    return n;
}

void cancel_as_parent(CancelNode* n) {
    const context_base* parent = Tree::up(n);
    cancel(n, err_of(parent), cause_of(parent), true);
}

// Sees to it that n, which is new, is cancelled with the context that it was derived from.
void propagate(CancelNode* n) {
    const context_base* c = past_values(Tree::up(n));
    if (can_cancel(Tree::kind(c))) return link(n, as_cancel_node(c));
    if (Tree::kind(c) != Kind::kCustom) return;
    const recv_chan<unit> done = c->done();
    if (!done) return;
    if (is_closed(done)) return cancel_as_parent(n);
    if (CancelNode* up = behind(c, done)) return link(n, up);
    if (stop_func stop = c->after_func(Tree::cancel_of(Tree::share(n), true))) {
        auto* watch = new stop_func(std::move(stop));
        rt::M* mp = rt::enter();
        n->lock.lock();
        n->watch = watch;
        n->lock.unlock();
        return rt::leave(mp);
    }
    go([child = Tree::share(n), done] {
        if (gort::select(on_recv(done), on_recv(child.done())) == 0)
            cancel_as_parent(as_cancel_node(Tree::get(child)));
    });
}

// A new node's two references: the context's and the cancel object's.
template <class Node>
struct Made {
    explicit Made(const context& parent) {
        context_base* p = parent_of(parent);
        node = new Node(p);
        if (Tree::up(p) != p) Tree::refs(p).fetch_add(1, std::memory_order_relaxed);
        own = Tree::wrap(node);
        for_cancel = Tree::wrap(node);
    }
    Node* node;
    context own, for_cancel;
    cancelable result() { return {std::move(own), Tree::cancel_of(std::move(for_cancel), false)}; }
};

}  // namespace

const any_key& cancel_key = kCancelKey;

// ---- asking ----

std::error_code err_of(const context_base* c) {
    c = past_values(c);
    switch (Tree::kind(c)) {
    case Kind::kCancel:
    case Kind::kTimer: {
        const CancelNode* n = as_cancel_node(c);
        return n->state.load(std::memory_order_acquire) ? n->err_code : std::error_code();  // X1
    }
    case Kind::kCustom: return c->err();
    default: return {};
    }
}

recv_chan<unit> done_chan_of(const context_base* c) {
    c = past_values(c);
    if (can_cancel(Tree::kind(c)))
        return gort::detail::Access::wrap<recv_chan<unit>>(done_of(as_cancel_node(c)));
    if (Tree::kind(c) == Kind::kCustom) return c->done();
    return {};
}

std::optional<time_point> deadline_of(const context_base* c) {
    for (;; c = Tree::up(c)) switch (Tree::kind(c)) {
        case Kind::kTimer: return time_point(duration(static_cast<const TimerNode*>(c)->timer.when));
        case Kind::kCancel:
        case Kind::kValue: continue;
        case Kind::kCustom: return c->deadline();
        default: return std::nullopt;
        }
}

const void* value_of(const context_base* c, const any_key& k) {
    for (;;) switch (Tree::kind(c)) {
        case Kind::kValue: {
            const auto* v = static_cast<const ValueNode*>(c);
            if (v->bound == &k) return v->at;
            c = Tree::up(c);
            continue;
        }
        case Kind::kCancel:
        case Kind::kTimer:
            if (&k == &cancel_key) return as_cancel_node(c);
            c = Tree::up(c);
            continue;
        case Kind::kWithoutCancel:
            if (&k == &cancel_key) return nullptr;
            c = Tree::up(c);
            continue;
        case Kind::kCustom: return c->value(k);
        default: return nullptr;
        }
}

std::error_code cause_of(const context_base* c) {
    const auto* n = static_cast<const CancelNode*>(value_of(c, cancel_key));
    if (n && n->state.load(std::memory_order_acquire)) return n->cause_code;  // X1
    const std::error_code err = err_of(c);
    // It may have been cancelled between the two looks.
    if (err && n && n->state.load(std::memory_order_acquire)) return n->cause_code;  // X1
    return err;
}

// ---- making ----

// A root, whose parent is itself and whose references are not counted, or a parent without its cancellation.
struct PlainNode final : context_base {
    PlainNode(Kind kind, context_base* parent) noexcept : context_base(kind, 1, parent ? parent : this) {}
};

context Tree::root(Kind kind) {
    // Never destroyed: contexts may be used until the very end of the program.
    alignas(PlainNode) static unsigned char memory[2][sizeof(PlainNode)];
    static PlainNode* const roots[2] = {new (memory[0]) PlainNode(Kind::kBackground, nullptr),
                                        new (memory[1]) PlainNode(Kind::kTodo, nullptr)};
    return context(roots[kind == Kind::kTodo]);
}

context Tree::without_cancel(context_base* parent) {
    auto* node = new PlainNode(Kind::kWithoutCancel, nullptr);
    node->parent_ = share(parent).take();
    return context(node);
}

ValueNode::ValueNode(context_base* parent, const any_key* k, const void* v, ValueText t) noexcept
    : context_base(Kind::kValue, 1, parent), bound(k), at(v), text(t) {}

namespace {

cancelable with_timer(const context& parent, int64_t when, int64_t now, std::error_code why) {
    const auto earlier = deadline_of(parent_of(parent));
    if (earlier && earlier->time_since_epoch().count() <= when) return with_cancel(parent);
    Made<TimerNode> made(parent);
    TimerNode* n = made.node;
    n->timer.when = when;
    n->late = why;
    propagate(n);
    if (when <= now) {
        const std::error_code late = errc::deadline_exceeded;
        cancel(n, late, why ? why : late, false);
    } else {
        arm(n);
    }
    return made.result();
}

}  // namespace

cancelable with_timeout_ns(const context& parent, int64_t ns, std::error_code why) {
    const int64_t now = rt::now();
    return with_timer(parent, rt::deadline_after(now, ns), now, why);
}

void panic_nil_parent() { gort::panic("cannot create context from nil parent"); }
void panic_nil_context(const char* operation) {
    gort::panic(std::string("context: ") + operation + " of a nil context");
}

// ---- after_func ----

namespace {

struct StopAfter final : Stop {
    StopAfter(AfterFunc* func, context c) : f(func), keeps(std::move(c)) {}
    ~StopAfter() override { after_func_release(f); }
    bool stop() override {
        uint32_t registered = 0;
        if (!f->state.compare_exchange_strong(registered, 2, std::memory_order_acq_rel)) return false;
        if (unlink_func(f)) after_func_release(f);  // the list's
        stop_watching();
        return true;
    }
    AfterFunc* f;
    context keeps;  // what f is in the list of
    cancel_func stop_watching;
};

}  // namespace

stop_func after_func(const context& c, AfterFunc* f) {
    f->refs.store(2, std::memory_order_relaxed);  // the caller's stop_func, the list
    const context_base* at = past_values(Tree::get(c));
    context keeps = c;
    cancel_func stop_watching;
    if (Tree::kind(at) == Kind::kCustom) {
        // It is a CancelNode of ours below it that waits for it, in whatever way.
        std::tie(keeps, stop_watching) = with_cancel(c);
        at = Tree::get(keeps);
    }
    auto* stop = new StopAfter(f, std::move(keeps));
    stop->stop_watching = std::move(stop_watching);
    stop_func result = Tree::stop_of(stop);
    if (!can_cancel(Tree::kind(at))) {
        after_func_release(f);
    } else if (!link_func(f, as_cancel_node(at))) {
        f->state.store(1, std::memory_order_relaxed);
        rt::M* mp = rt::enter();
        rt::spawn_inside(mp, f->invoke, f, f->site);
        rt::leave(mp);
    }
    return result;
}

}  // namespace detail

using namespace detail;

// ---- contexts ----

recv_chan<unit> context::done() const { return done_chan_of(checked(*this, "done")); }
std::error_code context::err() const {
    if (gort::detail::strays()) gort::detail::check_in();
    return err_of(checked(*this, "err"));
}
std::optional<time_point> context::deadline() const { return deadline_of(checked(*this, "deadline")); }
const void* context::find(const any_key& k) const { return value_of(checked(*this, "value"), k); }

context_base::~context_base() {
    if (parent_ && parent_ != this) unref_slow(parent_);
}
recv_chan<unit> context_base::done() const { return parent_ ? done_chan_of(parent_) : recv_chan<unit>(); }
std::error_code context_base::err() const { return parent_ ? err_of(parent_) : std::error_code(); }
std::optional<time_point> context_base::deadline() const {
    return parent_ ? deadline_of(parent_) : std::nullopt;
}
const void* context_base::value(const any_key& k) const { return parent_ ? value_of(parent_, k) : nullptr; }
// NOLINTNEXTLINE(performance-unnecessary-value-param): those of other kinds keep it
stop_func context_base::after_func(cancel_func) const { return {}; }
context context_base::parent() const noexcept { return Tree::share(parent_); }

void cancel_func::operator()() const {
    context_base* c = Tree::get(c_);
    if (!c) return;
    if (propagates_) return cancel_as_parent(as_cancel_node(c));
    const std::error_code err = errc::canceled;
    cancel(as_cancel_node(c), err, err, false);
}
void cancel_cause_func::operator()(std::error_code why) const {
    if (!c_) return;
    const std::error_code err = errc::canceled;
    cancel(as_cancel_node(Tree::get(c_)), err, why ? why : err, false);
}

context background() { return Tree::root(Kind::kBackground); }
context todo() { return Tree::root(Kind::kTodo); }

cancelable with_cancel(const context& parent) {
    Made<CancelNode> made(parent);
    propagate(made.node);
    return made.result();
}

cause_cancelable with_cancel_cause(const context& parent) {
    Made<CancelNode> made(parent);
    propagate(made.node);
    return {std::move(made.own), Tree::cancel_cause_of(std::move(made.for_cancel))};
}

cancelable with_deadline_cause(const context& parent, time_point when, std::error_code why) {
    return with_timer(parent, when.time_since_epoch().count(), rt::now(), why);
}

context without_cancel(const context& parent) { return Tree::without_cancel(parent_of(parent)); }

context without_value(const context& parent, const any_key& k) {
    parent_of(parent);
    auto* node = new ValueNode(nullptr, &k, nullptr, nullptr);
    Tree::adopt_parent(node, parent);
    return Tree::wrap(node);
}

std::error_code cause(const context& c) { return cause_of(checked(c, "cause")); }

}  // namespace gort::ctx
