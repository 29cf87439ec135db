"""Who may include whom: a room of core/ only rooms below it, core the SDK, a plugin the SDK alone, the SDK nothing."""

import re
import sys

import tree

# From the top down. The same line: neither may include the other, except that main.cpp starts cli.
ROOMS = ["main", "cli", "supervisor", "worker", "admin", "surface", "exchange", "routing", "account",
         "observe", "plugin", "catalog", "store", "config", "net", "base"]
# It must survive whatever runs below it, so it takes less than its height would allow.
SUPERVISOR_MAY = {"core/worker/control.hpp", "core/worker/worker.hpp", "core/observe/log.hpp"}
SUPERVISOR_MAY_ROOMS = {"supervisor", "account", "store", "config", "base"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">\n]+)[">]', re.M)


def room_of(path):
    """"config" of "core/config/load.cpp"; "main" of a file in core/ itself."""
    parts = path.split("/")
    return parts[1] if len(parts) > 2 else "main"


def fault_in_core(path, quote, target):
    if target.startswith("core/"):
        here, there = room_of(path), room_of(target)
        if there not in ROOMS or here not in ROOMS:
            return f"room {there if there not in ROOMS else here} is not in tests/lint/layering.py"
        if here == "supervisor":
            allowed = there in SUPERVISOR_MAY_ROOMS or target in SUPERVISOR_MAY
            return None if allowed else f"supervisor may not include {there}"
        return None if ROOMS.index(there) >= ROOMS.index(here) else f"{here} may not include {there}"
    if target.startswith(("plugins/", "tests/")):
        return "core may not include it"
    if quote == '"' and not target.startswith("switchyard"):
        return 'ours is written "core/ROOM/file.hpp"'
    return None


def fault_in_plugin(path, target):
    own = "/".join(path.split("/")[:3]) + "/"
    if target.startswith(("core/", "tests/")) or target.startswith("plugins/") and not target.startswith(own):
        return "a plugin may include the SDK and its own files only"
    if ".." in target.split("/"):
        return "a plugin may not leave its folder"
    return None


def fault_in_sdk(target):
    if target.startswith(("core/", "plugins/", "tests/")):
        return "the SDK includes nothing of the host"
    return None


def faults(path, text):
    """One line for each include of `text`, the content of the file at `path`, that goes the wrong way."""
    found = []
    # Strings stay, for they are the targets; an include in a comment is none.
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.S)
    for match in INCLUDE.finditer(text):
        quote, target = match.groups()
        fault = None
        if path.startswith("core/"):
            fault = fault_in_core(path, quote, target)
        elif path.startswith("plugins/"):
            fault = fault_in_plugin(path, target)
        elif path.startswith("sdk/"):
            fault = fault_in_sdk(target)
        if fault:
            found.append(f"{path}:{tree.line_of(text, match.start())}: {target}: {fault}")
    return found


def main():
    found = []
    for path in tree.files("core", "plugins", "sdk"):
        found += faults(path.as_posix(), (tree.ROOT / path).read_text())
    return tree.report(found)


if __name__ == "__main__":
    sys.exit(main())
