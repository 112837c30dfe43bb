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
import bisect
import re
import struct
import time

import gdb
import gdb.unwinder

WORD = 8
MOST_FRAMES = 256


class Arch:
    def __init__(self, pc, sp, fp, dwarf_fp, dwarf_sp):
        self.pc, self.sp, self.fp = pc, sp, fp  # gdb's names of the registers
        self.dwarf_fp, self.dwarf_sp = dwarf_fp, dwarf_sp

    def code(self, address):  # of a return address, which ARM64 may have signed
        return address & ((1 << 48) - 1) if self.pc == "pc" else address


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


# ---- sections and the table ----

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
        """A struct of these fields, in the order of their offsets, and their names without the dots."""
        there = sorted((self.values[prefix + f], f, kind) for f, kind in fields if prefix + f in self.values)
        layout, at = "<", 0
        for offset, _, kind in there:
            layout += "%dx%s" % (offset - at, kind)
            at = offset + struct.calcsize("<" + kind)
        size = self.values.get(prefix + "size", at)
        return struct.Struct(layout + "%dx" % (size - at)), [f.replace(".", "_") for _, f, _ in there]


G_FIELDS = [("sp", "Q"), ("stack", "Q"), ("status", "I"), ("wait_reason", "B"), ("flags", "H"), ("locked_m", "Q"),
            ("invoke", "Q"), ("id", "Q"), ("site.file", "Q"), ("site.function", "Q"), ("site.line", "I"),
            ("wait_since", "q")]
M_FIELDS = [("next", "Q"), ("curg", "Q"), ("left_g", "Q"), ("locked_sp", "Q"), ("tid", "i"), ("foreign", "B")]


class Record:
    def __init__(self, address, names, values):
        self.address = address
        self.__dict__.update(zip(names, values))


# ---- walking parked stacks: many, so by our own reading of the unwind tables, with each address looked up once ----


class Bytes:
    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def get(self, kind):
        v = struct.unpack_from("<" + kind, self.data, self.at)[0]
        self.at += struct.calcsize(kind)
        return v

    def uleb(self):
        v = shift = 0
        while True:
            b = self.data[self.at]
            self.at += 1
            v |= (b & 0x7F) << shift
            shift += 7
            if b < 0x80:
                return v

    def sleb(self):
        start = self.at
        v = self.uleb()
        bits = 7 * (self.at - start)
        return v - (1 << bits) if v >> (bits - 1) else v

    def pointer(self, encoding, place):
        kinds = {0: "Q", 2: "H", 3: "I", 4: "Q", 10: "h", 11: "i", 12: "q"}
        start = self.at
        v = self.get(kinds[encoding & 0x0F])
        if encoding & 0x70 == 0x10:
            v += place + start
        return v & ((1 << 64) - 1)


class NoRule(Exception):
    """This walker does not know how to go on: gdb may."""


