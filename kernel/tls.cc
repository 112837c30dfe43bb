// kernel/tls.cc - the one thread_local of the library.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/tls.h"

// Named by the assembly of arch/*/tls.h only, so the compiler must be told that it is used.
// Constant-initialized: no constructor, no guard, no access function. Hidden, as all of the library: the fast paths
// that are inlined in users' code belong to the library in the same program or shared object. Initial-exec: a
// shared object that is opened late takes these few bytes of what libc keeps free for that.
extern "C" {
[[gnu::used, gnu::visibility("hidden"),
  gnu::tls_model("initial-exec")]] constinit thread_local gort::kernel::ThreadArea gort_tls_self{};
}
