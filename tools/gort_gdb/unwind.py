# tools/gort_gdb/unwind.py - the unwind tables read by ourselves: parked stacks are many, so each address is looked up once.
# SPDX-License-Identifier: BSD-2-Clause
import bisect
import operator
import struct

import gdb

from gort_gdb.target import MOST_FRAMES, read

MOST_SHAPES = 16  # that begin at the same pc

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


class Shape:
    """A way that a walk has gone: which words of the stack it has read, and what stood there. Where the same stands,
    the walk goes the same way; frame pointers are the same if they are as far from where the walk begins.
    returns: offset -> return address; pointers: offset -> frame pointer, as an offset as well."""

    def __init__(self, arch, pcs, returns, pointers, whole):
        self.arch, self.pcs, self.whole = arch, tuple(pcs), whole  # whole: up to the stack's end
        words = sorted({**returns, **pointers})
        layout, at = "<", 0
        for offset in words:
            layout += "%dxQ" % (offset - at)
            at = offset + 8
        self.size = at
        self.words = struct.Struct(layout)
        at_returns = [i for i, o in enumerate(words) if o in returns]
        self.returns_of = operator.itemgetter(0, *at_returns)  # with one more, for of one alone it gives no tuple
        self.want_returns = tuple(returns[words[i]] for i in at_returns)
        self.want_pointers = [(i, pointers[o]) for i, o in enumerate(words) if o in pointers]
        self.users = self.top = None  # what others keep here

    def fits(self, data, handle):
        words = self.words.unpack_from(data)
        for i, want in self.want_pointers:
            if words[i] - handle != want:
                return False
        returns = self.returns_of(words)[1:]
        if self.arch.signs:
            returns = tuple(map(self.arch.code, returns))
        return returns == self.want_returns


class Walker:
    """Walks stacks at rest, from the words where their registers are saved."""

    def __init__(self, rules, table):
        self.rules, self.code = rules, rules.arch.code
        self.read = gdb.selected_inferior().read_memory
        self.frame_pc, self.frame_fp, self.frame_size = (table["frame." + f] for f in ("pc", "fp", "size"))
        self.shapes = {}  # the innermost pc -> shapes, the one that has fitted last first
        self.word = struct.Struct("<Q").unpack_from

    def walk(self, handle, end):
        data = self.read(handle, min(end - handle, 1024))
        pc = self.code(self.word(data, self.frame_pc)[0])
        shapes = self.shapes.setdefault(pc, [])
        for i, shape in enumerate(shapes):
            if shape.size > len(data):
                if shape.size > end - handle:
                    continue
                data = self.read(handle, shape.size)
            if shape.fits(data, handle):
                if i:
                    shapes.insert(0, shapes.pop(i))
                return shape
        shape = self.walk_new(handle, end, data, pc)
        if len(shapes) == MOST_SHAPES:
            shapes.pop()
        shapes.insert(0, shape)
        return shape

    def walk_new(self, handle, end, data, pc):
        word, size = self.word, len(data)
        fp_from = self.frame_fp  # where the frame pointer stands
        sp, pcs, returns, pointers = self.frame_size, [], {self.frame_pc: pc}, {}
        while len(pcs) < MOST_FRAMES:
            pcs.append(pc)
            rule = self.rules.at(pc)
            if rule is None or rule is NoRule:
                return Shape(self.rules.arch, pcs, returns, pointers, rule is None)
            by_fp, offset, ra_at, fp_at = rule
            cfa = sp + offset
            if by_fp:
                fp = word(data, fp_from)[0] - handle
                pointers[fp_from] = fp
                cfa = fp + offset
            if not sp < cfa <= end - handle or not isinstance(ra_at, int):
                return Shape(self.rules.arch, pcs, returns, pointers, False)
            if cfa > size:
                size = min(end - handle, max(cfa, 4 * size))
                data = self.read(handle, size)
            if not 0 <= cfa + ra_at <= size - 8:
                return Shape(self.rules.arch, pcs, returns, pointers, False)
            pc = returns[cfa + ra_at] = self.code(word(data, cfa + ra_at)[0])
            if fp_at is not None:
                if not isinstance(fp_at, int) or not 0 <= cfa + fp_at <= size - 8:
                    return Shape(self.rules.arch, pcs, returns, pointers, False)
                fp_from = cfa + fp_at
            sp = cfa
        return Shape(self.rules.arch, pcs, returns, pointers, True)
