// tests/arch_test.h - what the arch tests share: a stack with its Context, and a switch of either form.
// SPDX-License-Identifier: BSD-2-Clause
//
// Includes no test framework, so that the programs which arch_matrix_test.sh and arch_gdb_test.sh compile can
// use it.
#pragma once
#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "arch/context.h"

namespace arch_test {

using gort::arch::Context;

enum class Form { kRaw, kAbi };
inline constexpr Form kForms[] = {Form::kRaw, Form::kAbi};
inline const char* name_of(Form f) { return f == Form::kRaw ? "raw" : "abi"; }

// context.h's switch_context, with the form to choose.
[[gnu::always_inline]] inline void* swap(Context* from, Context* to, void* transfer, Form form) {
    san_switch_begin(&from->san, &to->san, false);
    void* result = form == Form::kRaw ? gort::arch::switch_to(&from->sp, to->sp, transfer)
                                      : gort_switch_abi(&from->sp, to->sp, transfer);
    san_switch_end(&from->san);
    return result;
}
[[gnu::always_inline]] inline void* swap(Context* from, Context* to, uint64_t transfer, Form form) {
    return swap(from, to, reinterpret_cast<void*>(transfer), form);
}
inline uint64_t u64(void* p) { return reinterpret_cast<uint64_t>(p); }

// A second stack. The body gets the Fiber and the transfer of the first switch to it; when it returns, the
// fiber switches to `back` for good. `form` is how that fiber should switch.
struct Fiber {
    static constexpr size_t kSize = 256 << 10;
    using Body = void (*)(Fiber* self, void* transfer);

    Context self, *back;
    Form form;
    Body body;
    void* arg;
    void* memory;
    bool done = false;

    Fiber(Body b, Context* b2, Form f = Form::kRaw, void* a = nullptr) : back(b2), form(f), body(b), arg(a) {
        memory =
            mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) std::abort();
        context_init(&self, memory, kSize, &Fiber::entry, this);
    }
    ~Fiber() {
        context_destroy(&self);
        munmap(memory, kSize);
    }
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    void* top() { return static_cast<char*>(memory) + kSize; }
    bool holds(const void* p) { return p >= memory && p < top(); }
    void* to_back(uint64_t transfer) { return swap(&self, back, transfer, form); }

    static void entry(void* arg, void* transfer) {
        auto* f = static_cast<Fiber*>(arg);
        context_started(&f->self);
        f->body(f, transfer);
        f->done = true;
        switch_final(&f->self, f->back, nullptr);
    }
};

}  // namespace arch_test
