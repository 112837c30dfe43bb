// tests/ctx_test.h - what the tests of contexts share.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "chan/select.h"
#include "ctx/context.h"
#include "ctx/node.h"
#include "tests/chan_tools.h"
#include "tests/time_test.h"

namespace ctx_tools {

using namespace std::chrono_literals;
using namespace chan_tools;
using namespace time_tools;
using namespace gort::ctx;

inline bool is_done(const context& c) {
    unit u;
    return c.done().try_recv(u) == recv_result::closed;
}
// Open, or done with that error and cause, in every way one can ask.
inline bool is_open(const context& c) { return !is_done(c) && !c.err() && !cause(c); }
inline bool ended(const context& c, std::error_code err, std::error_code why) {
    return is_done(c) && c.err() == err && cause(c) == why;
}
inline bool ended(const context& c, std::error_code err) { return ended(c, err, err); }

// How many are in the list of c, which was made by with_cancel, with_deadline or with_timeout.
inline size_t children(const context& c) {
    auto* n = static_cast<detail::CancelNode*>(detail::Tree::get(c));
    gort::rt::M* mp = gort::rt::enter();
    n->lock.lock();
    size_t count = 0;
    for (auto* at = n->children; at; at = at->next) ++count;
    n->lock.unlock();
    gort::rt::leave(mp);
    return count;
}

// Contexts that are kept, with what ends them.
struct Tree {
    std::vector<context> all;
    std::vector<cancel_func> cancels;
    void add(cancelable c) {
        all.push_back(std::move(c.first));
        cancels.push_back(std::move(c.second));
    }
};

inline std::error_code error(int n) { return {n, std::generic_category()}; }

}  // namespace ctx_tools
