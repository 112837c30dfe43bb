// tests/stack_test.cc - slots: their layout, what is reused, given back and counted.
// SPDX-License-Identifier: BSD-2-Clause

#include "tests/stack_test.h"

#include <pthread.h>

#include "arch/arch.h"
#include "arch/sanitize.h"

using namespace gort::stack_test;
namespace kernel = gort::kernel;

TEST(classes) {
    static_assert(stack_class_for(0) == 0 && stack_class_for(1) == 0 && stack_class_for(128 << 10) == 0);
    static_assert(stack_class_for((128 << 10) + 1) == 1 && stack_class_for(kDefaultStackSize) == 1);
    static_assert(stack_class_for(size_t{1} << 30) == kStackClasses - 1);
    static_assert(stack_class_for((size_t{1} << 30) + 1) == -1);
    for (int cls = 0; cls < kStackClasses; cls++) CHECK_EQ(stack_class_for(stack_class_size(cls)), cls);
}

TEST(layout) {
    size_t page = kernel::page_size();
    for (int cls : {0, 1, 4}) {
        Slots s(60, cls);
        size_t stride = stack_class_size(cls);
        for (void* h : s.h) {
            CHECK_EQ(at(h) % 64, 0u);
            char* end = base_of(h) + stride;
            CHECK_LE(at(h) + kSlotHeader, at(end));
            CHECK_LE(at(end) - page + kMinTopStack, at(h));  // header and that much stack in one page
            StackBounds b = stack_bounds(h);
            CHECK_EQ(at(b.hi), at(h));
            CHECK_EQ(at(b.lo), at(base_of(h)) + std::max(kGuardSize, page));
            CHECK_EQ(stack_class(h), cls);
            for (size_t i = 0; i < kGSize; i++) CHECK_EQ(static_cast<char*>(h)[i], 0);
        }
    }
}

TEST(slot_of_every_edge) {
    Slots s(3);
    std::sort(s.h.begin(), s.h.end());
    for (void* h : s.h) {
        uintptr_t base = at(base_of(h)), end = base + kStride;
        StackBounds b = stack_bounds(h);
        struct {
            uintptr_t address;
            SlotPart part;
        } cases[] = {{base, SlotPart::kGuard},     {at(b.lo) - 1, SlotPart::kGuard},
                     {at(b.lo), SlotPart::kStack}, {at(h) - 1, SlotPart::kStack},
                     {at(h), SlotPart::kHeader},   {end - 1, SlotPart::kHeader}};
        for (auto& c : cases) {
            SlotRef ref = stack_slot_of(c.address);
            CHECK(ref.part == c.part);
            CHECK_EQ(ref.header, h);
            CHECK_EQ(ref.base, base);
            CHECK_EQ(at(ref.bounds.lo), at(b.lo));
            CHECK_EQ(ref.cls, kCls);
            CHECK(ref.guard == stack_guard_of(h));
        }
    }
    uintptr_t after =
        at(base_of(s.h.back())) + kStride;  // there is room for more slots, but none was used yet
    CHECK(stack_slot_of(after).part == SlotPart::kNone);
    CHECK(stack_slot_of(at(base_of(s.h.front())) - 1).part == SlotPart::kNone);
    CHECK(stack_slot_of(0).part == SlotPart::kNone);
    CHECK(stack_slot_of(at(&after)).part == SlotPart::kNone);
    CHECK(stack_slot_of(UINTPTR_MAX).part == SlotPart::kNone);
}

TEST(colours_spread_tops_over_cache_sets) {
    Slots s(kMaxColours * 4);
    std::vector<int> used(64);
    for (void* h : s.h) used[at(h) / 64 % 64]++;
    // An arena may end in the middle of a round.
    CHECK_EQ(std::count_if(used.begin(), used.end(), [](int n) { return n >= 3 && n <= 5; }),
             long(kMaxColours));
    s.give_back();
    CHECK(stack_release_all());
    stack_set_colours(1);
    Slots same(50);
    for (void* h : same.h) CHECK_EQ(at(h) % 4096, at(same.h[0]) % 4096);
}

TEST(tops_spread_over_page_numbers_and_the_spare_pages_are_nobodys) {
    Slots s(64 * 8);
    const size_t page = kernel::page_size();
    std::vector<int> used(64);
    for (void* h : s.h) used[at(h) / page % 64]++;
    CHECK_LE(32, std::count_if(used.begin(), used.end(), [](int n) { return n > 0; }));
    CHECK_LE(*std::max_element(used.begin(), used.end()), 16);
    std::sort(s.h.begin(), s.h.end());
    int spare = 0;
    for (size_t i = 1; i < s.h.size(); i++) {
        const uintptr_t end = at(base_of(s.h[i - 1])) + kStride, next = at(base_of(s.h[i]));
        CHECK_LE(end, next);
        if (end + page != next) continue;
        spare++;
        CHECK(stack_slot_of(end - 1).header == s.h[i - 1]);
        CHECK(stack_slot_of(end).part == SlotPart::kNone);
        CHECK(stack_slot_of(next - 1).part == SlotPart::kNone);
        CHECK(stack_slot_of(next).header == s.h[i]);
    }
    CHECK_LE(62, spare);  // arenas may or may not be neighbours
}

