// rt/c/chan.cc - gort_c.h: channels of any element size, and select.
// SPDX-License-Identifier: BSD-2-Clause
//
// A gort_chan is an Hchan whose element table is made here: one for each size, for the life of the process. Sizes up to
// 8 are words; others are copied by the table's functions, which are given the table and so know the size.
#include "chan/select_ops.h"
#include "chan/hchan.h"
#include "kernel/mem.h"
#include "rt/c/c.h"
#include "rt/c/chan.h"

using namespace gort;
using namespace gort::detail;

namespace gort::c {

namespace {

constexpr size_t kWord = sizeof(uint64_t);
constexpr size_t kMost = size_t{1} << 47;  // bytes of a buffer: more than can be addressed

void copy_elem(void* to, void* from, const ElemOps* ops) noexcept {
    kernel::copy_bytes(to, from, static_cast<const Elem*>(ops)->bytes);
}
void nothing(void*) noexcept {}
void free_ring(void* ring) noexcept { rt::host_free(ring); }

constexpr Elem elem_of(size_t bytes) {
    const bool word = bytes <= kWord;
    return {{.size = word ? (bytes ? kWord : 0) : bytes,
             .align = 1,
             .word = word,
             .move = copy_elem,
             .relocate = copy_elem,
             .destroy = nothing,
             .free_buffer = free_ring},
            bytes,
            nullptr};
}
constexpr Elem kWords[kWord + 1] = {elem_of(0), elem_of(1), elem_of(2), elem_of(3), elem_of(4),
                                    elem_of(5), elem_of(6), elem_of(7), elem_of(8)};

// The others, newest first; programs have few sizes. Never freed: a channel of any age may use them.
constexpr size_t kBuckets = 64;
constinit std::atomic<Elem*> g_elems[kBuckets];

// Null: no memory.
const Elem* elem_for(size_t bytes) {
    if (bytes <= kWord) return &kWords[bytes];
    std::atomic<Elem*>& head = g_elems[(bytes ^ bytes >> 6) % kBuckets];
    Elem* first = head.load(std::memory_order_acquire);
    for (const Elem* e = first; e; e = e->next)
        if (e->bytes == bytes) return e;
    void* memory = rt::host_alloc(sizeof(Elem));
    if (!memory) return nullptr;
    auto* fresh = new (memory) Elem(elem_of(bytes));
    fresh->next = first;
    // Two that come at once may add the same size twice.
    while (!head.compare_exchange_weak(fresh->next, fresh, std::memory_order_release,
                                       std::memory_order_relaxed)) {
    }
    return fresh;
}

const Elem* elem(const Hchan* c) { return static_cast<const Elem*>(c->ops); }

// Room for an element that is dropped, or that is all zeros.
class Spare {
public:
    Spare() = default;
    Spare(const Spare&) = delete;
    Spare& operator=(const Spare&) = delete;
    ~Spare() {
        while (first_) {
            Block* next = first_->next;
            rt::host_free(first_);
            first_ = next;
        }
    }
    void* take(size_t bytes, bool zero) {
        void* p = local_ + used_;
        if (bytes <= sizeof local_ - used_) {
            used_ += bytes;
        } else {
            auto* b = static_cast<Block*>(rt::host_alloc(sizeof(Block) + bytes));
            if (!b) misused("out of memory for a channel's element");
            b->next = first_;
            first_ = b;
            p = b + 1;
        }
        if (zero) kernel::zero_bytes(p, bytes);
        return p;
    }

private:
    struct Block {
        Block* next;
    };
    Block* first_ = nullptr;
    size_t used_ = 0;
    unsigned char local_[256];
};

// The usual sizes by one load: a word that was stored in parts cannot be forwarded to the load of the whole.
uint64_t word_from(const void* from, size_t bytes) {
    if (!from) return 0;
    switch (bytes) {
    case 8: return static_cast<const kernel::Bytes8*>(from)->v;
    case 4: return static_cast<const kernel::Bytes4*>(from)->v;
    case 2: return static_cast<const kernel::Bytes2*>(from)->v;
    default: break;
    }
    uint64_t word = 0;
    kernel::copy_bytes(&word, from, bytes);
    return word;
}

void fill(SelectItem& it, Hchan* c, bool sends, void* at, Spare& spare) {
    it.c = c;
    it.sends = sends;
    it.is_word = true;
    it.word = 0;
    if (!c) return;
    const Elem* e = elem(c);
    it.is_word = e->word;
    if (!e->word) it.at = at ? at : spare.take(e->bytes, sends);
    else if (sends) it.word = word_from(at, e->bytes);
}

// What a receive of that item gives.
void put(const SelectItem& it, void* at, bool ok) {
    if (!at) return;
    const Elem* e = elem(it.c);
    if (!ok) kernel::zero_bytes(at, e->bytes);
    else if (e->word) kernel::copy_bytes(at, &it.word, e->bytes);
}

gort_status send(gort_chan* chan, const void* from, int64_t deadline, gort_status late) {
    // What most sends are, without a select's work.
    Hchan* c = hchan(chan);
    if (c && from) {
        const Elem* e = elem(c);
        if (e->word ? chan_send_word_at_once(c, word_from(from, e->bytes))
                    : chan_send_at_once(c, const_cast<void*>(from)))
            return GORT_OK;
    }
    SelectItem it;
    Spare spare;
    fill(it, hchan(chan), true, const_cast<void*>(from), spare);  // it is only read
    const Selected r = select_until1(&it, deadline);
    return r.index < 0 ? late : r.ok ? GORT_OK : GORT_CLOSED;
}

gort_status recv(gort_chan* chan, void* to, int64_t deadline, gort_status late) {
    SelectItem it;
    Spare spare;
    fill(it, hchan(chan), false, to, spare);
    const Selected r = select_until1(&it, deadline);
    if (r.index < 0) return late;
    put(it, to, r.ok);
    return r.ok ? GORT_OK : GORT_CLOSED;
}

}  // namespace

Hchan* signal_new() { return chan_new(&kWords[0], 0, nullptr); }

}  // namespace gort::c

