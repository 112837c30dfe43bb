# tests/lint/rooms.awk - what a room's README.md says must be there: files, and functions in them.
# SPDX-License-Identifier: BSD-2-Clause
#
# Run from the root over the READMEs. In backquotes, `file.cc` is a file and `file.cc:function` a word in that file; a
# path begins at the root, in rt, or in the README's own folder.

function complain(rule, why) {
    print FILENAME ":" FNR ": [" rule "] " why
    bad = 1
}

# The text of a file; "" if there is none.
function text_of(path,   line) {
    if (!(path in text)) {
        text[path] = ""
        while ((getline line < path) > 0) text[path] = text[path] line "\n"
        close(path)
    }
    return text[path]
}

FNR == 1 {
    folder = FILENAME
    sub(/[^\/]*$/, "", folder)
}

{
    rest = $0
    while (match(rest, /`[A-Za-z0-9_.\/-]+\.(h|cc|c|S|sh|py|pml|awk|mk|md)(:[A-Za-z0-9_]+)?`/)) {
        name = substr(rest, RSTART + 1, RLENGTH - 2)
        rest = substr(rest, RSTART + RLENGTH)
        word = ""
        if (match(name, /:/)) {
            word = substr(name, RSTART + 1)
            name = substr(name, 1, RSTART - 1)
        }
        path = text_of(folder name) != "" ? folder name : text_of(name) != "" ? name : "rt/" name
        if (text_of(path) == "") complain("gone", "there is no file " name)
        else if (word != "" && text_of(path) !~ ("(^|[^A-Za-z0-9_])" word "([^A-Za-z0-9_]|$)"))
            complain("gone", "nothing in " path " is called " word)
    }
}

END { exit bad }