class Rules:
    """pc -> (CFA's register, CFA's offset, where sp-relative the return address and fp are); None: the stack's end."""

    def __init__(self, sections, arch):
        self.sections, self.arch = sections, arch
        self.rules, self.indexes = {}, {}

    def at(self, pc):
        try:
            return self.rules[pc]
        except KeyError:
            pass
        try:
            rule = self.compute(pc - 1)
        except (KeyError, IndexError, struct.error, gdb.error, NoRule):
            rule = NoRule
        self.rules[pc] = rule
        return rule

    def index(self, file):
        if file not in self.indexes:
            where = self.sections.named(".eh_frame_hdr", file[0])
            frames = self.sections.named(".eh_frame", file[0])
            if not where or not frames:
                raise NoRule()
            data = read(where[0], where[1] - where[0])
            if data[0] != 1 or data[3] != 0x3B or data[2] != 0x03:
                raise NoRule()
            skip = {0x1B: 4, 0x03: 4}[data[1]]
            count = struct.unpack_from("<I", data, 4 + skip)[0]
            pairs = struct.unpack_from("<%di" % (2 * count), data, 8 + skip)
            self.indexes[file] = (where[0], pairs[0::2], pairs[1::2], frames[0], read(frames[0], frames[1] - frames[0]))
        return self.indexes[file]

    def compute(self, pc):
        file = self.sections.file_of(pc)
        if file is None:
            raise NoRule()
        base, starts, places, frame_base, frame = self.index(file)
        i = bisect.bisect_right(starts, pc - base) - 1
        if i < 0:
            raise NoRule()
        r = Bytes(frame, base + places[i] - frame_base)
        end = r.get("I") + r.at
        id_at = r.at
        cie = Bytes(frame, id_at - r.get("I"))
        cie_end = cie.get("I") + cie.at
        cie.at += 4
        version = cie.get("B")
        augmentation = frame[cie.at : frame.index(b"\0", cie.at)].decode()
        cie.at += len(augmentation) + 1
        if version not in (1, 3) or (augmentation and augmentation[0] != "z"):
            raise NoRule()
        code_align, data_align = cie.uleb(), cie.sleb()
        ra = cie.get("B") if version == 1 else cie.uleb()
        encoding = 0
        if augmentation:
            after = cie.uleb() + cie.at
            for a in augmentation[1:]:
                if a == "R":
                    encoding = cie.get("B")
                elif a == "P":
                    e = cie.get("B")
                    cie.pointer(e & 0x0F, 0)
                elif a == "L":
                    cie.at += 1
                elif a == "S":
                    raise NoRule()
            cie.at = after
        begin = r.pointer(encoding, frame_base)
        size = r.pointer(encoding & 0x0F, 0)
        if not begin <= pc < begin + size:
            raise NoRule()
        if augmentation:
            r.at += r.uleb()
        row = {"cfa": None, "regs": {}}
        self.run(cie, cie_end, row, None, 1 << 64, 0, code_align, data_align)
        first = dict(row["regs"])
        self.run(r, end, row, first, pc, begin, code_align, data_align)
        regs = row["regs"]
        if regs.get(ra) == "undefined":
            return None
        if row["cfa"] is None or row["cfa"][0] not in (self.arch.dwarf_sp, self.arch.dwarf_fp):
            raise NoRule()
        return row["cfa"][0] == self.arch.dwarf_fp, row["cfa"][1], regs[ra], regs.get(self.arch.dwarf_fp)

    def run(self, r, end, row, first, until, loc, code_align, data_align):
        """DWARF's call frame instructions; offsets only, which is what compilers write."""
        regs, saved = row["regs"], []
        while r.at < end and loc <= until:
            op = r.get("B")
            low = op & 0x3F
            if op & 0xC0 == 0x40:
                loc += low * code_align
            elif op & 0xC0 == 0x80:
                regs[low] = r.uleb() * data_align
            elif op & 0xC0 == 0xC0 or op == 6:
                reg = low if op & 0xC0 else r.uleb()
                regs.pop(reg, None)
                if first and reg in first:
                    regs[reg] = first[reg]
            elif op in (2, 3, 4):
                loc += r.get({2: "B", 3: "H", 4: "I"}[op]) * code_align
            elif op == 5:
                reg = r.uleb()
                regs[reg] = r.uleb() * data_align
            elif op == 7:
                regs[r.uleb()] = "undefined"
            elif op == 8:
                regs.pop(r.uleb(), None)
            elif op == 0x0A:
                saved.append((row["cfa"], dict(regs)))
            elif op == 0x0B:
                row["cfa"], old = saved.pop()
                regs.clear()
                regs.update(old)
            elif op == 0x0C:
                row["cfa"] = (r.uleb(), r.uleb())
            elif op == 0x0D:
                row["cfa"] = (r.uleb(), row["cfa"][1])
            elif op == 0x0E:
                row["cfa"] = (row["cfa"][0], r.uleb())
            elif op == 0x0F:
                r.at += r.uleb()
                row["cfa"] = (-1, 0)
            elif op == 0x11:
                reg = r.uleb()
                regs[reg] = r.sleb() * data_align
            elif op in (0x10, 0x16):
                regs[r.uleb()] = "expression"
                r.at += r.uleb()
            elif op == 0x09:
                regs[r.uleb()] = "register"
                r.uleb()
            elif op == 0x2E:
                r.uleb()
            elif op not in (0, 0x2D):
                raise NoRule()


# ---- the process ----


