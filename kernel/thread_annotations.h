// kernel/thread_annotations.h - clang's thread-safety attributes under our own names; nothing for g++.
// SPDX-License-Identifier: BSD-2-Clause
//
// `clang++ -Wthread-safety` proves with them that guarded data is touched only under its lock.
#pragma once

#if defined(__clang__)
#define GORT_TSA(x) __attribute__((x))
#else
#define GORT_TSA(x)
#endif

#define GORT_CAPABILITY(name) GORT_TSA(capability(name))        // on a class: it is a lock
#define GORT_SCOPED_CAPABILITY GORT_TSA(scoped_lockable)        // on a class: locks in its constructor
#define GORT_GUARDED_BY(lock) GORT_TSA(guarded_by(lock))        // on a field
#define GORT_PT_GUARDED_BY(lock) GORT_TSA(pt_guarded_by(lock))  // on a pointer field: what it points to
#define GORT_REQUIRES(...) GORT_TSA(requires_capability(__VA_ARGS__))
#define GORT_EXCLUDES(...) GORT_TSA(locks_excluded(__VA_ARGS__))
#define GORT_ACQUIRE(...) GORT_TSA(acquire_capability(__VA_ARGS__))
#define GORT_RELEASE(...) GORT_TSA(release_capability(__VA_ARGS__))
#define GORT_TRY_ACQUIRE(...) GORT_TSA(try_acquire_capability(__VA_ARGS__))
#define GORT_ASSERT_HELD(...) GORT_TSA(assert_capability(__VA_ARGS__))
#define GORT_RETURN_CAPABILITY(x) GORT_TSA(lock_returned(x))
#define GORT_NO_TSA GORT_TSA(no_thread_safety_analysis)  // with a comment that says why
