// rt/symbols/dwarf_inline.cc - walks .debug_info (DWARF 5 sections 2 and 7, and what version 4 has instead).
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/symbols/dwarf_inline.h"

#include <new>

#include "rt/symbols/dwarf.h"

namespace gort::rt {

namespace {

enum : uint64_t {
    kTagEnum = 0x04,
    kTagInlined = 0x1d,
    kTagSubprogram = 0x2e,
};
enum : uint64_t {
    kAtSibling = 0x01,
    kAtName = 0x03,
    kAtStmtList = 0x10,
    kAtLowPc = 0x11,
    kAtHighPc = 0x12,
    kAtAbstractOrigin = 0x31,
    kAtSpecification = 0x47,
    kAtRanges = 0x55,
    kAtCallFile = 0x58,
    kAtCallLine = 0x59,
    kAtLinkageName = 0x6e,
    kAtStrOffsetsBase = 0x72,
    kAtAddrBase = 0x73,
    kAtRnglistsBase = 0x74,
    kAtMipsLinkageName = 0x2007,
};
enum : uint64_t { kFormImplicitConst = 0x21, kFormIndirect = 0x16 };

constexpr uint32_t kIndexed = 1024;  // abbreviations that are found at once
constexpr unsigned kDepth = 256;     // of the tree
constexpr unsigned kHops = 8;        // from one tree entry to the next for a name

struct Value {
    enum Kind : uint8_t {
        kNone,
        kNumber,
        kAddress,
        kAddressIndex,
        kText,
        kTextIndex,
        kReference,
        kOffset,
        kRangesIndex
    };
    Kind kind = kNone;
    uint64_t number = 0;  // a reference: from the section's start
    const char* text = nullptr;
};

// What one entry of the tree says, as far as we ask.
struct Die {
    uint64_t tag = 0;
    bool children = false;
    Value sibling, name, linkage, low, high, ranges, origin, call_file, call_line, stmt_list;
    Value str_offsets, addr, rnglists;
};

const char* text_at(const Section& s, uint64_t at) {
    if (!s.data || at >= s.size) return nullptr;
    ByteReader r(s.data + at, s.data + s.size);
    const char* text = r.cstr();
    return r.ok() ? text : nullptr;
}

ByteReader reader_at(const Section& s, uint64_t at) {
    if (!s.data || at > s.size) return ByteReader(nullptr, nullptr);
    return ByteReader(s.data + at, s.data + s.size);
}

class Unit {
public:
    explicit Unit(const Image& image) : image_(image) {}

    // The unit at r's place; false: it cannot be read. r ends up behind it in any case that allows to go on.
    bool open(ByteReader* r);
    bool contains(uint64_t offset) const { return offset >= begin_ && offset < end_; }
    bool covers(uint64_t address);
    unsigned inlined_at(uint64_t address, InlinedCall* out);
    // The name of the entry at this offset of the section, which lies in this unit; or where to look on.
    bool name_of(uint64_t offset, const char** name, bool* mangled, uint64_t* onward);

private:
    bool find_abbreviation(uint64_t code, ByteReader* out);
    bool read(ByteReader* r, Die* die);
    bool read_value(ByteReader* r, uint64_t form, ByteReader* abbreviation, Value* out,
                    bool indirect = false);
    const char* text_of(const Value& v) const;
    bool address_of(const Value& v, uint64_t* out) const;
    bool address_at(uint64_t index, uint64_t* out) const {
        ByteReader r = reader_at(image_.addr, addr_base_ + index * 8);
        *out = r.u64();
        return index < image_.addr.size && r.ok();
    }
    bool has(const Die& die, uint64_t address) const;
    bool in_ranges(const Value& v, uint64_t address) const;
    bool in_rnglist(uint64_t at, uint64_t address) const;
    uint64_t offset(ByteReader* r) const { return wide_ ? r->u64() : r->u32(); }

