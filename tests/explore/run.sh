#!/bin/sh
# tests/explore/run.sh OUT [ARGUMENT...] - what make explore runs: the pieces, and the schedules that catch the mutants.
# SPDX-License-Identifier: BSD-2-Clause
#
# DEEP=N: more of everything, each search for 10 N seconds at most, and the list of mutants anew, 2 N seconds for each
# search. Pieces run two at a time.
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
more="-r 500 --check=$list"
case $out in *clang*) more="-r 500" ;; esac # the list has g++'s names of functions
[ -z "${DEEP:-}" ] || more="-x 20 -r 100000 -T ${DEEP}0 --check=$list"
# A name may be part of another one's, so each is asked for whole.
"$out/explore" -l >"$results/pieces"
# shellcheck disable=SC2016,SC2086
xargs -P 2 -I{} sh -c '"$1" "={}" '"$more"' >"$2/{}.log" 2>&1' sh "$out/explore" "$results" \
    <"$results/pieces"
while read -r piece; do
    sed '/^[0-9]* passed, [0-9]* failed$/d' "$results/$piece.log"
done <"$results/pieces"
passed=$(cat "$results"/*.log | grep -c '^1 passed, 0 failed$')
failed=$(($(wc -l <"$results/pieces") - passed))
# shellcheck disable=SC2046
if awk -f tests/explore/labels.awk $(find kernel rt chan ctx -name '*.h' -o -name '*.cc'); then
    passed=$((passed + 1))
else
    failed=$((failed + 1))
fi
# What the list names must be there still: a function that has moved takes its mutants with it.
lost=$(sed -n '/^#/d; s/^[^\t]*\t\([^ ]*\) \([^,]*\), .*/\1 \2/p' $list | sort -u | while read -r file function; do
    function=${function##*::}
    [ -e "$file" ] && { [ "$function" = operator ] || grep -qw "$function" "$file"; } ||
        echo "FAIL $list: there is no $function in $file; renew the list: make explore DEEP=1"
done)
if [ -z "$lost" ]; then
    passed=$((passed + 1))
else
    echo "$lost"
    failed=$((failed + 1))
fi
if [ -n "${DEEP:-}" ]; then
    # Each piece at its orderings, the quick ones first: what is caught already is not searched again. Of a mutant that
    # several pieces catch, the shortest schedule is kept.
    sed -n 's/^FAIL [^ ]* without \(.*\): [^:]*$/\1/p' "$results"/*.log >"$results/stale"
    grep "$(printf '\tcaught\t')" $list | grep -vF -f "$results/stale" >"$results/fates"
    awk '$1 == "ok" { for (i = 3; i <= NF; ++i) if ($i == "s") print $(i - 1), $2 }' "$results"/*.log | sort -n |
        cut -d' ' -f2 | xargs -P 2 -I{} "$out/explore" "={}" -m -T "$((2 * DEEP))" --record="$results/fates"
    {
        sed -n '/^#/p' $list
        awk -F'\t' '
            $3 == "caught" && (!($2 in best) || (length($4) < size[$2] && $4 != "-")) {
                best[$2] = $0
                size[$2] = length($4)
            }
            !($2 in pieces) { pieces[$2] = $1 }
            END { for (key in pieces) print key in best ? best[key] : pieces[key] "\t" key "\tlives\t-" }
        ' "$results/fates" | sort -t "$(printf '\t')" -k2
    } >"$results/mutants.txt"
    cp "$results/mutants.txt" $list
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
