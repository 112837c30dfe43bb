// PUBLIC
// rt/safe_errno.h - errno that a goroutine may use before and after a call that parks, on whatever thread it wakes.
// SPDX-License-Identifier: BSD-2-Clause
//
// errno is *__errno_location(), and glibc declares that function const: the compiler may call it once and keep the
// address. A goroutine that parks can wake on another thread, and would then use the errno of the thread that it left.
// So every public header includes this one before all others, and no use of errno in such a file is const:
//   1. Where nobody has included <errno.h> yet, we include it without the attribute.
//   2. A body for __errno_location is inlined early. It calls libc's function by a pointer whose value the compiler
//      does not know. So the calls in inline functions that were compiled before this header (std::stoi) are not
//      merged once they are inlined elsewhere; and neither are ours when link-time optimization takes the declaration,
//      const and all, of a file that does not include gort.
//   3. Where <errno.h> came first, errno is a macro for a function of ours. clang needs it: it merges const calls in
//      one function once before it inlines anything.
// What is left, with clang only: one function, defined before this header was included, that itself uses errno, calls
// something that parks, and uses errno again. Include gort's headers before the header that defines it.
//
// The *value* of errno is not kept across a park: it belongs to the thread. Read it before the next call into gort.
// Plain C may include this header as well.
#pragma once
#pragma GCC system_header  // no pedantic warnings: a function of libc is declared again

#if __STDC_HOSTED__  // the core is compiled without libc and has no errno
#include <features.h>

#if defined(__GLIBC__) && !defined(_ERRNO_H)
#pragma push_macro("__attribute_const__")
#undef __attribute_const__
#define __attribute_const__
#include <errno.h>
#pragma pop_macro("__attribute_const__")
#else
#include <errno.h>
#define GORT_ERRNO_CAME_FIRST
#endif

#if defined(__cplusplus) && defined(__THROW)
#define GORT_THROW __THROW
#else
#define GORT_THROW
#endif
#ifdef __cplusplus
#define GORT_INLINE inline __attribute__((__always_inline__))
extern "C" {
#else
#define GORT_INLINE static __inline__ __attribute__((__always_inline__))
#endif
// Not emitted anywhere: where its address is asked for that is libc's function.
extern __inline__ __attribute__((__always_inline__, __gnu_inline__)) int* __errno_location(void) GORT_THROW {
    __typeof__(&__errno_location) libc = &__errno_location;
    __asm__ __volatile__("" : "+r"(libc));
    return libc();
}
#ifdef GORT_ERRNO_CAME_FIRST
GORT_INLINE int* gort_errno_location(void) GORT_THROW {
    __typeof__(&__errno_location) libc = &__errno_location;
    __asm__ __volatile__("" : "+r"(libc));
    return libc();
}
#undef errno
#define errno (*gort_errno_location())
#endif
#ifdef __cplusplus
}
#endif

#undef GORT_INLINE
#undef GORT_THROW
#undef GORT_ERRNO_CAME_FIRST
#endif