class Unwinder(gdb.unwinder.Unwinder):
    """Where registers cannot be set: the innermost frame's caller is the goroutine."""

    class Id:
        def __init__(self, sp, pc):
            self.sp, self.pc = sp, pc

    def __init__(self):
        super().__init__("gort-goroutine")
        self.regs = None
        self.plain = set()  # numbers of registers that have no name and that gdb wants to be 0

    def __call__(self, pending):
        # The thread's innermost frame: by its sp, for functions inlined in it have the first numbers.
        if self.regs is None or int(pending.read_register(self.regs["arch"].sp)) != self.regs["thread_sp"]:
            return None
        info = pending.create_unwind_info(self.Id(gdb.Value(self.regs["below"]), gdb.Value(self.regs["pc"])))
        for which in ("pc", "sp", "fp"):
            name = getattr(self.regs["arch"], which)
            kind = pending.read_register(name).type
            info.add_saved_register(name, gdb.Value(self.regs[which]).cast(kind))
        for number in self.plain:
            info.add_saved_register(number, gdb.Value(0).cast(gdb.lookup_type("unsigned long")))
        return info


UNWINDER = Unwinder()
gdb.unwinder.register_unwinder(None, UNWINDER, replace=True)


class Selection:
    """Thread and frame as the user left them."""

    def __enter__(self):
        self.thread, self.level = gdb.selected_thread(), gdb.selected_frame().level()
        return self

    def __exit__(self, *_):
        if self.thread and self.thread.is_valid():
            self.thread.switch()
        frame = gdb.newest_frame()
        for _ in range(self.level):
            frame = frame.older() or frame
        frame.select()


class OnStack:
    """Goroutine g is what gdb looks at. set_registers: as the thread's own; else, or where they cannot be set, as the
    caller of the thread's innermost frame, which is then selected."""

    def __init__(self, process, g, set_registers):
        self.process, self.g, self.set_registers = process, g, set_registers
        self.values = []

    def __enter__(self):
        self.selection = Selection().__enter__()
        thread = self.process.running.get(self.g.address)
        self.shifted = 0  # which frame is the goroutine's innermost
        if thread:
            thread.switch()
            gdb.newest_frame().select()
            return self
        p, arch = self.process, self.process.arch
        handle = p.handle(self.g)
        fp, pc = p.suspended_at(handle)
        regs = {"arch": arch, "pc": pc, "sp": handle + p.table["frame.size"], "fp": fp, "below": handle - 4096}
        self.thread = gdb.selected_thread()
        if self.set_registers:
            try:
                self.put(regs)
                return self
            except gdb.error:  # a core, or the past
                self.give_back()
        regs["thread_sp"] = int(gdb.newest_frame().read_register(arch.sp))
        UNWINDER.regs = regs
        for _ in range(2):
            gdb.invalidate_cached_frames()
            frame = gdb.newest_frame()
            while frame.type() == gdb.INLINE_FRAME:
                frame = frame.older()
            frame = frame.older()
            if frame is None:
                break
            self.shifted = frame.level()
            frame.select()
            try:
                frame.older()
                return self
            except gdb.error as e:
                # ARM64: whether the return address is signed is a register of gdb's own. Here it is not: code().
                m = re.search(r"Register (\d+) was not saved", str(e))
                if not m:
                    return self
                UNWINDER.plain.add(int(m.group(1)))
        self.__exit__()
        raise gdb.GdbError("goroutine %d: gdb does not find its stack" % self.g.id)

    def put(self, regs):
        frame = gdb.newest_frame()
        frame.select()
        arch = self.process.arch
        names = [arch.pc, arch.sp, arch.fp]
        for name in names:
            try:
                self.values.append((name, int(frame.read_register(name))))
            except ValueError:  # a remote stub without it
                pass
        for which in ("sp", "fp", "pc"):
            gdb.execute("set var $%s = %#x" % (getattr(arch, which), regs[which]))
        gdb.newest_frame().select()

    def give_back(self):
        values, self.values = self.values, []
        if not values or not self.thread.is_valid():
            return
        self.thread.switch()
        gdb.newest_frame().select()
        for name, value in values:
            try:
                gdb.execute("set var $%s = %d" % (name, value))
            except gdb.error:  # then it could not be changed either
                pass

    def __exit__(self, *_):
        if UNWINDER.regs is not None:
            UNWINDER.regs = None
            gdb.invalidate_cached_frames()
        if self.values:
            self.give_back()
        self.selection.__exit__()


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


