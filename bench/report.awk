# bench/report.awk - the report, in Markdown, from summary.awk's rows.
# SPDX-License-Identifier: BSD-2-Clause
#
# Variables: machine (rows of key, value), what (rows of peer, workload, description), hello (hyperfine's CSV;
# may be absent).
function name(peer) {
    if (peer == "go") return "Go"
    if (peer == "boost") return "Boost.Fiber"
    if (peer == "posix") return "plain threads"
    if (peer == "c") return "C, empty main"
    return peer
}
# Three to four significant digits, thousands set apart.
function figure(v,   s, out) {
    if (v < 10) return sprintf("%.2f", v)
    if (v < 100) return sprintf("%.1f", v)
    s = sprintf("%.0f", v); out = ""
    while (length(s) > 3) { out = "," substr(s, length(s) - 2) out; s = substr(s, 1, length(s) - 3) }
    return s out
}
function quotient(a, b, higher,   r) {
    r = a / b
    r = r < 10 ? sprintf("%.2f", r) : figure(r)
    return (higher ? a > b : a < b) ? "**" r "**" : r
}
BEGIN {
    FS = "\t"
    split("gort go boost posix c", peers, " ")
    while ((getline line < machine) > 0) { split(line, f, "\t"); facts = facts "| " f[1] " | " f[2] " |\n" }
    while ((getline line < what) > 0) { split(line, f, "\t"); text[f[2], f[1]] = f[3] }
    print "# gort's benchmarks\n"
    print "|  |  |\n|---|---|\n" facts
    print "![the figures as bars](chart.svg)\n"
}
{
    w = $1
    if (!(w in seen)) { seen[w] = ++workloads; workload[workloads] = w }
    row = w SUBSEP $3 SUBSEP $2
    if (!(row in unit)) { unit[row] = $4; rows[w] = rows[w] "\n" row }
    has[w, $5] = 1
    best[row, $5] = $6; median[row, $5] = $7; note[row, $5] = $10
}
# One line a peer: in how many figures gort is ahead of it, and by what factor in the middle.
function standings(   k, i, n, row, list, p, peer, ahead, total, logs, any) {
    for (p = 2; p <= 4; p++) for (procs = 1; procs <= 2; procs++) {
        peer = peers[p]; ahead = total = logs = 0
        for (k = 1; k <= workloads; k++) {
            n = split(substr(rows[workload[k]], 2), list, "\n")
            for (i = 1; i <= n; i++) {
                row = list[i]; split(row, f, SUBSEP)
                if (f[3] != procs || !((row, "gort") in best) || !((row, peer) in best)) continue
                if (best[row, "gort"] <= 0 || best[row, peer] <= 0) continue
                r = best[row, "gort"] / best[row, peer]
                if (unit[row] == "/s") r = 1 / r
                total++; ahead += r < 1; logs += log(r)
            }
        }
        if (!total) continue
        if (!any++)
            print "| against | P | ahead in | of | geometric mean of ours/theirs |\n|---|---:|---:|---:|---:|"
        printf "| %s | %d | %d | %d | %.2f |\n", name(peer), procs, ahead, total, exp(logs / total)
    }
    if (any) print ""
}
function switches(   i, n, row, list, f, raw) {
    n = split(substr(rows["switch"], 2), list, "\n")
    for (i = 1; i <= n; i++) { split(list[i], f, SUBSEP); if (f[2] == "raw") raw = best[list[i], "gort"] }
    print "| one way | best | median | unit | times `raw` |\n|---|---:|---:|---|---:|"
    for (i = 1; i <= n; i++) {
        row = list[i]; split(row, f, SUBSEP)
        printf "| `%s` | %s | %s | %s%s | %s |\n", f[2],
            figure(best[row, "gort"]), figure(median[row, "gort"]), unit[row],
            (note[row, "gort"] == "-" ? "" : " (" note[row, "gort"] ")"),
            (unit[row] == "ns" && raw ? figure(best[row, "gort"] / raw) : "")
    }
    print ""
}
function cell(row, peer) {
    return (row, peer) in best ? figure(best[row, peer]) " (" figure(median[row, peer]) ")" : ""
}
function table(w,   p, i, n, np, here, row, list, f, head, rule, line, peer, higher, both) {
    np = 0
    for (p = 1; p <= 5; p++) if ((w, peers[p]) in has) here[++np] = peers[p]
    head = "| figure | P | unit |"; rule = "|---|---:|---|"
    for (p = 1; p <= np; p++) { head = head " " name(here[p]) " |"; rule = rule "---:|" }
    if ((w, "gort") in has)
        for (p = 1; p <= np; p++)
            if (here[p] != "gort") { head = head " gort / " name(here[p]) " |"; rule = rule "---:|" }
    print head "\n" rule
    n = split(substr(rows[w], 2), list, "\n")
    for (i = 1; i <= n; i++) {
        row = list[i]; split(row, f, SUBSEP); higher = unit[row] == "/s"
        line = "| `" f[2] "` | " f[3] " | " unit[row] (higher ? ", more is better" : "") " |"
        for (p = 1; p <= np; p++)
            line = line " " cell(row, here[p]) " |"
        if ((w, "gort") in has)
            for (p = 1; p <= np; p++) {
                peer = here[p]
                if (peer == "gort") continue
                both = ((row, "gort") in best) && ((row, peer) in best) && best[row, peer] > 0
                line = line " " (both ? quotient(best[row, "gort"], best[row, peer], higher) : "") " |"
            }
        print line
    }
    print ""
}
END {
    print "Every figure is the best of all repetitions, the median behind it in brackets. The programs took"
    print "turns, so what stands in one row was measured side by side. `gort / X` is our figure over X's;"
    print "**bold** where we are ahead: below 1, or above 1 where more is better. P is how many goroutines run"
    print "at once; for plain threads, how many CPUs the process may use.\n"
    standings()
    for (k = 1; k <= workloads; k++) {
        w = workload[k]
        print "## " w "\n"
        m = 0
        for (p = 1; p <= 5; p++) if ((w, peers[p]) in has && text[w, peers[p]] != "") used[++m] = peers[p]
        for (i = 1; i <= m; i++) print "- " name(used[i]) ": " text[w, used[i]]
        if (m) print ""
        if (w == "switch") switches(); else table(w)
    }
    while ((getline line < hello) > 0) {
        split(line, f, ",")
        if (f[1] == "command") {
            print "## Whole programs, by hyperfine\n"
            print "Start one task, join it, exit (C: nothing at all); all linked statically.\n"
            print "| program | mean ms | deviation | least | most |\n|---|---:|---:|---:|---:|"
        } else
            printf "| %s | %.2f | %.2f | %.2f | %.2f |\n", name(f[1]),
                f[2] * 1e3, f[3] * 1e3, f[7] * 1e3, f[8] * 1e3
    }
}
