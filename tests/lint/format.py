"""Is everything laid out as .clang-format says? Exit code 77 (skipped) where clang-format 19 is not installed."""

import os
import shutil
import subprocess
import sys

import tree

FORMATTER = "clang-format-19"


def faults(root, paths):
    done = subprocess.run([FORMATTER, "--dry-run", "-Werror", *map(str, paths)], cwd=root,
                          capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if ": error:" in line]
    if done.returncode != 0 and not lines:
        lines = done.stderr.splitlines() or [f"{FORMATTER}: exit code {done.returncode}"]
    return lines


def main():
    if shutil.which(FORMATTER) is None:
        print(f"{FORMATTER} is not installed")
        return 1 if os.environ.get("CI") == "true" else 77
    found = faults(tree.ROOT, tree.files("core", "plugins", "sdk", "tests"))
    for line in found[:50]:
        print(line)
    if found:
        print(f"{len(found)} fault(s); `./dev fmt` mends them", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
