// tests/explore/snapshot.cc - memory is what it was at start() when an execution begins.
// SPDX-License-Identifier: BSD-2-Clause
//
// Set back are the program's own data, the arena (stacks of model threads, what new and mmap gave) and the thread area.
// The explorer's memory is not, and libc's neither, so a piece does nothing that libc remembers.
#include <cstdio>
#include <cstring>

#include "kernel/tls.h"
#include "tests/explore/world.h"

extern "C" char __data_start, _end;  // all that is writable in the program

namespace gort::explore {

namespace {

constexpr size_t kArena = size_t{1} << 36, kPage = 4096;
// Always the same, so that what goes by addresses (the order of locks) is too.
void* const kArenaAt = reinterpret_cast<void*>(uintptr_t{0x200000000000});

}  // namespace

void World::make_arena() {
    arena_ =
        static_cast<char*>(mmap(kArenaAt, kArena, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0));
    if (arena_ != kArenaAt) std::abort();
}

void* World::allocate(size_t size, size_t align) {
    if (align < 16) align = 16;
    arena_used_ = (arena_used_ + align - 1) & ~(align - 1);
    void* p = arena_ + arena_used_;
    arena_used_ += size;
    if (arena_used_ > kArena) std::abort();
    return p;
}

void World::take_snapshot() {
    if (!began_) {
        end_ = End::kStopped;
        std::snprintf(text, sizeof text, "a piece has to call start()");
        return;
    }
    me().self = kernel::thread_area()->self;
    kept_used_ = arena_used_ = (arena_used_ + kPage - 1) & ~(kPage - 1);
    const auto keep = [this](char* start, size_t size) {
        char* copy = static_cast<char*>(std::malloc(size));
        std::memcpy(copy, start, size);
        regions_.push_back({start, size, copy});
    };
    // Of the program's own data only the pages that an execution has written are set back.
    data_start_ = reinterpret_cast<uintptr_t>(&__data_start) & ~(kPage - 1);
    data_pages_ = (reinterpret_cast<uintptr_t>(&_end) - data_start_ + kPage - 1) / kPage;
    data_size_ = reinterpret_cast<uintptr_t>(&_end) - data_start_;
    data_copy_ = static_cast<char*>(std::malloc(data_size_));
    std::memcpy(data_copy_, reinterpret_cast<void*>(data_start_), data_size_);
    written_.assign(data_pages_, 0);
    Vector<unsigned char> there(kept_used_ / kPage);
    mincore(arena_, kept_used_, there.data());
    for (size_t i = 0; i < there.size(); ++i) {
        size_t end = i;
        while (end < there.size() && (there[end] & 1)) ++end;
        if (end > i) keep(arena_ + i * kPage, (end - i) * kPage);
        if (end > i) i = end;
    }
    for (int i = 0; i < kThreads; ++i) kept_threads_[i] = threads[i];
    kept_nthreads_ = nthreads;
    kept_current_ = current;
    kept_now_ = now;
}

void World::wrote(uintptr_t address) {
    const uintptr_t page = (address - data_start_) / kPage;
    if (page < data_pages_) written_[page] |= kWritten;
}

// Most writes are instrumented; those of libc and of assembly are found by comparing, in the first executions and now
// and then, and their pages are set back every time.
void World::set_back_data() {
    const bool compare = executions < 20 || executions % 1024 == 0;
    for (size_t page = 0; page < data_pages_; ++page) {
        const size_t at = page * kPage, size = data_size_ - at < kPage ? data_size_ - at : kPage;
        auto* start = reinterpret_cast<char*>(data_start_ + at);
        if (compare && !written_[page] && std::memcmp(start, data_copy_ + at, size) != 0)
            written_[page] = kAlways;
        if (!written_[page]) continue;
        std::memcpy(start, data_copy_ + at, size);
        written_[page] &= kAlways;
    }
}

void World::set_back() {
    set_back_data();
    for (const Region& r : regions_) std::memcpy(r.start, r.copy, r.size);
    if (arena_used_ > kept_used_) {
        const size_t end = (arena_used_ + kPage - 1) & ~(kPage - 1);
        madvise(arena_ + kept_used_, end - kept_used_, MADV_DONTNEED);
        arena_used_ = kept_used_;
    }
    nthreads = kept_nthreads_;
    for (int i = 0; i < kThreads; ++i) threads[i] = kept_threads_[i];
    Clock all;
    for (uint32_t& at : all.at) at = 1;
    for (int i = 0; i < nthreads; ++i) {
        Viewer v;
        v.id = i;
        v.now = {all, all};
        v.kept = all;
        threads[i].view = v;
        threads[i].ops = 0;
        threads[i].yields = false;
    }
    now = kept_now_;
    memory.forget();
    events.clear();
    deviations.clear();
    asleep = 0;
    idle_rounds_ = steps_ = 0;
    for (int& n : spent) n = 0;
    last_running_ = current = kept_current_;
    text[0] = 0;
    failed_at = nullptr;
    kernel::ThreadArea* area = kernel::thread_area();
    area->self = me().self;
    area->tid = me().tid;
}

}  // namespace gort::explore