class Process:
    """Everything at this moment; made anew for each command."""

    def __init__(self):
        if not gdb.selected_thread():
            raise gdb.GdbError("goroutines: there is no process and no core")
        self.arch = arch_here()
        self.sections = Sections()
        self.table = t = Table(self.sections)
        self.rules = Rules(self.sections, self.arch)
        Ours.learn()
        self.top_texts, self.strings = {}, {}
        self.is_user = {}
        self.gs = sorted(self.read_gs(), key=lambda g: g.id)
        self.now = max([read_word(t["coarse_now"])] + [g.wait_since for g in self.gs])
        connection = getattr(gdb.selected_inferior(), "connection", None)
        if connection is not None and connection.type == "native":
            self.now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        self.ms = self.read_ms()
        self.running = {}
        self.find_running()

    def read_gs(self):
        t = self.table
        layout, names = t.reader("G.", G_FIELDS)
        flags, status = names.index("flags"), names.index("status")
        gone = (t["status.free"], t["status.dead"])
        chunk = read_word(t["slab"] + t["slab.chunks"])
        while chunk:
            used = struct.unpack("<I", read(chunk + t["chunk.used"], 4))[0]
            at = chunk + t["chunk.first"]
            for values in layout.iter_unpack(read(at, used * t["G.size"])):
                if values[status] not in gone and not values[flags] & t["flag.system"]:
                    yield Record(at, names, values)
                at += t["G.size"]
            chunk = read_word(chunk + t["chunk.next"])

    def read_ms(self):
        t, out = self.table, {}
        layout, names = t.reader("M.", M_FIELDS)
        at = read_word(t["allm"])
        while at and at not in out:
            out[at] = Record(at, names, layout.unpack(read(at, layout.size)))
            at = out[at].next
        return out

    def find_running(self):
        """Who runs: the goroutine on whose stack a thread is, be it some frames further out (a signal handler)."""
        by_stack = sorted((g.stack, g.address) for g in self.gs if g.stack)
        threads = {t.ptid[1] or t.ptid[2]: t for t in gdb.selected_inferior().threads()}
        with Selection():
            for m in self.ms.values():
                if m.foreign or not m.curg or m.tid not in threads:
                    continue
                threads[m.tid].switch()
                found, frame = None, gdb.newest_frame()
                for _ in range(MOST_FRAMES):
                    found = self.stack_of(by_stack, int(frame.read_register(self.arch.sp)) & ((1 << 64) - 1))
                    if found:
                        break
                    try:
                        frame = frame.older()
                    except gdb.error:
                        frame = None
                    if frame is None:
                        break
                if not found and frame is None and m.left_g != m.curg:
                    g = next((g for g in self.gs if g.address == m.curg), None)
                    # Its thread's frames are broken, or lead elsewhere: then what the runtime says.
                    if g and g.status == self.table["status.runnable"] and not self.on_g0(threads[m.tid]):
                        found = g.address
                if found:
                    self.running[found] = threads[m.tid]

    @staticmethod
    def on_g0(thread):
        """Is this thread in the scheduler, on its own stack?"""
        frame = gdb.newest_frame()
        while frame is not None:
            if (frame.name() or "").startswith("gort::rt::schedule_loop"):
                return True
            frame = frame.older()
        return False

    def stack_of(self, by_stack, sp):
        i = bisect.bisect_right(by_stack, (sp, 0))
        if i < len(by_stack) and read_word(by_stack[i][0] + self.table["stack.lo"]) <= sp:
            return by_stack[i][1]
        return None

    def handle(self, g):
        m = self.ms.get(g.locked_m)
        handle = g.sp or (m.locked_sp if m else 0)
        if not g.stack or not handle:
            raise gdb.GdbError("goroutine %d has not begun to run: it has no stack yet" % g.id)
        return handle

    def suspended_at(self, handle):
        frame = read(handle, self.table["frame.size"])
        at = struct.unpack_from
        return at("<Q", frame, self.table["frame.fp"])[0], self.arch.code(at("<Q", frame, self.table["frame.pc"])[0])

    def walk(self, g, until=None):
        """The pcs of a parked stack, up to the first for which until(pc); None: the tables do not say."""
        handle = self.handle(g)
        size = min(g.stack - handle, 1024)
        data = read(handle, size)
        words = struct.Struct("<Q").unpack_from
        pc = self.arch.code(words(data, self.table["frame.pc"])[0])
        fp = words(data, self.table["frame.fp"])[0]
        sp, pcs = handle + self.table["frame.size"], []
        while len(pcs) < MOST_FRAMES:
            pcs.append(pc)
            if until and until(pc):
                return pcs
            rule = self.rules.at(pc)
            if rule is None:
                return pcs
            if rule is NoRule:
                return None
            by_fp, offset, ra_at, fp_at = rule
            cfa = (fp if by_fp else sp) + offset
            while cfa > handle + size and size < g.stack - handle:
                size = min(g.stack - handle, 4 * size)
                data = read(handle, size)
            try:
                pc = self.arch.code(words(data, cfa + ra_at - handle)[0])
                if fp_at is not None:
                    fp = words(data, cfa + fp_at - handle)[0]
            except (struct.error, TypeError):
                return None
            if cfa <= sp:
                return None
            sp = cfa
        return pcs

    def pcs(self, g):
        """A stack's pcs from the program's own code on, to tell equal stacks: which way gort went to park is not of
        interest."""
        if not g.stack and g.address not in self.running:
            return (g.invoke,)
        pcs = None if g.address in self.running else self.walk(g)
        if pcs is None:
            with OnStack(self, g, False):
                frame, pcs = gdb.selected_frame(), []
                while frame is not None and len(pcs) < MOST_FRAMES:
                    pcs.append(frame.pc())
                    frame = frame.older()
        for i, pc in enumerate(pcs):
            if self.is_users(pc):
                return tuple(pcs[i:])
        return tuple(pcs)

    def is_users(self, pc):
        """Does the program's own code run at this return address, inlined or not, as far as there is debug info?"""
        if pc in self.is_user:
            return self.is_user[pc]
        users = False
        try:
            block = gdb.block_for_pc(pc - 1)
        except RuntimeError:
            block = None
        while block is not None and not block.is_static and not block.is_global:
            f = block.function
            if f and not is_runtime(without_result(f.print_name), f.symtab, pc):
                users = True
            block = block.superblock
        self.is_user[pc] = users
        return users

    def top(self, g):
        """The innermost frame of the program's own code, as text. Once for each address."""
        if g.address not in self.running and not g.stack:
            return self.invoked(g)
        key = None
        if g.address not in self.running:
            pcs = self.walk(g, self.is_users)
            key = pcs and (pcs[-1] if self.is_users(pcs[-1]) else tuple(pcs))
        text = self.top_texts.get(key)  # nothing is kept for None
        if text is None:
            with OnStack(self, g, False):
                frame = user_frame(gdb.selected_frame())
                text = frame_text(frame) if frame else ""
            if key is not None:
                self.top_texts[key] = text
        return text or self.invoked(g)

    def invoked(self, g):
        """What the goroutine was made to run, by the name of the template that calls it."""
        if g.flags & self.table["flag.labeled"]:
            return "-"  # the label has its place
        symbol = gdb.execute("info symbol %#x" % g.invoke, False, True)
        if symbol.startswith("No symbol"):
            return "%#x in ??" % g.invoke
        return what_was_called(without_result(re.sub(r"( \+ \d+)? in section .*", "", symbol).strip()))

    def string(self, address):
        if address not in self.strings:
            try:
                self.strings[address] = read_string(address)
            except gdb.MemoryError:
                self.strings[address] = "?"
        return self.strings[address]

    def state(self, g):
        t, locked = self.table, ""
        if g.flags & t["flag.locked"]:
            locked = ", locked to thread"
        if g.address in self.running:
            return "running on LWP %d%s" % (self.running[g.address].ptid[1], locked)
        if g.status == t["status.waiting"]:
            return (self.table.reasons[g.wait_reason] if g.wait_reason < len(t.reasons) - 1 else "waiting") + locked
        return ("runnable" if g.stack else "runnable, not begun") + locked

    def since(self, g):
        if g.address in self.running or g.status != self.table["status.waiting"] or not g.wait_since:
            return "-"
        s = max(self.now - g.wait_since, 0) / 1e9
        return "%.3f s" % s if s < 1 else "%.1f s" % s if s < 60 else "%d min %d s" % divmod(int(s), 60)

    def label(self, g):
        return self.string(g.invoke + self.table["Label.text"]) if g.flags & self.table["flag.labeled"] else ""

    def created_by(self, g):
        if g.flags & self.table["flag.main"] or not g.site_file:
            return "-"
        return "%s at %s:%d" % (self.string(g.site_function), self.string(g.site_file), g.site_line)

    def find(self, id):
        for g in self.gs:
            if g.id == id:
                return g
        raise gdb.GdbError("goroutine %d: there is none; `info goroutines` lists them" % id)