using namespace gort::c;

extern "C" {

gort_chan* gort_chan_make(size_t bytes, int64_t cap) {
    GORT_C_FENCE();
    if (cap < 0 || bytes > kMost) return nullptr;
    const Elem* e = elem_for(bytes);
    if (!e) return nullptr;
    void* ring = nullptr;
    const auto n = static_cast<size_t>(cap);
    if (e->size && n > (e->word ? 1 : 0)) {  // one word lies in the header
        if (n > kMost / e->size) return nullptr;
        ring = rt::host_alloc(n * e->size);
        if (!ring) return nullptr;
    }
    return handle(chan_new(e, n, ring));
}

gort_chan* gort_chan_ref(gort_chan* c) {
    GORT_C_FENCE();
    if (c) chan_retain(hchan(c));
    return c;
}

void gort_chan_unref(gort_chan* c) {
    GORT_C_FENCE();
    if (c) chan_release(hchan(c));
}

gort_status gort_chan_send(gort_chan* c, const void* from) {
    GORT_C_FENCE();
    return send(c, from, kNoDeadline, GORT_TIMEOUT);
}
gort_status gort_chan_send_until(gort_chan* c, const void* from, int64_t deadline) {
    GORT_C_FENCE();
    return send(c, from, deadline, GORT_TIMEOUT);
}
gort_status gort_chan_try_send(gort_chan* c, const void* from) {
    GORT_C_FENCE();
    return send(c, from, kPassed, GORT_FULL);
}

// The common case goes the short way.
gort_status gort_chan_recv(gort_chan* c, void* to) {
    GORT_C_FENCE();
    Hchan* h = hchan(c);
    if (!h || !to) return recv(c, to, kNoDeadline, GORT_TIMEOUT);
    const Elem* e = elem(h);
    if (e->word) {
        const WordResult r = chan_recv_word(h);
        kernel::copy_bytes(to, &r.word, e->bytes);  // 0 when closed
        return r.ok ? GORT_OK : GORT_CLOSED;
    }
    if (chan_recv(h, to)) return GORT_OK;
    kernel::zero_bytes(to, e->bytes);
    return GORT_CLOSED;
}
gort_status gort_chan_recv_until(gort_chan* c, void* to, int64_t deadline) {
    GORT_C_FENCE();
    return recv(c, to, deadline, GORT_TIMEOUT);
}
gort_status gort_chan_try_recv(gort_chan* c, void* to) {
    GORT_C_FENCE();
    return recv(c, to, kPassed, GORT_EMPTY);
}

gort_status gort_chan_close(gort_chan* c) {
    GORT_C_FENCE();
    if (!c) return GORT_INVALID;
    return chan_try_close(hchan(c)) ? GORT_OK : GORT_CLOSED;
}

size_t gort_chan_len(const gort_chan* c) { return chan_len(hchan(c)); }
size_t gort_chan_cap(const gort_chan* c) { return chan_cap(hchan(c)); }

int gort_select(gort_case* cases, int n, int flags, int64_t deadline) {
    GORT_C_FENCE();
    if (n < 0) misused("gort_select: n is negative");
    constexpr int kFew = 16;
    SelectItem few[kFew];
    SelectItem* items = few;
    const auto count = static_cast<uint32_t>(n);
    if (n > kFew) {
        items = static_cast<SelectItem*>(rt::host_alloc(count * sizeof(SelectItem)));
        if (!items) misused("gort_select: out of memory");
    }
    Spare spare;
    for (uint32_t i = 0; i < count; ++i) {
        const gort_case& k = cases[i];
        if (k.dir != GORT_RECV && k.dir != GORT_SEND)
            misused("gort_select: a case's dir is neither GORT_RECV nor GORT_SEND");
        fill(items[i], hchan(k.chan), k.dir == GORT_SEND, k.elem, spare);
    }
    const bool look = flags & GORT_SELECT_DEFAULT;
    const Selected r = select_until(items, count, sizeof *items, look ? kPassed : deadline);
    if (r.index >= 0) {
        gort_case& k = cases[r.index];
        k.status = r.ok ? GORT_OK : GORT_CLOSED;
        if (k.dir == GORT_RECV) put(items[r.index], k.elem, r.ok);
    }
    if (items != few) rt::host_free(items);
    return r.index >= 0 ? r.index : look ? -1 : -2;
}

}  // extern "C"
