// ctx/signals.cc - who wants which signal, and the thread that hands them out.
// SPDX-License-Identifier: BSD-2-Clause
//
// THE HANDLER may run anywhere, in the middle of anything: it sets a bit and wakes a futex. The thread takes the bits
// and sends, under the lock that stop takes: so after stop nothing is sent any more. It is a thread of the program's
// own to the runtime, which therefore declares no deadlock as long as it is there.
// Locks: `changing` for a whole call, which may start or end the thread; `lock` for the book, which the thread reads.
#include "ctx/signals.h"

#include <pthread.h>

#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "kernel/futex.h"
#include "kernel/signal.h"
#include "rt/go.h"
#include "rt/own/gate.h"
#include "rt/panic.h"
#include "rt/sched/unload.h"
#include "rt/sync/mutex.h"

namespace gort::signals {

namespace {

using kernel::signal_bit;
using kernel::SignalSet;

constexpr int kMost = 64;

constexpr SignalSet kFaults =
    signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGFPE) | signal_bit(SIGILL) | signal_bit(SIGTRAP);
constexpr SignalSet kNever = signal_bit(SIGKILL) | signal_bit(SIGSTOP) | signal_bit(32) | signal_bit(33);
constexpr SignalSet kAll = ~(kNever | kFaults | signal_bit(SIGABRT));

constinit std::atomic<SignalSet> pending{0};
constinit std::atomic<uint32_t> word{0};  // futex: counts reasons for the thread to look
constinit std::atomic<bool> quit{false};

struct Entry {
    SignalSet wants;
    send_chan<int> to;
    ctx::cancel_cause_func cancel;  // or this
    uint64_t id;
};

enum class Is : uint8_t { kUntouched, kCaught, kIgnored };

// Never destroyed: the thread may outlive main.
struct Book {
    mutex changing;
    pthread_t thread{};    // changing
    bool started = false;  // changing

