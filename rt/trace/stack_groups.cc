// rt/trace/stack_groups.cc - see stack_groups.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/trace/stack_groups.h"

#include "kernel/mem.h"
#include "rt/trace/frames.h"

namespace gort::rt {

namespace {

constexpr size_t kChunk = size_t{1} << 20;

uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

bool same(const uintptr_t* a, const uintptr_t* b, uint32_t n) {
    for (uint32_t i = 0; i < n; ++i)
        if (a[i] != b[i]) return false;
    return true;
}

}  // namespace

StackGroups::StackGroups(uint32_t n) : slots_(64) {
    while (slots_ < 2 * uint64_t{n} && slots_ < 1u << 31) slots_ *= 2;
    const size_t groups = n * sizeof(Group), ints = n * sizeof(uint32_t);
    size_ = groups + 2 * ints + slots_ * sizeof(uint32_t);
    memory_ = n ? take_memory(size_) : nullptr;
    if (!memory_) return;
    auto* at = static_cast<char*>(memory_);
    groups_ = reinterpret_cast<Group*>(at);
    next_ = reinterpret_cast<uint32_t*>(at += groups);
    of_ = reinterpret_cast<uint32_t*>(at += ints);
    table_ = reinterpret_cast<uint32_t*>(at + ints);
}

StackGroups::~StackGroups() {
    while (Chunk* c = chunks_) {
        chunks_ = c->next;
        give_memory(c, c->size);
    }
    if (memory_) give_memory(memory_, size_);
}

uintptr_t* StackGroups::room_for(uint32_t words) {
    const size_t bytes = words * sizeof(uintptr_t);
    if (!chunks_ || chunks_->size - chunks_->used < bytes) {
        auto* c = static_cast<Chunk*>(take_memory(kChunk));
        if (!c) return nullptr;
        c->next = chunks_;
        c->size = kChunk;
        c->used = sizeof(Chunk);
        chunks_ = c;
    }
    auto* room = reinterpret_cast<uintptr_t*>(reinterpret_cast<char*>(chunks_) + chunks_->used);
    chunks_->used += bytes;
    return room;
}

void StackGroups::add(uint32_t member, Images* images, const Trace& trace, const char* state,
                      const void* origin, int64_t ns) {
    uint8_t index[kTraceHead + kTraceTail];
    uintptr_t pcs[kTraceHead + kTraceTail];
    const uint32_t depth = visible_frames(images, trace, false, index);
    const uint64_t left_out = trace.total - trace.stored();
    uint64_t h = mix(mix(mix(depth, left_out), reinterpret_cast<uintptr_t>(state)),
                     reinterpret_cast<uintptr_t>(origin));
    for (uint32_t i = 0; i < depth; ++i) h = mix(h, pcs[i] = trace.pc[index[i]]);
    for (uint32_t i = static_cast<uint32_t>(h >> 32);; ++i) {
        uint32_t& slot = table_[i & (slots_ - 1)];
        if (slot == 0) {
            uintptr_t* kept = room_for(depth);
            if (!kept) return;
            for (uint32_t k = 0; k < depth; ++k) kept[k] = pcs[k];
            groups_[groups_n_] = {h, kept, depth, 1, member, member, left_out, state, origin, ns};
            of_[member] = slot = ++groups_n_;
            return;
        }
        Group& g = groups_[slot - 1];
        if (g.hash != h || g.depth != depth || g.left_out != left_out || g.state != state ||
            g.origin != origin || !same(g.pcs, pcs, depth))
            continue;
        next_[g.last] = member;
        g.last = member;
        g.total_ns += ns;
        ++g.count;
        of_[member] = slot;
        return;
    }
}

bool StackGroups::is_first(uint32_t member, uint32_t* group) const {
    if (of_[member] == 0) return false;
    *group = of_[member] - 1;
    return groups_[*group].first == member;
}

}  // namespace gort::rt
