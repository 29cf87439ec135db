#!/usr/bin/env python3
"""What a plugin file may show to the world: exports.py FILE... fails at the first thing that is not in the contract.

One export, swy_plugin_v1; no unique symbols, static TLS or text relocations; bound at load; no library beside the C
runtime's; no symbol of a C library newer than the baseline's. Of a .dll: its one export and the libraries it needs.
"""

import glob
import re
import subprocess
import sys

NEEDED = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libpthread.so.0", "libdl.so.2",
          "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
DLLS = {"kernel32.dll", "msvcrt.dll", "ucrtbase.dll"}  # what every Windows has
GLIBC_NEWEST = (2, 36)  # Debian 12


def readelf(option, file):
    return subprocess.run(["readelf", "--wide", option, file], check=True, capture_output=True, text=True).stdout


def dll_faults(file):
    table = subprocess.run(["x86_64-w64-mingw32-objdump", "-p", file], check=True, capture_output=True, text=True).stdout
    exports = re.findall(r"^\s*\[\s*\d+\].*\s(\w+)$", table.partition("[Ordinal/Name Pointer] Table")[2], flags=re.M)
    if exports != ["swy_plugin_v1"]:
        yield f"exports {exports}"
    for library in re.findall(r"DLL Name: (\S+)", table):
        if library.lower() not in DLLS:
            yield f"needs {library}"


def faults_of(file):
    if str(file).endswith(".dll"):
        yield from dll_faults(file)
        return
    symbols, dynamic = readelf("--dyn-syms", file), readelf("--dynamic", file)
    rows = [row.split() for row in symbols.splitlines() if re.match(r"\s*\d+:", row)]
    defined = [row for row in rows if len(row) > 7 and row[6] != "UND" and row[4] in ("GLOBAL", "WEAK", "UNIQUE")]
    exports = {row[7].split("@")[0] for row in defined}
    if exports != {"swy_plugin_v1"}:
        yield f"exports {sorted(exports)}"
    if any(row[4] == "UNIQUE" for row in rows):
        yield "has unique symbols"
    for word in ("STATIC_TLS", "TEXTREL"):
        if word in dynamic:
            yield word
    if "NOW" not in dynamic:
        yield "is not bound at load"
    for library in set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)) - NEEDED:
        yield f"needs {library}"
    for version in set(re.findall(r"@GLIBC_(\d+)\.(\d+)", symbols)):
        if tuple(map(int, version)) > GLIBC_NEWEST:
            yield f"needs GLIBC_{'.'.join(version)}"


def main(arguments):
    files = [file for argument in arguments for file in sorted(glob.glob(argument))]
    count = 0
    for file in files:
        for fault in faults_of(file):
            print(f"{file}: {fault}")
            count += 1
    print(f"{len(files)} plugins, {count} faults")
    return 1 if count or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
