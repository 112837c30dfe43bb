// tests/stack_guard_test.cc - guards of every kind, the limits of the system, and system calls that fail.
// SPDX-License-Identifier: BSD-2-Clause

#include "tests/stack_test.h"

using namespace gort::stack_test;
namespace kernel = gort::kernel;

static void guard_of_kind(GuardKind kind) {
    if (!stack_force_guard(kind)) TEST_SKIP("this kernel has no such guards");
    for (int cls : {0, kCls, 6}) {
        Slots s(40, cls);
        for (void* h : s.h) check_guarded(h, kind);
        s.give_back();
        s.h.resize(40);
        CHECK_EQ(stack_alloc_batch(cls, s.h.data(), 40), 40u);
        for (void* h : s.h) check_guarded(h, kind);
    }
    CHECK_EQ(stack_totals().guards[int(kind)], 120u);
}
TEST(guard_madvise) { guard_of_kind(GuardKind::kMadvise); }
TEST(guard_mprotect) { guard_of_kind(GuardKind::kMprotect); }
TEST(guard_canary) { guard_of_kind(GuardKind::kCanary); }

TEST(canary_sees_every_word) {
    CHECK(stack_force_guard(GuardKind::kCanary));
    Slots s(1);
    auto* lo = reinterpret_cast<uint64_t*>(stack_bounds(s.h[0]).lo);
    for (int i = 1; i <= 8; i++) {
        CHECK(stack_canary_ok(s.h[0]));
        lo[-i] ^= 1;
        CHECK(!stack_canary_ok(s.h[0]));
        lo[-i] ^= 1;
    }
    lo[0] = 1;  // the stack's own
    lo[-9] = 1;
    CHECK(stack_canary_ok(s.h[0]));
}

