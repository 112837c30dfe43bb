// bench/switch_asm.h - the assembly of switch_variants.cc, per architecture; the library uses none of it.
// SPDX-License-Identifier: BSD-2-Clause
//
// The functions take what the library's take: where to store our handle, which handle to load. A handle
// points at {fp, pc}, as arch/*/frame.h says, except abi_ret's, which has the other callee-saved registers
// below those two.
#pragma once

#include <cstdint>
#include <cstring>

extern "C" {
void bench_switch_call(void** save, void* load);
void bench_switch_ret(void** save, void* load);
void bench_switch_abi_ret(void** save, void* load);
}

namespace bench {

struct FloorContext {
    void *sp, *fp, *pc;
};

#if defined(__x86_64__)

#define ALL_ELSE                                                                                          \
    "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc",     \
        "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", \
        "xmm12", "xmm13", "xmm14", "xmm15"

// A C function that is jumped to expects rsp as a call would leave it.
inline constexpr unsigned kEntryGap = 8;
inline constexpr unsigned kAbiRetFrame = 7 * 8;  // rbp rbx r12-r15 and the return address
inline constexpr unsigned kAbiRetPc = 6;         // its word

asm(R"(
        .text
        .p2align 5
bench_switch_call:
        pushq   %rbp
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp
        popq    %rbp
        popq    %rcx
        jmp     *%rcx
        .p2align 5
bench_switch_ret:
        pushq   %rbp
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp
        popq    %rbp
        ret
        .p2align 5
bench_switch_abi_ret:
        pushq   %rbx
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        pushq   %rbp
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp
        popq    %rbp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        ret
)");

[[gnu::always_inline]] inline void to_floor(FloorContext* save, FloorContext* load) {
    asm volatile(
        "leaq 1f(%%rip), %%rcx\n\t"
        "movq %%rcx, 16(%%rdi)\n\t"
        "movq %%rsp, 0(%%rdi)\n\t"
        "movq %%rbp, 8(%%rdi)\n\t"
        "movq 0(%%rsi), %%rsp\n\t"
        "movq 8(%%rsi), %%rbp\n\t"
        "notrack jmp *16(%%rsi)\n"
        "1:"
        : "+D"(save), "+S"(load)::ALL_ELSE);
}

[[gnu::always_inline]] inline void to_raw_inline(void** save, void* load) {
    asm volatile(
        "leaq 1f(%%rip), %%rcx\n\t"
        "pushq %%rcx\n\t"
        "pushq %%rbp\n\t"
        "movq %%rsp, (%%rdi)\n\t"
        "movq %%rsi, %%rsp\n\t"
        "popq %%rbp\n\t"
        "popq %%rcx\n\t"
        "jmp *%%rcx\n"
        "1:\n\t"
        "endbr64"
        : "+D"(save), "+S"(load)::ALL_ELSE);
}

[[gnu::always_inline]] inline void to_raw_call(void** save, void* load) {
    asm volatile("call bench_switch_call\n\tendbr64" : "+D"(save), "+S"(load)::ALL_ELSE);
}

[[gnu::always_inline]] inline void to_raw_ret(void** save, void* load) {
    asm volatile("call bench_switch_ret" : "+D"(save), "+S"(load)::ALL_ELSE);
}

#elif defined(__aarch64__)

#define ALL_ELSE                                                                                            \
    "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", \
        "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x30", "memory", "cc", \
        "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14",      \
        "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28",   \
        "v29", "v30", "v31"

inline constexpr unsigned kEntryGap = 0;
inline constexpr unsigned kAbiRetFrame = 160;  // x29 x30 x19-x28 d8-d15
inline constexpr unsigned kAbiRetPc = 1;

asm(R"(
        .text
        .p2align 5
bench_switch_call:
        mov     x16, x30
        stp     x29, x16, [sp, #-16]!
        mov     x9, sp
        str     x9, [x0]
        mov     sp, x1
        ldp     x29, x16, [sp], #16
        br      x16
        .p2align 5
bench_switch_ret:
        stp     x29, x30, [sp, #-16]!
        mov     x9, sp
        str     x9, [x0]
        mov     sp, x1
        ldp     x29, x30, [sp], #16
        ret
        .p2align 5
bench_switch_abi_ret:
        stp     x29, x30, [sp, #-160]!
        stp     x19, x20, [sp, #16]
        stp     x21, x22, [sp, #32]
        stp     x23, x24, [sp, #48]
        stp     x25, x26, [sp, #64]
        stp     x27, x28, [sp, #80]
        stp     d8, d9, [sp, #96]
        stp     d10, d11, [sp, #112]
        stp     d12, d13, [sp, #128]
        stp     d14, d15, [sp, #144]
        mov     x9, sp
        str     x9, [x0]
        mov     sp, x1
        ldp     d14, d15, [sp, #144]
        ldp     d12, d13, [sp, #128]
        ldp     d10, d11, [sp, #112]
        ldp     d8, d9, [sp, #96]
        ldp     x27, x28, [sp, #80]
        ldp     x25, x26, [sp, #64]
        ldp     x23, x24, [sp, #48]
        ldp     x21, x22, [sp, #32]
        ldp     x19, x20, [sp, #16]
        ldp     x29, x30, [sp], #160
        ret
)");

[[gnu::always_inline]] inline void to_floor(FloorContext* save_to, FloorContext* load_from) {
    register FloorContext* save asm("x0") = save_to;
    register FloorContext* load asm("x1") = load_from;
    asm volatile(
        "adr x16, 1f\n\t"
        "mov x9, sp\n\t"
        "stp x9, x29, [x0]\n\t"
        "str x16, [x0, #16]\n\t"
        "ldp x9, x29, [x1]\n\t"
        "ldr x16, [x1, #16]\n\t"
        "mov sp, x9\n\t"
        "br x16\n"
        "1:\n\t"
        "hint #38"
        : "+r"(save), "+r"(load)::ALL_ELSE);
}

[[gnu::always_inline]] inline void to_raw_inline(void** save_to, void* load_from) {
    register void** save asm("x0") = save_to;
    register void* load asm("x1") = load_from;
    asm volatile(
        "adr x16, 1f\n\t"
        "stp x29, x16, [sp, #-16]!\n\t"
        "mov x9, sp\n\t"
        "str x9, [x0]\n\t"
        "mov sp, x1\n\t"
        "ldp x29, x16, [sp], #16\n\t"
        "br x16\n"
        "1:\n\t"
        "hint #38"
        : "+r"(save), "+r"(load)::ALL_ELSE);
}

[[gnu::always_inline]] inline void to_raw_call(void** save_to, void* load_from) {
    register void** save asm("x0") = save_to;
    register void* load asm("x1") = load_from;
    asm volatile("bl bench_switch_call\n\thint #38" : "+r"(save), "+r"(load)::ALL_ELSE);
}

[[gnu::always_inline]] inline void to_raw_ret(void** save_to, void* load_from) {
    register void** save asm("x0") = save_to;
    register void* load asm("x1") = load_from;
    asm volatile("bl bench_switch_ret" : "+r"(save), "+r"(load)::ALL_ELSE);
}

#endif

#undef ALL_ELSE

}  // namespace bench
