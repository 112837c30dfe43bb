// tests/kernel_clock_test.cc - clock readings, and our walk through ELF images: the vDSO's, and made-up ones.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/clock.h"

#include <dlfcn.h>
#include <elf.h>
#include <sys/auxv.h>
#include <time.h>

#include <cstddef>
#include <cstring>
#include <memory>

#include "kernel/vdso.h"
#include "tests/kernel_test.h"

using namespace gort::kernel;
using namespace kernel_test;

static int64_t syscall_clock(int clock) {
    Timespec t{};
    CHECK_EQ(sys_clock_gettime(clock, &t), 0);
    return to_ns(t);
}

TEST(readings_lie_between_the_system_calls) {
    for (int i = 0; i < 1000; ++i) {
        const int64_t before = syscall_clock(kClockMonotonic);
        const int64_t now = nanotime();
        const int64_t after = syscall_clock(kClockMonotonic);
        CHECK_LE(before, now);
        CHECK_LE(now, after);
    }
    timespec t{};
    clock_gettime(CLOCK_REALTIME, &t);
    const int64_t wall = walltime(), libc = int64_t{t.tv_sec} * kNsPerSec + t.tv_nsec;
    CHECK(wall - libc < 60 * kNsPerSec &&
          libc - wall < 60 * kNsPerSec);  // the same epoch; it may be set meanwhile
}
TEST(monotonic_readings_never_go_back) {
    int64_t last = nanotime();
    for (int i = 0; i < 100'000; ++i) {
        const int64_t now = nanotime();
        CHECK_LE(last, now);
        last = now;
    }
}
TEST(the_vdso_is_used_where_there_is_one) {
    if (!getauxval(AT_SYSINFO_EHDR)) {
        CHECK(!clock_uses_vdso());
        TEST_SKIP("no vDSO here");
    }
    CHECK(clock_uses_vdso());
    inject_clear();
    nanotime();
    CHECK_EQ(inject_count(Sys::kClockGettime), 0);
}
TEST(without_a_vdso_it_is_the_system_call) {
    INJECT(Sys::kOpenat, 1, ENOENT, kInjectForever);  // no /proc
    inject(Sys::kPrctl, 1, EINVAL, kInjectForever);   // nor the newer way
    CHECK(!clock_uses_vdso());
    const int64_t before = syscall_clock(kClockMonotonic);
    CHECK_LE(before, nanotime());
    CHECK_LT(0, inject_count(Sys::kClockGettime));
}
TEST(without_proc_the_vdso_is_still_found) {
    INJECT(Sys::kOpenat, 1, ENOENT, kInjectForever);
    Timespec pair{};
    const int n = sys_prctl(0x41555856, reinterpret_cast<unsigned long>(&pair), sizeof pair);
    if (n < 0 || !getauxval(AT_SYSINFO_EHDR)) TEST_SKIP("needs Linux 6.4 and a vDSO");
    CHECK(clock_uses_vdso());
}
#if defined(GORT_DEBUG)
TEST_DIES(a_clock_that_fails_is_fatal, "fatal error: monotonic clock: errno 1 (EPERM)", 2) {
    inject(Sys::kOpenat, 1, ENOENT, kInjectForever);
    inject(Sys::kPrctl, 1, EINVAL, kInjectForever);
    inject(Sys::kClockGettime, 1, EPERM, kInjectForever);
    nanotime();
}
#endif
TEST(several_threads_may_read_first) {
    std::thread t[4];
    for (auto& one : t)
        one = std::thread([] {
            const int64_t a = nanotime();
            CHECK_LE(a, nanotime());
        });
    for (auto& one : t) one.join();
}

// ---- ELF images ----

#if defined(__x86_64__)
static const char *const kName = "__vdso_clock_gettime", *const kVersion = "LINUX_2.6";
#else
static const char *const kName = "__kernel_clock_gettime", *const kVersion = "LINUX_2.6.39";
#endif
TEST(symbols_of_the_vdso) {
    auto* vdso = reinterpret_cast<const char*>(getauxval(AT_SYSINFO_EHDR));
    if (!vdso) TEST_SKIP("no vDSO here");
    auto* f = static_cast<char*>(elf_symbol(vdso, kName, kVersion));
    CHECK(f > vdso && f < vdso + (1 << 20));
    CHECK(elf_symbol(vdso, kName, nullptr) == f);
    CHECK(elf_symbol(vdso, kName, "LINUX_9.9") == nullptr);
    CHECK(elf_symbol(vdso, "__vdso_no_such_thing", kVersion) == nullptr);
    CHECK(elf_symbol(vdso, "", kVersion) == nullptr);
}

