// rt/sync/once.cc - what once_value says when it has none.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/sync/once.h"

#include "rt/host.h"

namespace gort::detail {

void once_without_value() { rt::host_throw_panic("sync: OnceValue: f ended by goexit and has no value"); }

}  // namespace gort::detail
