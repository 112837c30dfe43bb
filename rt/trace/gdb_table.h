// rt/trace/gdb_table.h - where things are, for a debugger: tools/gort-gdb.py reads this table and knows no offset
// itself.
// SPDX-License-Identifier: BSD-2-Clause
//
// The table is data in each program, in a section of its own (gort_gdb), so that it is found in a stripped program and
// in a core, too. It names its entries, so a script and a library of different versions understand each other as far as
// they have the same names.
//      text        number            address
//      "G.id "     offset of G::id   -
//      "allm "     -                 &sched.allm
#pragma once

#include "rt/base/slab.h"

namespace gort::rt {

struct G;
extern Slab<G> g_slab;  // rt/sched/free_list.cc: every G there is

// Makes the linker take the table into the program; costs nothing else.
void gdb_table_keep();

}  // namespace gort::rt