TEST(every_class_is_usable_from_end_to_end) {
    size_t reserved = 0;
    for (int cls = 0; cls < kStackClasses; cls++) {
        void* h = stack_alloc(cls);
        CHECK(h != nullptr);
        StackBounds b = stack_bounds(h);
        CHECK_LE(stack_class_size(cls) - kGuardSize - 4096,
                 b.size() + std::max<size_t>(kernel::page_size(), 4096));
        *b.lo = 1;
        b.hi[-1] = 1;
        check_guarded(h, stack_guard_kind());
        reserved += stack_class_size(cls);
        stack_free(cls, h);
    }
    CHECK_LE(reserved, stack_totals().reserved);
}

// A function that needs no more than a shallow goroutine touches one page of stack and header.
TEST(shallow_stack_is_one_page) {
    void* h = stack_alloc(kCls);
    *static_cast<char*>(h) = 1;
    auto body = [](void*) {
        char frame[1024];
        frame[0] = 1;
        asm volatile("" : : "r"(frame) : "memory");
    };
#if GORT_TEST_SANITIZER
    static_cast<char*>(h)[-1500] = 1;
#else
    gort_call_on_stack(h, body, nullptr);
#endif
    static_cast<void>(body);
    CHECK_EQ(stack_resident(h), kernel::page_size());
    CHECK_LE(stack_high_water(h), kernel::page_size() - kSlotHeader);
    CHECK_LE(kMinTopStack, stack_high_water(h));
    stack_free(kCls, h);
}

TEST(freed_slots_come_back_warm_and_last_first) {
    Slots s(3);
    std::vector<void*> h = s.h;
    for (void* x : h) std::memset(static_cast<char*>(x) - 8000, 0x5a, 8000 + kGSize);
    size_t resident = stack_resident(h[0]);
    stack_free_batch(kCls, s.h.data(), 3);
    for (size_t i = 3; i-- > 0;) {
        s.h[i] = stack_alloc(kCls);
        CHECK_EQ(s.h[i], h[i]);
        CHECK_EQ(stack_resident(h[i]), resident);
        CHECK_EQ(static_cast<char*>(h[i])[-8000], 0x5a);
        CHECK_EQ(static_cast<char*>(h[i])[kGSize - 1], 0x5a);
    }
}

