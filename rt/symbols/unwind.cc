// rt/symbols/unwind.cc - the call frame tables of .eh_frame (System V ABI, DWARF 5 section 6.4) and what to do with
// them.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/symbols/unwind.h"

#include "arch/sanitize.h"
#include "kernel/mem.h"
#include "rt/symbols/dwarf.h"

namespace gort::rt {

namespace {

using arch::kDwarfFp;
using arch::kDwarfRa;
using arch::kDwarfRegs;
using arch::kDwarfSp;

// The stacks that are read belong to others.
GORT_UNCHECKED bool read_stack(StackRange range, uintptr_t address, uintptr_t* out) {
    if (address < range.lo || address > range.hi || range.hi - address < sizeof(uintptr_t)) return false;
    // By bytes that may alias: a stack in use is no object of ours. The address may have any alignment.
    struct [[gnu::packed, gnu::may_alias]] Word {
        uintptr_t v;
    };
    *out = reinterpret_cast<const volatile Word*>(address)->v;
    return true;
}

// ---- the tables ----

enum : uint8_t {  // pointer encodings
    kPtrAbs = 0x00,
    kPtrUleb = 0x01,
    kPtrU16 = 0x02,
    kPtrU32 = 0x03,
    kPtrU64 = 0x04,
    kPtrSleb = 0x09,
    kPtrS16 = 0x0a,
    kPtrS32 = 0x0b,
    kPtrS64 = 0x0c,
    kPtrPcRel = 0x10,
    kPtrDataRel = 0x30,
    kPtrIndirect = 0x80,
    kPtrOmit = 0xff,
};

// `here` is where the bytes lie when the program runs, if that is not where they are read.
uintptr_t read_pointer(ByteReader* r, uint8_t encoding, uintptr_t data_base, intptr_t here = 0) {
    if (encoding == kPtrOmit) return 0;
    const uintptr_t place = reinterpret_cast<uintptr_t>(r->at()) + static_cast<uintptr_t>(here);
    uintptr_t v = 0;
    switch (encoding & 0x0f) {
    case kPtrAbs:
    case kPtrU64:
    case kPtrS64: v = r->u64(); break;
    case kPtrUleb: v = r->uleb(); break;
    case kPtrU16: v = r->u16(); break;
    case kPtrU32: v = r->u32(); break;
    case kPtrSleb: v = static_cast<uintptr_t>(r->sleb()); break;
    case kPtrS16: v = static_cast<uintptr_t>(static_cast<intptr_t>(r->get<int16_t>())); break;
    case kPtrS32: v = static_cast<uintptr_t>(static_cast<intptr_t>(r->get<int32_t>())); break;
    default: r->skip(SIZE_MAX); return 0;
    }
    switch (encoding & 0x70) {
    case kPtrPcRel: return v ? v + place : 0;
    case kPtrDataRel: return v + data_base;
    default: return v;
    }
}

struct Cie {
    uint64_t code_align = 1;
    int64_t data_align = 1;
    uint64_t ra = kDwarfRa;
    uint8_t encoding = kPtrAbs;
    bool signal_frame = false;
    bool augmented = false;
    ByteReader program{nullptr, nullptr};
};

struct Fde {
    uintptr_t begin, end;  // of the function
    Cie cie;
    ByteReader program{nullptr, nullptr};
};

// A record after its length: its bytes, and whether there was one.
bool read_record(ByteReader* r, ByteReader* record) {
    uint64_t length = r->u32();
    if (length == 0xffffffff) length = r->u64();
    if (!r->ok() || length == 0) return false;
    *record = r->part(length);
    return record->ok();
}

// Records lie in [lo, limit), wherever a broken table says they are.
bool parse_cie(const uint8_t* p, const uint8_t* lo, const uint8_t* limit, Cie* cie) {
    if (p < lo || p >= limit) return false;
    ByteReader all(p, limit), r(nullptr, nullptr);
    if (!read_record(&all, &r) || r.u32() != 0) return false;
    const uint8_t version = r.u8();
    const char* augmentation = r.cstr();
    if (version == 4) r.skip(2);  // sizes of addresses and of segment selectors
    cie->code_align = r.uleb();
    cie->data_align = r.sleb();
    cie->ra = version == 1 ? r.u8() : r.uleb();
    if (*augmentation == 'z') {
        cie->augmented = true;
        ByteReader data = r.part(r.uleb());
        for (const char* a = augmentation + 1; *a; ++a) {
            if (*a == 'R') cie->encoding = data.u8();
            else if (*a == 'L') data.u8();
            else if (*a == 'S') cie->signal_frame = true;
            else if (*a == 'P') {
                const uint8_t encoding = data.u8();
                read_pointer(&data, encoding, 0);
            }
        }
    } else if (*augmentation) {
        return false;
    }
    cie->program = r;
    return r.ok();
}

// The record at p if it is an FDE that covers pc.
bool parse_fde(const uint8_t* p, const uint8_t* lo, const uint8_t* limit, uintptr_t pc, intptr_t here,
               Fde* fde) {
    if (p < lo || p >= limit) return false;
    ByteReader all(p, limit), r(nullptr, nullptr);
    if (!read_record(&all, &r)) return false;
    const uint8_t* id_at = r.at();
    const uint32_t id = r.u32();
    if (!r.ok() || id == 0 || !parse_cie(id_at - id, lo, limit, &fde->cie)) return false;
    fde->begin = read_pointer(&r, fde->cie.encoding, 0, here);
    fde->end = fde->begin + read_pointer(&r, fde->cie.encoding & 0x0f, 0);
    if (fde->cie.augmented) r.skip(r.uleb());
    fde->program = r;
    return r.ok() && pc >= fde->begin && pc < fde->end;
}

// eh_frame without an index, from its start; `here` as for read_pointer.
bool scan_fdes(const uint8_t* p, const uint8_t* end, uintptr_t pc, intptr_t here, Fde* fde) {
    ByteReader r(p, end), record(nullptr, nullptr);
    while (r.more()) {
        const uint8_t* at = r.at();
        if (!read_record(&r, &record)) return false;
        if (parse_fde(at, p, end, pc, here, fde)) return true;
    }
    return false;
}

bool find_fde(Images* images, Image* image, uintptr_t pc, Fde* fde) {
    auto* lo = reinterpret_cast<const uint8_t*>(image->lo);
    auto* limit = reinterpret_cast<const uint8_t*>(image->hi);
    if (!image->eh_hdr) {
        images->open_file(image);
        const Section& s = image->eh_frame;
        if (!s.data) return false;
        const uintptr_t runtime = s.address + image->bias;
        return scan_fdes(s.data, s.data + s.size, pc,
                         static_cast<intptr_t>(runtime - reinterpret_cast<uintptr_t>(s.data)), fde);
    }
    const auto base = reinterpret_cast<uintptr_t>(image->eh_hdr);
    ByteReader r(image->eh_hdr, limit);
    const uint8_t version = r.u8(), frame_encoding = r.u8(), count_encoding = r.u8(), table_encoding = r.u8();
    if (version != 1) return false;
    const uintptr_t frame = read_pointer(&r, frame_encoding, base);
    const uintptr_t count = read_pointer(&r, count_encoding, base);
    if (!r.ok()) return false;
    if (frame < image->lo || frame >= image->hi) return false;
    if (table_encoding != (kPtrDataRel | kPtrS32) || count == 0)
        return scan_fdes(reinterpret_cast<const uint8_t*>(frame), limit, pc, 0, fde);
    if (count > static_cast<size_t>(limit - r.at()) / 8) return false;
    const uint8_t* table = r.at();  // pairs: where a function begins, where its FDE is, both from base
    auto entry = [&](uintptr_t i, size_t word) {
        ByteReader e(table + i * 8 + word * 4, limit);
        return base + static_cast<uintptr_t>(static_cast<intptr_t>(e.get<int32_t>()));
    };
    if (pc < entry(0, 0)) return false;
    uintptr_t low = 0, high = count;  // entry(low) <= pc < entry(high)
    while (high - low > 1) {
        const uintptr_t mid = low + (high - low) / 2;
        if (entry(mid, 0) <= pc) low = mid;
        else high = mid;
    }
    return parse_fde(reinterpret_cast<const uint8_t*>(entry(low, 1)), lo, limit, pc, 0, fde);
}

// ---- the program of a frame ----

enum class How : uint8_t { kSame, kUndefined, kAtOffset, kOffset, kRegister, kAtExpression, kExpression };

struct Rule {
    How how;
    // offset from the CFA, register, or where the expression begins, from the start of the CIE's program
    int32_t value;
};

struct Row {
    Rule reg[kDwarfRegs];
    bool cfa_is_expression;
    uint16_t cfa_reg;
    int32_t cfa_value;
};

void copy_row(Row* to, const Row& from) { kernel::copy_bytes(to, &from, sizeof from); }

class Program {
public:
    Program(const Fde& fde, uintptr_t pc) : fde_(fde), pc_(pc), base_(fde.cie.program.at()) {
        kernel::zero_bytes(&row, sizeof row);
    }
    bool run() {
        loc_ = 0;
        if (!execute(fde_.cie.program, UINTPTR_MAX)) return false;
        copy_row(&initial_, row);
        loc_ = fde_.begin;
        return execute(fde_.program, pc_);
    }
    // The expression that a rule or the CFA refers to.
    ByteReader expression(int32_t value) const {
        ByteReader r(base_ + value,
                     fde_.program.end() > base_ + value ? fde_.program.end() : fde_.cie.program.end());
        return r.part(r.uleb());
    }
    Row row;

private:
    void set(uint64_t reg, How how, int64_t value) {
        if (reg < kDwarfRegs) row.reg[reg] = {how, static_cast<int32_t>(value)};
    }
    void restore(uint64_t reg) {
        if (reg < kDwarfRegs) row.reg[reg] = initial_.reg[reg];
    }
    int64_t offset(uint64_t factored) const { return static_cast<int64_t>(factored) * fde_.cie.data_align; }
    int64_t here(const ByteReader& r) const { return r.at() - base_; }
    bool execute(ByteReader r, uintptr_t until);

