// tests/arch_test_live.h - live values across the raw switch, beside a stack that ruins all registers.
// SPDX-License-Identifier: BSD-2-Clause
//
// Each case computes the same checksum twice, once with nothing and once with a switch in the middle of its
// live values. The other stack (gort_test_hostile) gives back every register full of garbage, so what the
// compiler kept in one that the wrapper does not name shows as a wrong sum or a crash. Which registers the
// compiler uses depends on compiler, level and flags: arch_live_test.cc runs this file as the library is
// built, arch_matrix_test.sh as everybody else might.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "tests/arch_test.h"
#include "tests/arch_test_asm.h"
#if defined(__AVX512BW__) || defined(__AVX__)
#include <immintrin.h>
#endif
#if defined(__ARM_FEATURE_SVE)
#include <arm_sve.h>
#endif
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace arch_live {

using arch_test::Context;
using arch_test::Fiber;
using arch_test::Form;

// The stack that ruins registers, and ourselves. Plain globals: each test program has one thread.
inline Context g_me;
inline Fiber* g_hostile;

inline long vector_level() {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") ? 2 : __builtin_cpu_supports("avx") ? 1 : 0;
#else
    return getauxval(AT_HWCAP) & (1 << 22) ? 2 : 0;  // HWCAP_SVE
#endif
}
inline void hostile(Fiber* self, void*) {
    long level = vector_level();
    for (;;) {
        san_switch_begin(&self->self.san, &self->back->san, false);
        gort_test_hostile(&self->self.sp, self->back->sp, level);
        san_switch_end(&self->self.san);
    }
}

// The point in the middle of the live values.
template <bool kSwitch>
[[gnu::always_inline]] inline void hop() {
    if constexpr (kSwitch) {
        switch_context(&g_me, &g_hostile->self, nullptr);
    } else {
        asm volatile("" ::: "memory");
    }
}

// What the compiler may not know the value of, or that somebody looks at it.
template <class T>
[[gnu::noinline]] T opaque(T v) {
    asm volatile("" : "+m"(v)::"memory");
    return v;
}
inline uint64_t bits(double d) {
    uint64_t u;
    std::memcpy(&u, &d, sizeof u);
    return u;
}
#define KEEP_FRAME asm volatile("" ::: "memory")

// ---- the cases ----

template <bool S>
[[gnu::noinline]] uint64_t few_ints(uint64_t seed) {
    uint64_t a = seed, b = seed * 3, c = seed ^ 5;
    for (int i = 0; i < 100; i++) {
        a += b ^ c;
        hop<S>();
        b += a * 7;
        c ^= b >> 3;
    }
    return a ^ b ^ c;
}

// More values than registers, all of them used on both sides of every switch.
template <bool S>
[[gnu::noinline]] uint64_t many_ints(uint64_t s) {
    uint64_t a = s, b = s + 1, c = s + 2, d = s + 3, e = s + 4, f = s + 5, g = s + 6, h = s + 7, i = s + 8,
             j = s + 9, k = s + 10, l = s + 11, m = s + 12, n = s + 13, o = s + 14, p = s + 15, q = s + 16,
             r = s + 17, t = s + 18, u = s + 19, v = s + 20, w = s + 21, x = s + 22, y = s + 23, z = s + 24;
    for (int round = 0; round < 50; round++) {
        hop<S>();
        a += b, b ^= c, c += d, d ^= e, e += f, f ^= g, g += h, h ^= i, i += j, j ^= k, k += l, l ^= m,
            m += n;
        n ^= o, o += p, p ^= q, q += r, r ^= t, t += u, u ^= v, v += w, w ^= x, x += y, y ^= z, z += a;
        hop<S>();
        z ^= b, a += n * 3, n ^= a << 1;
    }
    return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ i ^ j ^ k ^ l ^ m ^ n ^ o ^ p ^ q ^ r ^ t ^ u ^ v ^ w ^ x ^ y ^ z;
}

__extension__ typedef unsigned __int128 Wide;
template <bool S>
[[gnu::noinline]] uint64_t narrow_ints(uint64_t s) {
    uint8_t a = uint8_t(s);
    int16_t b = int16_t(s >> 8);
    int32_t c = int32_t(s >> 16);
    bool flag = s & 1;
    Wide wide = (Wide{s} << 64) | ~s;
    for (int i = 0; i < 50; i++) {
        bool less = c < b;  // the flags of a comparison are used after the switch
        hop<S>();
        if (less) a = uint8_t(a + 1);
        b = int16_t(b + a);
        c ^= b << 4;
        flag = flag != (c & 1);
        wide = wide * 3 + a;
        hop<S>();
    }
    return uint64_t(a) ^ uint64_t(b) ^ uint64_t(c) ^ uint64_t(flag) ^ uint64_t(wide) ^ uint64_t(wide >> 64);
}

// No product is added to anything: where the compiler may fuse the two, it need not do the same in both
// versions.
template <bool S>
[[gnu::noinline]] uint64_t few_doubles(uint64_t s) {
    double a = double(s % 1000), b = a + 0.5, c = a + 0.25;
    for (int i = 0; i < 100; i++) {
        a += b;
        hop<S>();
        b -= c;
        c += a;
        a *= 0.4;
    }
    return bits(a) ^ bits(b) ^ bits(c);
}

// d8-d15 are callee-saved on ARM64: a compiler keeps values there over what looks like a call.
template <bool S>
[[gnu::noinline]] uint64_t many_doubles(uint64_t s) {
    double a = double(s % 100), b = a + 1, c = a + 2, d = a + 3, e = a + 4, f = a + 5, g = a + 6, h = a + 7,
           i = a + 8, j = a + 9, k = a + 10, l = a + 11, m = a + 12, n = a + 13, o = a + 14, p = a + 15,
           q = a + 16, r = a + 17;
    float x = float(s % 10), y = x + 1, z = x + 2;
    for (int round = 0; round < 50; round++) {
        a += b, b -= c, c += d, d -= e, e += f, f -= g;
        hop<S>();
        g += h, h -= i, i += j, j -= k, k += l, l -= m;
        hop<S>();
        m += n, n -= o, o += p, p -= q, q += r, r -= a;
        x += y, y -= z, z += float(round);
    }
    return bits(a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + p + q + r) ^
           bits(double(x + y + z));
}

template <bool S>
[[gnu::noinline]] uint64_t long_doubles(uint64_t s) {  // the x87 stack on x86-64
    long double a = static_cast<long double>(s % 1000), b = a / 3, c = a / 7;
    for (int i = 0; i < 50; i++) {
        a = a / 2 + b;
        hop<S>();
        b = b / 3 + c;
        c = c / 5 + a;
    }
    return bits(double(a)) ^ bits(double(b)) ^ bits(double(c));
}

// The compiler splits the wide ones unless the CPU it builds for has them.
typedef uint32_t V16 __attribute__((vector_size(16)));
typedef uint32_t V32 __attribute__((vector_size(32)));
typedef uint32_t V64 __attribute__((vector_size(64)));
template <bool S, class V>
[[gnu::noinline]] uint64_t vectors(uint64_t s) {
    V v[18];
    for (uint32_t i = 0; i < 18; i++)
        for (uint32_t k = 0; k < sizeof(V) / 4; k++) v[i][k] = uint32_t(s) * (i + 1) + k;
    V a = v[0], b = v[1], c = v[2], d = v[3], e = v[4], f = v[5], g = v[6], h = v[7], i = v[8], j = v[9],
      k = v[10], l = v[11], m = v[12], n = v[13], o = v[14], p = v[15], q = v[16], r = v[17];
    for (int round = 0; round < 20; round++) {
        a += b, b ^= c, c += d, d ^= e, e += f, f ^= g, g += h, h ^= i, i += j;
        hop<S>();
        j ^= k, k += l, l ^= m, m += n, n ^= o, o += p, p ^= q, q += r, r ^= a;
        hop<S>();
    }
    V sum = a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ i ^ j ^ k ^ l ^ m ^ n ^ o ^ p ^ q ^ r;
    uint64_t x = 0;
    for (uint32_t z = 0; z < sizeof(V) / 4; z++) x = x * 31 + sum[z];
    return x;
}

// Vectors and predicates by name, so that they are live in mask registers and not in anything else.
template <bool S>
[[gnu::noinline]] uint64_t masks([[maybe_unused]] uint64_t s) {
#if defined(__AVX512BW__)
    __m512i one = _mm512_set1_epi8(1), x = _mm512_set1_epi64(int64_t(s)), y = _mm512_add_epi8(x, one), z = x;
    __mmask64 a = s, b = s * 3, c = s * 5, d = s * 7, e = s * 11, f = s * 13, g = s * 17, h = s * 19;
    for (int i = 0; i < 20; i++) {
        a = _kadd_mask64(a, b), b = _kxor_mask64(b, c), c = _kadd_mask64(c, d), d = _kxor_mask64(d, e);
        e = _kadd_mask64(e, f), f = _kxor_mask64(f, g), g = _kadd_mask64(g, h), h = _kxor_mask64(h, a);
        hop<S>();
        x = _mm512_mask_add_epi8(x, a, y, one), y = _mm512_mask_add_epi8(y, c, z, x),
        z = _mm512_mask_sub_epi8(z, e, x, y);
        z = _mm512_mask_add_epi8(z, b, z, one), z = _mm512_mask_add_epi8(z, d, z, x),
        z = _mm512_mask_add_epi8(z, f, z, y);
        b = _mm512_cmpgt_epi8_mask(x, z), d = _mm512_cmpgt_epi8_mask(y, x);
    }
    return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^
           uint64_t(_mm512_reduce_add_epi64(_mm512_xor_si512(_mm512_xor_si512(x, y), z)));
#elif defined(__ARM_FEATURE_SVE)
    svuint64_t x = svindex_u64(s, 3), y = svindex_u64(s * 5, 7), z = svdup_u64(s);
    svbool_t all = svptrue_b64(), a = svcmplt(all, x, y), b = svcmpgt(all, x, z),
             c = svwhilelt_b64(uint64_t{0}, s % 3);
    for (int i = 0; i < 20; i++) {
        hop<S>();
        x = svadd_m(a, x, y), y = sveor_m(b, y, x), z = svadd_m(c, z, x);
        hop<S>();
        a = sveor_z(all, a, b), b = svcmplt(all, z, y), c = svnot_z(all, c);
        x = svadd_x(all, x, z);
    }
    return svaddv(all, sveor_x(all, sveor_x(all, x, y), z)) + svcntp_b64(all, a) + svcntp_b64(all, b) * 3;
#else
    return few_ints<S>(s);
#endif
}

// A leaf but for the switch: with a red zone the compiler would put these below the stack pointer.
template <bool S>
[[gnu::noinline]] uint64_t leaf_locals(uint64_t s) {
    volatile uint64_t a[14];
    for (uint64_t i = 0; i < 14; i++) a[i] = s + i;
    hop<S>();
    uint64_t sum = 0;
    for (uint64_t i = 0; i < 14; i++) sum = sum * 3 + a[i];
    return sum;
}

template <bool S>
[[gnu::noinline]] uint64_t over_aligned_locals(uint64_t s) {
    alignas(64) uint64_t a[16];
    for (uint64_t i = 0; i < 16; i++) a[i] = opaque(s + i);
    uint64_t sum = reinterpret_cast<uintptr_t>(a) % 64;
    for (uint64_t i = 0; i < 16; i++) {
        hop<S>();
        sum = sum * 3 + a[i];
    }
    return sum;
}

// arch.h forbids this one, because of clang: with over-aligned locals, or under ASan, it would address its
// frame by rbx.
template <bool S>
[[gnu::noinline]] uint64_t variable_frame([[maybe_unused]] uint64_t s) {
#if defined(__clang__)
    return 0;
#else
    size_t n = opaque(size_t{20} + s % 7);
    auto* a = static_cast<uint64_t*>(__builtin_alloca(n * 8));
    for (size_t i = 0; i < n; i++) a[i] = s * i;
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        hop<S>();
        sum = sum * 5 + a[i];
    }
    return sum;
#endif
}

