// tests/kernel_vm_test.cc - address space: what is reserved, guarded, resident and given back; page size and auxv.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/vm.h"

#include <linux/auxvec.h>
#include <sys/auxv.h>

#include <cstdio>
#include <cstring>

#include "kernel/vdso.h"
#include "tests/kernel_test.h"

using namespace gort::kernel;
using namespace kernel_test;

// Whether a system call can write there: the way to ask without dying of it.
static bool writable(void* p) { return sys_clock_gettime(1, static_cast<Timespec*>(p)) == 0; }

TEST(page_size_is_the_systems) {
    CHECK_EQ(page_size(), static_cast<size_t>(sysconf(_SC_PAGESIZE)));
    CHECK_EQ(page_size(), page_size());
}
TEST(page_size_without_proc) {
    INJECT(Sys::kOpenat, 1, ENOENT, kInjectForever);
    CHECK_EQ(page_size(), static_cast<size_t>(sysconf(_SC_PAGESIZE)));
}
TEST(page_size_without_any_auxiliary_vector) {
    INJECT(Sys::kOpenat, 1, ENOENT, kInjectForever);
    inject(Sys::kPrctl, 1, EINVAL, kInjectForever);
    CHECK_EQ(auxv_value(AT_PAGESZ), 0);
    CHECK_EQ(page_size(), static_cast<size_t>(sysconf(_SC_PAGESIZE)));
}
TEST(auxv_is_the_systems) {
    CHECK_EQ(auxv_value(AT_PAGESZ), getauxval(AT_PAGESZ));
    CHECK_EQ(auxv_value(AT_PHDR), getauxval(AT_PHDR));
    CHECK_EQ(auxv_value(12345), 0);
    INJECT(Sys::kRead, 1, EINTR);
    inject(Sys::kPrctl, 1, EINVAL, kInjectForever);
    CHECK_EQ(auxv_value(AT_PHDR), getauxval(AT_PHDR));
    inject_clear();
    // Without /proc the kernel is asked directly, if it is new enough.
    Timespec pair{};
    if (sys_prctl(0x41555856 /* PR_GET_AUXV */, reinterpret_cast<unsigned long>(&pair), sizeof pair) < 0)
        return;
    inject(Sys::kOpenat, 1, ENOENT, kInjectForever);
    CHECK_EQ(auxv_value(AT_PHDR), getauxval(AT_PHDR));
}

