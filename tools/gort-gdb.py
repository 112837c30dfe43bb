# tools/gort-gdb.py - goroutines in gdb: of a live process or a core, on x86-64 and ARM64.
# SPDX-License-Identifier: BSD-2-Clause
#
#   info goroutines           every goroutine: id, state, since when, where in the program's code, who created it
#   goroutine N CMD           runs a gdb command on goroutine N's stack: goroutine 7 bt, goroutine 7 info locals
#   goroutine all bt          every stack; goroutines with the same one are shown together
#   goroutine all CMD         the command on each goroutine
#
# Nothing is called in the process. A goroutine that runs is shown on its thread. The stack of one that does not is put
# into the selected thread's registers for the time of the command, which then get their values back; in a core, whose
# registers cannot be set, an unwinder gives the thread's innermost frame the goroutine as its caller. Where things
# lie is read from a table in the program (rt/trace/gdb_table.cc), so no debug information is needed for the list
# itself.
#
# Loaded by `gort-gdb PROGRAM`, by `source gort-gdb.py`, or by gdb itself where `make install` put it for that.
#
# What it does is in gort_gdb/, which lies beside this file:
#   target    the program: CPU, memory, sections, the table      names     how frames are called
#   unwind    the unwind tables                                  process   all goroutines at this moment
#   view      gdb on a goroutine's stack                         commands  what the user types
import os
import sys

here = os.path.dirname(os.path.realpath(__file__))
for name in [m for m in sys.modules if m.partition(".")[0] == "gort_gdb"]:
    del sys.modules[name]  # sourced again: perhaps it has changed
writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # the folder is not ours to write in
sys.path.insert(0, here)
try:
    import gort_gdb.commands  # noqa: F401
finally:
    sys.path.remove(here)
    sys.dont_write_bytecode = writes_bytecode
