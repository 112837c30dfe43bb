# tools/gort_gdb/commands.py - info goroutines, goroutine N CMD and goroutine all CMD.
# SPDX-License-Identifier: BSD-2-Clause
import re

import gdb

from gort_gdb.process import Process
from gort_gdb.view import OnStack

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