template <bool S>
[[gnu::noinline]] uint64_t recursion(uint64_t s, int depth) {
    if (depth == 0) return s;
    hop<S>();
    uint64_t left = recursion<S>(s * 3 + uint64_t(depth), depth - 1);
    hop<S>();
    uint64_t right = depth % 4 ? left * 5 : recursion<S>(s ^ left, depth - 1);
    hop<S>();
    return s + left * 7 + right;
}
template <bool S>
uint64_t recursive(uint64_t s) {
    return recursion<S>(s, 12);
}

template <bool S>
[[gnu::noinline]] void throw_some(uint64_t x) {
    hop<S>();
    if (opaque(x) % 3 == 0) throw std::runtime_error("a third of them");
    KEEP_FRAME;
}
// Values that live into a landing pad, over a switch on the way.
template <bool S>
[[gnu::noinline]] uint64_t exceptions(uint64_t s) {
    uint64_t a = s, b = s * 3, caught = 0;
    double d = double(s % 100);
    for (uint64_t i = 0; i < 30; i++) {
        try {
            a += b;
            throw_some<S>(i + s);
            hop<S>();
            d += 1.5;
        } catch (const std::runtime_error&) {
            hop<S>();
            caught++;
            b ^= a + uint64_t(d);
        }
    }
    return a ^ b ^ bits(d) ^ caught;
}

