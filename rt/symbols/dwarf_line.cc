// rt/symbols/dwarf_line.cc - runs the line number programs of .debug_line (DWARF 5 section 6.2) and those of its
// elders.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/symbols/dwarf_line.h"

#include "rt/symbols/dwarf.h"

namespace gort::rt {

namespace {

// What an entry of the directory or file table may consist of in DWARF 5.
enum : uint64_t { kContentPath = 1, kContentDirectory = 2 };
enum : uint64_t {
    kFormBlock2 = 0x03,
    kFormBlock4 = 0x04,
    kFormData2 = 0x05,
    kFormData4 = 0x06,
    kFormData8 = 0x07,
    kFormString = 0x08,
    kFormBlock = 0x09,
    kFormBlock1 = 0x0a,
    kFormData1 = 0x0b,
    kFormStrp = 0x0e,
    kFormUdata = 0x0f,
    kFormData16 = 0x1e,
    kFormLineStrp = 0x1f,
};

struct Entry {
    const char* path = nullptr;
    uint64_t directory = 0;
};

class Unit {
public:
    Unit(const Image& image, ByteReader r, bool wide) : image_(image), r_(r), wide_(wide) {}

    bool header();
    // Runs the program; true once a row covers address. With `from` and `skip`: if that row is of a file to be skipped,
    // the last one before it, not before `from`, that is of another.
    bool covers(uint64_t address, uint64_t from, SkipFile skip, uint64_t* file, uint32_t* line);
    bool describe(uint64_t file, LineInfo* out);

private:
    uint64_t offset(ByteReader* r) const { return wide_ ? r->u64() : r->u32(); }
    const char* string_at(const Section& s, uint64_t at) const {
        if (at >= s.size) return "";
        return ByteReader(s.data + at, s.data + s.size).cstr();
    }
    bool read_form(ByteReader* r, uint64_t form, const char** text, uint64_t* number) const;
    // Entry `wanted` of the DWARF 5 table at r, which ends up behind the table.
    bool read_table(ByteReader* r, uint64_t wanted, Entry* out) const;
    bool describe_v4(uint64_t file, LineInfo* out);

