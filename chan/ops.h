// PUBLIC
// chan/ops.h - what the typed handles (chan.h, select.h, time.h) call: channels of words and of anything else, untyped.
// SPDX-License-Identifier: BSD-2-Clause
//
// A word channel carries elements of at most 8 bytes that may be copied as bytes, in a register. Any other element is
// passed by address: the sender's object is moved from when the send succeeds, the receiver's place must be raw storage
// and holds an object if and only if something was received.
// Context: any goroutine or thread. Functions that block or panic say so; c may be null (Go's nil channel) where it
// may.
#pragma once

#include "../rt/config.h"

#include <cstddef>
#include <cstdint>

namespace gort::detail {

struct Hchan;

// What the core must know of an element type. move and relocate run inside the runtime: they must not throw, block, or
// call gort (copying a channel handle is fine). destroy and free_buffer run outside of it.
struct ElemOps {
    size_t size;   // a buffer's stride: 0 for an empty type
    size_t align;
    bool word;
    bool hidden = false;  // the buffer does not show: len and cap are 0, as a timer's channel has them
    // constructs *to from *from; ops: this table, for types that are made at run time
    void (*move)(void* to, void* from, const ElemOps* ops) noexcept;
    void (*relocate)(void* to, void* from, const ElemOps* ops) noexcept;  // and destroys *from
    void (*destroy)(void* at) noexcept;
    void (*free_buffer)(void* buffer) noexcept;
};

struct WordResult {
    uint64_t word;
    bool ok;
};
enum class TryResult : uint8_t { kOk, kEmpty, kClosed };
struct WordTry {
    uint64_t word;
    TryResult result;
};

// A new channel with one reference. `buffer` holds cap elements; null if cap or ops->size is 0. `shared`: from the
// start nobody's, so that it may be locked inside the gate (chan/lock.h).
Hchan* chan_new(const ElemOps* ops, size_t cap, void* buffer, bool shared = false);
void chan_retain(Hchan* c);   // c is not null
void chan_release(Hchan* c);  // the last one destroys what is buffered

void chan_send_word(Hchan* c, uint64_t word);   // blocks; panics
void chan_send(Hchan* c, void* from);           // blocks; panics
WordResult chan_recv_word(Hchan* c);            // blocks; {0, false} when closed and drained
bool chan_recv(Hchan* c, void* to);             // blocks
bool chan_try_send_word(Hchan* c, uint64_t word);  // panics
bool chan_try_send(Hchan* c, void* from);          // panics
// Never block or panic; false: there is neither room nor a receiver, or it is closed. c is not null.
bool chan_send_word_at_once(Hchan* c, uint64_t word);
bool chan_send_at_once(Hchan* c, void* from);
WordTry chan_try_recv_word(Hchan* c);
TryResult chan_try_recv(Hchan* c, void* to);
void chan_close(Hchan* c);      // panics
bool chan_try_close(Hchan* c);  // false: it was closed; c is not null
size_t chan_len(const Hchan* c);
size_t chan_cap(const Hchan* c);

[[noreturn]] void chan_size_out_of_range();  // panics

}  // namespace gort::detail
