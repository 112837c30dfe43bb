# tests/lint/behaviours.awk - the list of behaviours (tests/BEHAVIOURS.md) and the tests that cite it agree.
# SPDX-License-Identifier: BSD-2-Clause
#
# Run from the root over the list, and then over the tests. An id is two capitals of an area of the list, a hyphen and
# two digits. Each id that a test cites is an entry; each entry of P0 and P1 names a test that exists, or says why there
# is none: "no test: ...". A test is named `file:test`, or `file`.

function complain(why) {
    print FILENAME ":" FNR ": [behaviours] " why
    bad = 1
}

# The text of a file in tests/; "" if there is none.
function text_of(name,   line) {
    if (!(name in text)) {
        text[name] = ""
        while ((getline line < ("tests/" name)) > 0) text[name] = text[name] line "\n"
        close("tests/" name)
    }
    return text[name]
}

FNR == 1 { ++files }

files == 1 && /^- \*\*[A-Z][A-Z]-[0-9][0-9]\*\* / {
    id = substr($0, 5, 5)
    if (id in entry) complain(id " is there twice")
    entry[id] = 1
    area[substr(id, 1, 2)] = 1
    if ($3 !~ /^P[012]$/) complain(id ": no priority, one of P0 P1 P2")
    at = index($0, " → ")
    shown = at ? substr($0, at + length(" → ")) : ""
    named = 0
    while (match(shown, /`[a-z0-9_\/]+\.(cc|sh|h|c|pml)(:[A-Za-z0-9_]+)?`/)) {
        name = substr(shown, RSTART + 1, RLENGTH - 2)
        shown = substr(shown, RSTART + RLENGTH)
        test = ""
        if (match(name, /:/)) {
            test = substr(name, RSTART + 1)
            name = substr(name, 1, RSTART - 1)
        }
        if (name ~ /^(rt|ctx|chan|tools)\//) continue
        ++named
        if (text_of(name) == "") complain(id ": there is no tests/" name)
        else if (test != "" && text_of(name) !~ ("\\(" test "[^A-Za-z0-9_]"))
            complain(id ": tests/" name " has no test " test)
    }
    if (!named && $0 !~ / → no test/) complain(id ": shown by nothing, and does not say why")
    if ($3 ~ /^P[01]$/ && !named && $0 !~ / → no test: [^ ]/)
        complain(id ": must have a test, or say why it has none")
}

files > 1 {
    rest = $0
    while (match(rest, /(^|[^A-Za-z0-9_-])[A-Z][A-Z]-[0-9][0-9]($|[^0-9A-Za-z])/)) {
        id = substr(rest, RSTART, RLENGTH)
        rest = substr(rest, RSTART + RLENGTH - 1)
        match(id, /[A-Z][A-Z]-[0-9][0-9]/)
        id = substr(id, RSTART, 5)
        if ((substr(id, 1, 2) in area) && !(id in entry)) complain(id " is cited and is not in tests/BEHAVIOURS.md")
    }
}

END { exit bad }