    mutex lock;
    std::vector<Entry> entries;                // lock
    uint64_t next_id = 1;                      // lock
    Is is[kMost + 1] = {};                     // lock
    kernel::SignalAction before[kMost + 1]{};  // what it did; constant while a signal is not kUntouched
};
Book& book() {
    static Book* const the = new Book;
    return *the;
}
constinit std::atomic<Book*> handlers_book{nullptr};

void on_signal(int sig, siginfo_t* info, void* context) {
    if ((kFaults & signal_bit(sig)) && info && info->si_code > 0) {
        kernel::SignalAction before = handlers_book.load(std::memory_order_acquire)->before[sig];
        return kernel::forward_signal(&before, sig, info, context);
    }
    pending.fetch_or(signal_bit(sig), std::memory_order_release);
    word.fetch_add(1, std::memory_order_release);
    kernel::futex_wake(&word, 1);
}

SignalSet set_of(std::initializer_list<int> signals) {
    SignalSet set = signals.size() == 0 ? kAll : 0;
    for (const int sig : signals) {
        if (sig < 1 || sig > kMost)
            panic("signals: " + std::to_string(sig) + " is no signal; accepted: 1 to 64");
        set |= signal_bit(sig);
    }
    return set & ~kNever;
}

std::string name_of(int sig) {
    std::string text = strsignal(sig);
    if (text.size() > 1 && text[0] >= 'A' && text[0] <= 'Z' && !(text[1] >= 'A' && text[1] <= 'Z'))
        text[0] = static_cast<char>(text[0] + ('a' - 'A'));
    return text;
}

class Category final : public std::error_category {
public:
    constexpr Category() = default;
    const char* name() const noexcept override { return "signal"; }
    std::string message(int sig) const override { return name_of(sig) + " signal received"; }
    std::error_condition default_error_condition(int) const noexcept override {
        return std::errc::operation_canceled;
    }
};
const std::error_category& category() {
    static constinit Category the;
    return the;
}

// ---- the book. All under lock.

void put_back(Book& b, int sig) {
    if (b.is[sig] == Is::kUntouched) return;
    kernel::restore_signal(sig, b.before[sig]);
    b.is[sig] = Is::kUntouched;
}

void catch_it(Book& b, int sig) {
    if (b.is[sig] == Is::kCaught) return;
    if (b.is[sig] == Is::kUntouched && kernel::get_signal(sig, &b.before[sig]) < 0) return;
    kernel::set_signal(sig, on_signal, SA_ONSTACK | SA_RESTART, 0, nullptr);
    b.is[sig] = Is::kCaught;
}

void ignore_it(Book& b, int sig) {
    if (b.is[sig] == Is::kUntouched && kernel::get_signal(sig, &b.before[sig]) < 0) return;
    kernel::SignalAction ignored;
    ignored.handler = 1;
    kernel::restore_signal(sig, ignored);
    b.is[sig] = Is::kIgnored;
}

template <class F>
void for_each(SignalSet set, F f) {
    for (int sig = 1; sig <= kMost; ++sig)
        if (set & signal_bit(sig)) f(sig);
}

SignalSet wanted(const Book& b) {
    SignalSet set = 0;
    for (const Entry& e : b.entries) set |= e.wants;
    return set;
}

void put_back_unwanted(Book& b) {
    const SignalSet keep = wanted(b);
    for (int sig = 1; sig <= kMost; ++sig)
        if (b.is[sig] == Is::kCaught && !(keep & signal_bit(sig))) put_back(b, sig);
}

void forget(Book& b, SignalSet set) {
    for (Entry& e : b.entries) e.wants &= ~set;
    std::erase_if(b.entries, [](const Entry& e) { return e.wants == 0; });
}

// ---- the thread

void hand_out(Book& b, SignalSet set) {
    std::vector<std::pair<ctx::cancel_cause_func, int>> cancels;
    {
        const std::lock_guard guard(b.lock);
        for_each(set, [&](int sig) {
            for (const Entry& e : b.entries) {
                if (!(e.wants & signal_bit(sig))) continue;
                if (e.to) e.to.try_push(sig);
                else cancels.emplace_back(e.cancel, sig);
            }
        });
    }
    for (auto& [cancel, sig] : cancels) cancel(std::error_code(sig, category()));
}

void* thread_main(void*) {
    rt::leave(rt::enter());  // the runtime knows of it from now on
    Book& b = book();
    for (;;) {
        const uint32_t seen = word.load(std::memory_order_acquire);
        if (const SignalSet set = pending.exchange(0, std::memory_order_acquire)) hand_out(b, set);
        else if (quit.load(std::memory_order_acquire)) return nullptr;
        else kernel::futex_wait(&word, seen);
    }
}

// Holding `changing`: the thread is there if and only if somebody wants something.
void start_thread(Book& b) {
    if (b.started) return;
    quit.store(false, std::memory_order_relaxed);
    handlers_book.store(&b, std::memory_order_release);
    SignalSet before;
    kernel::block_signals(~kFaults, &before);  // those of the process come to the program's own threads
    struct Unblock {
        SignalSet set;
        ~Unblock() { kernel::set_signal_mask(set, nullptr); }
    } unblock{before};
    const int error = pthread_create(&b.thread, nullptr, thread_main, nullptr);
    if (error) throw std::system_error(error, std::generic_category(), "signals: no thread");
    b.started = true;
}

void end_thread_if_idle(Book& b) {
    {
        const std::lock_guard guard(b.lock);
        if (!b.entries.empty() || !b.started) return;
    }
    quit.store(true, std::memory_order_release);
    word.fetch_add(1, std::memory_order_release);
    kernel::futex_wake(&word, 1);
    blocking([&] { pthread_join(b.thread, nullptr); });
    b.started = false;
}

uint64_t add(Entry e) {
    Book& b = book();
    const std::lock_guard changing(b.changing);
    start_thread(b);
    const std::lock_guard guard(b.lock);
    const uint64_t id = e.id = b.next_id++;
    const SignalSet set = e.wants;
    Entry* same = nullptr;
    for (Entry& old : b.entries)
        if (e.to && old.to == e.to) same = &old;
    if (same) same->wants |= set;
    else if (set) b.entries.push_back(std::move(e));
    for_each(set, [&](int sig) { catch_it(b, sig); });
    return id;
}

template <class F>
bool remove_if(F f) {
    Book& b = book();
    const std::lock_guard changing(b.changing);
    bool any;
    {
        const std::lock_guard guard(b.lock);
        any = std::erase_if(b.entries, f) != 0;
        put_back_unwanted(b);
    }
    end_thread_if_idle(b);
    return any;
}

template <class F>
void change(SignalSet set, F f) {
    Book& b = book();
    const std::lock_guard changing(b.changing);
    {
        const std::lock_guard guard(b.lock);
        forget(b, set);
        for_each(set, [&](int sig) { f(b, sig); });
    }
    end_thread_if_idle(b);
}

// The shared object that this is a part of goes, the process stays: nothing of it is called any more.
[[gnu::destructor]] void on_unload() {
    if (!rt::unloading() || !handlers_book.load(std::memory_order_acquire)) return;
    change(~SignalSet{0}, put_back);
}

class SignalContext final : public ctx::context_base {
public:
    SignalContext(const ctx::context& inner, const ctx::context& parent, SignalSet set)
        : ctx::context_base(inner), parent_text_(ctx::to_string(parent)), set_(set) {}
    std::string to_string() const override {
        std::string names;
        for_each(set_, [&](int sig) { names += (names.empty() ? "" : " ") + name_of(sig); });
        return "signal.NotifyContext(" + parent_text_ + ", [" + (set_ == kAll ? "" : names) + "])";
    }

private:
    const std::string parent_text_;
    const SignalSet set_;
};

}  // namespace

void notify(const send_chan<int>& c, std::initializer_list<int> signals) {
    if (!c) panic("os/signal: Notify using nil channel");
    add({set_of(signals), c, {}, 0});
}

void stop(const send_chan<int>& c) {
    remove_if([&](const Entry& e) { return e.to && e.to == c; });
}

void ignore(std::initializer_list<int> signals) { change(set_of(signals), ignore_it); }
void reset(std::initializer_list<int> signals) { change(set_of(signals), put_back); }

bool ignored(int signal) {
    set_of({signal});
    kernel::SignalAction now;
    return kernel::get_signal(signal, &now) == 0 && now.handler == 1;
}

std::pair<ctx::context, ctx::stop_func> notify_context(const ctx::context& parent,
                                                       std::initializer_list<int> signals) {
    const SignalSet set = set_of(signals);
    auto [inner, cancel] = ctx::with_cancel_cause(parent);
    ctx::context c(std::make_unique<SignalContext>(inner, parent, set));
    const uint64_t id = add({set, nullptr, cancel, 0});
    ctx::stop_func stop([id, cancel_inner = cancel] {
        const bool undone = remove_if([id](const Entry& e) { return e.id == id; });
        cancel_inner();
        return undone;
    });
    return {std::move(c), std::move(stop)};
}

}  // namespace gort::signals
