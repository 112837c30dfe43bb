# bench/summary.awk - joins the rounds of one run: the best of the bests, the median of the medians and of the drifts,
# the worst of the worsts.
# SPDX-License-Identifier: BSD-2-Clause
#
# In: rows of lines.awk. Out, in order of first appearance:
# workload, P, metric, unit, peer, best, median, rounds, cpu, note, worst, drift
BEGIN { FS = OFS = "\t" }
function middle(list, key, n,   v, i, j, t) {
    for (i = 1; i <= n; i++) v[i] = list[key, i]
    for (i = 2; i <= n; i++)                         # insertion sort: n is the number of rounds
        for (j = i; j > 1 && v[j] < v[j - 1]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
    return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}
{
    key = $5 OFS $4 OFS $6 OFS $7 OFS $3
    if (!(key in count)) order[++keys] = key
    higher = $7 == "/s"
    if (!(key in count) || (higher ? $8 > best[key] : $8 < best[key])) best[key] = $8 + 0
    if (!(key in count) || (higher ? $10 < worst[key] : $10 > worst[key])) worst[key] = $10 + 0
    medians[key, ++count[key]] = $9 + 0
    if ($14 != "" && $14 != "-") drifts[key, ++drifted[key]] = $14 + 0
    cpu[key] = $12; note[key] = $13
}
END {
    for (k = 1; k <= keys; k++) {
        key = order[k]; n = count[key]
        print key, best[key], middle(medians, key, n), n, cpu[key], note[key], worst[key],
            (drifted[key] ? middle(drifts, key, drifted[key]) : "-")
    }
}
