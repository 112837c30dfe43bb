// PUBLIC
// rt/sync/readers.h - who reads without a lock, and when what was removed may be destroyed; no part of the interface.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "../config.h"

#include <cstddef>
#include <cstdint>

#include "../own/gate_fast.h"

namespace gort::detail {

// A short visit, for nothing that blocks, throws or calls gort, is a stay inside the gate: gate_enter, gate_leave.
unsigned readers_begin();  // a long visit: anything
void readers_end(unsigned phase);
uint64_t readers_phase();  // after something was removed: the phase it belongs to
// what was removed in phases below the result is not seen by any reader any more
uint64_t readers_advance(uint64_t phase);

struct Retired {
    Retired* next = nullptr;
    void (*destroy)(Retired*) = nullptr;
    uint64_t phase = 0;
};

// What was removed and waits. Guarded by its owner's lock; destroy is called without.
class RetiredList {
public:
    void add(Retired* r, void (*how)(Retired*)) {
        r->destroy = how;
        r->next = nullptr;
        *tail_ = r;
        tail_ = &r->next;
        ++count_;
    }
    size_t count() const { return count_; }
    // All that no reader can see any more; the rest stays. Never blocks for long.
    Retired* take_passed();
    Retired* take_all() {
        Retired* all = head_;
        head_ = nullptr;
        tail_ = &head_;
        count_ = 0;
        return all;
    }
    static void destroy(Retired* list) {
        while (list) {
            Retired* next = list->next;
            list->destroy(list);
            list = next;
        }
    }

private:
    Retired* head_ = nullptr;
    Retired** tail_ = &head_;
    size_t count_ = 0;
};

class LongVisit {
public:
    LongVisit() : phase_(readers_begin()) {}
    ~LongVisit() { readers_end(phase_); }
    LongVisit(const LongVisit&) = delete;
    LongVisit& operator=(const LongVisit&) = delete;

private:
    unsigned phase_;
};

}  // namespace gort::detail
