// rt/sync/once.cc - what once_value says when it has none.
// SPDX-License-Identifier: BSD-2-Clause
//
// Without once.h, whose templates need exceptions.
#include "rt/host.h"

namespace gort::detail {

[[noreturn]] void once_without_value();

void once_without_value() { rt::host_throw_panic("sync: OnceValue: f ended by goexit and has no value"); }

}  // namespace gort::detail
