# tests/lint/text.awk - the rules that a line of text can break, each named in brackets in its message.
# SPDX-License-Identifier: BSD-2-Clause
#
# Run from the root of the tree over all text files. A line that has to break a rule says so and why, in a comment:
# lint-ok: RULE reason. Rules about C++ see neither comments nor string literals.

function complain(rule, why) {
    if (index($0, "lint-ok: " rule)) return
    print FILENAME ":" FNR ": [" rule "] " why
    bad = 1
}

function has_word(pattern) { return code ~ ("(^|[^A-Za-z0-9_])(" pattern ")([^A-Za-z0-9_]|$)") }

# The line without string literals and comments; in_comment carries a /* over to the next line.
function strip(line,   at) {
    gsub(/\\./, "", line)
    gsub(/"[^"]*"/, "\"\"", line)
    if (in_comment) {
        at = index(line, "*/")
        if (!at) return ""
        line = substr(line, at + 2)
        in_comment = 0
    }
    sub(/\/\/.*/, "", line)
    gsub(/\/\*([^*]|\*+[^*\/])*\*+\//, " ", line)
    at = index(line, "/*")
    if (at) {
        in_comment = 1
        line = substr(line, 1, at - 1)
    }
    return line
}

FNR == 1 {
    library = FILENAME ~ /^(arch|kernel|rt|chan|ctx)\/|^gort(_c)?\.h$/
    cxx = FILENAME ~ /\.(h|cc|c)$/
    assembly = FILENAME ~ /\.S$/
    script = FILENAME ~ /\.(sh|awk|pml)$/ || FILENAME ~ /^\.ci\//
    in_comment = 0
    pragma = spdx = no_tsa = 0
    file = FILENAME
}

/[ \t]$/ && FILENAME !~ /\.md$/ { complain("trailing", "blanks at the end of the line") }
/\r/ { complain("crlf", "a carriage return") }
/\t/ && (cxx || assembly || script) { complain("tab", "a tab") }
(cxx || assembly || script) && length > 120 { complain("width", length " columns; 110 is the aim, 120 the end") }
FNR == 701 && (cxx || assembly || script) { complain("length", "more than 700 lines: a file with more than one idea") }
FNR == 551 && library && cxx { complain("length", "more than 550 lines: a file with more than one idea") }
FNR <= 4 && /SPDX-License-Identifier: BSD-2-Clause/ { spdx = 1 }
FNR == 5 && !spdx && (cxx || assembly || script) { complain("spdx", "no SPDX line among the first four") }
/^#pragma once|^#ifndef GORT_C_H$/ { pragma = 1 } # with a guard a header compiles by itself without a warning
/^#include/ && FILENAME ~ /\.h$/ && !pragma && !/lint-ok/ {
    complain("pragma", "an include before #pragma once")
    pragma = 1
}

assembly && /^[ \t]*\.align/ { complain("align", ".align means bytes here and a power of two there: .p2align") }

/\/\/.*(TSA|[Aa]nalysis)/ { no_tsa = 1 }
cxx {
    code = strip($0)
    if (!library) next
    if (has_word("GORT_NO_TSA") && !no_tsa && FILENAME != "kernel/thread_annotations.h")
        complain("tsa", "GORT_NO_TSA, and no comment above says why: what can the analysis not follow?")
    if (FILENAME != "kernel/tls.cc" && FILENAME !~ /^arch\// && has_word("thread_local|__thread"))
        complain("tls", "a thread_local outside of kernel/tls.cc: a goroutine changes threads")
    if (!/^#include/ && FILENAME != "rt/safe_errno.h" &&
        FILENAME !~ /^kernel\// && FILENAME !~ /^rt\/((net|sim)\/)?host_/ && has_word("errno|__errno_location"))
        complain("errno", "errno above kernel/: its address is cached across a park; use -errno results")
    if (has_word("std::(recursive_|timed_|shared_)*mutex|std::j?thread|std::condition_variable(_any)?") ||
        has_word("std::(async|future|promise|call_once|once_flag)"))
        complain("std", "blocks the thread, not the goroutine")
    if (FILENAME !~ /^rt\/sim\// && has_word("std::function"))
        complain("std", "std::function allocates and needs the hosted library")
}

END { exit bad }
