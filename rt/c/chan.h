// rt/c/chan.h - what a gort_chan is.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "chan/ops.h"
#include "rt/c/c.h"

namespace gort::c {

struct Elem : detail::ElemOps {
    size_t bytes;  // as the program says; a word's slot has 8
    Elem* next;
};

inline detail::Hchan* hchan(gort_chan* c) { return reinterpret_cast<detail::Hchan*>(c); }
inline const detail::Hchan* hchan(const gort_chan* c) { return reinterpret_cast<const detail::Hchan*>(c); }
inline gort_chan* handle(detail::Hchan* c) { return reinterpret_cast<gort_chan*>(c); }

// An unbuffered channel without elements, which only closes.
detail::Hchan* signal_new();

}  // namespace gort::c
