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

constexpr int kAdviseGuardInstall = 102;   // MADV_GUARD_INSTALL, newer than our headers
constexpr int kAdviseDontNeedLocked = 24;  // MADV_DONTNEED_LOCKED, Linux 5.18
constexpr unsigned kLockOnFault = 1;       // MLOCK_ONFAULT

enum : int { kUnknown, kNo, kYes };
std::atomic<int> g_guards{kUnknown};

bool stops_a_write(void* p) { return sys_clock_gettime(1, static_cast<Timespec*>(p)) == -EFAULT; }

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

// mlockall(MCL_FUTURE) gives every new mapping all its pages at once, but not one without access rights. Such a one is
// locked, which refuses this advice, and is told to take its pages when they are touched, before it becomes usable.
// False: it could not be made usable.
bool open_sparse(void* map, size_t size) {
    if (sys_madvise(map, page_size(), MADV_DONTNEED) == -EINVAL) sys_mlock2(map, size, kLockOnFault);
    return sys_mprotect(map, size, PROT_READ | PROT_WRITE) == 0;
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
    const int access = flags & (kReserveNoAccess | kReserveSparse) ? PROT_NONE : PROT_READ | PROT_WRITE;
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
    if ((flags & kReserveSparse) && !open_sparse(map + before, size)) {
        sys_munmap(map + before, size);
        return reserve(size, flags & ~unsigned{kReserveSparse}, align, error);
    }
    // Only a hint: a refusal costs memory, not truth. Linux 6.7, so each kernel with guards, takes it from MAP_STACK.
    if ((flags & kReserveStack) && g_guards.load(std::memory_order_relaxed) != kYes)
        nohugepage(map + before, size);
    *error = 0;
    return map + before;
}

int release(void* addr, size_t size) { return sys_munmap(addr, size); }
int protect(void* addr, size_t size, Access access) { return sys_mprotect(addr, size, prot(access)); }
int decommit(void* addr, size_t size) {
    const int r = sys_madvise(addr, size, MADV_DONTNEED);
    return r == -EINVAL ? sys_madvise(addr, size, kAdviseDontNeedLocked) : r;
}

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
int guard(void* addr, size_t size) {
    const int known = g_guards.load(std::memory_order_relaxed);
    if (known == kNo) return -ENOSYS;
    const int r = guard_install(addr, size);
    if (r != 0 || known == kYes) return r;
    const bool works = stops_a_write(addr);
    g_guards.store(works ? kYes : kNo, std::memory_order_relaxed);
    return works ? 0 : -ENOSYS;
}

bool probe_guards() {
    const size_t page = page_size();
    void* p = reserve(page);
    if (!p) return false;
    *static_cast<volatile char*>(p) = 1;  // in use first, as a stack's page may be
    const bool works = guard_install(p, page) == 0 && stops_a_write(p);
    release(p, page);
    return works;
}

bool lightweight_guards() {
    int known = g_guards.load(std::memory_order_relaxed);
    if (known == kUnknown) [[unlikely]] {
        known = probe_guards() ? kYes : kNo;
        g_guards.store(known, std::memory_order_relaxed);
    }
    return known == kYes;
}

bool emulated() {
    constexpr int kNoAdvice = 12345;
    char here;
    const uintptr_t page = page_size(), start = reinterpret_cast<uintptr_t>(&here) & ~(page - 1);
    return sys_madvise(reinterpret_cast<void*>(start), page, kNoAdvice) == 0;
}

}  // namespace gort::kernel
