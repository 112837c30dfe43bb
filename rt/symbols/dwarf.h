// rt/symbols/dwarf.h - reading DWARF's byte streams: a cursor that cannot leave its bounds.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel/mem.h"

namespace gort::rt {

// After a read past the end everything reads as 0 and ok() is false.
class ByteReader {
public:
    ByteReader(const uint8_t* p, const uint8_t* end) : p_(p <= end ? p : nullptr), end_(end) {}

    const uint8_t* at() const { return p_; }
    const uint8_t* end() const { return end_; }
    bool ok() const { return p_ != nullptr; }
    bool more() const { return p_ && p_ < end_; }
    size_t left() const { return p_ ? static_cast<size_t>(end_ - p_) : 0; }

    void skip(uint64_t n) {
        if (n > left()) p_ = nullptr;
        else p_ += n;
    }
    template <class T>
    T get() {
        T v{};
        if (left() < sizeof v) {
            p_ = nullptr;
            return v;
        }
        kernel::copy_bytes(&v, p_, sizeof v);
        p_ += sizeof v;
        return v;
    }
    uint8_t u8() { return get<uint8_t>(); }
    uint16_t u16() { return get<uint16_t>(); }
    uint32_t u32() { return get<uint32_t>(); }
    uint64_t u64() { return get<uint64_t>(); }
    uint64_t uleb() {
        uint64_t v = 0;
        for (unsigned shift = 0;; shift += 7) {
            const uint8_t b = u8();
            if (shift < 64) v |= static_cast<uint64_t>(b & 0x7f) << shift;
            if (!(b & 0x80)) return v;
        }
    }
    int64_t sleb() {
        uint64_t v = 0;
        for (unsigned shift = 0;;) {
            const uint8_t b = u8();
            if (shift < 64) v |= static_cast<uint64_t>(b & 0x7f) << shift;
            shift += 7;
            if (b & 0x80) continue;
            if ((b & 0x40) && shift < 64) v |= ~uint64_t{0} << shift;
            return static_cast<int64_t>(v);
        }
    }
    const char* cstr() {
        auto* s = reinterpret_cast<const char*>(p_);
        while (u8() != 0) {
        }
        return ok() ? s : "";
    }
    // The next n bytes as a reader of their own.
    ByteReader part(uint64_t n) {
        const uint8_t* start = p_;
        skip(n);
        return ok() ? ByteReader(start, p_) : ByteReader(nullptr, nullptr);
    }

private:
    const uint8_t* p_;
    const uint8_t* end_;
};

}  // namespace gort::rt