    const Image& image_;
    uint64_t begin_ = 0, end_ = 0;  // in the section
    ByteReader dies_{nullptr, nullptr};
    uint16_t version_ = 0;
    bool wide_ = false;
    uint64_t abbrev_ = 0, low_ = 0, str_offsets_base_ = 0, addr_base_ = 0, rnglists_base_ = 0;
    Value stmt_list_;
    uint32_t indexed_ = 0;           // how many are, from code 1 on
    uint32_t index_[kIndexed] = {};  // code - 1 -> offset in .debug_abbrev
};

bool Unit::open(ByteReader* r) {
    begin_ = static_cast<uint64_t>(r->at() - image_.info.data);
    uint64_t length = r->u32();
    wide_ = length == 0xffffffff;
    if (wide_) length = r->u64();
    dies_ = r->part(length);
    if (!dies_.ok()) return false;
    end_ = begin_ + length + (wide_ ? 12 : 4);
    version_ = dies_.u16();
    if (version_ < 2 || version_ > 5) return false;
    uint8_t type = 1;
    if (version_ == 5) {
        type = dies_.u8();
        dies_.u8();  // size of addresses
        abbrev_ = offset(&dies_);
        if (type == 4 || type == 5) dies_.skip(8);  // split: only a skeleton is here
        if (type == 2 || type == 6) return false;   // types
    } else {
        abbrev_ = offset(&dies_);
        dies_.u8();
    }
    indexed_ = 0;
    ByteReader a = reader_at(image_.abbrev, abbrev_);
    while (indexed_ < kIndexed && a.more()) {
        const auto at = static_cast<uint32_t>(a.at() - image_.abbrev.data);
        if (a.uleb() != indexed_ + 1) break;  // compilers count: others are looked for
        a.uleb();
        a.u8();
        for (;;) {
            const uint64_t attribute = a.uleb(), form = a.uleb();
            if (form == kFormImplicitConst) a.sleb();
            if ((attribute == 0 && form == 0) || !a.ok()) break;
        }
        if (a.ok()) index_[indexed_++] = at;
    }
    // The root says where this unit's parts of the other sections begin.
    addr_base_ = rnglists_base_ = str_offsets_base_ = wide_ ? 16 : 8;
    if (wide_) rnglists_base_ = 20;
    else rnglists_base_ = 12;
    ByteReader root = dies_;
    Die die;
    if (!read(&root, &die)) return false;
    if (die.str_offsets.kind) str_offsets_base_ = die.str_offsets.number;
    if (die.addr.kind) addr_base_ = die.addr.number;
    if (die.rnglists.kind) rnglists_base_ = die.rnglists.number;
    stmt_list_ = die.stmt_list;
    low_ = 0;
    address_of(die.low, &low_);
    return true;
}

bool Unit::find_abbreviation(uint64_t code, ByteReader* out) {
    if (code - 1 < indexed_) {
        *out = reader_at(image_.abbrev, index_[code - 1]);
        out->uleb();
        return true;
    }
    *out = reader_at(image_.abbrev, abbrev_);
    while (out->more()) {
        const uint64_t here = out->uleb();
        if (here == code) return true;
        if (here == 0) return false;
        out->uleb();
        out->u8();
        for (;;) {
            const uint64_t attribute = out->uleb(), form = out->uleb();
            if (form == kFormImplicitConst) out->sleb();
            if ((attribute == 0 && form == 0) || !out->ok()) break;
        }
    }
    return false;
}

bool Unit::read_value(ByteReader* r, uint64_t form, ByteReader* abbreviation, Value* out, bool indirect) {
    using K = Value;
    auto number = [&](uint64_t v) { *out = {K::kNumber, v, nullptr}; };
    auto reference = [&](uint64_t v) { *out = {K::kReference, begin_ + v, nullptr}; };
    auto three = [&] {
        const uint64_t low = r->u16();
        return low | uint64_t{r->u8()} << 16;
    };
    switch (form) {
    case 0x01: *out = {K::kAddress, r->u64(), nullptr}; break;
    case 0x03: r->skip(r->u16()); break;
    case 0x04: r->skip(r->u32()); break;
    case 0x05: number(r->u16()); break;
    case 0x06: number(r->u32()); break;
    case 0x07: number(r->u64()); break;
    case 0x08: *out = {K::kText, 0, r->cstr()}; break;
    case 0x09:
    case 0x18: r->skip(r->uleb()); break;
    case 0x0a: r->skip(r->u8()); break;
    case 0x0b:
    case 0x0c: number(r->u8()); break;
    case 0x0d: number(static_cast<uint64_t>(r->sleb())); break;
    case 0x0e: *out = {K::kText, 0, text_at(image_.str, offset(r))}; break;
    case 0x0f: number(r->uleb()); break;
    case 0x10: *out = {K::kReference, version_ == 2 ? r->u64() : offset(r), nullptr}; break;
    case 0x11: reference(r->u8()); break;
    case 0x12: reference(r->u16()); break;
    case 0x13: reference(r->u32()); break;
    case 0x14: reference(r->u64()); break;
    case 0x15: reference(r->uleb()); break;
    case kFormIndirect: {
        const uint64_t real = r->uleb();
        return !indirect && real != kFormImplicitConst && read_value(r, real, abbreviation, out, true);
    }
    case 0x17: *out = {K::kOffset, offset(r), nullptr}; break;
    case 0x19: number(1); break;
    case 0x1a: *out = {K::kTextIndex, r->uleb(), nullptr}; break;
    case 0x1b: *out = {K::kAddressIndex, r->uleb(), nullptr}; break;
    case 0x1c: r->skip(4); break;
    case 0x1d: offset(r); break;
    case 0x1e: r->skip(16); break;
    case 0x1f: *out = {K::kText, 0, text_at(image_.line_str, offset(r))}; break;
    case 0x20:
    case 0x24: r->skip(8); break;
    case kFormImplicitConst: number(static_cast<uint64_t>(abbreviation->sleb())); break;
    case 0x22: r->uleb(); break;
    case 0x23: *out = {K::kRangesIndex, r->uleb(), nullptr}; break;
    case 0x25: *out = {K::kTextIndex, r->u8(), nullptr}; break;
    case 0x26: *out = {K::kTextIndex, r->u16(), nullptr}; break;
    case 0x27: *out = {K::kTextIndex, three(), nullptr}; break;
    case 0x28: *out = {K::kTextIndex, r->u32(), nullptr}; break;
    case 0x29: *out = {K::kAddressIndex, r->u8(), nullptr}; break;
    case 0x2a: *out = {K::kAddressIndex, r->u16(), nullptr}; break;
    case 0x2b: *out = {K::kAddressIndex, three(), nullptr}; break;
    case 0x2c: *out = {K::kAddressIndex, r->u32(), nullptr}; break;
    default: return false;
    }
    return r->ok();
}

// One entry and its values; tag 0 ends a list of children.
bool Unit::read(ByteReader* r, Die* die) {
    *die = Die{};
    const uint64_t code = r->uleb();
    if (!r->ok()) return false;
    if (code == 0) return true;
    ByteReader a(nullptr, nullptr);
    if (!find_abbreviation(code, &a)) return false;
    die->tag = a.uleb();
    die->children = a.u8() != 0;
    for (;;) {
        const uint64_t attribute = a.uleb(), form = a.uleb();
        if (!a.ok()) return false;
        if (attribute == 0 && form == 0) return true;
        Value v;
        if (!read_value(r, form, &a, &v)) return false;
        switch (attribute) {
        case kAtSibling: die->sibling = v; break;
        case kAtName: die->name = v; break;
        case kAtLinkageName:
        case kAtMipsLinkageName: die->linkage = v; break;
        case kAtLowPc: die->low = v; break;
        case kAtHighPc: die->high = v; break;
        case kAtRanges: die->ranges = v; break;
        case kAtAbstractOrigin:
        case kAtSpecification: die->origin = v; break;
        case kAtCallFile: die->call_file = v; break;
        case kAtCallLine: die->call_line = v; break;
        case kAtStmtList: die->stmt_list = v; break;
        case kAtStrOffsetsBase: die->str_offsets = v; break;
        case kAtAddrBase: die->addr = v; break;
        case kAtRnglistsBase: die->rnglists = v; break;
        }
    }
}

const char* Unit::text_of(const Value& v) const {
    if (v.kind == Value::kText) return v.text;
    if (v.kind != Value::kTextIndex || v.number >= image_.str_offsets.size) return nullptr;
    ByteReader r = reader_at(image_.str_offsets, str_offsets_base_ + v.number * (wide_ ? 8 : 4));
    const uint64_t at = offset(&r);
    return r.ok() ? text_at(image_.str, at) : nullptr;
}

bool Unit::address_of(const Value& v, uint64_t* out) const {
    if (v.kind == Value::kAddressIndex) return address_at(v.number, out);
    *out = v.number;
    return v.kind == Value::kAddress;
}

bool Unit::in_rnglist(uint64_t at, uint64_t address) const {
    ByteReader r = reader_at(image_.rnglists, at);
    uint64_t base = low_, from = 0, to = 0;
    while (r.more()) {
        bool ok = true;
        switch (r.u8()) {
        case 1:
            ok = address_at(r.uleb(), &base);
            from = to = 0;
            break;
        case 2:
            ok = address_at(r.uleb(), &from);
            ok &= address_at(r.uleb(), &to);
            break;
        case 3:
            ok = address_at(r.uleb(), &from);
            to = from + r.uleb();
            break;
        case 4:
            from = base + r.uleb();
            to = base + r.uleb();
            break;
        case 5:
            base = r.u64();
            from = to = 0;
            break;
        case 6:
            from = r.u64();
            to = r.u64();
            break;
        case 7:
            from = r.u64();
            to = from + r.uleb();
            break;
        default: return false;  // 0: the end
        }
        if (!ok || !r.ok()) return false;
        if (address >= from && address < to) return true;
    }
    return false;
}

bool Unit::in_ranges(const Value& v, uint64_t address) const {
    if (v.kind == Value::kRangesIndex) {
        if (v.number >= image_.rnglists.size) return false;
        ByteReader r = reader_at(image_.rnglists, rnglists_base_ + v.number * (wide_ ? 8 : 4));
        const uint64_t at = offset(&r);
        return r.ok() && in_rnglist(rnglists_base_ + at, address);
    }
    if (version_ >= 5) return in_rnglist(v.number, address);
    ByteReader r = reader_at(image_.ranges, v.number);
    for (uint64_t base = low_; r.more();) {
        const uint64_t from = r.u64(), to = r.u64();
        if (!r.ok() || (from == 0 && to == 0)) return false;
        if (from == UINT64_MAX) base = to;
        else if (address >= base + from && address < base + to) return true;
    }
    return false;
}

bool Unit::has(const Die& die, uint64_t address) const {
    if (die.ranges.kind) return in_ranges(die.ranges, address);
    uint64_t low = 0;
    if (!die.low.kind || !die.high.kind || !address_of(die.low, &low)) return false;
    uint64_t high = die.high.number;
    if (die.high.kind == Value::kNumber) high += low;
    else if (!address_of(die.high, &high)) return false;
    return address >= low && address < high;
}

bool Unit::covers(uint64_t address) {
    ByteReader r = dies_;
    Die root;
    return read(&r, &root) && root.tag && has(root, address);
}

unsigned Unit::inlined_at(uint64_t address, InlinedCall* out) {
    ByteReader r = dies_;
    unsigned n = 0, depth = 0;
    Die die;
    do {
        if (!read(&r, &die)) break;
        if (die.tag == 0) {
            if (depth) --depth;
            continue;
        }
        const bool code = die.tag == kTagSubprogram || die.tag == kTagInlined;
        const bool here = code && has(die, address);
        if (here && die.tag == kTagInlined && n < kMostInlined) {
            InlinedCall& call = out[n++];
            call.name = nullptr;
            call.mangled = false;
            call.from = {"", "", nullptr, 0};
            // until find_inlined follows it
            call.name =
                reinterpret_cast<const char*>(die.origin.kind == Value::kReference ? die.origin.number : 0);
            if (stmt_list_.kind) describe_file(image_, stmt_list_.number, die.call_file.number, &call.from);
            call.from.line = static_cast<uint32_t>(die.call_line.number);
        }
        // Functions that are elsewhere are stepped over, where the compiler says how. Those without a place, and types,
        // may hold a local class whose functions have one.
        const bool skip = code ? !here && (die.ranges.kind || die.low.kind) : die.tag == kTagEnum;
        if (die.children && skip && die.sibling.kind == Value::kReference && contains(die.sibling.number)) {
            const uint8_t* to = image_.info.data + die.sibling.number;
            if (to > r.at() && to < r.end()) {
                r = ByteReader(to, r.end());
                continue;
            }
        }
        if (die.children && ++depth > kDepth) break;
    } while (depth && r.more());
    return n;
}

bool Unit::name_of(uint64_t offset, const char** name, bool* mangled, uint64_t* onward) {
    ByteReader r(image_.info.data + offset, image_.info.data + end_);
    Die die;
    *onward = 0;
    if (!contains(offset) || !read(&r, &die) || die.tag == 0) return false;
    if (const char* linkage = text_of(die.linkage)) {
        *name = linkage;
        *mangled = true;
        return true;
    }
    if (const char* plain = text_of(die.name)) *name = plain;
    if (die.origin.kind == Value::kReference) *onward = die.origin.number;
    return true;
}

// Everything that a look-up needs, too large for a stack.
struct Work {
    explicit Work(const Image& image) : unit(image), other(image) {}
    Unit unit, other;
};

void find_name(const Image& image, Work* work, uint64_t at, InlinedCall* call) {
    call->name = nullptr;
    for (unsigned hop = 0; at && hop < kHops; ++hop) {
        Unit* unit = &work->unit;
        if (!unit->contains(at)) {
            unit = &work->other;
            if (!unit->contains(at)) {
                bool found = false;
                ByteReader r(image.info.data, image.info.data + image.info.size);
                while (!found && r.more()) found = unit->open(&r) && unit->contains(at);
                if (!found) return;
            }
        }
        if (!unit->name_of(at, &call->name, &call->mangled, &at)) return;
    }
}

}  // namespace

unsigned find_inlined(const Image& image, uint64_t address, InlinedCall* out) {
    if (!image.info.data || !image.abbrev.data) return 0;
    void* memory = take_memory(sizeof(Work));
    if (!memory) return 0;
    auto* work = new (memory) Work(image);
    ByteReader r(image.info.data, image.info.data + image.info.size);
    unsigned n = 0;
    while (r.more()) {
        if (!work->unit.open(&r) || !work->unit.covers(address)) continue;
        n = work->unit.inlined_at(address, out);
        break;
    }
    for (unsigned i = 0; i < n; ++i)
        find_name(image, work, reinterpret_cast<uintptr_t>(out[i].name), &out[i]);
    for (unsigned i = 0; i < n / 2; ++i) {  // found from the outermost inwards
        const InlinedCall swap = out[i];
        out[i] = out[n - 1 - i];
        out[n - 1 - i] = swap;
    }
    give_memory(memory, sizeof(Work));
    return n;
}

}  // namespace gort::rt
