#!/usr/bin/env python3
"""What the border to a plugin costs, in user instructions: the provider as a plugin minus the same sources linked in.

    boundary.py --build-dir build/release     counts, prints, writes BOUNDARY.md; 1 where a target is missed

Instructions are counted by valgrind's callgrind, run twice with different counts of requests or events: the difference
between the runs is what these took, without start and end. boundary_driver.cpp says what is run.
"""

import argparse
import collections
import datetime
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# Figure, what it is counted in, the target, and two runs (requests, events of each) that differ by so many of them.
FIGURES = (
    ("request", "pass-through request, answered whole", 3000, (200, 0), (1200, 0), 1000),
    ("event", "relayed event of a stream", 600, (1, 500), (1, 2500), 2000),
)
ROW = re.compile(r"\s*([\d,]+)\s+[^\s:]+:(.+)")


def count(work, way, requests, events):
    """Instructions by function."""
    profile = work / "profile"
    driver = [str(work / "boundary_driver"), way, str(work / "plugins" / "openai.so"),
              str(requests), str(events)]
    subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", *driver],
                   check=True, capture_output=True, text=True)
    table = subprocess.run(["callgrind_annotate", "--show-percs=no", "--threshold=100",
                            str(profile)], check=True, capture_output=True, text=True).stdout
    functions = collections.Counter()
    for line in table.splitlines():
        if match := ROW.match(line):
            functions[short(match.group(2))] += int(match.group(1).replace(",", ""))
    total = re.search(r"^([\d,]+).*PROGRAM TOTALS", table, re.MULTILINE).group(1)
    return int(total.replace(",", "")), functions


def short(function):
    """A function's name without the object it is in, its arguments and namespaces that say nothing."""
    name = re.sub(r" \[[^]]*\]$", "", function).replace("(anonymous namespace)::", "")
    name = re.sub(r"@@.*", "", name)
    while (bare := re.sub(r"<[^<>]*>", "", name)) != name:
        name = bare
    name = re.sub(r"\(.*", "", name)
    return name.replace("switchyard::plugin::", "plugin::").replace("swy::detail::", "swy::")


def per_one(work, way, fewer, more, difference):
    total, functions = count(work, way, *more)
    less, before = count(work, way, *fewer)
    functions.subtract(before)
    return (total - less) / difference, {name: n / difference for name, n in functions.items()}


def measure(work):
    """Of each figure its row, and where the difference is."""
    for name, what, target, fewer, more, difference in FIGURES:
        plugin, there = per_one(work, "plugin", fewer, more, difference)
        linked, here = per_one(work, "linked", fewer, more, difference)
        places = {each: there.get(each, 0) - here.get(each, 0) for each in {*there, *here}}
        places = sorted(((n, each) for each, n in places.items() if abs(n) >= 1), reverse=True)
        yield name, what, target, plugin, linked, places


def lay_out(build, work):
    """Without debug information, which not every valgrind can read."""
    (work / "plugins").mkdir()
    for source, copy in ((build / "bin" / "boundary_driver", work / "boundary_driver"),
                         (build / "plugins" / "openai.so", work / "plugins" / "openai.so")):
        shutil.copyfile(source, copy)
        copy.chmod(0o755)
        subprocess.run(["strip", "-g", str(copy)], check=True)


def report(figures, build):
    cache = (build / "CMakeCache.txt").read_text()
    compiler = re.search(r"^CMAKE_CXX_COMPILER:\w+=(?:.*/)?(\S+)$", cache, re.MULTILINE).group(1)
    kind = re.search(r"^CMAKE_BUILD_TYPE:\w+=(\S+)$", cache, re.MULTILINE).group(1)
    lines = [
        "# What the border to a plugin costs", "",
        f"Written by `./dev bench --boundary` on {datetime.date.today()}: {compiler}, {kind}, "
        f"{platform.machine()}; user instructions,", "counted by callgrind.", "",
        "| per | plugin | linked in | difference | target |", "| --- | --- | --- | --- | --- |"]
    for _, what, target, plugin, linked, _ in figures:
        lines.append(f"| {what} | {plugin:,.0f} | {linked:,.0f} | **{plugin - linked:,.0f}** | "
                     f"≤ {target:,} |")
    lines += ["", """\
Both columns are the openai provider over the same events (`boundary_driver.cpp`). *Plugin* is the built `openai.so`,
driven through `plugin::Operation` as the gateway does. *Linked in* are the same sources in the driver, called as the
C++ classes that they are: no operation on the heap, no barrier for exceptions, no error to fill, no note of whose code
runs, no watch on its time. They still write through `swy::Out`, which is a table of functions; without the host's checks.

Valgrind hides the kernel's fast clock, so that `clock_gettime` is a system call of 10 instructions. On its own a read
of the clock takes about 80, once a step: add 70 to an event, and 210 to a request, which has three steps.""", ""]
    for name, _, _, plugin, linked, places in figures:
        lines += [f"Where the difference is, per {name}:", "", "| function | instructions |",
                  "| --- | --- |"]
        shown = places[:10]
        lines += [f"| `{each}` | {n:,.0f} |" for n, each in shown]
        lines += [f"| the rest | {plugin - linked - sum(n for n, _ in shown):,.0f} |", ""]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build-dir", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, default=HERE / "BOUNDARY.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="switchyard-boundary-") as scratch:
        work = pathlib.Path(scratch)
        lay_out(arguments.build_dir, work)
        figures = list(measure(work))
    arguments.output.write_text(report(figures, arguments.build_dir))
    missed = False
    for name, _, target, plugin, linked, _ in figures:
        print(f"{name}: {plugin:,.0f} - {linked:,.0f} = {plugin - linked:,.0f} instructions, "
              f"target {target:,}")
        missed = missed or plugin - linked > target
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
