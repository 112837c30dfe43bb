// rt/traceback.cc - see traceback.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/traceback.h"

namespace gort::rt {
void trace_here(Trace* out) { out->total = out->head = out->tail = 0; }
}  // namespace gort::rt
