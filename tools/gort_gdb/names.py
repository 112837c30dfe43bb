# tools/gort_gdb/names.py - frames as people read them: which are the program's own, and how one is named.
# SPDX-License-Identifier: BSD-2-Clause
import re

import gdb

from gort_gdb.target import MOST_FRAMES

RUNTIME = re.compile(r"^(gort::|gort_|std::|__gnu_cxx::|__cxa_|_Unwind_|__gxx_|__cxxabiv1::)")
CALLED = re.compile(r"gort::(?:detail::Call|run)<")
INSTALLED = re.compile(r"/gort/(arch|kernel|rt|chan|ctx)/")


class Ours:
    """Tells gort's files, for names do not always: a lambda's is operator(), and with -g1 namespaces are left out."""

    known, folders = {}, ()

    @classmethod
    def learn(cls):
        cls.known, cls.folders = {}, ()
        try:
            symtab = gdb.find_pc_line(int(gdb.parse_and_eval("(unsigned long)&gort_entry"))).symtab
        except gdb.error:
            return
        root = symtab and re.match(r"(.*/)arch/\w+/switch\.S$", symtab.fullname())
        if root:
            cls.folders = tuple(root.group(1) + f for f in ("arch/", "kernel/", "rt/", "chan/", "ctx/"))

    @classmethod
    def has(cls, symtab):
        name = symtab.filename
        if name not in cls.known:
            full = symtab.fullname()
            cls.known[name] = bool(INSTALLED.search(full) or full.startswith(cls.folders or ("\0",)))
        return cls.known[name]


LIBRARY = re.compile(r"(^|/)(libc|libpthread|libm|libgcc_s|libstdc\+\+|libc\+\+\w*|libunwind)[.-]")


def is_runtime(name, symtab, pc):
    return bool(RUNTIME.match(name) or (symtab and Ours.has(symtab))
                or LIBRARY.search(gdb.solib_name(pc) or ""))


def without_result(name):
    """"void f<int>(long)" -> "f<int>(long)"."""
    depth = 0
    for i, c in enumerate(name):
        if c in "<({":
            if c == "(":
                return name
            depth += 1
        elif c in ">)}":
            depth -= 1
        elif c == " " and depth == 0 and not name[:i].endswith("operator"):
            return without_result(name[i + 1 :])
    return name


def what_was_called(name):
    """The user's function in the name of the template that calls it."""
    m = CALLED.search(name)
    if not m:
        return name
    depth = 0
    for i in range(m.end(), len(name)):
        if depth == 0 and name[i] in ",>":
            return name[m.end() : i].rstrip("&") + "::operator()()"
        depth += (name[i] in "<({") - (name[i] in ">)}")
    return name


def frame_name(frame):
    function = frame.function()
    name = function.print_name if function else frame.name()
    return without_result(name) if name else None


def frame_text(frame):
    name = frame_name(frame) or "%#x in ??" % frame.pc()
    sal = frame.find_sal()
    return "%s at %s:%d" % (name, sal.symtab.filename, sal.line) if sal and sal.symtab else name


def user_frame(frame):
    """The innermost frame of the program's own code from this one on, or None. Code without lines, such as libc's, only
    if there is no other."""
    candidate = None
    for _ in range(MOST_FRAMES):
        if frame is None:
            break
        name = frame_name(frame)
        sal = frame.find_sal()
        symtab = sal.symtab if sal else None
        if name is not None and not is_runtime(name, symtab, frame.pc()):
            if symtab:
                return frame
            candidate = candidate or frame
        frame = frame.older()
    return candidate

def runs_users_code(pc):
    """Does the program's own code run at this return address, inlined or not, as far as there is debug info?"""
    try:
        block = gdb.block_for_pc(pc - 1)
    except RuntimeError:
        return False
    while block is not None and not block.is_static and not block.is_global:
        f = block.function
        if f and not is_runtime(without_result(f.print_name), f.symtab, pc):
            return True
        block = block.superblock
    return False


def caller_text(pc):
    """Where in the program a call returns to this address; "" if in gort itself or nowhere."""
    sal, name = gdb.find_pc_line(pc - 1), None
    try:
        block = gdb.block_for_pc(pc - 1)
    except RuntimeError:
        block = None
    while block is not None and not block.is_static and not block.is_global:
        if block.function:
            name = without_result(block.function.print_name)
            break
        block = block.superblock
    if name is None:
        symbol = gdb.execute("info symbol %#x" % (pc - 1), False, True)
        name = "" if symbol.startswith("No symbol") else without_result(symbol.split(" ")[0])
    if not name or is_runtime(name, sal.symtab, pc):
        return ""
    return "%s at %s:%d" % (name, sal.symtab.filename, sal.line) if sal.symtab else name
