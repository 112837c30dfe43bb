# bench/chart.awk - the main figures as bars, in one plain SVG, from summary.awk's rows.
# SPDX-License-Identifier: BSD-2-Clause
#
# Panels of one unit each, P=1 on the left and P=2 on the right, one scale for both. A scale that would have
# to span more than a factor of 20 is logarithmic and says so. gort's bars have the strong colour.
function esc(s) { gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); gsub(/>/, "\\&gt;", s); return s }
function put(s) { body = body s "\n" }
function print_text(x, y, s, class) {
    put(sprintf("<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">%s</text>", x, y, class, esc(s)))
}
function log10(v) { return log(v) / log(10) }
function short(v) {
    if (v >= 9999500) return sprintf("%.0fM", v / 1e6)
    if (v >= 999500) return sprintf("%.1fM", v / 1e6)
    if (v >= 99950) return sprintf("%.0fk", v / 1e3)
    if (v >= 9995) return sprintf("%.1fk", v / 1e3)
    if (v >= 100) return sprintf("%.0f", v)
    if (v >= 10) return sprintf("%.1f", v)
    return sprintf("%.2f", v)
}
function tick(v) { return v >= 1e6 ? v / 1e6 "M" : v >= 1000 ? v / 1000 "k" : v "" }
function name(peer) {
    if (peer == "go") return "Go"
    if (peer == "boost") return "Boost.Fiber"
    return peer == "posix" ? "plain threads / epoll" : peer
}
function panel(title, metrics) { panel_title[++panels] = title; panel_rows[panels] = metrics }
BEGIN {
    FS = "\t"
    split("gort go boost posix", peers, " ")
    label_w = 250; col_w = 400; value_w = 56; gap = 20; left = 20
    width = left + label_w + 2 * col_w + gap + 10
    bar = 10; row_gap = 10
    while ((getline line < machine) > 0) { split(line, f, "\t"); fact[f[1]] = f[2] }
    panel("One switch of stacks, one way, ns; grey: other ways",
        "raw abi floor raw_ret abi_ret swapcontext pthread_futex")
    panel("Nanoseconds an operation", "yield:g2 yield:g1000 spawn:batch10k spawn:one_and_join " \
        "pingpong:roundtrip buffered:cap100 select:recv2 select:ready2_and_send mutex:lock_g1 mutex:lock_g8 " \
        "threadring:hop mpmc:p8c8_cap128 sync:cond_roundtrip ctx:withcancel_cancel timers:afterfunc_stop_30s")
    panel("Milliseconds for the whole", "skynet:total forkjoin:fib27 sieve:first2000 " \
        "park1m:spawn_all_parked park1m:spawn_all_parked_again park1m:wake_all_join timers:sleep1m")
    panel("Microseconds late, 99th percentile", "timers:sleep1ms_x100_late_p99 hog:late_p99 wake:runnext_p99")
    panel("Thousands a second: longer is better", "echo:roundtrips http:requests")
    panel("Bytes each", "park1m:rss_each")
    panel("A whole program: start one task, join, exit; ms", "startup:hello")
}
{
    v = $6
    if ($1 == "hog") v *= 1000      # ms to us
    if ($4 == "/s") v /= 1000
    if (v > 0) value[$1 ":" $3, $2, $5] = v
    present[$5] = 1
}
function power_of_ten_up_to(v) { return 10 ^ int(log10(v) + 100) / 1e100 }
# Sets log_scale, from and to for figures between lo and hi.
function scale(lo, hi) {
    log_scale = hi / lo > 20
    from = 0; to = hi * 1.02
    if (!log_scale) return
    from = power_of_ten_up_to(lo * 0.999); to = power_of_ten_up_to(hi * 1.001) * 10
}
function length_of(v) {
    v = log_scale ? log(v / from) / log(to / from) : v / to
    return (col_w - value_w) * v
}
function gridline(x, y, h, t) {
    x += length_of(t)
    put(sprintf("<path d=\"M%.1f %.1fv%.1f\" class=\"grid\"/>", x, y, h))
    print_text(x, y - 5, tick(t), "tick")
}
# The lines and their labels for one column of a panel that starts at y and is h high.
function grid(x, y, h,   t, step) {
    if (log_scale) {
        for (t = from; t <= to * 1.001; t *= 10) gridline(x, y, h, t)
        return
    }
    step = power_of_ten_up_to(to)
    if (to / step < 2) step /= 2; else if (to / step > 5) step *= 2
    for (t = 0; t <= to; t += step) gridline(x, y, h, t)
}
function draw_bar(x, y, v, class,   w) {
    w = length_of(v); if (w < 2) w = 2
    put(sprintf("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"1.5\" class=\"%s\"/>",
                x, y, w, bar - 1, class))
    print_text(x + w + 4, y + bar - 1.5, short(v), class == "gort" ? "val own" : "val")
}
function head(title) {
    y += 34
    print_text(left, y, title (log_scale ? "  (logarithmic)" : ""), "title")
    y += 32
}
# The switches: one program, so the bars are its variants, over the whole width.
function draw_switch(   list, n, i, lo, hi, old, m, start) {
    n = split(panel_rows[1], list, " "); lo = 1e99; hi = 0
    for (i = 1; i <= n; i++) {
        m = value["switch:" list[i], 1, "gort"]
        if (m) { if (m < lo) lo = m; if (m > hi) hi = m }
    }
    if (!hi) return
    old = col_w; col_w = 2 * col_w + gap
    scale(lo, hi); head(panel_title[1]); start = y
    for (i = 1; i <= n; i++) if (value["switch:" list[i], 1, "gort"]) y += bar + 6
    grid(left + label_w, start, y - start); y = start
    for (i = 1; i <= n; i++) {
        m = value["switch:" list[i], 1, "gort"]
        if (!m) continue
        print_text(left + label_w - 10, y + bar - 0.5, list[i], "label")
        draw_bar(left + label_w, y + 1, m, list[i] ~ /^(raw|abi)$/ ? "gort" : "way")
        y += bar + 6
    }
    col_w = old
}
function draw_panel(k,   list, n, i, p, procs, lo, hi, m, rows, most, have, start, x, count, yy, parts) {
    n = split(panel_rows[k], list, " "); lo = 1e99; hi = 0; rows = 0
    for (i = 1; i <= n; i++) {
        most = 0
        for (procs = 1; procs <= 2; procs++) {
            count = 0
            for (p = 1; p <= 4; p++) {
                m = value[list[i], procs, peers[p]]
                if (m) { count++; if (m < lo) lo = m; if (m > hi) hi = m }
            }
            if (count > most) most = count
        }
        if (most) { rows++; shown[rows] = list[i]; slots[rows] = most }
    }
    if (!rows) return
    scale(lo, hi); head(panel_title[k])
    start = y
    for (i = 1; i <= rows; i++) y += slots[i] * bar + row_gap
    for (procs = 1; procs <= 2; procs++) {
        have = 0
        for (i = 1; i <= rows; i++) for (p = 1; p <= 4; p++) if (value[shown[i], procs, peers[p]]) have = 1
        if (!have) continue
        x = left + label_w + (procs - 1) * (col_w + gap)
        grid(x, start, y - start)
        print_text(x, start - 18, "P=" procs, "col")
        yy = start
        for (i = 1; i <= rows; i++) {
            if (procs == 1 || !drawn[k, i]) {
                split(shown[i], parts, ":")
                m = yy + (slots[i] * bar + row_gap) / 2 + 4
                print_text(left + label_w - 10, m, parts[1] "  " parts[2], "label")
                drawn[k, i] = 1
            }
            m = yy + row_gap / 2
            for (p = 1; p <= 4; p++)
                if (value[shown[i], procs, peers[p]]) {
                    draw_bar(x, m, value[shown[i], procs, peers[p]], peers[p])
                    m += bar
                }
            yy += slots[i] * bar + row_gap
        }
    }
}
END {
    y = 34
    print_text(left, y, "gort and its peers", "main")
    x = width - 20
    for (p = 4; p >= 1; p--) {
        if (!present[peers[p]]) continue
        x -= 6.7 * length(name(peers[p])) + 38
        put(sprintf("<rect x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"12\" rx=\"2\" class=\"%s\"/>",
                    x, y - 11, peers[p]))
        print_text(x + 17, y, name(peers[p]), "legend")
    }
    y += 20
    print_text(left, y, fact["CPU"] ", " fact["machine"] "; " fact["kernel"], "note"); y += 15
    line = "gort " fact["revision"]
    if (fact["gort"]) line = line ", " fact["gort"]
    if (fact["Go"]) line = line "; " fact["Go"]
    if (fact["Boost"]) line = line "; Boost " fact["Boost"]
    print_text(left, y, line "; " fact["date"], "note"); y += 15
    print_text(left, y, "Best of " fact["measured"] ". Shorter is better where nothing else is said.", "note")
    draw_switch()
    for (k = 2; k <= panels; k++) draw_panel(k)
    height = y + 20
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\"", width, height
    printf " width=\"%d\" height=\"%d\"", width, height
    print " font-family=\"system-ui, Segoe UI, Helvetica, Arial, sans-serif\">"
    print "<style>.main{font-size:20px;font-weight:600;fill:#1b1f24}" \
        ".title{font-size:14px;font-weight:600;fill:#1b1f24}.note{font-size:11px;fill:#667}" \
        ".legend{font-size:12px;fill:#333}.label{font-size:12px;fill:#333;text-anchor:end}" \
        ".col{font-size:11px;font-weight:600;fill:#667}.tick{font-size:10px;fill:#99a;text-anchor:middle}" \
        ".val{font-size:10px;fill:#667}.own{font-weight:600;fill:#b53a00}.grid{stroke:#e6e8ec}" \
        ".gort{fill:#e8590c}.go{fill:#5b8db8}.boost{fill:#9db4c8}.posix{fill:#cdd3da}.way{fill:#8a8f98}</style>"
    print "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
    printf "%s</svg>\n", body
}
