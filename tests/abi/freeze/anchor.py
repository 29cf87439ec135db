#!/usr/bin/env python3
"""The ABI as libabigail sees it, against the baseline that was committed.

    anchor.py write INCLUDE CC     makes anchor.abi anew
    anchor.py check INCLUDE CC     fails at any difference; there are no suppressions
    anchor.py detect INCLUDE CC    shows that the check bites: changes the headers in ways that must be found

A plugin hides its tables behind a pointer to nothing, so a comparison of plugins finds nothing. The anchor library has
one function for each public struct instead.
"""

import pathlib
import subprocess
import sys
import tempfile

from layout import includes, structs_of
from mistakes import MISTAKES, mistaken_copy

HERE = pathlib.Path(__file__).resolve().parent
BASELINE = HERE / "anchor.abi"


def build(include, cc, work):
    structs = structs_of(include)
    source = pathlib.Path(work, "anchor.c")
    functions = [f"void anchor_{struct}(const {struct}* value) {{ (void)value; }}\n" for _, struct, _ in structs]
    source.write_text("#define SWY_HOST\n" + includes(header for header, _, _ in structs) + "".join(functions))
    library = pathlib.Path(work, "libanchor.so")
    # From there, so that no path of this build gets into the description.
    subprocess.run([cc, "-g", "-O0", "-shared", "-fPIC", "-std=c99", f"-I{include}", source.name, "-o", library.name],
                   cwd=work, check=True)
    return library


def describe(library, into):
    subprocess.run(["abidw", "--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--out-file", into, library],
                   check=True)


def differences(include, cc):
    """What abidiff says of today's headers; None where it says nothing."""
    with tempfile.TemporaryDirectory() as work:
        today = pathlib.Path(work, "today.abi")
        describe(build(include, cc, work), today)
        done = subprocess.run(["abidiff", "--no-default-suppression", BASELINE, today],
                              capture_output=True, text=True)
        return None if done.returncode == 0 else done.stdout + done.stderr


def detect(include, cc):
    missed = []
    for name in MISTAKES:
        with tempfile.TemporaryDirectory() as work:
            found = differences(mistaken_copy(include, work, name), cc)
        print(f"{name}: {'found' if found else 'NOT FOUND'}")
        if not found:
            missed.append(name)
    return not missed


def main(arguments):
    command, include, cc = arguments
    include = pathlib.Path(include).resolve()
    if command == "detect":
        return 0 if detect(include, cc) else 1
    if command == "write":
        with tempfile.TemporaryDirectory() as work:
            describe(build(include, cc, work), BASELINE)
        return 0
    found = differences(include, cc)
    print(found or "no difference")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
