// rt/base/slab.h - objects of one type from chunks that are never unmapped before the runtime's end: pointers stay
// readable.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context: any thread; its own leaf lock. alloc gives zero-initialised-by-constructor objects; chains are linked by
// next.
#pragma once

#include <cstddef>
#include <new>

#include "kernel/lock.h"
#include "kernel/vm.h"

namespace gort::rt {

struct SlabChunk {
    SlabChunk* next;
    size_t size;
    uint32_t used, room;
};
// For unload.h: a slab is listed as soon as it has memory.
struct ListedSlab {
    SlabChunk** chunks;
    ListedSlab* next;
};
void list_slab(ListedSlab* slab);

template <class T>
class Slab {
public:
    T* alloc() {
        kernel::LockGuard guard(lock_);
        void* place = free_;
        if (place) free_ = free_->next;
        else place = carve();
        return place ? new (place) T : nullptr;
    }
    void free(T* object) {
        object->~T();
        kernel::LockGuard guard(lock_);
        free_ = new (static_cast<void*>(object)) Free{free_};
    }
    // Up to n new objects, for those who keep free lists of their own and never give objects back.
    uint32_t alloc_many(T** out, uint32_t n) {
        kernel::LockGuard guard(lock_);
        uint32_t got = 0;
        for (; got < n; ++got) {
            void* place = carve();
            if (!place) break;
            out[got] = new (place) T;
        }
        return got;
    }
    // Every object ever carved, free ones too. Objects carved meanwhile may be missed.
    template <class F>
    void for_each(F f) {
        kernel::LockGuard guard(lock_);
        for (SlabChunk* c = chunks_; c; c = c->next)
            for (uint32_t i = 0; i < c->used; ++i) f(at(c, i));
    }
    // For a debugger, which finds every object ever carved by these.
    struct Layout {
        size_t chunks, next, used, first;
    };
    static constexpr Layout layout();
    // The next `most` objects from a place on, free ones too; {nullptr, 0} is the first. f returns false to be called
    // with this one again the next time. False: there are no more.
    template <class F>
    bool for_some(const void** chunk, uint32_t* index, uint32_t most, F f) {
        kernel::LockGuard guard(lock_);
        if (!*chunk) *chunk = chunks_;
        auto* c = static_cast<SlabChunk*>(const_cast<void*>(*chunk));
        while (c && *index >= c->used) {
            c = c->next;
            *chunk = c;
            *index = 0;
        }
        for (; c && most > 0 && *index < c->used && f(at(c, *index)); --most) ++*index;
        return c != nullptr;
    }

private:
    struct Free {
        Free* next;
    };
    static constexpr size_t kHead = 64;
    static constexpr size_t kFirst = (kHead + alignof(T) - 1) / alignof(T) * alignof(T);
    static_assert(sizeof(SlabChunk) <= kHead);
    static T* at(SlabChunk* c, uint32_t i) {
        return reinterpret_cast<T*>(reinterpret_cast<char*>(c) + kFirst) + i;
    }
    void* carve() {
        if (!chunks_ || chunks_->used == chunks_->room) {
            // Chunks double up to 4 MiB: few mappings for millions of objects, little for a small program.
            size_t size = chunks_ ? chunks_->size * 2 : size_t{64} << 10;
            if (size > size_t{4} << 20) size = size_t{4} << 20;
            // A large one in huge pages: a million goroutines' Gs are visited in no order, and a TLB miss costs as much
            // as a cache miss.
            const bool huge = size >= 2 * kernel::kHugePage;
            auto* c = static_cast<SlabChunk*>(
                kernel::reserve(size, kernel::kReserveDefault, huge ? kernel::kHugePage : 0));
            if (!c) return nullptr;
            if (huge) kernel::hugepage(c, size);
            if (!chunks_) {
                listed_.chunks = &chunks_;
                list_slab(&listed_);
            }
            c->next = chunks_;
            c->size = size;
            c->used = 0;
            c->room = static_cast<uint32_t>((size - kFirst) / sizeof(T));
            chunks_ = c;
        }
        return at(chunks_, chunks_->used++);
    }

    kernel::Mutex lock_{kernel::LockRank::kLeaf};
    Free* free_ = nullptr;
    SlabChunk* chunks_ = nullptr;
    ListedSlab listed_{};
};

template <class T>
constexpr typename Slab<T>::Layout Slab<T>::layout() {
    return {offsetof(Slab, chunks_), offsetof(SlabChunk, next), offsetof(SlabChunk, used), kFirst};
}

}  // namespace gort::rt
