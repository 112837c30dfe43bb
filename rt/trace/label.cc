// rt/trace/label.cc - goid and set_label.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/trace/label.h"

#include "rt/base/slab.h"
#include "rt/go.h"
#include "rt/own/gate.h"

namespace gort::rt {

namespace {

Slab<Label> labels;

// Also the key by which a goroutine finds its own.
void end_label(detail::GLocal* l, bool) {
    auto* label = static_cast<Label*>(l);
    label->of->flags &= static_cast<uint16_t>(~kGLabeled);
    labels.free(label);
}

Label* label_of(G* gp) {
    for (detail::GLocal* l = gp->locals; l; l = l->next)
        if (l->end == end_label) return static_cast<Label*>(l);
    return nullptr;
}

Label* new_label(G* gp) {
    Label* label = labels.alloc();
    if (!label) return nullptr;
    label->of = gp;
    label->end = end_label;
    label->next = gp->locals;
    gp->locals = label;
    return label;
}

size_t cut(std::string_view text) {
    if (text.size() < kLabelRoom) return text.size();
    size_t n = kLabelRoom - 1;
    while (n > 0 && (static_cast<unsigned char>(text.data()[n]) & 0xc0) == 0x80) --n;
    return n;
}

bool is_plain(char c) { return static_cast<unsigned char>(c) >= ' ' && c != '"' && c != 0x7f; }

}  // namespace

}  // namespace gort::rt

namespace gort {

using namespace rt;

uint64_t goid() {
    const M* mp = self();
    return mp && !mp->foreign ? mp->curg->id : 0;
}

void set_label(std::string_view text) {
    M* mp = self();
    if (!mp || mp->foreign) return;
    mp = enter();
    G* gp = mp->curg;
    Label* label = label_of(gp);
    if (!label && !text.empty()) label = new_label(gp);
    if (label) {
        const size_t n = cut(text);
        for (size_t i = 0; i < n; ++i) label->text[i] = is_plain(text.data()[i]) ? text.data()[i] : '?';
        for (size_t i = n; i < kLabelRoom; ++i) label->text[i] = '\0';
        gp->label = label;
        std::atomic_signal_fence(std::memory_order_seq_cst);
        gp->flags |= kGLabeled;
    }
    leave(mp);
}

}  // namespace gort
