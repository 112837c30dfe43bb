// kernel/vm.h - address space: reserve it, guard it, give its pages back.
// SPDX-License-Identifier: BSD-2-Clause
//
// Results: 0 or -errno. Ranges are whole pages; a range that is not is -EINVAL, never rounded.
// Context: any thread; each is a system call (0.2 to 4 us). Nothing here locks, remembers or frees on its
//          own.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gort::kernel {

size_t page_size();  // of the running kernel: 4, 16 or 64 KiB on ARM64

enum ReserveFlags : unsigned {
    kReserveDefault = 0,   // readable, writable, no swap reserved: pages appear when they are touched
    kReserveStack = 1,     // MAP_STACK and no huge pages: one touched page is one page
    kReserveNoAccess = 2,  // PROT_NONE until protect()
    kReserveSparse =
        4,  // few of its pages will be touched: under mlockall(MCL_FUTURE) only those are locked, where
            // there is mlock2 (Linux 4.4, not qemu-user)
};
// New zeroed address space, aligned to `align` (0: a page; else a power of two >= a page). Null when there is
// none; then *error, if given, is -errno.
void* reserve(size_t size, unsigned flags = kReserveDefault, size_t align = 0, int* error = nullptr);
int release(void* addr, size_t size);  // unmaps
enum class Access { kNone, kRead, kReadWrite };
int protect(void* addr, size_t size,
            Access access);             // may split a mapping: each costs one of vm.max_map_count
int decommit(void* addr, size_t size);  // drops the pages; they read as zero when touched again
// Wishes, for what is visited in no order and for what is touched in a few places; 0 also where the kernel has no huge
// pages.
inline constexpr size_t kHugePage = size_t{2} << 20;
int hugepage(void* addr, size_t size);
int nohugepage(void* addr, size_t size);
// Bytes of the range that are in memory now.
size_t resident_bytes(void* addr, size_t size);

// Guard markers in the page tables (Linux 6.13): touching one is SIGSEGV, and no mapping is split. The pages' content
// goes. A range with guards may also be decommitted (they stay) and released.
int guard(void* addr, size_t size);  // -ENOSYS: there are none here
// The same only when lightweight_guards(); else it fails or, worse, succeeds and does nothing.
int guard_install(void* addr, size_t size);
// Proved by what happens, once: after guard(), or on a page of our own, a system call that writes there must say
// EFAULT. Old kernels and qemu-user accept advice that they do not know.
bool lightweight_guards();
bool probe_guards();  // the same, without remembering

// Does qemu-user emulate the system calls of this process? It takes advice that Linux has never had. It uses memory for
// every page of a reservation, touched or not, and threads of its own show in /proc as the process's.
bool emulated();

}  // namespace gort::kernel
