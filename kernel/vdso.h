// kernel/vdso.h - what the kernel handed to the process: the auxiliary vector, and functions of the vDSO.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context: any thread. Reads /proc/self/auxv, unless somebody said who else knows it: callers keep what they got.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gort::kernel {

// An AT_ value, 0 when it is not there.
uintptr_t auxv_value(uintptr_t type);
// From now on `ask` is asked instead: libc has the vector in memory, and the file costs 3 us each time.
void auxv_source(uintptr_t (*ask)(uintptr_t type));

// The address of a dynamic function symbol in an ELF image that lies in memory as it was loaded, or null.
// `version` is matched when the image has versions. Trusts only what it can bound: a broken image gives null,
// never a wild read of more than the image's own tables.
void* elf_symbol(const void* image, const char* name, const char* version);

}  // namespace gort::kernel
