// arch/aarch64/clone.S - the first instructions of a raw thread. arch/x86_64/clone.S tells the story.
// SPDX-License-Identifier: BSD-2-Clause

#include "arch/asm.h"

#define NR_exit 93
#define NR_clone 220

// long gort_clone(unsigned long flags, void* stack_top, int* parent_tid, int* child_tid, void* tls,
//                 void (*fn)(void*), void* arg)
//
//   in       x0 flags   x1 stack_top   x2 parent_tid   x3 child_tid   x4 tls   x5 fn   x6 arg
//   kernel   x0 flags   x1 stack       x2 parent_tid   x3 tls         x4 child_tid
//   out      parent: x0 tid or -errno           child: never returns
//
// The child gets all our registers but x0 and sp, so fn and arg stay where they are: a system call keeps x1
// to x30.
FUNC(gort_clone)
        mov     x7, x3
        mov     x3, x4
        mov     x4, x7
        mov     x8, #NR_clone
        svc     #0
        cbz     x0, 1f
        ret
1:      // The child. No code called it: a backtrace ends here.
        .cfi_undefined x30
        mov     x29, #0
        mov     x30, #0
        mov     x0, x6
        blr     x5
        mov     x0, #0
        mov     x8, #NR_exit
        svc     #0
        brk     #1
END(gort_clone)

END_OF_FILE