    const Fde& fde_;
    const uintptr_t pc_;
    const uint8_t* const base_;
    uintptr_t loc_ = 0;
    unsigned depth_ = 0;
    static constexpr unsigned kDepth = 3;
    Row initial_, saved_[kDepth];
};

// Until the row for `until` is complete: the instructions that come after it describe later addresses.
bool Program::execute(ByteReader r, uintptr_t until) {
    auto advance = [&](uint64_t delta) { loc_ += delta * fde_.cie.code_align; };
    auto skip_block = [&] { r.skip(r.uleb()); };
    while (r.more() && loc_ <= until) {
        const uint8_t op = r.u8();
        const uint8_t low = op & 0x3f;
        switch (op & 0xc0) {
        case 0x40: advance(low); continue;                                // advance_loc
        case 0x80: set(low, How::kAtOffset, offset(r.uleb())); continue;  // offset
        case 0xc0: restore(low); continue;                                // restore
        }
        uint64_t reg;
        // clang-format off
        switch (op) {
        case 0x00: break;                                                   // nop
        case 0x01: loc_ = read_pointer(&r, fde_.cie.encoding, 0); break;    // set_loc
        case 0x02: advance(r.u8()); break;                                  // advance_loc1
        case 0x03: advance(r.u16()); break;
        case 0x04: advance(r.u32()); break;
        case 0x05: reg = r.uleb(); set(reg, How::kAtOffset, offset(r.uleb())); break;   // offset_extended
        case 0x06: restore(r.uleb()); break;                                            // restore_extended
        case 0x07: set(r.uleb(), How::kUndefined, 0); break;
        case 0x08: set(r.uleb(), How::kSame, 0); break;
        case 0x09: reg = r.uleb(); set(reg, How::kRegister, static_cast<int64_t>(r.uleb())); break;
        case 0x0a:                                                          // remember_state
            if (depth_ == kDepth) return false;
            copy_row(&saved_[depth_++], row);
            break;
        case 0x0b:                                                          // restore_state
            if (depth_ == 0) return false;
            copy_row(&row, saved_[--depth_]);
            break;
        case 0x0c:                                                          // def_cfa
            row.cfa_is_expression = false;
            row.cfa_reg = static_cast<uint16_t>(r.uleb());
            row.cfa_value = static_cast<int32_t>(r.uleb());
            break;
        case 0x0d: row.cfa_is_expression = false; row.cfa_reg = static_cast<uint16_t>(r.uleb()); break;
        case 0x0e: row.cfa_value = static_cast<int32_t>(r.uleb()); break;   // def_cfa_offset
        case 0x0f:                                                          // def_cfa_expression
            row.cfa_is_expression = true;
            row.cfa_value = static_cast<int32_t>(here(r));
            skip_block();
            break;
        case 0x10: reg = r.uleb(); set(reg, How::kAtExpression, here(r)); skip_block(); break;
        case 0x11: reg = r.uleb(); set(reg, How::kAtOffset, r.sleb() * fde_.cie.data_align); break;
        case 0x12:                                                          // def_cfa_sf
            row.cfa_is_expression = false;
            row.cfa_reg = static_cast<uint16_t>(r.uleb());
            row.cfa_value = static_cast<int32_t>(r.sleb() * fde_.cie.data_align);
            break;
        case 0x13: row.cfa_value = static_cast<int32_t>(r.sleb() * fde_.cie.data_align); break;
        case 0x14: reg = r.uleb(); set(reg, How::kOffset, offset(r.uleb())); break;     // val_offset
        case 0x15: reg = r.uleb(); set(reg, How::kOffset, r.sleb() * fde_.cie.data_align); break;
        case 0x16: reg = r.uleb(); set(reg, How::kExpression, here(r)); skip_block(); break;
        case 0x2d: break;                                // ARM64: the return address is signed from here on
        case 0x2e: r.uleb(); break;                      // GNU_args_size
        case 0x2f: reg = r.uleb(); set(reg, How::kAtOffset, -offset(r.uleb())); break;
        default: return false;
        }
        // clang-format on
    }
    return r.ok();
}

// What PLT stubs, over-aligned frames and signal frames use of DWARF's expressions.
bool evaluate(ByteReader r, const arch::Regs& regs, StackRange range, bool with_cfa, uintptr_t cfa,
              uintptr_t* out) {
    constexpr unsigned kMax = 16;
    uintptr_t stack[kMax];
    unsigned n = 0;
    if (with_cfa) stack[n++] = cfa;
    auto reg = [&](uint64_t i) { return i < kDwarfRegs ? regs.r[i] : i == kDwarfRa ? regs.pc : 0; };
    while (r.more()) {
        const uint8_t op = r.u8();
        uintptr_t v = 0;
        bool push = true;
        if (op >= 0x30 && op <= 0x4f) v = op - 0x30u;                                               // lit
        else if (op >= 0x50 && op <= 0x6f) v = reg(op - 0x50u);                                     // reg
        else if (op >= 0x70 && op <= 0x8f) v = reg(op - 0x70u) + static_cast<uintptr_t>(r.sleb());  // breg
        else if (op == 0x03 || op == 0x0e || op == 0x0f) v = r.u64();
        else if (op == 0x08) v = r.u8();
        else if (op == 0x09) v = static_cast<uintptr_t>(static_cast<intptr_t>(r.get<int8_t>()));
        else if (op == 0x0a) v = r.u16();
        else if (op == 0x0b) v = static_cast<uintptr_t>(static_cast<intptr_t>(r.get<int16_t>()));
        else if (op == 0x0c) v = r.u32();
        else if (op == 0x0d) v = static_cast<uintptr_t>(static_cast<intptr_t>(r.get<int32_t>()));
        else if (op == 0x10) v = r.uleb();
        else if (op == 0x11) v = static_cast<uintptr_t>(r.sleb());
        else if (op == 0x92) {
            const uint64_t i = r.uleb();
            v = reg(i) + static_cast<uintptr_t>(r.sleb());
        } else push = false;
        if (push) {
            if (n == kMax) return false;
            stack[n++] = v;
            continue;
        }
        if (n == 0) return false;
        uintptr_t& top = stack[n - 1];
        if (op == 0x06) {  // deref
            if (!read_stack(range, top, &top)) return false;
        } else if (op == 0x12) {  // dup
            if (n == kMax) return false;
            stack[n] = top;
            ++n;
        } else if (op == 0x13) {
            --n;
        } else if (op == 0x1f) {
            top = uintptr_t{0} - top;
        } else if (op == 0x20) {
            top = ~top;
        } else if (op == 0x23) {
            top += r.uleb();
        } else if (op == 0x96) {  // nop
        } else {
            if (n < 2) return false;
            const uintptr_t b = stack[--n];
            uintptr_t& a = stack[n - 1];
            const auto sa = static_cast<intptr_t>(a), sb = static_cast<intptr_t>(b);
            switch (op) {
            case 0x16:  // swap
                stack[n++] = a;
                stack[n - 2] = b;
                break;
            case 0x1a: a &= b; break;
            case 0x1c: a -= b; break;
            case 0x1e: a *= b; break;
            case 0x21: a |= b; break;
            case 0x22: a += b; break;
            case 0x24: a = b < 64 ? a << b : 0; break;
            case 0x25: a = b < 64 ? a >> b : 0; break;
            case 0x27: a ^= b; break;
            case 0x29: a = a == b; break;
            case 0x2a: a = sa >= sb; break;
            case 0x2b: a = sa > sb; break;
            case 0x2c: a = sa <= sb; break;
            case 0x2d: a = sa < sb; break;
            case 0x2e: a = a != b; break;
            default: return false;
            }
        }
    }
    if (!r.ok() || n == 0) return false;
    *out = stack[n - 1];
    return true;
}

}  // namespace

Unwinder::Unwinder(Images* images, const arch::Regs& regs, bool exact, StackRange range)
    : images_(images), exact_(exact), range_(range) {
    kernel::copy_bytes(&regs_, &regs, sizeof regs);
    regs_.pc = arch::strip_return_address(regs_.pc);
}

bool Unwinder::step() {
    bool is_end = false;
    if (regs_.pc == 0) return false;
    const uintptr_t before = sp();
    if (!step_by_table(&is_end) && (is_end || !step_by_frame_pointer())) return false;
    const bool up = sp() > before || (first_ && sp() == before);  // a leaf on ARM64 has no frame
    first_ = false;
    return up && sp() <= range_.hi && regs_.pc != 0;
}

bool Unwinder::step_by_table(bool* is_end) {
    Image* image = images_->find(regs_.pc);
    Fde fde;
    const uintptr_t pc = exact_ ? regs_.pc : regs_.pc - 1;
    if (!image || !find_fde(images_, image, pc, &fde)) return false;
    Program program(fde, pc);
    if (!program.run()) return false;
    const Row& row = program.row;

    uintptr_t cfa = 0;
    if (row.cfa_is_expression) {
        if (!evaluate(program.expression(row.cfa_value), regs_, range_, false, 0, &cfa)) return false;
    } else {
        if (row.cfa_reg >= kDwarfRegs) return false;
        cfa = regs_.r[row.cfa_reg] + static_cast<uintptr_t>(static_cast<intptr_t>(row.cfa_value));
    }
    arch::Regs up;
    kernel::copy_bytes(&up, &regs_, sizeof up);
    up.r[kDwarfSp] = cfa;
    for (unsigned i = 0; i < kDwarfRegs; ++i) {
        const Rule rule = row.reg[i];
        const uintptr_t at = cfa + static_cast<uintptr_t>(static_cast<intptr_t>(rule.value));
        uintptr_t address = 0;
        switch (rule.how) {
        case How::kSame: break;
        case How::kUndefined: up.r[i] = 0; break;
        case How::kAtOffset:
            // Another goroutine's stack may have moved on; a register that cannot be read matters only if it is used.
            if (!read_stack(range_, at, &up.r[i]) && i == fde.cie.ra) return false;
            break;
        case How::kOffset: up.r[i] = at; break;
        case How::kRegister:
            if (static_cast<uint32_t>(rule.value) < kDwarfRegs) up.r[i] = regs_.r[rule.value];
            break;
        case How::kAtExpression:
            if (!evaluate(program.expression(rule.value), regs_, range_, true, cfa, &address) ||
                !read_stack(range_, address, &up.r[i])) {
                if (i == fde.cie.ra) return false;
            }
            break;
        case How::kExpression:
            if (!evaluate(program.expression(rule.value), regs_, range_, true, cfa, &up.r[i])) return false;
            break;
        }
    }
    if (fde.cie.ra >= kDwarfRegs || row.reg[fde.cie.ra].how == How::kUndefined) {
        *is_end = true;
        return false;
    }
    up.pc = arch::strip_return_address(up.r[fde.cie.ra]);
    kernel::copy_bytes(&regs_, &up, sizeof up);
    exact_ = fde.cie.signal_frame;
    return true;
}

// Code without tables: both ABIs keep {caller's fp, return address} where fp points.
bool Unwinder::step_by_frame_pointer() {
    const uintptr_t fp = regs_.r[kDwarfFp];
    uintptr_t caller_fp = 0, ra = 0;
    if ((fp & 7) || fp < sp() || !read_stack(range_, fp, &caller_fp) || !read_stack(range_, fp + 8, &ra))
        return false;
    regs_.r[kDwarfFp] = caller_fp;
    regs_.r[kDwarfSp] = fp + 16;
    regs_.pc = regs_.r[kDwarfRa] = arch::strip_return_address(ra);
    exact_ = false;
    return true;
}

}  // namespace gort::rt
