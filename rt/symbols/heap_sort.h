// rt/symbols/heap_sort.h - sorting in place, without recursion and without libstdc++.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>

namespace gort::rt {

// T is small and trivially copyable; before(a, b) is a strict order.
template <class T, class Before>
void heap_sort(T* a, size_t n, Before before) {
    auto swap = [a](size_t i, size_t j) {
        const T t = a[i];
        a[i] = a[j];
        a[j] = t;
    };
    auto sift = [&](size_t root, size_t end) {
        for (size_t child; (child = root * 2 + 1) < end; root = child) {
            if (child + 1 < end && before(a[child], a[child + 1])) ++child;
            if (!before(a[root], a[child])) return;
            swap(root, child);
        }
    };
    for (size_t i = n / 2; i-- > 0;) sift(i, n);
    for (size_t end = n; end-- > 1;) {
        swap(0, end);
        sift(0, end);
    }
}

}  // namespace gort::rt
