// rt/symbols/image.h - the files this process is made of (program, libraries, vDSO), as /proc/self/maps shows them now.
// SPDX-License-Identifier: BSD-2-Clause
//
// Invariants: (1) an Images is a snapshot of one user: nothing is shared between threads, so nothing is locked.
//             (2) only the ELF headers and the unwind tables are read from the process's own memory; symbols and line
//             tables come from the file, if it is still the one that is loaded.
// Context:    any thread, signal handlers. No malloc: a snapshot is one mapping of its own.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gort::rt {

// A bit of a code address: set, it is the next instruction to run; else a return address.
inline constexpr uintptr_t kExactPc = uintptr_t{1} << 63;

size_t whole_pages(size_t size);
// Memory for a moment, zeroed; null when there is none. The size is rounded up to pages, for both.
void* take_memory(size_t size);
void give_memory(void* memory, size_t size);

// A section of a file, mapped.
struct Section {
    const uint8_t* data = nullptr;
    size_t size = 0;
    uint64_t address = 0;  // link time
    void* map = nullptr;
    size_t map_size = 0;
};

// Where a function begins, relative to the lowest address of its image, and which entry of .symtab says so.
struct SymbolRef {
    uint32_t offset;
    uint32_t index;
};

struct Image {
    uintptr_t lo, hi;             // what is mapped
    uintptr_t bias;               // address here - address at link time
    uintptr_t base;               // lowest link-time address
    const uint8_t* eh_hdr;        // the unwind table's index, or null
    const char* path;             // "" for none
    bool first;                   // of all in the address order: the program itself
    bool opened;                  // the file was looked at; what it lacks stays empty
    Section symbols, names;       // .symtab and its strings, else .dynsym
    Section eh_frame;             // only when there is no eh_hdr
    Section line, line_str, str;  // .debug_…
    Section info, abbrev, rnglists, ranges, addr, str_offsets;
    SymbolRef* index;  // functions by address
    uint32_t index_size;
};

class Images {
public:
    static Images* take();  // null: no memory
    void free();
    Image* find(uintptr_t pc);
    void open_file(Image* image);         // fills its sections, as far as there are any
    int error() const { return error_; }  // 0, or -errno: the system did not say what there is

    // Of the mapping that holds `address`: how far up one may read. 0: unknown.
    static uintptr_t mapping_end(uintptr_t address);

    Image* begin() { return list_; }
    Image* end() { return list_ + n_; }

    void* cache = nullptr;  // rt/symbols/symbols.cc's
    size_t cache_size = 0;
    void* keep(size_t size);  // memory until free(); a multiple of 8; null: none

private:
    static constexpr uint32_t kMaxImages = 1024;
    static constexpr size_t kMaxPaths = 128 << 10;
    void add(uintptr_t lo, uintptr_t hi, const char* path);
    static constexpr size_t kKept = 64 << 10;
    struct Kept {
        Kept* next;
        size_t used;
    };
    Kept* kept_ = nullptr;
    uint32_t n_ = 0;
    int error_ = 0;
    size_t paths_used_ = 0;
    Image list_[kMaxImages];
    char paths_[kMaxPaths];
};

}  // namespace gort::rt