// A shared library in memory, small enough to break every part of it.
struct Elf {
    static constexpr uint64_t kLink = 0x10000;  // linked somewhere else than it lies, as a prelinked vDSO is
    Elf64_Ehdr head{};
    Elf64_Phdr segments[2]{};
    Elf64_Dyn dynamic[8]{};
    Elf64_Sym symbols[5]{};
    uint16_t versions[5] = {0, 2, 3, 2, 2};
    struct {
        Elf64_Verdef def;
        Elf64_Verdaux aux;
    } definitions[3]{};
    uint32_t hash[8] = {1, 5, 1, 0, 0, 0, 0, 0};  // DT_HASH: buckets, chains, ...
    struct {
        uint32_t buckets = 2, first = 1, bloom = 1, shift = 0;
        uint64_t filter = ~uint64_t{0};
        uint32_t bucket[2] = {1, 3};
        uint32_t chain[4] = {0, 1, 0, 1};
    } gnu;
    char strings[64] = "\0clock\0other\0V1\0V2\0base\0weak\0data";
    char code[64] = {};

    template <class T>
    uint64_t link(const T& part) const {
        return kLink + static_cast<uint64_t>(reinterpret_cast<const char*>(&part) -
                                             reinterpret_cast<const char*>(this));
    }
    Elf64_Word text(const char* s) const {
        for (size_t i = 1; i < sizeof strings; ++i)
            if (!strings[i - 1] && !std::strcmp(strings + i, s)) return static_cast<Elf64_Word>(i);
        gort::test::fail(__FILE__, __LINE__, "no text %s", s);
    }
    Elf(bool gnu_hash) {
        std::memcpy(head.e_ident, ELFMAG, SELFMAG);
        head.e_ident[EI_CLASS] = ELFCLASS64;
        head.e_phoff = link(segments) - kLink;
        head.e_phentsize = sizeof(Elf64_Phdr);
        head.e_phnum = 2;
        segments[0].p_type = PT_LOAD;
        segments[0].p_vaddr = kLink;
        segments[0].p_memsz = sizeof *this;
        segments[1].p_type = PT_DYNAMIC;
        segments[1].p_vaddr = link(dynamic);
        segments[1].p_memsz = sizeof dynamic;
        dynamic[0] = {DT_STRTAB, {link(strings)}};
        dynamic[1] = {DT_SYMTAB, {link(symbols)}};
        dynamic[2] = {DT_VERSYM, {link(versions)}};
        dynamic[3] = {DT_VERDEF, {link(definitions)}};
        if (gnu_hash) dynamic[4] = {DT_GNU_HASH, {link(gnu)}};
        else dynamic[4] = {DT_HASH, {link(hash)}};
        const auto symbol = [&](int i, const char* name, int bind, int type, int section, size_t at) {
            symbols[i].st_name = text(name);
            symbols[i].st_info = static_cast<unsigned char>(bind << 4 | type);
            symbols[i].st_shndx = static_cast<Elf64_Half>(section);
            symbols[i].st_value = link(code) + at;
        };
        symbol(1, "clock", STB_GLOBAL, STT_FUNC, 1, 0);   // V1
        symbol(2, "clock", STB_GLOBAL, STT_FUNC, 1, 16);  // V2
        symbol(4, "weak", STB_WEAK, STT_NOTYPE, 1, 32);   // the last one
        symbol(3, "data", STB_GLOBAL, STT_OBJECT, 1, 48);
        const auto version = [&](int i, const char* name, int index, int flags, bool last) {
            definitions[i].def.vd_flags = static_cast<Elf64_Half>(flags);
            definitions[i].def.vd_ndx = static_cast<Elf64_Half>(index);
            definitions[i].def.vd_aux = sizeof(Elf64_Verdef);
            definitions[i].def.vd_next = last ? 0 : sizeof definitions[0];
            definitions[i].aux.vda_name = text(name);
        };
        version(0, "base", 1, VER_FLG_BASE, false);
        version(1, "V1", 2, 0, false);
        version(2, "V2", 3, 0, true);
    }
    const char* find(const char* name, const char* version) const {
        return static_cast<const char*>(elf_symbol(this, name, version));
    }
};

