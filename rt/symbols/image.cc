// rt/symbols/image.cc - reads /proc/self/maps and ELF headers.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/symbols/image.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <atomic>
#include <initializer_list>

#include "kernel/file.h"
#include "kernel/mem.h"
#include "kernel/sys.h"
#include "kernel/vm.h"

namespace gort::rt {

size_t whole_pages(size_t size) { return (size + kernel::page_size() - 1) & ~(kernel::page_size() - 1); }

// The system may give to one thread what another one has given back. Tools that watch memory do not see our system
// calls; for them there is an order between the two.
static std::atomic<uint32_t> g_memory_order{0};

void* take_memory(size_t size) {
    void* memory = kernel::reserve(whole_pages(size));
    g_memory_order.fetch_add(1, std::memory_order_acquire);
    return memory;
}

void give_memory(void* memory, size_t size) {
    g_memory_order.fetch_add(1, std::memory_order_release);
    kernel::release(memory, whole_pages(size));
}

namespace {

constexpr size_t kMaxHeaders = 256;  // program headers of an image, sections of a file

// The file's lines one by one; the part of a line that does not fit is dropped.
class Maps {
public:
    Maps() : file_("/proc/self/maps", buf_, sizeof buf_) {}
    int error() const { return file_.error(); }

    struct Line {
        uintptr_t lo, hi, offset;
        bool readable, executable;
        const char* path;  // "" for none; valid until next()
    };
    bool next(Line* out) {
        size_t n = 0;
        for (int c; (c = file_.get()) >= 0 && c != '\n';)
            if (n + 1 < sizeof line_) line_[n++] = static_cast<char>(c);
        if (n == 0) return false;
        line_[n] = '\0';
        const char* p = line_;
        out->lo = number(&p);
        if (*p++ != '-') return false;
        out->hi = number(&p);
        if (*p++ != ' ') return false;
        out->readable = p[0] == 'r';
        out->executable = p[0] && p[1] && p[2] == 'x';
        p = field(p);
        out->offset = number(&p);
        p = field(field(field(p)));  // device, inode
        out->path = p;
        return true;
    }

private:
    static uintptr_t number(const char** p) {
        uintptr_t v = 0;
        for (;; ++*p) {
            const char c = **p;
            if (c >= '0' && c <= '9') v = v * 16 + static_cast<uintptr_t>(c - '0');
            else if (c >= 'a' && c <= 'f') v = v * 16 + static_cast<uintptr_t>(c - 'a') + 10;
            else return v;
        }
    }
    static const char* field(const char* p) {  // the start of the next one
        while (*p && *p != ' ') ++p;
        while (*p == ' ') ++p;
        return p;
    }
    char buf_[1024];
    kernel::ByteReader file_;
    char line_[768];
};

bool is_elf(const Elf64_Ehdr* e) {
    return e->e_ident[0] == 0x7f && e->e_ident[1] == 'E' && e->e_ident[2] == 'L' && e->e_ident[3] == 'F' &&
           e->e_ident[4] == ELFCLASS64 && e->e_phentsize == sizeof(Elf64_Phdr);
}

// [offset, offset + size) of the file, mapped; nothing if the file does not reach that far.
void map_section(int fd, const Elf64_Shdr& sh, Section* out) {
    char last;
    constexpr uint64_t kMost = uint64_t{1} << 40;  // of a size or a place: nothing real comes near
    if (out->data || sh.sh_size == 0 || sh.sh_type == SHT_NOBITS || (sh.sh_flags & SHF_COMPRESSED)) return;
    if (sh.sh_size > kMost || sh.sh_offset > kMost) return;
    if (kernel::sys_pread(fd, &last, 1, static_cast<int64_t>(sh.sh_offset + sh.sh_size - 1)) != 1) return;
    const size_t page = kernel::page_size(), skip = sh.sh_offset & (page - 1);
    const long at = kernel::sys_mmap(nullptr, sh.sh_size + skip, PROT_READ, MAP_PRIVATE, fd,
                                     static_cast<int64_t>(sh.sh_offset - skip));
    if (kernel::is_error(at)) return;
    out->map = reinterpret_cast<void*>(at);
    out->map_size = sh.sh_size + skip;
    out->data = static_cast<const uint8_t*>(out->map) + skip;
    out->size = sh.sh_size;
    out->address = sh.sh_addr;
}

void unmap(Section* s) {
    if (s->map) give_memory(s->map, s->map_size);
    s->map = nullptr;
    s->data = nullptr;
    s->size = 0;
}

// Of texts, which must end inside of it.
void drop_unless_terminated(Section* s) {
    if (s->data && s->data[s->size - 1] != 0) unmap(s);
}

// Opens the file that image was loaded from: -errno if it is not there any more, or another one.
int open_same(const Image& image) {
    const char* candidates[2] = {image.first ? "/proc/self/exe" : nullptr, image.path};
    for (const char* path : candidates) {
        if (!path || *path != '/') continue;
        const int fd = kernel::sys_open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) continue;
        Elf64_Ehdr e;
        if (kernel::sys_pread(fd, &e, sizeof e, 0) == static_cast<long>(sizeof e) &&
            kernel::equal_bytes(&e, reinterpret_cast<const void*>(image.lo), sizeof e))
            return fd;
        kernel::sys_close(fd);
    }
    return -ENOENT;
}

}  // namespace

