// kernel/hidden.h - included before every file of the core (Makefile): whatever is declared there is the library's own.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#pragma GCC visibility push(hidden)
