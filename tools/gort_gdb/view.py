# tools/gort_gdb/view.py - makes gdb see the stack of a goroutine that does not run.
# SPDX-License-Identifier: BSD-2-Clause
import re

import gdb
import gdb.unwinder

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
