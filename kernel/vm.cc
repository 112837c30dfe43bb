// kernel/vm.cc - address space by mmap, mprotect and madvise.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/vm.h"

#include <linux/auxvec.h>
#include <linux/mman.h>

#include <atomic>

#include "kernel/sys.h"
#include "kernel/vdso.h"

namespace gort::kernel {

namespace {

constexpr int kAdviseGuardInstall = 102;  // MADV_GUARD_INSTALL, newer than our headers
constexpr int kAdviseGuardRemove = 103;

// Without an auxiliary vector: mincore refuses an address that is not a page's. This one is a multiple of 4
// KiB and of nothing larger, then of 16 KiB.
size_t probe_page_size() {
    unsigned char one;
    for (size_t size = 4096; size < 65536; size *= 4) {
        void* address = reinterpret_cast<void*>(uintptr_t{1} << 30 | size);
        if (sys_mincore(address, 1, &one) != -EINVAL) return size;
    }
    return 65536;
}

int prot(Access access) {
    switch (access) {
    case Access::kNone: return PROT_NONE;
    case Access::kRead: return PROT_READ;
    case Access::kReadWrite: return PROT_READ | PROT_WRITE;
    }
    return PROT_NONE;
}

}  // namespace

size_t page_size() {
    static std::atomic<size_t> known;
    size_t size = known.load(std::memory_order_relaxed);
    if (size == 0) [[unlikely]] {
        size = auxv_value(AT_PAGESZ);
        if (size == 0) size = probe_page_size();
        known.store(size, std::memory_order_relaxed);
    }
    return size;
}

void* reserve(size_t size, unsigned flags, size_t align, int* error) {
    int ignored;
    if (!error) error = &ignored;
    const size_t page = page_size();
    if (align < page) align = page;
    const size_t slack = align - page;
    if (size == 0 || size % page || (align & (align - 1)) || size + slack < size) {
        *error = -EINVAL;
        return nullptr;
    }
    const int access = flags & kReserveNoAccess ? PROT_NONE : PROT_READ | PROT_WRITE;
    const int stack = flags & kReserveStack ? MAP_STACK : 0;
    const long r =
        sys_mmap(nullptr, size + slack, access, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | stack, -1, 0);
    if (is_error(r)) {
        *error = static_cast<int>(r);
        return nullptr;
    }
    char* map = reinterpret_cast<char*>(r);
    const size_t before = -static_cast<uintptr_t>(r) & (align - 1);
    const size_t after = slack - before;
    int trimmed = before ? sys_munmap(map, before) : 0;
    if (trimmed == 0 && after) trimmed = sys_munmap(map + before + size, after);
    if (trimmed != 0) {
        sys_munmap(map, size + slack);
        *error = trimmed;
        return nullptr;
    }
    if (flags & kReserveStack)
        nohugepage(map + before, size);  // only a hint: a refusal costs memory, not truth
    *error = 0;
    return map + before;
}

int release(void* addr, size_t size) { return sys_munmap(addr, size); }
int protect(void* addr, size_t size, Access access) { return sys_mprotect(addr, size, prot(access)); }
int decommit(void* addr, size_t size) { return sys_madvise(addr, size, MADV_DONTNEED); }

int hugepage(void* addr, size_t size) {
    const int r = sys_madvise(addr, size, MADV_HUGEPAGE);
    return r == -EINVAL ? 0 : r;  // a kernel that has none
}

int nohugepage(void* addr, size_t size) {
    const int r = sys_madvise(addr, size, MADV_NOHUGEPAGE);
    return r == -EINVAL ? 0 : r;  // a kernel that has none
}

size_t resident_bytes(void* addr, size_t size) {
    constexpr size_t kPages = 512;
    unsigned char in_memory[kPages];
    const size_t page = page_size();
    auto* p = static_cast<char*>(addr);
    size_t pages = 0;
    for (size_t left = size / page; left > 0;) {
        const size_t n = left < kPages ? left : kPages;
        if (sys_mincore(p, n * page, in_memory) == 0)
            for (size_t i = 0; i < n; ++i) pages += in_memory[i] & 1;
        p += n * page;
        left -= n;
    }
    return pages * page;
}

int guard_install(void* addr, size_t size) { return sys_madvise(addr, size, kAdviseGuardInstall); }
int guard_remove(void* addr, size_t size) { return sys_madvise(addr, size, kAdviseGuardRemove); }

bool probe_guards(void* place) {
    const size_t page = page_size();
    void* p = place ? place : reserve(page);
    if (!p) return false;
    // The page is in use first, as a stack's may be; the system call writes 16 bytes there if nothing stops
    // it.
    *static_cast<volatile char*>(p) = 1;
    const bool works = guard_install(p, page) == 0 &&
                       sys_clock_gettime(1, static_cast<Timespec*>(p)) == -EFAULT &&
                       guard_remove(p, page) == 0 && sys_clock_gettime(1, static_cast<Timespec*>(p)) == 0;
    if (!place) release(p, page);
    return works;
}

bool lightweight_guards(void* place) {
    enum : int { kUnknown, kNo, kYes };
    static std::atomic<int> known{kUnknown};
    int k = known.load(std::memory_order_relaxed);
    if (k == kUnknown) [[unlikely]] {
        k = probe_guards(place) ? kYes : kNo;
        known.store(k, std::memory_order_relaxed);
    }
    return k == kYes;
}

}  // namespace gort::kernel