Images* Images::take() {
    auto* images = static_cast<Images*>(take_memory(sizeof(Images)));
    if (!images) return nullptr;
    Maps maps;
    Maps::Line line;
    // Consecutive lines of one file are one image, if the first shows its head and one of them is code.
    uintptr_t lo = 0, hi = 0;
    bool code = false;
    char* path = images->paths_;
    auto close = [&] {
        if (hi && code) images->add(lo, hi, path);
        hi = 0;
    };
    while (maps.next(&line)) {
        if (hi && line.path[0] && kernel::str_equal(line.path, path) && line.offset != 0) {
            hi = line.hi;
            code |= line.executable;
            continue;
        }
        close();
        if (!line.path[0] || line.offset != 0 || !line.readable) continue;
        lo = line.lo;
        hi = line.hi;
        code = line.executable;
        path = images->paths_ + images->paths_used_;  // stays if the image is added
        kernel::str_copy(path, kMaxPaths - images->paths_used_, line.path);
    }
    close();
    images->error_ = maps.error();
    return images;
}

void Images::add(uintptr_t lo, uintptr_t hi, const char* path) {
    if (n_ == kMaxImages) return;
    auto* e = reinterpret_cast<const Elf64_Ehdr*>(lo);
    if (!is_elf(e) || e->e_phnum > kMaxHeaders || e->e_phoff % alignof(Elf64_Phdr)) return;
    if (hi && (e->e_phoff > hi - lo || e->e_phnum * sizeof(Elf64_Phdr) > hi - lo - e->e_phoff)) return;
    Image& image = list_[n_];
    auto* ph = reinterpret_cast<const Elf64_Phdr*>(lo + e->e_phoff);
    uintptr_t base = UINTPTR_MAX, top = 0, head = 0;
    for (unsigned i = 0; i < e->e_phnum; ++i) {
        if (ph[i].p_type != PT_LOAD) continue;
        if (ph[i].p_offset == 0) head = ph[i].p_vaddr;
        if (ph[i].p_vaddr < base) base = ph[i].p_vaddr;
        if (ph[i].p_vaddr + ph[i].p_memsz > top) top = ph[i].p_vaddr + ph[i].p_memsz;
    }
    if (base == UINTPTR_MAX) return;
    image.lo = lo;
    image.bias = lo - head;
    image.hi = hi ? hi : image.bias + top;
    image.base = base;
    image.path = path;
    image.first = n_ == 0;
    for (unsigned i = 0; i < e->e_phnum; ++i)
        if (ph[i].p_type == PT_GNU_EH_FRAME && image.bias + ph[i].p_vaddr >= lo &&
            image.bias + ph[i].p_vaddr < image.hi)
            image.eh_hdr = reinterpret_cast<const uint8_t*>(image.bias + ph[i].p_vaddr);
    const size_t used = paths_used_ + kernel::str_len(path) + 1;
    paths_used_ = used < kMaxPaths ? used : kMaxPaths - 1;
    ++n_;
}

