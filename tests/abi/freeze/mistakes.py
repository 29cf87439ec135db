"""What somebody could do to a header by mistake: a pattern, and what takes its place. Each check of the freeze must find
each of them."""

import pathlib
import re
import shutil

MISTAKES = {
    "a field in the middle": ("plugin.h", r"(typedef struct swy_kind \{\s*uint32_t size, flags;)", r"\1 uint32_t more;"),
    "a widened field": ("plugin.h", r"uint16_t minor;", "uint32_t minor;"),
    "a leaf that grew": ("plugin.h", r"(typedef struct swy_kv \{\s*swy_str k, v;)", r"\1 uint64_t more;"),
    "a field retyped at the same size": ("logger.h", r"uint64_t dur_ns;", "int64_t dur_ns;"),
    "a removed field": ("provider.h", r"uint64_t deadline_ns;[^\n]*\n(\} swy_req;)", r"\1"),
    "an argument of a slot": ("plugin.h", r"uint64_t\(SWY_CALL\* now_ns\)\(const swy_host\* host, int32_t wall\)",
                              "uint64_t(SWY_CALL* now_ns)(const swy_host* host, int64_t wall)"),
    "an appended field": ("logger.h", r"(uint64_t nkv;)", r"\1 uint64_t more;"),
}


def mistaken_copy(include, work, name):
    """A copy of the headers with that mistake in it."""
    header, pattern, replacement = MISTAKES[name]
    copy = pathlib.Path(work, "include")
    shutil.copytree(include, copy)
    path = copy / "switchyard" / header
    text, count = re.subn(pattern, replacement, path.read_text(), count=1)
    if count != 1:
        raise SystemExit(f"{header}: nothing matches {pattern}")
    path.write_text(text)
    return copy