# ---- the commands ----

# What lets the process go on would go on with the registers of another stack.
RESUMES = set("c cont continue fg s step si stepi n next ni nexti fin finish u until adv advance j jump r run start "
              "starti call signal queue-signal detach kill return thread t".split())


def ranges(ids):
    """[1, 2, 3, 7] -> "1-3, 7"."""
    out = []
    for i in sorted(ids):
        if out and out[-1][1] == i - 1:
            out[-1][1] = i
        else:
            out.append([i, i])
    return ", ".join(str(a) if a == b else "%d-%d" % (a, b) for a, b in out)


def first_word(command):
    m = re.match(r"[\w-]+", command)
    return m.group() if m else command


def is_backtrace(command):
    return first_word(command) in ("bt", "backtrace", "where")


def run_on(process, g, command):
    with OnStack(process, g, True) as on:
        if not (on.shifted and is_backtrace(command)):
            return gdb.execute(command, False, False)
        # The first frames are the thread's own.
        text = gdb.execute(command, False, True)
        first = on.shifted
    begin = re.search(r"^#%d " % first, text, re.M)
    text = text[begin.start() :] if begin else text
    gdb.write(re.sub(r"^#(\d+) ( *)", lambda m: "#%-3d" % (int(m.group(1)) - first), text, flags=re.M))
    return None


