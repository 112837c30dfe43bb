# bench/lines.awk - result lines of a benchmark program to rows of results.tsv. Lines that are cut short are left out.
# SPDX-License-Identifier: BSD-2-Clause
#
# Columns: run, round, peer, P, workload, metric, unit, best, median, worst, n, cpu, note, drift
# best= among the pairs means that what stands in its place is the median.
BEGIN { OFS = "\t" }
$2 ~ /^P=[0-9]+$/ && NF >= 9 && $9 ~ /^n=/ {
    split($6, median, "="); split($7, worst, "="); split($9, n, "=")
    cpu = drift = "-"; note = ""; best = $4
    for (i = 10; i <= NF; i++)
        if ($i ~ /^cpu=/) cpu = substr($i, 5)
        else if ($i ~ /^best=/) best = substr($i, 6)
        else if ($i ~ /^drift=/) drift = substr($i, 7)
        else note = note (note == "" ? "" : " ") $i
    print run, round, peer, substr($2, 3), $1, $3, $5, best, median[2], worst[2], n[2], cpu,
        (note == "" ? "-" : note), drift
}
