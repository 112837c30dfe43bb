// PUBLIC
// chan/select_ops.h - what select.h calls: select over cases without types.
// SPDX-License-Identifier: BSD-2-Clause
//
// As in ops.h, a case of a word channel carries the word itself, any other one an address: of the object to send, or of
// raw storage for what is received. Storage of several receives may be the same, as only one of them takes place.
// Context: any goroutine or thread; the channels must live until the call returns.
#pragma once

#include "../rt/config.h"

#include <cstddef>
#include <cstdint>

#include "ops.h"

namespace gort::detail {

struct SelectItem {
    Hchan* c;  // null: never ready
    union {
        uint64_t word;  // sent, or what was received
        void* at;
    };
    bool sends;
    bool is_word;
    // --- the rest is select's own
    uint32_t poll;       // of the n items together: the order in which they are looked at
    SelectItem* locked;  // the next one whose channel is locked
    alignas(8) unsigned char waiter[56];
};

struct Selected {
    int32_t index;  // -1: none was ready
    bool ok;        // of a receive: false when the channel is closed
};

// Items are `stride` bytes apart. select_wait blocks; both panic if a send is chosen whose channel is closed.
Selected select_wait(SelectItem* items, uint32_t n, size_t stride);
Selected select_try(SelectItem* items, uint32_t n, size_t stride);
Selected select_wait2(SelectItem* items);  // two, as an array
Selected select_try2(SelectItem* items);

// With a deadline, in ns of time_point's clock: {-1, false} once it has passed. A send that is chosen on a closed
// channel is {index, false}, no panic. A deadline that has passed, as kPassed has always: does not block.
inline constexpr int64_t kPassed = INT64_MIN, kNoDeadline = INT64_MAX;
Selected select_until(SelectItem* items, uint32_t n, size_t stride, int64_t deadline);
Selected select_until1(SelectItem* item, int64_t deadline);  // one

[[noreturn]] void select_for_ever();       // blocks: there is no case
[[noreturn]] void select_two_otherwise();  // panics

}  // namespace gort::detail