struct Big {
    uint64_t v[12];
};
template <bool S>
[[gnu::noinline]] Big by_value(Big in, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f,
                               uint64_t g) {
    hop<S>();
    for (uint64_t i = 0; i < 12; i++) in.v[i] = in.v[i] * a + b - c + d * e + f + g;
    hop<S>();
    return in;
}
template <bool S>
[[gnu::noinline]] uint64_t arguments_on_the_stack(uint64_t s) {
    Big b{};
    for (uint64_t i = 0; i < 12; i++) b.v[i] = s + i;
    for (uint64_t n = 0; n < 10; n++) b = by_value<S>(b, s, n, 3, 4, 5, s * 6, 7);
    uint64_t sum = 0;
    for (uint64_t x : b.v) sum = sum * 3 + x;
    return sum;
}

// Two switches with equal surroundings, which compilers like to merge into one.
template <bool S>
[[gnu::noinline]] uint64_t branches(uint64_t s) {
    uint64_t a = s, b = s * 3;
    for (int i = 0; i < 60; i++) {
        switch (opaque(a) % 4) {
        case 0:
            a += 5;
            hop<S>();
            break;
        case 1:
            b += 7;
            hop<S>();
            break;
        case 2: hop<S>(); break;
        default: a ^= b; hop<S>();
        }
        a += b ^ 3;
    }
    return a ^ b;
}

