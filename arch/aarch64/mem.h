// arch/aarch64/mem.h - no string instructions here (FEAT_MOPS is too new): nothing is ever large enough for them.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>

namespace gort::arch {

inline constexpr size_t kBulk = SIZE_MAX;
inline void bulk_copy(void*, const void*, size_t) {}
inline void bulk_zero(void*, size_t) {}

}  // namespace gort::arch
