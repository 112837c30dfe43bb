// rt/own/wait_reason.cc - see wait_reason.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/own/wait_reason.h"

namespace gort::rt {

const char* wait_reason_text(WaitReason why) { return wait_reason_name(why); }

}  // namespace gort::rt
