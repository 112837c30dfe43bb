// tests/fuzz/symbols_fuzz.cc - libFuzzer's target for what reads program files: tests/fuzz/run.sh builds and runs it.
// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/symbols.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    gort::fuzz::symbols(data, size);
    return 0;
}