TEST(many_free_slots_keep_only_their_warm_top) {
    size_t page = kernel::page_size(), n = 500;
    Slots s(n);
    std::vector<void*> h = s.h;
    for (void* x : h)
        for (size_t d = 0; d < 100'000; d += page) *(static_cast<char*>(x) - d - 1) = 1;
    s.give_back();
    StackClassTotals t = stack_class_totals(kCls);
    CHECK_EQ(t.in_use, 0u);
    CHECK_EQ(t.hot + t.warm, n);
    CHECK_LE(t.hot, 128u);
    CHECK_LE(n - 128, t.warm);
    size_t shallow = 0;
    for (void* x : h) shallow += stack_resident(x) <= std::max<size_t>(16 << 10, page);
    CHECK_EQ(shallow, t.warm);
    size_t deep = t.hot * 104'000, all = stack_resident_total();
    CHECK_LE(all, deep + t.hot * page + t.warm * std::max<size_t>(16 << 10, page));
    s.h.resize(n);
    CHECK_EQ(stack_alloc_batch(kCls, s.h.data(), n), n);
    std::set<void*> before(h.begin(), h.end()), after(s.h.begin(), s.h.end());
    CHECK(before == after);  // nothing new was needed
}

// What did not go deep becomes warm without a system call: a single deep page among many slots is not looked for. But
// where many went deep, also after rounds in which none did, all give their lower pages back.
TEST(shallow_slots_become_warm_as_they_are) {
    const size_t page = kernel::page_size(), n = 1000;
    const auto deep_page = [page](void* h) {
        return reinterpret_cast<char*>((at(h) - 100'000) & ~(page - 1));
    };
    Slots s(n);
    char* const lonely = deep_page(s.h[0]);
    *lonely = 1;
    for (int round = 0; round < 3; round++) {
        s.give_back();
        CHECK_LE(n - 128, stack_class_totals(kCls).warm);
        unsigned char there = 0;
        CHECK_EQ(kernel::sys_mincore(lonely, page, &there), 0);
#if defined(__x86_64__)  // qemu's memory has page faults of its own, as a tool's has
        if (!gort::arch::kToolWatches) CHECK(there & 1);
#endif
        s.h.resize(n);
        CHECK_EQ(stack_alloc_batch(kCls, s.h.data(), n), n);
    }
    const std::vector<void*> h = s.h;
    for (void* x : h)
        for (size_t d = 0; d < 100'000; d += page) *(static_cast<char*>(x) - d - 1) = 1;
    s.give_back();
    size_t shallow = 0;
    for (void* x : h) shallow += stack_resident(x) <= std::max<size_t>(16 << 10, page);
    CHECK_EQ(shallow, stack_class_totals(kCls).warm);
}

// Rounds of many goroutines, one after the other, keep their pages; what is idle for longer does not.
TEST(what_goes_round_stays_warm) {
    const size_t n = 1000;
    Slots s(n);
    for (int round = 0; round < 6; round++) {
        s.give_back();
        stack_give_back();
        if (round % 2) stack_give_back();
        CHECK_EQ(stack_class_totals(kCls).cold, 0u);
        s.h.resize(n);
        CHECK_EQ(stack_alloc_batch(kCls, s.h.data(), n), n);
    }
    s.give_back();
    for (int i = 0; i < 5; i++) stack_give_back();
    CHECK_LE(n - 100, stack_class_totals(kCls).cold);
}

static void scavenge_and_reuse(GuardKind kind) {
    if (!stack_force_guard(kind)) TEST_SKIP("this kernel has no such guards");
    size_t n = 300;
    Slots s(n);
    std::set<void*> before(s.h.begin(), s.h.end());
    for (void* h : s.h) std::memset(static_cast<char*>(h) - 3000, 1, 3000);
    // In an order that leaves some neighbours together and some apart.
    for (size_t i = 0; i < n; i += 3) std::swap(s.h[i], s.h[gort::test::rnd() % n]);
    s.give_back();
    CHECK_EQ(stack_scavenge(true), n);
    CHECK_EQ(stack_scavenge(true), 0u);
    StackClassTotals t = stack_class_totals(kCls);
    CHECK_EQ(t.cold, n);
    CHECK_EQ(t.hot + t.warm + t.in_use, 0u);
    CHECK_EQ(stack_resident_total(), 0u);
    s.h.resize(n);
    CHECK_EQ(stack_alloc_batch(kCls, s.h.data(), n), n);
    CHECK(before == std::set<void*>(s.h.begin(), s.h.end()));
    CHECK_EQ(stack_class_totals(kCls).cold, 0u);
    for (void* h : s.h) {
        check_guarded(h, kind);
        CHECK_EQ(static_cast<char*>(h)[-3000], 0);
    }
}
TEST(cold_slots_keep_their_guard_madvise) { scavenge_and_reuse(GuardKind::kMadvise); }
TEST(cold_slots_keep_their_guard_mprotect) { scavenge_and_reuse(GuardKind::kMprotect); }
TEST(cold_slots_keep_their_guard_canary) { scavenge_and_reuse(GuardKind::kCanary); }

// CC-26
TEST(scavenge_takes_half_of_what_nobody_needed) {
    Slots s(100);
    s.give_back();
    CHECK_EQ(stack_scavenge(), 0u);  // all of them were in use since the last time
    CHECK_EQ(stack_scavenge(), 50u);
    CHECK_EQ(stack_class_totals(kCls).cold, 50u);
    Slots busy(30);
    busy.give_back();
    CHECK_EQ(stack_scavenge(), 10u);  // 20 of the 50 stayed untouched
    CHECK_EQ(stack_scavenge(false, 3), 3u);
    CHECK_EQ(stack_scavenge(true, 7), 7u);
    CHECK_EQ(stack_class_totals(kCls).cold, 70u);
}

TEST(trim_gives_back_what_is_dead) {
    size_t page = kernel::page_size();
    for (int cls : {kCls, 4}) {
        Slots s(1, cls);
        auto* h = static_cast<char*>(s.h[0]);
        StackBounds b = stack_bounds(h);
        std::memset(b.lo, 0x77, b.size());
        CHECK_EQ(stack_high_water(h), b.size());
        char* sp = b.hi - b.size() / 2 - 128;
        size_t resident = stack_resident(h), freed = stack_trim(h, at(sp));
        CHECK_LE(b.size() / 2 - 2 * page, freed);
        CHECK_EQ(stack_resident(h), resident - freed);
        CHECK_LE(stack_high_water(h), size_t(b.hi - sp) + 128 + page);
        CHECK_EQ(std::count(sp - 128, b.hi, 0x77), b.hi - (sp - 128));  // the red zone too
        CHECK_EQ(*b.lo, 0);
        CHECK_EQ(stack_trim(h, at(sp)), page);  // the page that the line above read
        CHECK_EQ(stack_trim(h, at(sp)), 0u);
        CHECK_EQ(stack_trim(h, at(b.lo)), 0u);  // overflowed, or nearly: nothing to give
        CHECK_EQ(stack_trim(h, at(b.lo) - 64), 0u);
        check_guarded(h, stack_guard_kind());
    }
}

TEST(high_water_and_resident) {
    size_t page = kernel::page_size();
    Slots s(1);
    auto* h = static_cast<char*>(s.h[0]);
    for (size_t depth : {size_t{1}, size_t{5000}, size_t{70'000}, size_t{150'000}}) {
        h[-long(depth)] = 1;
        CHECK_LE(depth, stack_high_water(h));
        CHECK_LT(stack_high_water(h), depth + page);
    }
    CHECK_LE(stack_resident(h), 4 * page);  // a page that no frame touched is not there
    CHECK_EQ(stack_resident_total(), stack_resident(h));
}

TEST(threads_share_the_pool) {
    constexpr int kThreads = 4, kRounds = 1000;
    static uint64_t seed;
    seed = gort::test::rnd();
    auto body = [](void* arg) -> void* {
        uint64_t id = at(arg) + 1, r = seed + id;
        std::vector<void*> mine;
        for (int i = 0; i < kRounds; i++) {
            r = gort::test::mix(r + 1);
            size_t n = r % 70;
            if (r >> 32 & 1) {
                void* h[70];
                CHECK_EQ(stack_alloc_batch(kCls, h, n), n);
                for (size_t k = 0; k < n; k++) {
                    *static_cast<uint64_t*>(h[k]) = id;
                    static_cast<uint64_t*>(h[k])[-1] = id;
                    mine.push_back(h[k]);
                }
            } else {
                n = std::min(n, mine.size());
                for (size_t k = 0; k < n; k++) {
                    CHECK_EQ(*static_cast<uint64_t*>(mine[k]), id);
                    CHECK_EQ(static_cast<uint64_t*>(mine[k])[-1], id);
                }
                stack_free_batch(kCls, mine.data(), n);
                mine.erase(mine.begin(), mine.begin() + long(n));
            }
            if (r % 16 == 0) stack_scavenge(r >> 33 & 1, 40);
            if (r % 7 == 0) {
                CHECK_LE(mine.size(), stack_totals().in_use);
                if (!mine.empty()) CHECK(stack_slot_of(at(mine[0])).part == SlotPart::kHeader);
            }
        }
        stack_free_batch(kCls, mine.data(), mine.size());
        return nullptr;
    };
    pthread_t t[kThreads];
    for (size_t i = 0; i < kThreads; i++)
        CHECK_EQ(pthread_create(&t[i], nullptr, body, reinterpret_cast<void*>(i)), 0);
    for (pthread_t x : t) pthread_join(x, nullptr);
    StackTotals all = stack_totals();
    CHECK_EQ(all.in_use, 0u);
    size_t used = all.guards[1] + all.guards[2] + all.guards[3];
    CHECK_EQ(all.hot + all.warm + all.cold, used);  // every slot that ever was is in exactly one place
    CHECK_EQ(stack_scavenge(true), all.hot + all.warm);
    CHECK_EQ(stack_resident_total(), 0u);
}

TEST(release_all_leaves_nothing) {
    long before = mappings();
    CHECK(stack_release_all());
    for (int round = 0; round < 3; round++) {
        Slots a(700), b(3, 9), c(40, 0);
        CHECK(!stack_release_all());
        CHECK_LT(0u, stack_totals().reserved);
        a.give_back();
        b.give_back();
        CHECK(!stack_release_all());
        c.give_back();
        stack_scavenge(false, 20);
        CHECK(stack_release_all());
        StackTotals t = stack_totals();
        CHECK_EQ(t.reserved + t.arenas + t.hot + t.warm + t.cold + t.guards[1] + t.guards[2] + t.guards[3],
                 0u);
        if (!GORT_TEST_SANITIZER) CHECK_LE(mappings(), before + 4);  // they map what they like
    }
}

TEST_DIES(freed_twice, "Use::kUsed", -SIGABRT) {
    void* h = stack_alloc(kCls);
    stack_free(kCls, h);
    stack_free(kCls, h);
}
TEST_DIES(freed_as_another_class, "Use::kUsed", -SIGABRT) {
    void* h = stack_alloc(kCls);
    stack_free(kCls + 1, h);
}
