# bench/summary.awk - joins the rounds of one run: the best of the bests and the median of the medians.
# SPDX-License-Identifier: BSD-2-Clause
#
# In: rows of lines.awk. Out, in order of first appearance:
# workload, P, metric, unit, peer, best, median, rounds, cpu, note
BEGIN { FS = OFS = "\t" }
{
    key = $5 OFS $4 OFS $6 OFS $7 OFS $3
    if (!(key in count)) order[++keys] = key
    higher = $7 == "/s"
    if (!(key in count) || (higher ? $8 > best[key] : $8 < best[key])) best[key] = $8 + 0
    medians[key, ++count[key]] = $9 + 0
    cpu[key] = $12; note[key] = $13
}
END {
    for (k = 1; k <= keys; k++) {
        key = order[k]; n = count[key]
        for (i = 1; i <= n; i++) v[i] = medians[key, i]
        for (i = 2; i <= n; i++)                         # insertion sort: n is the number of rounds
            for (j = i; j > 1 && v[j] < v[j - 1]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
        median = n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
        print key, best[key], median, n, cpu[key], note[key]
    }
}