Image* Images::find(uintptr_t pc) {
    for (Image& image : *this)
        if (pc >= image.lo && pc < image.hi) return &image;
    return nullptr;
}

void Images::open_file(Image* image) {
    if (image->opened) return;
    image->opened = true;
    const int fd = open_same(*image);
    if (fd < 0) return;
    auto* e = reinterpret_cast<const Elf64_Ehdr*>(image->lo);
    const size_t n = e->e_shnum;
    Section headers, strings;
    Elf64_Shdr table;
    kernel::zero_bytes(&table, sizeof table);
    table.sh_offset = e->e_shoff;
    table.sh_size = n * sizeof(Elf64_Shdr);
    if (e->e_shentsize == sizeof(Elf64_Shdr) && e->e_shoff % alignof(Elf64_Shdr) == 0 &&
        n <= kMaxHeaders * 16)
        map_section(fd, table, &headers);
    if (headers.data && e->e_shstrndx < n) {
        auto* sh = reinterpret_cast<const Elf64_Shdr*>(headers.data);
        map_section(fd, sh[e->e_shstrndx], &strings);
        drop_unless_terminated(&strings);
        struct Wanted {
            const char* name;
            Section* to;
        } const wanted[] = {{".debug_line", &image->line},
                            {".debug_line_str", &image->line_str},
                            {".debug_str", &image->str},
                            {".debug_info", &image->info},
                            {".debug_abbrev", &image->abbrev},
                            {".debug_rnglists", &image->rnglists},
                            {".debug_ranges", &image->ranges},
                            {".debug_addr", &image->addr},
                            {".debug_str_offsets", &image->str_offsets},
                            {".eh_frame", image->eh_hdr ? nullptr : &image->eh_frame}};
        auto symbols = [&](uint32_t type) {
            for (size_t i = 0; i < n; ++i)
                if (!image->symbols.data && sh[i].sh_type == type && sh[i].sh_entsize == sizeof(Elf64_Sym) &&
                    sh[i].sh_offset % alignof(Elf64_Sym) == 0 && sh[i].sh_link < n) {
                    map_section(fd, sh[i], &image->symbols);
                    map_section(fd, sh[sh[i].sh_link], &image->names);
                }
        };
        symbols(SHT_SYMTAB);
        symbols(SHT_DYNSYM);
        drop_unless_terminated(&image->names);
        for (size_t i = 0; i < n && strings.data; ++i) {
            if (sh[i].sh_name >= strings.size) continue;
            auto* name = reinterpret_cast<const char*>(strings.data) + sh[i].sh_name;
            for (const Wanted& w : wanted)
                if (w.to && kernel::str_equal(name, w.name)) map_section(fd, sh[i], w.to);
        }
    }
    unmap(&headers);
    unmap(&strings);
    kernel::sys_close(fd);
}

void Images::free() {
    for (Image& image : *this) {
        for (Section* s :
             {&image.symbols, &image.names, &image.eh_frame, &image.line, &image.line_str, &image.str,
              &image.info, &image.abbrev, &image.rnglists, &image.ranges, &image.addr, &image.str_offsets})
            unmap(s);
        if (image.index) give_memory(image.index, image.index_size * sizeof(SymbolRef));
    }
    if (cache) give_memory(cache, cache_size);
    while (Kept* k = kept_) {
        kept_ = k->next;
        give_memory(k, kKept);
    }
    give_memory(this, sizeof(Images));
}

void* Images::keep(size_t size) {
    if (size > kKept - sizeof(Kept)) return nullptr;
    if (!kept_ || kKept - kept_->used < size) {
        auto* k = static_cast<Kept*>(take_memory(kKept));
        if (!k) return nullptr;
        k->next = kept_;
        k->used = sizeof(Kept);
        kept_ = k;
    }
    void* place = reinterpret_cast<char*>(kept_) + kept_->used;
    kept_->used += size;
    return place;
}

uintptr_t Images::mapping_end(uintptr_t address) {
    Maps maps;
    for (Maps::Line line; maps.next(&line);)
        if (address >= line.lo && address < line.hi) return line.readable ? line.hi : 0;
    return 0;
}

}  // namespace gort::rt
