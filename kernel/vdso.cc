// kernel/vdso.cc - the auxiliary vector, and our own walk through an ELF image's dynamic symbols.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/vdso.h"

#include <elf.h>

#include <atomic>

#include "kernel/mem.h"
#include "kernel/sys.h"

namespace gort::kernel {

namespace {

constexpr size_t kAuxPairs = 64;      // the kernel passes about 22
constexpr int kGetAuxv = 0x41555856;  // PR_GET_AUXV, Linux 6.4

std::atomic<uintptr_t (*)(uintptr_t)> g_ask{nullptr};

struct AuxPair {
    uintptr_t type;
    uintptr_t value;
};

size_t read_auxv(AuxPair* pairs) {
    auto* buf = reinterpret_cast<char*>(pairs);
    size_t size = 0;
    const int fd = sys_open("/proc/self/auxv", 0);
    if (fd >= 0) {
        while (size < kAuxPairs * sizeof(AuxPair)) {
            const long n = sys_read(fd, buf + size, kAuxPairs * sizeof(AuxPair) - size);
            if (n == -EINTR) continue;
            if (n <= 0) break;
            size += static_cast<size_t>(n);
        }
        sys_close(fd);
    }
    if (size == 0) {  // no /proc
        const int n = sys_prctl(kGetAuxv, reinterpret_cast<uintptr_t>(pairs), kAuxPairs * sizeof(AuxPair));
        if (n > 0) size = static_cast<size_t>(n);
    }
    const size_t count = size / sizeof(AuxPair);
    return count < kAuxPairs ? count : kAuxPairs;
}

// An ELF image in memory: hands out pointers to what lies inside of it and null for the rest.
class Image {
public:
    explicit Image(const void* base) : base_(static_cast<const char*>(base)) {}

    bool open() {
        auto* e = reinterpret_cast<const Elf64_Ehdr*>(base_);
        if (!equal_bytes(e->e_ident, ELFMAG, SELFMAG) || e->e_ident[EI_CLASS] != ELFCLASS64) return false;
        if (e->e_phentsize != sizeof(Elf64_Phdr)) return false;
        auto* ph = reinterpret_cast<const Elf64_Phdr*>(base_ + e->e_phoff);
        const Elf64_Phdr* dynamic = nullptr;
        bool loaded = false;
        for (int i = 0; i < e->e_phnum; ++i) {
            if (ph[i].p_type == PT_DYNAMIC) dynamic = &ph[i];
            if (ph[i].p_type != PT_LOAD) continue;
            if (!loaded) low_ = ph[i].p_vaddr - ph[i].p_offset;  // where file offset 0 was linked to
            loaded = true;
            if (ph[i].p_vaddr + ph[i].p_memsz > high_) high_ = ph[i].p_vaddr + ph[i].p_memsz;
        }
        if (!loaded || !dynamic) return false;
        for (size_t i = 0; i < dynamic->p_memsz / sizeof(Elf64_Dyn); ++i) {
            auto* d = at<Elf64_Dyn>(dynamic->p_vaddr + i * sizeof(Elf64_Dyn));
            if (!d || d->d_tag == DT_NULL) break;
            switch (d->d_tag) {
            case DT_STRTAB: strings_ = d->d_un.d_ptr; break;
            case DT_SYMTAB: symbols_ = d->d_un.d_ptr; break;
            case DT_HASH: hash_ = d->d_un.d_ptr; break;
            case DT_GNU_HASH: gnu_hash_ = d->d_un.d_ptr; break;
            case DT_VERSYM: versions_ = d->d_un.d_ptr; break;
            case DT_VERDEF: definitions_ = d->d_un.d_ptr; break;
            }
        }
        return strings_ && symbols_ && (hash_ || gnu_hash_);
    }