template <bool S>
[[gnu::noinline]] uint64_t inlined_deep(uint64_t s) {
    uint64_t a = s, b = s * 3;
    auto one = [&](uint64_t x) {
        a += x;
        hop<S>();
        return a ^ x;
    };
    auto two = [&](uint64_t x) { return one(x) + one(x * 3) * one(b); };
    for (uint64_t i = 0; i < 20; i++) b += two(i) ^ two(a);
    return a + b;
}

struct Case {
    const char* name;
    uint64_t (*without)(uint64_t), (*with)(uint64_t);
};
#define BOTH(fn) \
    { #fn, fn < false>, fn < true> }
inline constexpr Case kCases[] = {
    BOTH(few_ints),
    BOTH(many_ints),
    BOTH(narrow_ints),
    BOTH(few_doubles),
    BOTH(many_doubles),
    BOTH(long_doubles),
    {"vectors_16", vectors<false, V16>, vectors<true, V16>},
    {"vectors_32", vectors<false, V32>, vectors<true, V32>},
    {"vectors_64", vectors<false, V64>, vectors<true, V64>},
    BOTH(masks),
    BOTH(leaf_locals),
    BOTH(over_aligned_locals),
    BOTH(variable_frame),
    BOTH(recursive),
    BOTH(exceptions),
    BOTH(arguments_on_the_stack),
    BOTH(branches),
    BOTH(inlined_deep),
};
#undef BOTH
#undef KEEP_FRAME

// How many seeds gave a wrong sum; a line for each on stdout.
inline int run_case(const Case& c) {
    Fiber f(hostile, &g_me);
    g_hostile = &f;
    int wrong = 0;
    for (uint64_t s : {uint64_t{1}, uint64_t{123456789}, ~uint64_t{0} / 7}) {
        uint64_t want = c.without(opaque(s)), got = c.with(opaque(s));
        if (want == got) continue;
        std::printf("%s(%llu): %llx without a switch, %llx with\n", c.name,
                    static_cast<unsigned long long>(s), static_cast<unsigned long long>(want),
                    static_cast<unsigned long long>(got));
        wrong++;
    }
    return wrong;
}

}  // namespace arch_live
