// rt/trace/label.h - a goroutine's label: set_label's text, for all that shows goroutines.
// SPDX-License-Identifier: BSD-2-Clause
//
// A G has no room for it, and needs none as long as no goroutine sets one: a Label is a goroutine-local object
// (rt/local.h), so it ends with its goroutine, and G::label takes the place of G::invoke, which is not needed once the
// goroutine runs; kGLabeled tells which of the two it is.
// Labels are never unmapped before the end of the process, and their last byte is always 0: who shows another goroutine
// may read one that changes or goes away meanwhile, and shows something odd at the worst.
#pragma once

#include "rt/local.h"
#include "rt/own/g.h"

namespace gort::rt {

inline constexpr size_t kLabelRoom = 64;

struct Label : detail::GLocal {
    G* of = nullptr;
    char text[kLabelRoom] = {};
};

inline const char* label_text(const Label* label) { return label->text; }

}  // namespace gort::rt
