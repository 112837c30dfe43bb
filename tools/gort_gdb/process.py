# tools/gort_gdb/process.py - all goroutines as they are at this moment.
# SPDX-License-Identifier: BSD-2-Clause
import bisect
import operator
import re
import struct
import time

import gdb

from gort_gdb.names import Ours, caller_text, frame_text, runs_users_code, user_frame, what_was_called, without_result
from gort_gdb.target import G_FIELDS, M_FIELDS, MOST_FRAMES, Sections, Table, arch_here, read, read_string, read_word
from gort_gdb.unwind import Rules, Walker
from gort_gdb.view import OnStack, Selection


class Process:
    """Everything at this moment; made anew for each command."""

    def __init__(self):
        if not gdb.selected_thread():
            raise gdb.GdbError("goroutines: there is no process and no core")
        self.arch = arch_here()
        self.sections = Sections()
        self.table = t = Table(self.sections)
        self.walker = Walker(Rules(self.sections, self.arch), t)
        Ours.learn()
        self.top_texts, self.strings = {}, {}
        self.is_user = {}
        self.waiting, self.main_flag = t["status.waiting"], t["flag.main"]
        self.states, self.creators = {}, {}
        self.gs = sorted(self.read_gs(), key=operator.attrgetter("id"))
        # The others' word means something else.
        self.now = max([read_word(t["coarse_now"])] + [g.wait_since for g in self.gs if g.status == self.waiting])
        connection = getattr(gdb.selected_inferior(), "connection", None)
        if connection is not None and connection.type == "native":
            self.now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        self.ms = self.read_ms()
        self.running = {}
        self.find_running()

    def read_gs(self):
        t = self.table
        layout, record = t.reader("G.", G_FIELDS)
        flags, status = record._fields.index("flags") - 1, record._fields.index("status") - 1
        system, step = t["flag.system"], t["G.size"]
        gone = (t["status.free"], t["status.dead"])
        chunk = read_word(t["slab"] + t["slab.chunks"])
        while chunk:
            used = struct.unpack("<I", read(chunk + t["chunk.used"], 4))[0]
            at = chunk + t["chunk.first"]
            for values in layout.iter_unpack(read(at, used * step)):
                if values[status] not in gone and not values[flags] & system:
                    yield record(at, *values)
                at += step
            chunk = read_word(chunk + t["chunk.next"])

    def read_ms(self):
        t, out = self.table, {}
        layout, record = t.reader("M.", M_FIELDS)
        at = read_word(t["allm"])
        while at and at not in out:
            out[at] = record(at, *layout.unpack(read(at, layout.size)))
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

    def walk(self, g):
        handle = self.handle(g)
        return self.walker.walk(handle, g.stack)

    def pcs(self, g):
        """A stack's pcs from the program's own code on, to tell equal stacks: which way gort went to park is not of
        interest."""
        running = g.address in self.running
        if not g.stack and not running:
            return (g.invoke,)
        shape = None if running else self.walk(g)
        if shape and shape.whole:
            if shape.users is None:
                shape.users = self.from_users_on(shape.pcs)
            return shape.users
        with OnStack(self, g, False):
            frame, pcs = gdb.selected_frame(), []
            while frame is not None and len(pcs) < MOST_FRAMES:
                pcs.append(frame.pc())
                frame = frame.older()
        return self.from_users_on(pcs)

    def from_users_on(self, pcs):
        return tuple(pcs[next((i for i, pc in enumerate(pcs) if self.is_users(pc)), 0) :])

    def is_users(self, pc):
        """Does the program's own code run at this return address, inlined or not, as far as there is debug info?"""
        if pc not in self.is_user:
            self.is_user[pc] = runs_users_code(pc)
        return self.is_user[pc]

    def top(self, g):
        """The innermost frame of the program's own code, as text."""
        if g.address in self.running:
            return self.top_by_gdb(g) or self.invoked(g)
        if not g.stack:
            return self.invoked(g)
        shape = self.walk(g)
        if not shape:
            return self.top_by_gdb(g) or self.invoked(g)
        if shape.top is None:
            # What lies further out does not matter, so stacks that differ there only are asked for once.
            pcs = shape.pcs
            users = next((pc for pc in pcs if self.is_users(pc)), None)
            if users is None and not shape.whole:
                return self.top_by_gdb(g) or self.invoked(g)
            key = users or pcs
            if key not in self.top_texts:
                self.top_texts[key] = self.top_by_gdb(g)
            shape.top = self.top_texts[key]
        return shape.top or self.invoked(g)

    def top_by_gdb(self, g):
        with OnStack(self, g, False):
            frame = user_frame(gdb.selected_frame())
            return frame_text(frame) if frame else ""

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
        if g.address in self.running:
            return "running on LWP %d%s" % (self.running[g.address].ptid[1], self.locked(g))
        key = g.status, g.wait_reason, g.flags, not g.stack
        if key not in self.states:
            t = self.table
            text = "runnable" if g.stack else "runnable, not begun"
            if g.status == t["status.waiting"]:
                text = t.reasons[g.wait_reason] if g.wait_reason < len(t.reasons) - 1 else "waiting"
            self.states[key] = text + self.locked(g)
        return self.states[key]

    def locked(self, g):
        return ", locked to thread" if g.flags & self.table["flag.locked"] else ""

    def since(self, g):
        if g.status != self.waiting or g.wait_since <= 1 or g.address in self.running:
            return "-"
        s = max(self.now - g.wait_since, 0) / 1e9
        return "%.3f s" % s if s < 1 else "%.1f s" % s if s < 60 else "%d min %d s" % divmod(int(s), 60)

    def label(self, g):
        return self.string(g.invoke + self.table["Label.text"]) if g.flags & self.table["flag.labeled"] else ""

    def created_by(self, g):
        if g.flags & self.main_flag:
            return "-"
        key = g.site_file, g.site_function, g.site_line
        if key not in self.creators:
            self.creators[key] = self.creator(*key)
        return self.creators[key]

    def creator(self, file, function, line):
        if file:
            return "%s at %s:%d" % (self.string(function), self.string(file), line)
        return (function and caller_text(function)) or "-"  # of C code: a return address in it

    def find(self, id):
        for g in self.gs:
            if g.id == id:
                return g
        raise gdb.GdbError("goroutine %d: there is none; `info goroutines` lists them" % id)