    void* find(const char* name, const char* version) const {
        const size_t n = count();
        for (size_t i = 0; i < n; ++i) {
            auto* s = at<Elf64_Sym>(symbols_ + i * sizeof(Elf64_Sym));
            if (!s) break;
            const unsigned type = s->st_info & 15, bind = s->st_info >> 4;
            if (s->st_shndx == SHN_UNDEF || (type != STT_FUNC && type != STT_NOTYPE)) continue;
            if ((bind != STB_GLOBAL && bind != STB_WEAK) || !text_is(s->st_name, name)) continue;
            if (has_version(i, version)) return const_cast<char*>(at<char>(s->st_value));
        }
        return nullptr;
    }

private:
    // Linked addresses: the vDSO is not relocated, so the dynamic section holds those, from low_ up to high_.
    template <class T>
    const T* at(uint64_t address) const {
        if (address < low_ || address > high_ || high_ - address < sizeof(T) || address % alignof(T))
            return nullptr;
        return reinterpret_cast<const T*>(base_ + (address - low_));
    }

    bool text_is(uint64_t offset, const char* text) const {
        for (uint64_t a = strings_ + offset;; ++a, ++text) {
            auto* c = at<char>(a);
            if (!c || *c != *text) return false;
            if (*c == 0) return true;
        }
    }

    // DT_HASH knows the number of symbols. In DT_GNU_HASH it is one past the end of the chain that ends last.
    size_t count() const {
        if (hash_) {
            auto* chains = at<uint32_t>(hash_ + 4);
            return chains ? *chains : 0;
        }
        auto* buckets = at<uint32_t>(gnu_hash_);
        auto* first = at<uint32_t>(gnu_hash_ + 4);
        auto* bloom = at<uint32_t>(gnu_hash_ + 8);
        if (!buckets || !first || !bloom) return 0;
        const uint64_t bucket0 = gnu_hash_ + 16 + uint64_t{*bloom} * 8;
        uint32_t last = 0;
        for (uint32_t i = 0; i < *buckets; ++i) {
            auto* b = at<uint32_t>(bucket0 + uint64_t{i} * 4);
            if (!b) return 0;
            if (*b > last) last = *b;
        }
        if (last < *first) return *first;
        const uint64_t chain0 = bucket0 + uint64_t{*buckets} * 4;
        for (;; ++last) {
            auto* c = at<uint32_t>(chain0 + uint64_t{last - *first} * 4);
            if (!c) return last;
            if (*c & 1) return size_t{last} + 1;
        }
    }

    bool has_version(size_t symbol, const char* version) const {
        if (!version || !versions_ || !definitions_) return true;
        auto* v = at<uint16_t>(versions_ + symbol * 2);
        if (!v) return false;
        for (uint64_t a = definitions_;;) {
            auto* def = at<Elf64_Verdef>(a);
            if (!def) return false;
            auto* aux = at<Elf64_Verdaux>(a + def->vd_aux);
            if (!(def->vd_flags & VER_FLG_BASE) && (def->vd_ndx & 0x7fff) == (*v & 0x7fff))
                return aux && text_is(aux->vda_name, version);
            if (def->vd_next == 0) return false;
            a += def->vd_next;
        }
    }

    const char* base_;
    uint64_t low_ = 0, high_ = 0;
    uint64_t strings_ = 0, symbols_ = 0, hash_ = 0, gnu_hash_ = 0, versions_ = 0, definitions_ = 0;
};

}  // namespace

void auxv_source(uintptr_t (*ask)(uintptr_t type)) { g_ask.store(ask, std::memory_order_relaxed); }

uintptr_t auxv_value(uintptr_t type) {
    if (auto* ask = g_ask.load(std::memory_order_relaxed)) return ask(type);
    AuxPair pairs[kAuxPairs];
    const size_t n = read_auxv(pairs);
    for (size_t i = 0; i < n && pairs[i].type != AT_NULL; ++i)
        if (pairs[i].type == type) return pairs[i].value;
    return 0;
}

void* elf_symbol(const void* image, const char* name, const char* version) {
    Image i(image);
    return i.open() ? i.find(name, version) : nullptr;
}

}  // namespace gort::kernel
