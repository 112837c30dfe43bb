// kernel/tls.cc - the one thread_local of the library.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/tls.h"

// Named by the assembly of arch/*/tls.h only, so the compiler must be told that it is used.
// Constant-initialized: no constructor, no guard, no access function. Visible, as the functions are: fast paths that
// are
// inlined into a shared object of the user's find it in the program.
extern "C" {
[[gnu::used, gnu::visibility("default"),
  gnu::tls_model("initial-exec")]] constinit thread_local gort::kernel::ThreadArea gort_tls_self{};
}