// A guard marker splits no mapping: three times what the map limit leaves room for with mprotect.
static void many_slots(size_t n) {
    if (!kernel::lightweight_guards()) TEST_SKIP("this kernel has no lightweight guards");
    long before = mappings();
    Slots s(n);
    CHECK_LT(mappings(), before + 60);
    CHECK_EQ(stack_totals().guards[int(GuardKind::kMadvise)], n);
    CHECK_EQ(stack_totals().in_use, n);
    for (size_t i = 0; i < n; i += n / 100) check_guarded(s.h[i], GuardKind::kMadvise);
    s.give_back();
    CHECK_EQ(stack_scavenge(true), n);
}
TEST(hundred_thousand_slots) {
    TEST_TIMEOUT(60);
    many_slots(100'000);
}
TEST_STRESS(million_slots) { many_slots(1'000'000); }

TEST(past_the_map_limit_the_canary_takes_over) {
    TEST_TIMEOUT(60);
    size_t limit = max_maps();
    if (limit == 0 || limit > 100'000) TEST_SKIP("vm.max_map_count is too high to reach");
    CHECK(stack_force_guard(GuardKind::kMprotect));
    Slots s(limit / 2 + 1000);
    StackTotals t = stack_totals();
    size_t guarded = t.guards[int(GuardKind::kMprotect)], canaries = t.guards[int(GuardKind::kCanary)];
    CHECK_EQ(guarded + canaries, s.h.size());
    CHECK_LE(1000u, canaries);
    CHECK_LE(limit / 4, guarded);
    check_guarded(s.h.front(), GuardKind::kMprotect);
    check_guarded(s.h.back(), GuardKind::kCanary);
    // The rest of the process can still map memory.
    for (int i = 0; i < 1000; i++) {
        void* p = mmap(nullptr, 4096, i % 2 ? PROT_NONE : PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(p != MAP_FAILED);
    }
    s.give_back();
    CHECK(stack_release_all());
    CHECK_LT(mappings(), 1200 + 100);
}
TEST_DIES(past_the_map_limit_it_says_so, "only a canary", 7) {
    if (!kernel::inject(kernel::Sys::kMprotect, 3, ENOMEM, kernel::kInjectForever)) {
        size_t limit = max_maps();
        if (limit == 0 || limit > 100'000) TEST_SKIP("neither fault injection nor a map limit within reach");
    }
    CHECK(stack_force_guard(GuardKind::kMprotect));
    new Slots(max_maps() / 2 + 1000 < 100'000 ? max_maps() / 2 + 1000 : 10);
    _exit(7);
}

TEST(address_space_ends) {
    if (GORT_TEST_SANITIZER) TEST_SKIP("a sanitizer's shadow is beyond any RLIMIT_AS");
    unsigned long pages = std::strtoul(gort::test::read_file("/proc/self/statm").c_str(), nullptr, 10);
    size_t room = 300 << 20;
    rlimit limit{pages * kernel::page_size() + room, RLIM_INFINITY};
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    if (void* p = mmap(nullptr, 2 * room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); p != MAP_FAILED)
        TEST_SKIP("RLIMIT_AS means nothing here");  // qemu-user
    static void* h[4000];
    StackError error = StackError::kNone;
    size_t got = stack_alloc_batch(kCls, h, 4000, &error);
    CHECK(error == StackError::kNoAddressSpace);
    CHECK(std::strstr(stack_error_text(error), "ulimit -v") != nullptr);
    CHECK_LE(got, room / kDefaultStackSize);  // no room to spare where there is little
    CHECK_LE((room - (32 << 20)) / kDefaultStackSize, got);  // what is left is used, in smaller arenas
    CHECK_EQ(stack_alloc(kCls, &error), static_cast<void*>(nullptr));
    CHECK_EQ(stack_totals().in_use, got);
    stack_free(kCls, h[0]);
    CHECK_EQ(stack_alloc(kCls), h[0]);
    stack_free_batch(kCls, h, got);
    limit.rlim_cur = RLIM_INFINITY;
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    Slots more(2000);
}

TEST(mmap_fails) {
    if (!kernel::inject(kernel::Sys::kMmap, 1, ENOMEM, kernel::kInjectForever))
        TEST_SKIP("only in debug builds");
    StackError error = StackError::kNone;
    for (int i = 0; i < 2000; i++) {  // more often than there are entries for arenas
        CHECK(stack_alloc(kCls, &error) == nullptr);
        CHECK(error == StackError::kNoAddressSpace);
    }
    CHECK_EQ(stack_totals().reserved, 0u);
    kernel::inject_clear();
    Slots s(1);
    CHECK_EQ(stack_totals().arenas, 1u);
}

TEST(mmap_fails_in_the_middle_of_a_batch) {
    if (!kernel::inject(kernel::Sys::kMmap, 2, ENOMEM, kernel::kInjectForever))
        TEST_SKIP("only in debug builds");
    static void* h[1000];
    StackError error = StackError::kNone;
    size_t got = stack_alloc_batch(kCls, h, 1000, &error);
    CHECK_EQ(got, (64u << 20) / kStride);  // what the first arena holds
    CHECK(error == StackError::kNoAddressSpace);
    for (size_t i = 0; i < got; i++) check_guarded(h[i], stack_guard_kind());
    kernel::inject_clear();
    stack_free_batch(kCls, h, got);
}

// Every n-th guard call fails once: the slot gets another guard, never none.
TEST(guards_fail) {
    if (!kernel::inject(kernel::Sys::kMprotect, 1, ENOMEM)) TEST_SKIP("only in debug builds");
    bool light = kernel::lightweight_guards();
    kernel::inject_clear();
    for (uint32_t nth = 1; nth < 40; nth += 3) {
        {
            Slots first(1);  // so that what fails is about guards, not about the arena
            kernel::inject(kernel::Sys::kProcessMadvise, 1, nth % 2 ? ENOMEM : EINVAL,
                           kernel::kInjectForever);
            kernel::inject(kernel::Sys::kMadvise, nth, ENOMEM, kernel::kInjectForever);
            kernel::inject(kernel::Sys::kMprotect, nth, ENOMEM, 3);
            Slots s(20);
            for (void* h : s.h) {
                CHECK(stack_guard_of(h) != GuardKind::kNone);
                check_guarded(h, stack_guard_of(h));
            }
            StackTotals t = stack_totals();
            size_t expected = light ? 1 + std::min<size_t>(nth - 1, 20) : 0;
            CHECK_EQ(t.guards[int(GuardKind::kMadvise)], expected);
            CHECK_EQ(t.guards[1] + t.guards[2] + t.guards[3], 21u);
            if (nth == 1) CHECK_EQ(t.guards[int(GuardKind::kCanary)], 3u);
        }
        kernel::inject_clear();
        CHECK(stack_release_all());
    }
}

// The kernel marks no guard in locked memory: a batch stops there half done.
TEST(locked_memory_in_the_middle_of_a_batch) {
    Slots first(1);
    char* base = base_of(first.h[0]);
    const size_t page = kernel::page_size();  // one is left out after every 8 slots
    for (size_t i : {5u, 6u, 14u}) CHECK_EQ(syscall(SYS_mlock, base + i * kStride + i / 8 * page, page), 0);
    Slots s(30);
    for (void* h : s.h) check_guarded(h, stack_guard_of(h));
    StackTotals t = stack_totals();
    CHECK_EQ(t.guards[1] + t.guards[2] + t.guards[3], 31u);
    if (kernel::lightweight_guards()) CHECK_EQ(t.guards[int(GuardKind::kMadvise)], 28u);
}

TEST(pages_cannot_be_given_back) {
    if (!kernel::inject(kernel::Sys::kMprotect, 1, ENOMEM)) TEST_SKIP("only in debug builds");
    kernel::inject_clear();
    Slots s(400);
    for (void* h : s.h) std::memset(static_cast<char*>(h) - 60'000, 1, 60'000);
    kernel::inject(kernel::Sys::kProcessMadvise, 1, EINVAL, kernel::kInjectForever);
    kernel::inject(kernel::Sys::kMadvise, 1, ENOMEM, kernel::kInjectForever);
    s.give_back();
    CHECK_EQ(stack_scavenge(true), 400u);
    s.h.resize(400);
    CHECK_EQ(stack_alloc_batch(kCls, s.h.data(), 400), 400u);
    kernel::inject_clear();
    for (void* h : s.h) check_guarded(h, stack_guard_kind());
    s.give_back();
    CHECK_EQ(stack_scavenge(true), 400u);  // one madvise each now: the batched form was refused
    CHECK_EQ(stack_resident_total(), 0u);
}