TEST(symbols_by_name_and_version_with_either_hash) {
    for (bool gnu_hash : {false, true}) {
        auto elf = std::make_unique<Elf>(gnu_hash);
        CHECK(elf->find("clock", "V1") == elf->code);
        CHECK(elf->find("clock", "V2") == elf->code + 16);
        CHECK(elf->find("clock", nullptr) == elf->code);
        CHECK(elf->find("clock", "V3") == nullptr);
        CHECK(elf->find("clock", "base") == nullptr);
        CHECK(elf->find("cloc", "V1") == nullptr);
        CHECK(elf->find("clocks", "V1") == nullptr);
        CHECK(elf->find("weak", "V1") == elf->code + 32);
        CHECK(elf->find("data", "V1") == nullptr);  // no function
        elf->versions[2] |= 0x8000;                 // hidden: not the default one, and still that version
        CHECK(elf->find("clock", "V2") == elf->code + 16);
        elf->versions[1] = 1;  // the image's own name is no version of a symbol
        CHECK(elf->find("clock", "base") == nullptr);
        elf->versions[1] = 2;
        elf->symbols[1].st_shndx = SHN_UNDEF;
        CHECK(elf->find("clock", "V1") == nullptr);
        elf->symbols[4].st_info = STB_LOCAL << 4 | STT_FUNC;
        CHECK(elf->find("weak", "V1") == nullptr);
        elf->dynamic[3].d_tag = DT_NULL;  // no versions at all: any will do
        elf->dynamic[2] = elf->dynamic[4];
        CHECK(elf->find("clock", "V7") == elf->code + 16);
    }
}
TEST(broken_images_are_refused) {
    const auto broken = [](auto damage) {
        for (bool gnu_hash : {false, true}) {
            auto elf = std::make_unique<Elf>(gnu_hash);
            damage(*elf);
            CHECK(elf->find("clock", "V1") == nullptr);
        }
    };
    broken([](Elf& e) { e.head.e_ident[0] = 'E'; });
    broken([](Elf& e) { e.head.e_ident[EI_CLASS] = ELFCLASS32; });
    broken([](Elf& e) { e.head.e_phentsize = 1; });
    broken([](Elf& e) { e.head.e_phnum = 0; });
    broken([](Elf& e) { e.segments[0].p_type = PT_NULL; });
    broken([](Elf& e) { e.segments[1].p_type = PT_NULL; });
    broken([](Elf& e) { e.segments[1].p_vaddr = 8; });
    broken([](Elf& e) { e.segments[1].p_vaddr = ~uint64_t{7}; });
    broken([](Elf& e) { e.segments[0].p_memsz = 100; });
    for (int i : {0, 1, 4}) broken([i](Elf& e) { e.dynamic[i].d_tag = 999; });
    for (int i : {0, 1, 2, 3, 4}) {
        broken([i](Elf& e) { e.dynamic[i].d_un.d_ptr = 1 << 30; });
        broken([i](Elf& e) { e.dynamic[i].d_un.d_ptr = ~uint64_t{15}; });
    }
    broken([](Elf& e) { e.symbols[1].st_name = 1 << 30; });
    broken([](Elf& e) { e.symbols[1].st_value = 0; });
    broken([](Elf& e) { e.definitions[0].def.vd_next = 1 << 20; });
    broken([](Elf& e) { e.definitions[1].aux.vda_name = ~0u; });
}
// Every byte of it, damaged: whatever is answered, nothing outside of the image is read. ASan watches.
TEST(damaged_images_are_survived) {
    for (bool gnu_hash : {false, true}) {
        const Elf good(gnu_hash);
        auto elf = std::make_unique<Elf>(gnu_hash);
        auto* bytes = reinterpret_cast<unsigned char*>(elf.get());
        for (size_t i = offsetof(Elf, dynamic); i < sizeof(Elf); ++i) {
            for (int bit : {0, 7}) {
                bytes[i] = static_cast<unsigned char>(bytes[i] ^ 1 << bit);
                const char* f = elf->find("clock", "V1");
                CHECK(f == nullptr || (f >= reinterpret_cast<char*>(bytes) &&
                                       f < reinterpret_cast<char*>(bytes) + sizeof(Elf)));
                bytes[i] = static_cast<unsigned char>(bytes[i] ^ 1 << bit);
            }
        }
        CHECK(std::memcmp(&good.head, &elf->head, sizeof good.head) == 0);
    }
}
