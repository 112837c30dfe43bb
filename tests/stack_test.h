// tests/stack_test.h - what the tests of stack slots share.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <vector>

#include "kernel/sys.h"
#include "kernel/vm.h"
#include "rt/stack/stack.h"
#include "tests/test.h"

namespace gort::stack_test {

using namespace gort::rt;

inline const bool g_ledger =
    gort::test::ledger_add("slots in use", [] { return long(stack_totals().in_use); });

inline constexpr int kCls = stack_class_for(kDefaultStackSize);
inline constexpr size_t kStride = kDefaultStackSize;

inline uintptr_t at(const void* p) { return reinterpret_cast<uintptr_t>(p); }
inline char* base_of(void* header) { return reinterpret_cast<char*>(stack_slot_of(at(header)).base); }

struct Slots {
    int cls;
    std::vector<void*> h;
    explicit Slots(size_t n, int c = kCls) : cls(c), h(n) {
        StackError error;
        h.resize(stack_alloc_batch(cls, h.data(), n, &error));
        CHECK_EQ(h.size(), n);
        CHECK(error == StackError::kNone);
    }
    ~Slots() { give_back(); }
    void give_back() {
        stack_free_batch(cls, h.data(), h.size());
        h.clear();
    }
};

// Can the kernel write there? It says no, where we would get a signal.
inline bool writable(void* p) {
    int fd = kernel::sys_open("/dev/zero", 0);
    CHECK_LE(0, fd);
    long r = kernel::sys_read(fd, p, 1);
    kernel::sys_close(fd);
    CHECK(r == 1 || r == -EFAULT);
    return r == 1;
}

inline long mappings() { return gort::test::count_mappings(); }

inline size_t max_maps() {
    return std::strtoull(gort::test::read_file("/proc/sys/vm/max_map_count").c_str(), nullptr, 10);
}

inline void check_guarded(void* header, GuardKind kind) {
    char* base = base_of(header);
    StackBounds b = stack_bounds(header);
    CHECK(stack_guard_of(header) == kind);
    CHECK(stack_canary_ok(header));
    CHECK(writable(b.lo));
    CHECK(writable(b.hi - 1));
    if (kind == GuardKind::kCanary) return;
    CHECK(!writable(base));
    CHECK(!writable(base + kGuardSize / 2));
    CHECK(!writable(b.lo - 1));
}

}  // namespace gort::stack_test