TEST(reserve_gives_zeroed_space) {
    const size_t page = page_size();
    int error = 1;
    auto* p = static_cast<char*>(reserve(4 * page, kReserveDefault, 0, &error));
    CHECK(p != nullptr);
    CHECK_EQ(error, 0);
    CHECK_EQ(resident_bytes(p, 4 * page), 0);
    CHECK_EQ(p[4 * page - 1], 0);
    p[4 * page - 1] = 1;
    CHECK_EQ(resident_bytes(p, 4 * page), page);
    CHECK_EQ(release(p, 4 * page), 0);
    CHECK_EQ(resident_bytes(p, 4 * page), 0);
}
TEST(reserve_aligns_and_trims) {
    const size_t page = page_size(), align = 1 << 20, size = (256 << 10);
    for (int i = 0; i < 8; ++i) {
        void* odd = reserve(page);  // moves where the next one would fall
        void* p = reserve(size, kReserveStack, align);
        CHECK(p != nullptr);
        CHECK_EQ(reinterpret_cast<uintptr_t>(p) % align, 0);
        CHECK(writable(p));
        CHECK(writable(static_cast<char*>(p) + size - 16));
        CHECK_EQ(release(p, size), 0);
        CHECK_EQ(release(odd, page), 0);
    }
}
TEST(reserve_leaves_nothing_behind) {
    // Bytes of all mappings, but for those that libc makes on the side.
    const auto mapped = [] {
        std::ifstream maps("/proc/self/maps");
        unsigned long total = 0, from, to;
        for (std::string line; std::getline(maps, line);)
            if (std::sscanf(line.c_str(), "%lx-%lx", &from, &to) == 2 && line.find('[') == std::string::npos)
                total += to - from;
        return total;
    };
    constexpr size_t kSize = 1 << 20, kAlign = 1 << 22;
    mapped();
    const unsigned long before = mapped();
    void* held[10];
    for (void*& p : held) p = reserve(kSize, kReserveStack, kAlign);
    CHECK_EQ(mapped(), before + 10 * kSize);
    for (void* p : held) release(p, kSize);
    CHECK_EQ(mapped(), before);
}
TEST(reserve_refuses_nonsense) {
    const size_t page = page_size();
    int error = 0;
    CHECK(reserve(0, 0, 0, &error) == nullptr);
    CHECK_EQ(error, -EINVAL);
    CHECK(reserve(page + 1) == nullptr);
    CHECK(reserve(page, 0, 3 * page, &error) == nullptr);
    CHECK_EQ(error, -EINVAL);
    error = 0;
    CHECK(reserve(-page, 0, 4 * page, &error) == nullptr);  // the sum wraps to 2 pages
    CHECK_EQ(error, -EINVAL);
    CHECK(reserve(size_t{1} << 60, 0, 0, &error) == nullptr);
    CHECK_EQ(error, -ENOMEM);
}
TEST(reserve_reports_failures_and_leaks_nothing) {
    INJECT(Sys::kMmap, 1, ENOMEM);
    int error = 0;
    CHECK(reserve(page_size(), 0, 0, &error) == nullptr);
    CHECK_EQ(error, -ENOMEM);
    // The trimming fails, as it can at the map limit: all of it goes back.
    for (uint32_t nth = 1; nth <= 2; ++nth) {
        inject_clear();
        inject(Sys::kMunmap, nth, ENOMEM);
        error = 0;
        void* p = reserve(page_size(), 0, size_t{1} << 30, &error);
        if (p) {  // it happened to need no such cut
            CHECK_EQ(release(p, page_size()), inject_failures(Sys::kMunmap) ? 0 : -ENOMEM);
            continue;
        }
        CHECK_EQ(error, -ENOMEM);
        CHECK_EQ(inject_count(Sys::kMunmap), nth + 1);
    }
    // No huge pages to refuse: nobody minds.
    inject_clear();
    inject(Sys::kMadvise, 1, EINVAL);
    void* p = reserve(page_size(), kReserveStack);
    CHECK(p != nullptr);
    inject(Sys::kMadvise, 1, EINVAL);
    CHECK_EQ(nohugepage(p, page_size()), 0);
    CHECK_EQ(hugepage(p, page_size()), 0);
    inject(Sys::kMadvise, 1, ENOMEM);
    CHECK_EQ(nohugepage(p, page_size()), -ENOMEM);
    release(p, page_size());
}
TEST(protect_and_decommit) {
    const size_t page = page_size();
    auto* p = static_cast<char*>(reserve(2 * page, kReserveNoAccess));
    CHECK(p != nullptr);
    CHECK(!writable(p));
    CHECK_EQ(protect(p, page, Access::kReadWrite), 0);
    CHECK(writable(p));
    CHECK(!writable(p + page));
    p[100] = 5;
    CHECK_EQ(protect(p, page, Access::kRead), 0);
    CHECK(!writable(p));
    CHECK_EQ(p[100], 5);
    CHECK_EQ(protect(p, page, Access::kNone), 0);
    CHECK_EQ(protect(p, page, Access::kReadWrite), 0);
    CHECK_EQ(p[100], 5);
    CHECK_EQ(decommit(p, page), 0);
    CHECK_EQ(resident_bytes(p, 2 * page), 0);
    CHECK_EQ(p[100], 0);
    CHECK_EQ(decommit(p + 1, page), -EINVAL);
    CHECK_EQ(protect(p + 1, page, Access::kRead), -EINVAL);
    CHECK_EQ(release(p, 2 * page), 0);
    CHECK(!writable(p));
}
TEST(resident_bytes_counts_far) {
    const size_t page = page_size(), pages = 1300;  // more than one mincore's worth
    auto* p = static_cast<char*>(reserve(pages * page, kReserveStack));
    size_t touched = 0;
    for (size_t i = 0; i < pages; i += 7, ++touched) p[i * page] = 1;
    CHECK_EQ(resident_bytes(p, pages * page), touched * page);
    release(p, pages * page);
}
TEST(a_sparse_reservation_has_the_pages_that_are_touched_also_under_mlockall) {
    constexpr size_t kSize = 8 << 20;
    const size_t page = page_size();
    for (int flags : {0, int{MCL_FUTURE}, int{MCL_CURRENT | MCL_FUTURE}}) {
        if (flags && mlockall(flags) != 0) TEST_SKIP("this user may not lock memory");
        auto* dense = static_cast<char*>(reserve(kSize, kReserveStack));
        const bool locked = resident_bytes(dense, kSize) == kSize;
        // qemu-user, and Linux before 4.4, have no mlock2: then a sparse reservation is an ordinary one.
        const bool sparse = !locked || sys_mlock2(dense, page, MLOCK_ONFAULT) != -ENOSYS;
        CHECK_EQ(release(dense, kSize), 0);
        if (flags && !locked) TEST_SKIP("locking means nothing here");
        auto* p = static_cast<char*>(reserve(kSize, kReserveStack | kReserveSparse));
        CHECK_EQ(resident_bytes(p, kSize), sparse ? 0u : kSize);
        p[5 << 20] = 1;
        p[kSize - 1] = 1;
        CHECK_EQ(resident_bytes(p, kSize), sparse ? 2 * page : kSize);
        // Giving locked pages back takes advice of Linux 5.18, which qemu-user accepts and does not follow.
        if (sparse) {
            CHECK_EQ(decommit(p, kSize), 0);
            CHECK_EQ(resident_bytes(p, kSize), 0u);
            CHECK_EQ(p[5 << 20], 0);
        }
        CHECK_EQ(release(p, kSize), 0);
        munlockall();
    }
}
TEST(a_sparse_reservation_that_cannot_be_opened_is_an_ordinary_one) {
    if (!inject(Sys::kMprotect, 1, ENOMEM)) TEST_SKIP("only in debug builds");
    auto* p = static_cast<char*>(reserve(page_size(), kReserveSparse));
    CHECK(p != nullptr);
    *p = 1;
    CHECK_EQ(inject_failures(Sys::kMprotect), 1u);
    inject_clear();
    release(p, page_size());
}
TEST(a_stack_reservation_touches_single_pages) {
    // With huge pages one touched byte would cost 2 MiB.
    constexpr size_t kSize = 8 << 20;
    auto* p = static_cast<char*>(reserve(kSize, kReserveStack, 2 << 20));
    p[5 << 20] = 1;
    CHECK_EQ(resident_bytes(p, kSize), page_size());
    release(p, kSize);
}

