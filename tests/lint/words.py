"""Words that must not be in the sources: unowned TODOs, sleeps in tests, other people's licences."""

import re
import sys

import tree

# (pattern, where it counts, what to do instead). The patterns are written so that they do not match themselves.
RULES = [
    (re.compile(r"\b(?:TO[D]O|FIX[M]E|HA[C]K)\b(?!\(#\d+\))"), ("",), "write TO" + "DO(#issue): what"),
    (re.compile(r"\b(?:sleep_for|sleep_until|usleep|nanosleep)\b"), ("tests/",),
     "wait for what you mean, not for time"),
    (re.compile(r"SPDX-Licen[s]e|Copyrigh[t] ?(?:\(c\)|©|\d)|Licensed unde[r]", re.I), ("",),
     "the code here is our own"),
]
SUFFIXES = tree.CPP + (".py", ".mjs", ".js", ".sh", ".cmake", "CMakeLists.txt", ".rs")


def faults(path, text):
    found = []
    for pattern, folders, advice in RULES:
        if not path.startswith(folders):
            continue
        for match in pattern.finditer(text):
            found.append(f"{path}:{tree.line_of(text, match.start())}: {match.group(0)}: {advice}")
    return found


def main():
    found = []
    own = "tests/lint/"  # it must name what it looks for
    for path in tree.files("core", "plugins", "sdk", "tests", "config", suffixes=SUFFIXES):
        if not path.as_posix().startswith(own):
            found += faults(path.as_posix(), (tree.ROOT / path).read_text(errors="replace"))
    return tree.report(found)


if __name__ == "__main__":
    sys.exit(main())
