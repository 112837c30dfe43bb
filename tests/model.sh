#!/bin/sh
# tests/model.sh DIR - runs SPIN on every tests/model/*.pml; DIR takes what is generated.
# SPDX-License-Identifier: BSD-2-Clause
#
# The comment at the top of a model says how to run it, one line a run:
#   // run: -DPS=2 -DMS=3        these -D go to the model; SPIN must search all of it and find no error
#   // fails: -DNO_FENCE         a mutation: SPIN must find an error, or the model proves nothing
# Further words in such a line: cc:-DVECTORSZ=2048 for the verifier's compiler, pan:-m1000000 for its run. A model
# without any such line counts as failed. Acceptance cycles are searched (-a) where the model has an ltl block.
set -uf # no globbing: the words of a line are flags
dir=$1
[ -d tests/model ] || {
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}
.ci/need spin gcc || exit 1
passed=0 failed=0
set +f
set -- tests/model/*.pml
set -f
[ -e "$1" ] || set --

# run_model FILE WANT WORD... - WANT is run or fails
run_model() {
    file=$1 want=$2
    shift 2
    defines='' cc='-O2' pan='-m1000000' safety='-DSAFETY'
    if grep -qE '^[[:space:]]*(ltl|never|accept)' "$file"; then
        safety='' pan="$pan -a"
    fi
    for word; do
        case $word in
        cc:*) cc="$cc ${word#cc:}" ;;
        pan:*) pan="$pan ${word#pan:}" ;;
        *) defines="$defines $word" ;;
        esac
    done
    at=$dir/$(basename "$file" .pml)
    rm -rf "$at" && mkdir -p "$at"
    cp "$file" "$at/model.pml"
    # The words are lists on purpose.
    # shellcheck disable=SC2086
    (
        cd "$at" || exit 1
        spin $defines -a model.pml && gcc -w $safety -DCOLLAPSE -DMEMLIM=6000 $cc -o pan pan.c &&
            timeout --foreground "${LIMIT:-900}" ./pan $pan
    ) >"$at/log" 2>&1
    status=$?
    verdict="ended with status $status"
    if grep -q 'errors: 0$' "$at/log"; then
        verdict=passed
        grep -q 'max search depth too small\|Search not completed\|reached -DMEMLIM' "$at/log" &&
            verdict='searched only a part'
    elif grep -q 'errors: [1-9]' "$at/log"; then
        verdict='found an error'
    fi
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1 states/p' "$at/log")
    if [ "$want:$verdict" = run:passed ] || [ "$want:$verdict" = 'fails:found an error' ]; then
        passed=$((passed + 1))
        echo "ok   $file ($want: $*) $verdict, $states"
    else
        failed=$((failed + 1))
        echo "FAIL $file ($want: $*) $verdict"
        grep -v '^unreached\|^\s' "$at/log" | tail -n 30
        [ ! -e "$at/model.pml.trail" ] || (
            cd "$at" || exit
            # shellcheck disable=SC2086
            spin $defines -t -p model.pml 2>&1 | tail -n 60
        )
    fi
}

for model; do
    lines=$(sed -n 's,^[ /*]*\(run\|fails\):\([^*]*\).*,\1 \2,p' "$model")
    if [ -z "$lines" ]; then
        failed=$((failed + 1))
        echo "FAIL $model: no '// run:' line says how to run it"
        continue
    fi
    while read -r want words; do
        # shellcheck disable=SC2086
        run_model "$model" "$want" $words
    done <<EOF
$lines
EOF
done
if [ $# -eq 0 ]; then
    failed=1
    echo "tests/model/ holds no model"
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
