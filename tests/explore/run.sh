#!/bin/sh
# tests/explore/run.sh OUT [ARGUMENT...] - what make explore runs: the pieces, and the schedules that catch the mutants.
# SPDX-License-Identifier: BSD-2-Clause
#
# DEEP=1: more of everything, and the list of mutants anew. Pieces run two at a time.
set -u
out=$1
shift
.ci/need addr2line || exit 1
list=tests/explore/mutants.txt
if [ $# -gt 0 ]; then
    exec "$out/explore" "$@"
fi
results=$(mktemp -d) || exit 1
trap 'rm -rf "$results"' EXIT
more="-r 500"
[ -z "${DEEP:-}" ] || more="-x 20 -r 100000"
# A name may be part of another one's, so each is asked for whole.
"$out/explore" -l >"$results/pieces"
# shellcheck disable=SC2016,SC2086
xargs -P 2 -I{} sh -c '"$1" "={}" --check='"$list"' '"$more"' >"$2/{}.log" 2>&1' sh "$out/explore" "$results" \
    <"$results/pieces"
while read -r piece; do
    sed '/^[0-9]* passed, [0-9]* failed$/d' "$results/$piece.log"
done <"$results/pieces"
passed=$(cat "$results"/*.log | grep -c '^1 passed, 0 failed$')
failed=$(($(wc -l <"$results/pieces") - passed))
if [ -n "${DEEP:-}" ]; then
    new=$results/mutants.txt
    sed -n '/^#/p' $list >"$new"
    while read -r piece; do "$out/explore" "=$piece" -m --record="$new"; done <"$results/pieces"
    cp "$new" $list
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
