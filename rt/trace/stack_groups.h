// rt/trace/stack_groups.h - goroutines by what people see of their stacks: equal ones once, with how many and who.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context: any thread; memory comes from mmap, at most about a KiB for each stack that differs from all others.
#pragma once

#include <cstddef>
#include <cstdint>

#include "rt/trace/traceback.h"

namespace gort::rt {

class StackGroups {
public:
    struct Group {
        uint64_t hash;
        const uintptr_t* pcs;  // of the visible frames, innermost first
        uint32_t depth;
        uint32_t count;
        uint32_t first, last;  // members: numbers that `add` was given
        uint64_t left_out;     // frames in the middle
        const char* state;     // equal if the address is
        const void* origin;    // likewise: created by, a label
        int64_t total_ns;
    };

    // For at most n members.
    explicit StackGroups(uint32_t n);
    ~StackGroups();
    StackGroups(const StackGroups&) = delete;
    StackGroups& operator=(const StackGroups&) = delete;
    bool ok() const { return memory_ != nullptr; }

    // Member number `member` < n, in rising order, has this stack, of which only what is visible counts.
    void add(uint32_t member, Images* images, const Trace& trace, const char* state, const void* origin,
             int64_t ns);

    uint32_t size() const { return groups_n_; }
    const Group& operator[](uint32_t i) const { return groups_[i]; }  // in the order of their first members
    uint32_t next(uint32_t member) const {
        return next_[member];
    }  // after it in its group; `last` is the end
    // Which group it is in, unless it is in none, and whether it is the first there.
    bool is_first(uint32_t member, uint32_t* group) const;

private:
    uintptr_t* room_for(uint32_t words);

    struct Chunk {
        Chunk* next;
        size_t size, used;
    };
    uint32_t groups_n_ = 0, slots_;
    void* memory_ = nullptr;
    size_t size_ = 0;
    Group* groups_ = nullptr;
    uint32_t* next_ = nullptr;
    uint32_t* table_ = nullptr;  // hash -> group + 1
    uint32_t* of_ = nullptr;     // member -> group + 1; 0: not added
    Chunk* chunks_ = nullptr;
};

}  // namespace gort::rt