    const Image& image_;
    ByteReader r_;                         // the program, after header()
    ByteReader tables_{nullptr, nullptr};  // directories, files
    bool wide_;
    uint16_t version_ = 0;
    uint8_t min_instruction_ = 1, line_range_ = 1, opcode_base_ = 1;
    int8_t line_base_ = 0;
    const uint8_t* lengths_ = nullptr;  // of the standard opcodes' operands
};

bool Unit::header() {
    version_ = r_.u16();
    if (version_ < 2 || version_ > 5) return false;
    if (version_ == 5) r_.skip(2);  // sizes of addresses and of segment selectors
    const uint64_t length = offset(&r_);
    ByteReader program = r_;
    program.skip(length);
    min_instruction_ = r_.u8();
    if (version_ >= 4) r_.u8();  // operations in an instruction: for VLIW machines
    r_.u8();                     // is_stmt
    line_base_ = r_.get<int8_t>();
    line_range_ = r_.u8();
    opcode_base_ = r_.u8();
    lengths_ = r_.at();
    if (opcode_base_ == 0 || line_range_ == 0) return false;
    r_.skip(opcode_base_ - 1u);
    tables_ = r_;
    r_ = program;
    return r_.ok() && tables_.ok();
}

bool Unit::covers(uint64_t address, uint64_t from, SkipFile skip_file, uint64_t* file, uint32_t* line) {
    struct Row {
        uint64_t address = 0, file = 1;
        uint32_t line = 1;
    } row, before, wanted;
    bool found = false;  // `wanted` is a row of this sequence
    uint64_t asked = UINT64_MAX;
    bool answer = false;
    auto skips = [&](uint64_t of) {
        if (of == asked) return answer;
        LineInfo info;
        asked = of;
        return answer = describe(of, &info) && skip_file(info);
    };
    bool any = false;  // `before` is a row of this sequence
    bool skip = true;  // a sequence at 0 is of a function that the linker dropped
    auto emit = [&] {
        if (any && !skip && address >= before.address && address < row.address) return true;
        if (!any) skip = row.address == 0;
        if (skip_file && any && !skip && before.line && before.address >= from && before.address <= address &&
            !skips(before.file)) {
            wanted = before;
            found = true;
        }
        before = row;
        any = true;
        return false;
    };
    auto advance = [&](uint64_t n) { row.address += n * min_instruction_; };
    while (r_.more()) {
        const uint8_t op = r_.u8();
        if (op >= opcode_base_) {
            const unsigned special = op - unsigned{opcode_base_};
            advance(special / line_range_);
            row.line += static_cast<uint32_t>(line_base_ + static_cast<int>(special % line_range_));
            if (emit()) break;
            continue;
        }
        switch (op) {
        case 0: {  // extended
            ByteReader x = r_.part(r_.uleb());
            const uint8_t what = x.u8();
            if (what == 2) {
                row.address = x.left() >= 8 ? x.u64() : x.u32();
            } else if (what == 1) {  // end of the sequence
                if (emit()) break;
                row = Row{};
                any = found = false;
            }
            continue;
        }
        case 1:  // copy
            if (emit()) break;
            continue;
        case 2: advance(r_.uleb()); continue;
        case 3: row.line += static_cast<uint32_t>(r_.sleb()); continue;
        case 4: row.file = r_.uleb(); continue;
        case 8: advance((255u - opcode_base_) / line_range_); continue;  // const_add_pc
        case 9: row.address += r_.u16(); continue;                       // fixed_advance_pc
        default:
            for (uint8_t i = 0; i < lengths_[op - 1]; ++i) r_.uleb();
            continue;
        }
        break;
    }
    if (!r_.ok() || !any || skip || address < before.address || address >= row.address) return false;
    if (skip_file && found && (before.line == 0 || skips(before.file))) before = wanted;
    *file = before.file;
    *line = before.line;
    return true;
}

bool Unit::read_form(ByteReader* r, uint64_t form, const char** text, uint64_t* number) const {
    switch (form) {
    case kFormString: *text = r->cstr(); break;
    case kFormLineStrp: *text = string_at(image_.line_str, offset(r)); break;
    case kFormStrp: *text = string_at(image_.str, offset(r)); break;
    case kFormUdata: *number = r->uleb(); break;
    case kFormData1: *number = r->u8(); break;
    case kFormData2: *number = r->u16(); break;
    case kFormData4: *number = r->u32(); break;
    case kFormData8: *number = r->u64(); break;
    case kFormData16: r->skip(16); break;
    case kFormBlock: r->skip(r->uleb()); break;
    case kFormBlock1: r->skip(r->u8()); break;
    case kFormBlock2: r->skip(r->u16()); break;
    case kFormBlock4: r->skip(r->u32()); break;
    default: return false;
    }
    return r->ok();
}

bool Unit::read_table(ByteReader* r, uint64_t wanted, Entry* out) const {
    const unsigned columns = r->u8();
    ByteReader format = *r;
    for (unsigned i = 0; i < columns * 2; ++i) r->uleb();
    const uint64_t n = r->uleb();
    if (columns == 0 && n) return false;  // entries of nothing: any number of them would fit
    for (uint64_t i = 0; i < n && r->ok(); ++i) {
        ByteReader f = format;
        for (unsigned c = 0; c < columns; ++c) {
            const uint64_t content = f.uleb(), form = f.uleb();
            const char* text = nullptr;
            uint64_t number = 0;
            if (!read_form(r, form, &text, &number)) return false;
            if (i != wanted) continue;
            if (content == kContentPath) out->path = text;
            if (content == kContentDirectory) out->directory = number;
        }
    }
    return r->ok();
}

bool Unit::describe_v4(uint64_t file, LineInfo* out) {
    ByteReader r = tables_;
    const ByteReader directories = r;
    while (*r.cstr()) {
    }
    for (uint64_t i = 1; r.more(); ++i) {
        const char* name = r.cstr();
        if (!*name) return false;
        uint64_t directory = r.uleb();
        r.uleb();  // time
        r.uleb();  // size
        if (i != file) continue;
        out->file = name;
        ByteReader d = directories;
        for (uint64_t k = 1; k <= directory && d.ok(); ++k) out->dir = d.cstr();
        return true;
    }
    return false;
}

bool Unit::describe(uint64_t file, LineInfo* out) {
    out->base = out->dir = "";
    out->file = nullptr;
    if (version_ < 5) return describe_v4(file, out);
    ByteReader r = tables_;
    Entry none, found, directory, base;
    if (!read_table(&r, UINT64_MAX, &none) || !read_table(&r, file, &found) || !found.path) return false;
    out->file = found.path;
    r = tables_;
    if (read_table(&r, found.directory, &directory) && directory.path) out->dir = directory.path;
    r = tables_;
    if (found.directory != 0 && read_table(&r, 0, &base) && base.path) out->base = base.path;
    return true;
}

}  // namespace

static void drop_what_is_absolute(LineInfo* out) {
    if (out->file[0] == '/') out->base = out->dir = "";
    if (out->dir[0] == '/') out->base = "";
}

static ByteReader next_unit(ByteReader* r, bool* wide) {
    uint64_t length = r->u32();
    *wide = length == 0xffffffff;
    if (*wide) length = r->u64();
    return r->part(length);
}

bool find_line(const Image& image, uint64_t address, LineInfo* out, uint64_t from, SkipFile skip) {
    out->file = nullptr;
    ByteReader all(image.line.data, image.line.data + image.line.size);
    while (all.more()) {
        bool wide;
        const ByteReader bytes = next_unit(&all, &wide);
        Unit unit(image, bytes, wide);
        uint64_t file = 0;
        uint32_t line = 0;
        if (!unit.header() || !unit.covers(address, from, skip, &file, &line) || !unit.describe(file, out))
            continue;
        out->line = line;
        drop_what_is_absolute(out);
        return true;
    }
    return false;
}

bool describe_file(const Image& image, uint64_t offset, uint64_t file, LineInfo* out) {
    out->file = nullptr;
    if (offset >= image.line.size) return false;
    ByteReader all(image.line.data + offset, image.line.data + image.line.size);
    bool wide;
    const ByteReader bytes = next_unit(&all, &wide);
    Unit unit(image, bytes, wide);
    if (!unit.header() || !unit.describe(file, out)) return false;
    drop_what_is_absolute(out);
    return true;
}

}  // namespace gort::rt
