"""The files of the project, for the lints."""

import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What is built, downloaded or somebody else's.
PASSED_OVER = {".git", ".cache", "build", "node_modules", ".venv", "__pycache__", "corpus", "target"}
CPP = (".hpp", ".cpp", ".h", ".c")


def files(*folders, suffixes=CPP, root=ROOT):
    """Paths below `folders`, relative to the root, in a fixed order."""
    found = []
    for folder in folders:
        for place, names, leaves in os.walk(root / folder):
            names[:] = sorted(name for name in names if name not in PASSED_OVER)
            found += [(pathlib.Path(place) / leaf).relative_to(root)
                      for leaf in sorted(leaves) if leaf.endswith(suffixes)]
    return found


def without_comments_and_strings(text):
    """The same text with comments and literals blanked, so that offsets and line numbers stay."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    pattern = (r'R"(?P<tag>[^()\\\s]*)\(.*?\)(?P=tag)"'       # raw string
               r'|//(?:\\\n|[^\n])*|/\*.*?\*/'                # comments
               r'|"(?:\\.|[^"\\\n])*"'                        # string
               r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'")       # character; not a digit separator
    return re.sub(pattern, blank, text, flags=re.S)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def report(faults):
    """Prints them; the exit code."""
    for fault in faults:
        print(fault)
    if faults:
        print(f"{len(faults)} fault(s)", file=sys.stderr)
    return 1 if faults else 0
