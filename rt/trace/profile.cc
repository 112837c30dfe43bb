// rt/trace/profile.cc - gort::profile::waits.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/profile.h"

#include "kernel/mem.h"
#include "rt/own/gate.h"
#include "rt/time/clock.h"
#include "rt/trace/frames.h"
#include "rt/trace/label.h"
#include "rt/trace/stack_groups.h"

namespace gort::rt {

namespace {

// Separators of the format do not occur in names of C++, but in what a linker or a label may hold.
void print_folded(kernel::Out& out, const char* text) {
    for (; *text; ++text) out.ch(*text == ';' || *text == '\n' ? ':' : *text);
}

void print_group(kernel::Out& out, Images* images, const StackGroups::Group& g) {
    if (g.origin) {
        out.ch('"');
        print_folded(out, static_cast<const char*>(g.origin));
        out.str("\";");
    }
    char name[kFrameName];
    ShownFrame frames[kMostInlined + 1];
    Symbol s;
    for (uint32_t i = g.depth; i-- > 0;) {
        find_symbol(images, g.pcs[i], &s);
        for (unsigned n = shown_frames(s, false, frames); n-- > 0;) {
            frame_name(s, frames[n], true, name);
            print_folded(out, name);
            out.ch(';');
        }
    }
    out.ch('[').str(g.state).str("] ").dec(g.total_ns / 1000).ch('\n');
}

void write_waits(kernel::Out& out) {
    Images* images = Images::take();
    if (!images) return;
    say_if_nameless(images);
    Goroutines all;
    StackGroups groups(static_cast<uint32_t>(all.size()));
    if (groups.ok()) {
        all.group_parked(images, &groups, true);
        for (uint32_t i = 0; i < groups.size(); ++i) print_group(out, images, groups[i]);
    }
    images->free();
}

}  // namespace
}  // namespace gort::rt

namespace gort::profile {

void waits(int fd) {
    rt::M* mp = rt::enter();  // inside, no thread takes our P: with one P nothing changes meanwhile
    rt::on_big_stack(
        [](void* arg) {
            kernel::Out out(*static_cast<int*>(arg));
            rt::write_waits(out);
        },
        &fd);
    rt::leave(mp);
}

}  // namespace gort::profile