class InfoGoroutines(gdb.Command):
    """Every goroutine: id, state, since when it waits, where in the program's own code, and who created it.
The goroutine of the selected thread is marked with a star."""

    def __init__(self):
        super().__init__("info goroutines", gdb.COMMAND_STATUS)

    def invoke(self, arg, from_tty):
        p = Process()
        current = gdb.selected_thread()
        labels = any(g.flags & p.table["flag.labeled"] for g in p.gs)
        gdb.write("  %-7s %s%-22s %-12s %s\n" % ("Id", "%-16s " % "Label" if labels else "", "State", "Since", "Where"))
        lines = []
        for g in p.gs:
            star = "*" if p.running.get(g.address) == current else " "
            label = "%-16s " % p.label(g) if labels else ""
            line = "%s %-7d %s%-22s %-12s %s" % (star, g.id, label, p.state(g), p.since(g), p.top(g))
            created = p.created_by(g)
            lines.append(line + (", created by " + created if created != "-" else "") + "\n")
            if len(lines) == 1000:
                gdb.write("".join(lines))
                lines = []
        gdb.write("".join(lines))


class Goroutine(gdb.Command):
    """goroutine N CMD: runs a gdb command on goroutine N's stack.
goroutine all CMD: on every goroutine's; `goroutine all bt` shows equal stacks once, with the ids that have it.
The command may look at frames, registers and memory; it may not let the process run."""

    def __init__(self):
        super().__init__("goroutine", gdb.COMMAND_STACK)

    def invoke(self, arg, from_tty):
        which, _, command = arg.strip().partition(" ")
        command = command.strip()
        if not command or not (which == "all" or which.isdigit()):
            raise gdb.GdbError("usage: goroutine N CMD or goroutine all CMD, as in: goroutine 1 bt")
        if first_word(command) in RESUMES:
            raise gdb.GdbError("goroutine: `%s` lets the process run or changes the thread: not on a goroutine's stack"
                               % first_word(command))
        p = Process()
        if which != "all":
            return run_on(p, p.find(int(which)), command)
        if is_backtrace(command):
            return self.all_stacks(p, command)
        for g in p.gs:
            gdb.write("\ngoroutine %d [%s]:\n" % (g.id, p.state(g)))
            self.try_on(p, g, command)

    @staticmethod
    def all_stacks(p, command):
        groups = {}
        for g in p.gs:
            state = "running" if g.address in p.running else p.state(g)
            groups.setdefault((state, p.pcs(g)), []).append(g)
        for (state, _), gs in sorted(groups.items(), key=lambda kv: (-len(kv[1]), kv[1][0].id)):
            count = "goroutine" if len(gs) == 1 else "%d goroutines" % len(gs)
            gdb.write("\n%s %s [%s]:\n" % (count, ranges(g.id for g in gs), state))
            Goroutine.try_on(p, gs[0], command)
            for created in sorted({p.created_by(g) for g in gs} - {"-"})[:3]:
                gdb.write("created by %s\n" % created)

    @staticmethod
    def try_on(p, g, command):
        if not g.stack and g.address not in p.running:
            gdb.write("not begun: %s\n" % p.top(g))
            return
        try:
            run_on(p, g, command)
        except gdb.error as e:
            gdb.write("%s\n" % e)


InfoGoroutines()
Goroutine()
