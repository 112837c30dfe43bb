# tools/gort_gdb/target.py - the program under gdb: its CPU, memory and sections, and the table that says where things are.
# SPDX-License-Identifier: BSD-2-Clause
import bisect
import collections
import re
import struct

import gdb

WORD = 8
MOST_FRAMES = 256

class Arch:
    def __init__(self, pc, sp, fp, dwarf_fp, dwarf_sp):
        self.pc, self.sp, self.fp = pc, sp, fp  # gdb's names of the registers
        self.dwarf_fp, self.dwarf_sp = dwarf_fp, dwarf_sp

        self.signs = pc == "pc"  # ARM64: return addresses

    def code(self, address):  # of a return address
        return address & ((1 << 48) - 1) if self.signs else address


ARCHES = {"i386:x86-64": Arch("rip", "rsp", "rbp", 6, 7), "aarch64": Arch("pc", "sp", "x29", 29, 31)}


def arch_here():
    name = gdb.newest_frame().architecture().name()
    if name not in ARCHES:
        raise gdb.GdbError("goroutines: this is a program for " + name + ", not for x86-64 or ARM64")
    return ARCHES[name]


def read(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def read_word(address):
    return struct.unpack("<Q", read(address, WORD))[0]


def read_string(address, most=4096):
    if not address:
        return ""
    out = b""
    while b"\0" not in out and len(out) < most:
        out += read(address + len(out), 64 - (address + len(out)) % 64)
    return out.split(b"\0")[0].decode("utf-8", "replace")


SECTION = re.compile(r"^\s*(0x[0-9a-f]+) - (0x[0-9a-f]+) is (\S+)(?: in (.+))?$")


class Sections:
    """The sections of the program and its libraries where they lie now."""

    def __init__(self):
        self.all = []
        for line in gdb.execute("info files", False, True).splitlines():
            m = SECTION.match(line)
            if m:
                self.all.append((int(m.group(1), 16), int(m.group(2), 16), m.group(3), m.group(4)))
        self.all = sorted(set(self.all), key=lambda s: s[0])
        self.starts = [s[0] for s in self.all]

    def named(self, name, file=None, any_file=False):
        for lo, hi, n, f in self.all:
            if n == name and (any_file or f == file):
                return lo, hi
        return None

    def file_of(self, address):  # (file,), or None
        i = bisect.bisect_right(self.starts, address) - 1
        if i >= 0 and address < self.all[i][1]:
            return (self.all[i][3],)
        return None


class Table:
    """What rt/trace/gdb_table.cc says, by name: numbers as they are, addresses as addresses."""

    MAGIC = b"gort-gdb"

    def __init__(self, sections):
        at = None
        try:
            at = int(gdb.parse_and_eval("(unsigned long)&gort_gdb_table"))
        except gdb.error:
            found = sections.named("gort_gdb", any_file=True)
            if found:
                at = found[0]
        head = read(at, 24) if at else b""
        if head[:8] != self.MAGIC:
            raise gdb.GdbError("goroutines: there is no gort in this program, or it has not been started")
        numbers, addresses, size, _ = struct.unpack_from("<4I", head, 8)
        body = read(at + 24, (numbers + addresses) * WORD + size)
        values = struct.unpack_from("<%dQ" % (numbers + addresses), body)
        text = body[(numbers + addresses) * WORD :].decode()
        number_names, address_names, reasons = text.split("\n")
        self.values = dict(zip(number_names.split(), values))
        self.values.update(zip(address_names.split(), values[numbers:]))
        self.reasons = reasons.split(",")

    def __getitem__(self, name):
        return self.values[name]

    def reader(self, prefix, fields):
        """A struct of these fields, in the order of their offsets, and a tuple of an address and what is there."""
        there = sorted((self.values[prefix + f], f, kind) for f, kind in fields if prefix + f in self.values)
        layout, at = "<", 0
        for offset, _, kind in there:
            layout += "%dx%s" % (offset - at, kind)
            at = offset + struct.calcsize("<" + kind)
        size = self.values.get(prefix + "size", at)
        names = [f.replace(".", "_") for _, f, _ in there]
        record = collections.namedtuple("Record", ["address"] + names, rename=True)
        return struct.Struct(layout + "%dx" % (size - at)), record


G_FIELDS = [("sp", "Q"), ("stack", "Q"), ("status", "I"), ("wait_reason", "B"), ("flags", "H"), ("locked_m", "Q"),
            ("invoke", "Q"), ("id", "Q"), ("site.file", "Q"), ("site.function", "Q"), ("site.line", "I"),
            ("wait_since", "q")]
M_FIELDS = [("next", "Q"), ("curg", "Q"), ("left_g", "Q"), ("locked_sp", "Q"), ("tid", "i"), ("foreign", "B")]
