// rt/symbols/symbols.cc - an index of each file's functions, built when the first of its addresses is asked for, and a
// cache.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/symbols/symbols.h"

#include <elf.h>

#include "kernel/mem.h"
#include "rt/symbols/heap_sort.h"

namespace gort::rt {

namespace {

constexpr uint32_t kCacheSlots = 4096;  // a power of two; pages that are not touched cost nothing
constexpr uint32_t kProbes = 16;

struct Cached {
    uintptr_t pc;
    Symbol symbol;
};

const Elf64_Sym* symbol_at(const Image& image, size_t i) {
    return reinterpret_cast<const Elf64_Sym*>(image.symbols.data) + i;
}

bool is_function(const Image& image, const Elf64_Sym* s) {
    const unsigned type = ELF64_ST_TYPE(s->st_info);
    return (type == STT_FUNC || type == STT_GNU_IFUNC) && s->st_shndx != SHN_UNDEF &&
           s->st_value >= image.base && s->st_value - image.base <= UINT32_MAX &&
           s->st_name < image.names.size;
}

// Of several names for one address (a constructor's, an alias), the last in the table wins: sorting is by both.
bool before(const SymbolRef& a, const SymbolRef& b) {
    return a.offset != b.offset ? a.offset < b.offset : a.index < b.index;
}

void build_index(Images* images, Image* image) {
    if (image->opened && (image->index || !image->symbols.data)) return;
    images->open_file(image);
    if (!image->symbols.data || !image->names.data) return;
    const size_t n = image->symbols.size / sizeof(Elf64_Sym);
    size_t functions = 0;
    for (size_t i = 0; i < n; ++i) functions += is_function(*image, symbol_at(*image, i));
    if (functions == 0) return;
    image->index = static_cast<SymbolRef*>(take_memory(functions * sizeof(SymbolRef)));
    if (!image->index) return;
    for (size_t i = 0; i < n && image->index_size < functions; ++i) {
        const Elf64_Sym* s = symbol_at(*image, i);
        if (!is_function(*image, s)) continue;
        image->index[image->index_size++] = {static_cast<uint32_t>(s->st_value - image->base),
                                             static_cast<uint32_t>(i)};
    }
    heap_sort(image->index, image->index_size, before);
}

void find_name(const Image& image, uint64_t address, Symbol* out) {
    if (!image.index_size || address < image.base || address - image.base > UINT32_MAX) return;
    const auto offset = static_cast<uint32_t>(address - image.base);
    // the last one that begins at or below offset is in [low - 1, high - 1]
    size_t low = 0, high = image.index_size;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (image.index[mid].offset <= offset) low = mid + 1;
        else high = mid;
    }
    if (low == 0) return;
    const Elf64_Sym* s = symbol_at(image, image.index[low - 1].index);
    if (s->st_size && address >= s->st_value + s->st_size) return;
    const char* name = reinterpret_cast<const char*>(image.names.data) + s->st_name;
    if (!*name) return;
    out->name = name;
    out->offset = address - s->st_value;
}

void find_inlines(Images* images, const Image& image, uint64_t address, Symbol* out) {
    InlinedCall calls[kMostInlined];
    const unsigned n = find_inlined(image, address, calls);
    auto* kept = n ? static_cast<InlinedCall*>(images->keep(n * sizeof(InlinedCall))) : nullptr;
    if (!kept) return;
    kernel::copy_bytes(kept, calls, n * sizeof(InlinedCall));
    out->inlined = kept;
    out->inlined_n = n;
}

Cached* cache_of(Images* images) {
    if (!images->cache) {
        images->cache_size = kCacheSlots * sizeof(Cached);
        images->cache = take_memory(images->cache_size);
    }
    return static_cast<Cached*>(images->cache);
}

}  // namespace

void find_symbol(Images* images, uintptr_t pc, Symbol* out) {
    Cached* cache = cache_of(images);
    Cached* slot = nullptr;
    for (uint32_t i = 0; cache && i < kProbes; ++i) {
        Cached* c = cache + ((pc * 0x9e3779b97f4a7c15u >> 32) + i) % kCacheSlots;
        if (c->pc == pc) return kernel::copy_bytes(out, &c->symbol, sizeof *out);
        if (c->pc == 0) {
            slot = c;
            break;
        }
    }
    const bool exact = pc & kExactPc;
    const uintptr_t address = pc & ~kExactPc;
    const uintptr_t inside = exact ? address : address - 1;
    Image* image = images->find(inside);
    out->image = image;
    out->name = nullptr;
    out->offset = address;
    out->line.file = nullptr;
    out->inlined_n = 0;
    if (image) {
        build_index(images, image);
        out->offset = address - image->bias;
        find_name(*image, inside - image->bias, out);
        if (out->name && !exact) ++out->offset;
        find_line(*image, inside - image->bias, &out->line);
        find_inlines(images, *image, inside - image->bias, out);
    }
    if (slot) {
        slot->pc = pc;
        kernel::copy_bytes(&slot->symbol, out, sizeof *out);
    }
}

}  // namespace gort::rt
