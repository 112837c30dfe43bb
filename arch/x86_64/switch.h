// PUBLIC
// arch/x86_64/switch.h - the raw switch, inlined where it happens: in the library, and in yield() of code that GCC
// compiles.
// SPDX-License-Identifier: BSD-2-Clause
//
// Not for users. What it asks of the function that it lands in, arch/arch.h says for the library. In rt/go.h it stands
// between two calls, so that the function has no red zone; GCC addresses no frame through a register that is clobbered.
#pragma once

namespace gort::arch {

// What code compiled for newer CPUs may keep besides. "xmm0" stands for the whole of zmm0.
#ifdef __AVX512F__
#define GORT_CLOBBER_AVX512                                                                              \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", \
        "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define GORT_CLOBBER_AVX512
#endif
#ifdef __APX_F__
#define GORT_CLOBBER_APX                                                                                \
    , "r16", "r17", "r18", "r19", "r20", "r21", "r22", "r23", "r24", "r25", "r26", "r27", "r28", "r29", \
        "r30", "r31"
#else
#define GORT_CLOBBER_APX
#endif

// Suspends the running stack, stores its handle in *save_sp and resumes the stack of handle load_sp.
// `transfer` arrives there as the result of the call that suspended it; the result here is what whoever
// resumes us hands over. rbp is the one register that switch.S keeps, because where it is the frame pointer
// it cannot be a clobber.
[[gnu::always_inline]] inline void* switch_to(void** save_sp, void* load_sp, void* transfer) {
    // Register variables: with "+a", "+D", "+S" GCC sends load_sp through the stack, which the switch waits for.
    register void* value asm("rax") = transfer;
    register void** save asm("rdi") = save_sp;
    register void* load asm("rsi") = load_sp;
    asm volatile(
        "leaq 1f(%%rip), %%rcx\n\t"
        "jmp gort_switch\n"
        "1:\n\t"
        "endbr64"
        : "+r"(value), "+r"(save), "+r"(load)
        :
        : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc", "xmm0",
          "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
          "xmm13", "xmm14", "xmm15", "mm0", "mm1", "mm2", "mm3", "mm4", "mm5", "mm6", "mm7", "st", "st(1)",
          "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)" GORT_CLOBBER_AVX512 GORT_CLOBBER_APX);
    return value;
}
#undef GORT_CLOBBER_AVX512
#undef GORT_CLOBBER_APX

}  // namespace gort::arch
