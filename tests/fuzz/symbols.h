// tests/fuzz/symbols.h - one made-up program file under all that reads one: ELF, DWARF, unwind tables.
// SPDX-License-Identifier: BSD-2-Clause
//
// The bytes become a file that is mapped as the loader maps a library, and then addresses in it are asked for, as a
// traceback does. Debug sections are copied to blocks of just their size as well, so that ASan sees each byte read
// beyond.
// Shared by tests/fuzz/symbols_fuzz.cc (libFuzzer) and tests/symbols_fuzz_test.cc, which replays the corpus.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "arch/regs.h"
#include "kernel/vm.h"
#include "rt/symbols/demangle.h"
#include "rt/symbols/dwarf_inline.h"
#include "rt/symbols/image.h"
#include "rt/symbols/symbols.h"
#include "rt/symbols/unwind.h"

namespace gort::fuzz {

// A file that lies in memory as long as this lives.
class Mapped {
public:
    Mapped(const uint8_t* data, size_t size) {
        std::strcpy(path_, "/tmp/gort-fuzz-XXXXXX");
        fd_ = mkstemp(path_);
        if (fd_ < 0 || write(fd_, data, size) != static_cast<ssize_t>(size)) return;
        size_ = rt::whole_pages(size);
        void* p = mmap(nullptr, size_, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd_, 0);
        if (p != MAP_FAILED) begin_ = static_cast<uint8_t*>(p);
    }
    ~Mapped() {
        if (begin_) munmap(begin_, size_);
        if (fd_ >= 0) close(fd_);
        unlink(path_);
    }
    Mapped(const Mapped&) = delete;
    Mapped& operator=(const Mapped&) = delete;
    uintptr_t begin() const { return reinterpret_cast<uintptr_t>(begin_); }
    size_t size() const { return size_; }

private:
    char path_[32];
    int fd_ = -1;
    uint8_t* begin_ = nullptr;
    size_t size_ = 0;
};

inline void ask_for(rt::Images* images, uintptr_t pc) {
    rt::Symbol s;
    rt::find_symbol(images, pc, &s);
    if (!s.name) return;
    char text[512];
    rt::demangle(s.name, text, sizeof text);
}

// A stack whose words lead into the file and into the stack itself.
inline void walk_from(rt::Images* images, uintptr_t pc, const Mapped& file) {
    constexpr size_t kWords = 256;
    auto* stack = static_cast<uintptr_t*>(std::malloc(kWords * sizeof(uintptr_t)));
    const auto lo = reinterpret_cast<uintptr_t>(stack), hi = reinterpret_cast<uintptr_t>(stack + kWords);
    for (size_t i = 0; i < kWords; ++i)
        stack[i] = i % 3 ? file.begin() + i * 37 % file.size() : lo + (i + 2) * sizeof(uintptr_t) % (hi - lo);
    for (const bool exact : {false, true}) {
        arch::Regs regs;
        std::memset(&regs, 0, sizeof regs);
        regs.pc = pc;
        regs.r[arch::kDwarfSp] = lo;
        regs.r[arch::kDwarfFp] = lo + 64;
        rt::Unwinder u(images, regs, exact, {lo, hi});
        for (int steps = 0; steps < 300 && u.step(); ++steps) {
        }
    }
    std::free(stack);
}

inline void read_copies(const rt::Image& image, const uint64_t* addresses, size_t n) {
    rt::Image copy = image;
    rt::Section* sections[] = {&copy.line,     &copy.line_str, &copy.str,  &copy.info,       &copy.abbrev,
                               &copy.rnglists, &copy.ranges,   &copy.addr, &copy.str_offsets};
    for (rt::Section* s : sections) {
        if (!s->data) continue;
        void* block = std::malloc(s->size ? s->size : 1);
        std::memcpy(block, s->data, s->size);
        s->data = static_cast<const uint8_t*>(block);
    }
    for (size_t i = 0; i < n; ++i) {
        rt::LineInfo line;
        rt::InlinedCall calls[rt::kMostInlined];
        rt::find_line(copy, addresses[i], &line);
        rt::find_inlined(copy, addresses[i], calls);
    }
    for (rt::Section* s : sections)
        if (s->data) std::free(const_cast<uint8_t*>(s->data));
}

inline void symbols(const uint8_t* data, size_t size) {
    constexpr size_t kLargest = 1 << 20;
    if (size < 64 || size > kLargest) return;
    const Mapped file(data, size);
    rt::Images* images = file.begin() ? rt::Images::take() : nullptr;
    if (!images) return;
    if (rt::Image* image = images->find(file.begin())) {
        ask_for(images, file.begin() + 1);
        uint64_t addresses[40];
        size_t n = 0;
        for (uint32_t i = 0; i < image->index_size && n < 32; ++i) {
            addresses[n++] = image->base + image->index[i].offset + 1;
            addresses[n++] = image->base + image->index[i].offset + 9;
        }
        for (size_t i = 0; i < 8; ++i) addresses[n++] = image->base + i * file.size() / 8;
        for (size_t i = 0; i < n; ++i) ask_for(images, addresses[i] + image->bias);
        for (size_t i = 0; i < n; i += 3) walk_from(images, addresses[i] + image->bias, file);
        read_copies(*image, addresses, n);
    }
    images->free();
}

}  // namespace gort::fuzz
