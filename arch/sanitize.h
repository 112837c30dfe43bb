// arch/sanitize.h - what ASan, TSan and Valgrind must be told about stacks; nothing in release.
// SPDX-License-Identifier: BSD-2-Clause
//
// Only arch/context.h uses these, around the one switch. Without a tool every function is empty and SanStack
// has no bytes that are ever touched.
// Invariants: a thread's own stack is resumed only by a stack that runs on that thread, so what ASan tells
// the resumed side about it may be written down there without a lock.
// Ordering: TSan's fiber switch makes everything before it visible to the resumed stack, which is what the
// scheduler's own protocols give; TSan checks what users do, the models in tests/model check what we do.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__SANITIZE_ADDRESS__)
#define GORT_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define GORT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GORT_ASAN 1
#elif __has_feature(thread_sanitizer)
#define GORT_TSAN 1
#endif
#endif
#ifndef GORT_ASAN
#define GORT_ASAN 0
#endif
#ifndef GORT_TSAN
#define GORT_TSAN 0
#endif
// Of a function that looks into what others own or are writing: the tools know nothing of that. A macro, and not
// [[gnu::no_sanitize]], which clang does not know.
#if GORT_ASAN || GORT_TSAN
#define GORT_UNCHECKED __attribute__((noinline, no_sanitize("address", "thread")))
#else
#define GORT_UNCHECKED
#endif
// Valgrind costs a dozen cheap instructions for each new stack, none for a switch; debug builds only.
#if defined(GORT_DEBUG) && !GORT_ASAN && !GORT_TSAN && __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define GORT_VALGRIND 1
#else
#define GORT_VALGRIND 0
#endif

#if GORT_ASAN
// The tool's own runtime has them: they are not hidden as what is ours is (kernel/hidden.h).
#pragma GCC visibility push(default)
extern "C" {
void __sanitizer_start_switch_fiber(void** fake_stack_save, const void* bottom, size_t size);
void __sanitizer_finish_switch_fiber(void* fake_stack, const void** old_bottom, size_t* old_size);
void __asan_unpoison_memory_region(const volatile void* address, size_t size);
void __lsan_register_root_region(const void* address, size_t size);
void __lsan_unregister_root_region(const void* address, size_t size);
}
#pragma GCC visibility pop
#endif
#if GORT_TSAN
#pragma GCC visibility push(default)
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
}
#pragma GCC visibility pop
#endif

namespace gort::arch {

inline constexpr bool kToolWatches = GORT_ASAN || GORT_TSAN || GORT_VALGRIND;

// Does a tool watch this very run? A build for Valgrind also runs without it, and then behaves as any other.
inline bool tool_watches_now() {
#if GORT_VALGRIND
    return RUNNING_ON_VALGRIND != 0;
#else
    return kToolWatches;
#endif
}

#if GORT_ASAN || GORT_TSAN || GORT_VALGRIND
struct SanStack {
    const void* bottom = nullptr;  // lowest byte; ASan says it of a thread's own stack when that is left
    size_t size = 0;
    void* fake = nullptr;         // ASan: fake stack of a suspended stack
    SanStack* learner = nullptr;  // ASan: the thread's own stack without a bottom that switched to this one
    bool own = false;             // ASan: a thread's own stack, and LSan looks for pointers there
    void* fiber = nullptr;        // TSan
    unsigned vg_id = 0;           // Valgrind
};
#else
struct SanStack {};
#endif

// A new stack [bottom, bottom + size) is about to be used; called before init_stack writes to it. The memory
// may still carry the poison of frames that were never left (a goroutine that ended by switch_final).
inline void san_stack_created([[maybe_unused]] SanStack* s, [[maybe_unused]] void* bottom,
                              [[maybe_unused]] size_t size) {
#if GORT_ASAN || GORT_TSAN || GORT_VALGRIND
    *s = SanStack{};
    s->bottom = bottom;
    s->size = size;
#endif
#if GORT_ASAN
    __asan_unpoison_memory_region(bottom, size);
#elif GORT_TSAN
    s->fiber = __tsan_create_fiber(0);
#elif GORT_VALGRIND
    s->vg_id = VALGRIND_STACK_REGISTER(bottom, static_cast<char*>(bottom) + size);
#endif
}

// The stack is suspended or finished and will never run again; its memory may be reused for something else.
// For a thread's own stack nothing is given back: it goes on running.
inline void san_stack_destroyed([[maybe_unused]] SanStack* s) {
#if GORT_ASAN
    if (s->own) __lsan_unregister_root_region(s->bottom, s->size);
    else if (s->bottom) __asan_unpoison_memory_region(s->bottom, s->size);
#elif GORT_TSAN
    if (s->bottom) __tsan_destroy_fiber(s->fiber);
#elif GORT_VALGRIND
    if (s->bottom) VALGRIND_STACK_DEREGISTER(s->vg_id);
#endif
#if GORT_ASAN || GORT_TSAN || GORT_VALGRIND
    *s = SanStack{};
#endif
}

// Just before the switch, on the stack that is left. `dies`: it will never be resumed (ASan frees its fake
// stack).
[[gnu::always_inline]] inline void san_switch_begin([[maybe_unused]] SanStack* from,
                                                    [[maybe_unused]] SanStack* to,
                                                    [[maybe_unused]] bool dies) {
#if GORT_ASAN
    to->learner = from->bottom ? nullptr : from;
    __sanitizer_start_switch_fiber(dies ? nullptr : &from->fake, to->bottom, to->size);
#elif GORT_TSAN
    if (!from->fiber) from->fiber = __tsan_get_current_fiber();  // a thread's own stack
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
}

// First thing on the resumed or new stack.
[[gnu::always_inline]] inline void san_switch_end([[maybe_unused]] SanStack* me) {
#if GORT_ASAN
    const void* bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(me->fake, &bottom, &size);
    me->fake = nullptr;
    if (me->learner) {
        me->learner->bottom = bottom;
        me->learner->size = size;
        // To LSan a thread has one stack, from now on the one it runs on; a goroutine may call exit while main() has
        // memory in hand. LSan asks the kernel which pages of the region there are.
        me->learner->own = true;
        __lsan_register_root_region(bottom, size);
    }
#endif
}

// A call on another stack: what is said to ASan on both sides of it, whether the call returns or throws.
class SanCall {
public:
    SanCall([[maybe_unused]] void* bottom, [[maybe_unused]] size_t size, void (*fn)(void*), void* arg)
        : fn_(fn), arg_(arg) {
#if GORT_ASAN
        __asan_unpoison_memory_region(bottom, size);  // of frames that an exception left
        __sanitizer_start_switch_fiber(&fake_, bottom, size);
#endif
    }
#if GORT_ASAN
    ~SanCall() { __sanitizer_finish_switch_fiber(fake_, nullptr, nullptr); }
#endif
    SanCall(const SanCall&) = delete;
    SanCall& operator=(const SanCall&) = delete;

    // What the other stack runs.
    static void run(void* arg) {
        auto* call = static_cast<SanCall*>(arg);
#if GORT_ASAN
        struct There {
            const void* bottom;
            size_t size;
            There() { __sanitizer_finish_switch_fiber(nullptr, &bottom, &size); }
            ~There() { __sanitizer_start_switch_fiber(nullptr, bottom, size); }
        } there;
#endif
        call->fn_(call->arg_);
    }

private:
    void (*fn_)(void*);
    void* arg_;
#if GORT_ASAN
    void* fake_ = nullptr;
#endif
};

}  // namespace gort::arch
