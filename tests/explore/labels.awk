# tests/explore/labels.awk - the labels of orderings (// L1): each is explained once, and none is used that is not.
# SPDX-License-Identifier: BSD-2-Clause
#
# Run over the library's files. A label is explained in an "Ordering:" paragraph of a file's head, or behind its
# colon in any other comment: "C1: release to acquire".

function explain(label) {
    # One protocol with two users, which are to become one file.
    if (label == "B1" && FILENAME == "chan/lock.h") return
    if (label in where && where[label] != FILENAME) {
        print FILENAME ":" FNR ": label " label " is explained in " where[label] ", too"
        bad = 1
    }
    where[label] = FILENAME
}

FNR == 1 { ordering = 0 }
!/^\/\// { ordering = 0 }
/^\/\/ Ordering:/ { ordering = 1 }
ordering && /^\/\/ [A-Z][a-z]+:/ && !/Ordering:/ { ordering = 0 }
ordering {
    line = $0
    while (match(line, /(Ordering:|;|\/\/)  *[A-Z][0-9] [a-z]/)) {
        label = substr(line, RSTART, RLENGTH)
        # "K1 of another file" only points there.
        if (substr(line, RSTART + RLENGTH - 1, 3) != "of ") explain(substr(label, length(label) - 3, 2))
        line = substr(line, RSTART + RLENGTH)
    }
}
match($0, /^ *\/\/.*[ (][A-Z][0-9]: /) { explain(substr($0, RSTART + RLENGTH - 4, 2)) }
match($0, /[^ ] *\/\/.*[ (]*[A-Z][0-9]: /) { beside[substr($0, RSTART + RLENGTH - 4, 2)] = 1 }
{
    line = $0
    sub(/^[^\/]*\/\//, "//", line)
    if (line !~ /^\/\/ [A-Z][0-9]([ ,.]|$)/) next
    used[substr(line, 4, 2)] = FILENAME ":" FNR
}
END {
    for (label in used)
        if (!(label in where) && !(label in beside) && label != "M0") {
            print used[label] ": label " label " is explained nowhere"
            bad = 1
        }
    exit bad
}
