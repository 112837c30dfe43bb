// PUBLIC
// rt/sync/single_flight.h - single_flight<K, V>: goroutines that want the same at one time share one call.
// SPDX-License-Identifier: BSD-2-Clause
//
// As Go's singleflight.Group. While a call for a key is under way, others for that key wait and get the same result. An
// exception of the function is thrown to all of them; goexit in it ends all their goroutines. K needs std::hash and
// ==, V a copy constructor.
//
// Context:  any goroutine and any other thread of the process; call blocks. Not in a signal handler.
// Memory order: the function's end happens before the return of all that share it.
// Source:   golang.org/x/sync/singleflight.
#pragma once

#include "../config.h"

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../go.h"
#include "../panic.h"
#include "mutex.h"
#include "wait_group.h"

namespace gort {

template <class K, class V, class Hash = std::hash<K>, class Equal = std::equal_to<K>>
class single_flight {
public:
    struct result {
        V value;
        bool shared;  // more than one got it
    };

    single_flight() = default;
    single_flight(const single_flight&) = delete;
    single_flight& operator=(const single_flight&) = delete;

    // Go's Do: the result of f(), or of the call that is under way for this key. Throws what that throws.
    template <class F>
    result call(const K& key, F&& f) {
        std::shared_ptr<Flight> flight;
        if (join(key, &flight, nullptr)) {
            flight->over.wait();
            if (flight->failed) std::rethrow_exception(flight->failed);
            if (!flight->value) detail::exit_goroutine();
            return {*flight->value, true};
        }
        fly(key, *flight, std::forward<F>(f));
        if (flight->failed) std::rethrow_exception(flight->failed);
        return {*flight->value, flight->others};
    }

    // Go's DoChan: sends the result to c, which needs room for it (make_chan<result>(1)), and never closes it. If f
    // throws, the process ends; if it calls goexit, nothing is sent.
    template <class F, class C>
    void call_chan(const K& key, F&& f, C c) {
        std::shared_ptr<Flight> flight;
        if (join(key, &flight, std::make_unique<Send<C>>(std::move(c)))) return;
        gort::go([this, key, flight, f = std::decay_t<F>(std::forward<F>(f))]() mutable {
            fly(key, *flight, std::move(f));
            if (flight->failed) std::rethrow_exception(flight->failed);
        });
    }

    // The next call for this key runs its function, even if another one is under way.
    void forget(const K& key) {
        const std::lock_guard guard(mu_);
        flights_.erase(key);
    }

private:
    struct Receiver {
        virtual ~Receiver() = default;
        virtual void take(const result& r) = 0;
    };
    template <class C>
    struct GORT_HIDDEN Send : Receiver {
        explicit Send(C to) : c(std::move(to)) {}
        void take(const result& r) override { c.send(r); }
        C c;
    };
    struct Flight {
        wait_group over;
        std::optional<V> value;  // empty: it failed, or ended by goexit
        std::exception_ptr failed;
        bool others = false;                               // mu_
        std::vector<std::unique_ptr<Receiver>> receivers;  // mu_
    };

    // True: one is under way. Else *flight is ours to fly.
    bool join(const K& key, std::shared_ptr<Flight>* flight, std::unique_ptr<Receiver> receiver) {
        const std::lock_guard guard(mu_);
        std::shared_ptr<Flight>& there = flights_[key];
        const bool joins = there != nullptr;
        if (joins) {
            there->others = true;
        } else {
            there = std::make_shared<Flight>();
            there->over.add(1);
        }
        if (receiver) there->receivers.push_back(std::move(receiver));
        *flight = there;
        return joins;
    }

    template <class F>
    void fly(const K& key, Flight& flight, F&& f) {
        struct Land {  // however the call ends
            single_flight* group;
            const K& key;
            Flight& flight;
            ~Land() { group->land(key, flight); }
        } land{this, key, flight};
#if defined(__cpp_exceptions)
        try {
            flight.value.emplace(std::invoke(std::forward<F>(f)));
        } catch (...) {
            flight.failed = std::current_exception();
            if (!flight.failed) throw;  // goexit
        }
#else
        flight.value.emplace(std::invoke(std::forward<F>(f)));
#endif
    }
    void land(const K& key, Flight& flight) {
        std::vector<std::unique_ptr<Receiver>> receivers;
        bool shared;
        {
            const std::lock_guard guard(mu_);
            if (auto it = flights_.find(key); it != flights_.end() && it->second.get() == &flight)
                flights_.erase(it);
            receivers.swap(flight.receivers);
            shared = flight.others;
        }
        if (flight.value)
            for (auto& r : receivers) r->take({*flight.value, shared});
        flight.over.done();
    }

    mutex mu_;
    std::unordered_map<K, std::shared_ptr<Flight>, Hash, Equal> flights_;
};

}  // namespace gort
