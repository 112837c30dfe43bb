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
# a over b; where a is less than a hundredth, how many times b is a: "640 times".
function quotient(a, b, higher,   r) {
    r = a / b
    if (r < 0.01 && a > 0) return higher ? sprintf("1/%.0f", 1 / r) : "**" figure(1 / r) " times**"
    r = r < 10 ? sprintf("%.2f", r) : figure(r)
    return (higher ? a > b : a < b) ? "**" r "**" : r
}
BEGIN {
    FS = "\t"
    split("gort go boost posix c", peers, " ")
    while ((getline line < machine) > 0) {
        split(line, f, "\t")
        facts = facts "| " f[1] " | " f[2] " |\n"
        if (f[1] == "load" && f[2] ~ /busy/) busy = 1
    }
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
    best[row, $5] = $6; median[row, $5] = $7; note[row, $5] = $10; worst[row, $5] = $11; drift[row, $5] = $12
    said[row, $5] = w == "scale" ? $7 : $6   # what is compared
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
                if (said[row, "gort"] <= 0 || said[row, peer] <= 0) continue
                r = said[row, "gort"] / said[row, peer]
                if (unit[row] == "/s") r = 1 / r
                total++; ahead += r < 1; logs += log(r)
            }
        }
        if (!total) continue
        if (!any++)
            print "| against | P | ahead in | of | geometric mean of ours/theirs |\n|---|---:|---:|---:|---:|"
        r = exp(logs / total)
        printf "| %s | %d | %d | %d | %s |\n", name(peer), procs, ahead, total,
            r < 0.01 ? sprintf("1/%.0f", 1 / r) : sprintf("%.2f", r)
    }
    if (any) print ""
}
function switches(   i, n, row, list, f, raw) {
    n = split(substr(rows["switch"], 2), list, "\n")
    for (i = 1; i <= n; i++) { split(list[i], f, SUBSEP); if (f[2] == "raw") raw = best[list[i], "gort"] }
    print "Shorter is better. `raw` is the switch that the library uses: it saves sp, fp and the resume address,"
    print "and the compiler at the one place that calls it spills what else is live. `abi` saves all that a C"
    print "function has to keep, as other libraries' switches do. `floor` stores three registers, loads three and"
    print "jumps: the least that a switch can do.\n"
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
                both = ((row, "gort") in best) && ((row, peer) in best) && said[row, peer] > 0
                line = line " " (both ? quotient(said[row, "gort"], said[row, peer], higher) : "") " |"
            }
        print line
    }
    print ""
}
# Figures of how much is done in a time: not those of how late somebody is, nor of memory.
function is_throughput(w, metric, unit) {
    if (w == "switch" || w == "startup" || w == "hog" || w == "wake" || metric ~ /late/) return 0
    return unit == "ns" || unit == "ms" || unit == "/s"
}
function gain_of(row1, row2, peer,   r) {
    if (!((row1, peer) in median) || !((row2, peer) in median) || median[row1, peer] <= 0) return ""
    if (median[row2, peer] <= 0) return ""
    r = median[row1, peer] / median[row2, peer]
    return unit[row1] == "/s" ? 1 / r : r
}
function middle_figure(row, peer) { return (row, peer) in median ? figure(median[row, peer]) : "" }
# P=2 beside P=1, by medians. No claim at P=2 stands without the same loop at P=1.
function gains(   k, i, n, list, f, row, one, w, g, line, any, peer, higher) {
    for (k = 1; k <= workloads; k++) {
        w = workload[k]
        n = split(substr(rows[w], 2), list, "\n")
        for (i = 1; i <= n; i++) {
            row = list[i]; split(row, f, SUBSEP)
            if (f[3] != 2 || !is_throughput(w, f[2], unit[row]) || !((row, "gort") in median)) continue
            one = w SUBSEP f[2] SUBSEP 1
            higher = unit[row] == "/s"
            if (!any++) {
                print "## What a second P gives\n"
                print "Medians. gain: how many times as much is done in a time at P=2 as at P=1; **bold** where a"
                print "second P takes away (below 0.95). drift: the last round over the best of the first ones. worst:"
                print "the worst round over the median. Both at P=2.\n"
                if (busy)
                    print "**The machine was busy: the second P had hardly a CPU; nothing here says what it gives.**\n"
                print "| workload | figure | unit | gort P=1 | P=2 | gain | drift | worst | Go P=1 | P=2 | gain |"
                print "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
            }
            line = "| " w " | `" f[2] "` | " unit[row]
            g = gain_of(one, row, "gort")
            line = line " | " middle_figure(one, "gort") " | " middle_figure(row, "gort") " | " \
                (g == "" ? "" : g < 0.95 ? sprintf("**%.2f**", g) : sprintf("%.2f", g))
            line = line " | " (drift[row, "gort"] ~ /^[0-9]/ ? sprintf("%.2f", drift[row, "gort"]) : "")
            line = line " | " (median[row, "gort"] > 0 && worst[row, "gort"] > 0 ? sprintf("%.2f",
                higher ? median[row, "gort"] / worst[row, "gort"] : worst[row, "gort"] / median[row, "gort"]) : "")
            g = gain_of(one, row, "go")
            line = line " | " middle_figure(one, "go") " | " middle_figure(row, "go")
            print line " | " (g == "" ? "" : sprintf("%.2f", g)) " |"
        }
    }
    if (any) print ""
}
# A process that does different things in turn: each of them beside itself alone.
function alternates(   i, n, list, f, pairs, any, m, j, p) {
    n = split(substr(rows["scale"], 2), list, "\n")
    for (i = 1; i <= n; i++) {
        split(list[i], f, SUBSEP)
        if (f[2] !~ /^alternate_/ || !((list[i], "gort") in note)) continue
        delete pairs
        m = split(note[list[i], "gort"], p, " ")
        for (j = 1; j <= m; j++) pairs[substr(p[j], 1, index(p[j], "=") - 1)] = substr(p[j], index(p[j], "=") + 1)
        if (!any++) print "| in turn with the others | P | ns | alone | times |\n|---|---:|---:|---:|---:|"
        printf "| `%s` | %s | %s | %s | %.2f |\n", f[2], f[3], figure(median[list[i], "gort"]),
            figure(pairs["alone"] + 0), pairs["over_alone"]
    }
    if (any) print ""
}
END {
    print "Every figure is the best of all repetitions, the median behind it in brackets. The programs took"
    print "turns, so what stands in one row was measured side by side. Shorter is better, but for `/s`."
    print "`gort / X` is our figure over X's; **bold** where we are ahead: below 1, or above 1 where more is"
    print "better. `640 times`: X's figure is 640 times ours. P is how many goroutines run"
    print "at once; for plain threads, how many CPUs the process may use. Figures of scale are compared by median.\n"
    standings()
    gains()
    for (k = 1; k <= workloads; k++) {
        w = workload[k]
        print "## " w "\n"
        m = 0
        for (p = 1; p <= 5; p++) if ((w, peers[p]) in has && text[w, peers[p]] != "") used[++m] = peers[p]
        for (i = 1; i <= m; i++) print "- " name(used[i]) ": " text[w, used[i]]
        if (m) print ""
        if (w == "switch") switches(); else table(w)
        if (w == "scale") alternates()
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
