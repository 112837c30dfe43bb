# tests/lint/layers.awk - fails where a file includes a layer above or beside its own.
# SPDX-License-Identifier: BSD-2-Clause
#
# Run from the root of the tree over the library's files and gort*.h. rt/ itself holds the public headers and the seam
# to the host (rt/host*), whose sources may see all of rt; its rooms have an order of their own.
# Besides the layers: what is included by a path of ours must exist, a PUBLIC header (line 1) includes PUBLIC headers
# only, because nothing else is installed, and it includes one of ours before any of the system's: so rt/config.h, which
# makes errno safe, comes before <errno.h>.

BEGIN {
    split("arch/ 1 kernel/ 2 rt/ 3 rt/base/ 4 rt/stack/ 5 rt/time/ 5 rt/symbols/ 5 rt/own/ 6 rt/sched/ 7 rt/trace/ 8" \
          " rt/sync/ 9 rt/net/ 9 chan/ 9 ctx/ 10 rt/sim/ 10 rt/c/ 11 rt/check/ 11", words, " ")
    for (i = 1; i in words; i += 2) rank[words[i]] = words[i + 1]
    # What goes up all the same, always from a .cc file. Each room's README says why.
    split("rt/own/gate.cc rt/sched/sched.h" \
          " rt/own/owner.cc rt/sched/sched.h" \
          " rt/own/owned_lock.cc rt/sched/judge.h" \
          " rt/sched/park.cc rt/sync/sema.h" \
          " rt/sched/free_list.cc rt/sync/sema.h" \
          " rt/sched/timed.cc rt/sync/sema.h" \
          " rt/sched/unload.cc rt/net/poller.h" \
          " rt/sched/run.cc rt/trace/gdb_table.h" \
          " rt/sched/run.cc rt/trace/stall.h" \
          " rt/sched/free_list.cc rt/trace/gdb_table.h" \
          " rt/sched/sysmon.cc rt/trace/stall.h", words, " ")
    for (i = 1; i in words; i += 2) upward[words[i] " " words[i + 1]] = 1
}

# The layer of a path: its longest prefix in rank[]; "" for everything outside of the library.
function layer(path,   prefix, best) {
    best = ""
    for (prefix in rank)
        if (index(path, prefix) == 1 && length(prefix) > length(best)) best = prefix
    return best
}

# The path from the root that an include means. Without a folder it is a neighbour, or an umbrella header.
function resolve(inc,   dir) {
    if (inc ~ /^gort(_c)?\.h$/ || (inc ~ /\// && inc !~ /^\./)) return inc
    dir = FILENAME
    sub(/[^\/]*$/, "", dir)
    inc = dir inc
    while (sub(/^\.\//, "", inc) || sub(/\/\.\//, "/", inc) || sub(/[^\/.]+\/\.\.\//, "", inc)) {}
    return inc
}

function is_public(path,   line) {
    if (!(path in public)) {
        line = ""
        public[path] = (getline line < path) > 0 && line ~ /^\/\/ PUBLIC/
        exists[path] = line != ""
        close(path)
    }
    return public[path]
}

function complain(why) {
    print FILENAME ":" FNR ": [layers] " why
    bad = 1
}

FNR == 1 {
    from = layer(FILENAME)
    umbrella = from == ""
    self_public = is_public(FILENAME)
    includes = 0
}

/^[ \t]*#[ \t]*(include|import)[ \t]*[^ \t"<]/ {
    complain("an include that only the preprocessor can read")
}

/^[ \t]*#[ \t]*(include|import)[ \t]*["<]/ {
    quoted = $0 ~ /(include|import)[ \t]*"/
    split($0, part, /["<>]/)
    path = quoted ? resolve(part[2]) : part[2]
    to = layer(path)
    if (!includes++ && !quoted && self_public && from != "arch/" && FILENAME !~ /^(gort_c|rt\/safe_errno)\.h$/)
        complain("is PUBLIC and its first include is <" part[2] ">: rt/config.h comes first, errno needs it")
    if (!quoted && to == "" && path !~ /^gort(_c)?\.h$/) next # a system header
    if (from == "rt/c/" && path == "gort_c.h") next # what it implements
    is_public(path)
    if (to == "")
        complain("may not include " part[2] ", which is no part of the library")
    else if (!exists[path])
        complain("includes " part[2] ", which does not exist")
    else if (!quoted)
        complain("includes <" part[2] "> by angle brackets; ours take quotes")
    else if (self_public && !is_public(path))
        complain("is PUBLIC and includes " part[2] ", which is not")
    else if (umbrella || (FILENAME " " path) in upward || (FILENAME ~ /^rt\/host_[a-z]*\.cc$/ && to ~ /^rt\//))
        next
    else if (rank[to] > rank[from] || (rank[to] == rank[from] && to != from))
        complain("may not include " part[2] ": " to " is not below " from)
}

END { exit bad }