// ---- guards ----

TEST(guards_stop_what_they_promise_to_stop) {
    if (!lightweight_guards()) TEST_SKIP("no guard markers here");
    CHECK(probe_guards());
    const size_t page = page_size();
    auto* p = static_cast<char*>(reserve(4 * page, kReserveStack));
    std::memset(p, 1, 4 * page);
    CHECK_EQ(guard_install(p + page, 2 * page), 0);
    CHECK(writable(p));
    CHECK(!writable(p + page));
    CHECK(!writable(p + 3 * page - 16));
    CHECK(writable(p + 3 * page));
    CHECK_EQ(resident_bytes(p, 4 * page), 2 * page);  // a marker is no page
    CHECK_EQ(decommit(p, 4 * page), 0);
    CHECK(!writable(p + page));  // they stay
    CHECK_EQ(release(p, 4 * page), 0);
}
TEST_DIES(guards_kill_who_touches_them, "", -SIGSEGV) {
    auto* p = static_cast<volatile char*>(reserve(page_size(), kReserveStack));
    signal(SIGSEGV, SIG_DFL);
    if (!lightweight_guards()) raise(SIGSEGV);  // nothing to test here
    guard_install(const_cast<char*>(p), page_size());
    p[0] = 1;
}
// The other outcome of the probe, each way in which it can come about.
TEST(probe_refuses_a_kernel_that_refuses) {
    INJECT(Sys::kMadvise, 1, EINVAL);
    CHECK(!probe_guards());
    inject(Sys::kMmap, 1, ENOMEM);
    CHECK(!probe_guards());
}
TEST(probe_refuses_a_kernel_that_does_not_guard) {
    // The system call writes through the guard: what unknown advice, accepted in silence, looks like. qemu-user and
    // kernels before 6.13 are the real case; here the call fails otherwise than by a fault.
    INJECT(Sys::kClockGettime, 1, EINVAL);
    CHECK(!probe_guards());
}
TEST(the_first_guard_is_its_own_proof) {
    const size_t page = page_size();
    auto* p = static_cast<char*>(reserve(2 * page));
    INJECT(Sys::kClockGettime, 1, EINVAL);  // the system call is not stopped by it
    CHECK_EQ(guard(p, page), -ENOSYS);
    inject_clear();
    CHECK_EQ(guard(p + page, page), -ENOSYS);
    CHECK(!lightweight_guards());
    release(p, 2 * page);
}
TEST(the_probes_answer_is_remembered) {
    const bool answer = lightweight_guards();
    INJECT(Sys::kMadvise, 1, EINVAL, kInjectForever);
    CHECK_EQ(lightweight_guards(), answer);
    CHECK(!probe_guards());
}
