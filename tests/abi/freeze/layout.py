#!/usr/bin/env python3
"""The layout of the ABI's structs, as it was written down and as the headers have it today.

    layout.py write INCLUDE CC          measures every field with CC and writes layout.txt anew
    layout.py check INCLUDE CC CXX...   pairs of compilers; every field must stand where layout.txt says
    layout.py detect INCLUDE CC CXX     shows that the check bites

layout.txt has a line for each field: struct, field, offset, size, type; and one for each struct with its size. A frozen
struct (the leaf types) may not change in any way; any other may only grow behind its last field. A field that is
missing, moved, resized or retyped fails to compile, under C89 by its offset and size, under C11 and C++ by its type too.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

from mistakes import MISTAKES, mistaken_copy

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE / "layout.txt"
# They carry no size: arrays of them are walked with sizeof.
FROZEN = {"swy_str", "swy_kv", "swy_seg", "swy_member"}


def without_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def fields_of(body):
    """Name and type of each field of a struct's body."""
    fields = []
    for declaration in body.split(";"):
        declaration = " ".join(declaration.split())
        if not declaration:
            continue
        function = re.fullmatch(r"(.*?)\(SWY_CALL\* ?(\w+)\)(\(.*\))", declaration)
        if function:
            result, name, arguments = function.groups()
            fields.append((name, f"{result.strip()}(SWY_CALL*){arguments}"))
            continue
        array = re.fullmatch(r"(.*?)\b(\w+)\[(\w+)\]", declaration)
        if array:
            kind, name, count = array.groups()
            fields.append((name, f"{kind.strip()}[{count}]"))
            continue
        first, *others = [part.strip() for part in declaration.split(",")]
        kind, name = re.fullmatch(r"(.*?)(\w+)", first).groups()
        fields.append((name, kind.strip()))
        fields += [(other, kind.strip()) for other in others]
    return fields


def structs_of(include):
    found = []
    for header in sorted((include / "switchyard").glob("*.h")):
        text = without_comments(header.read_text())
        for name, body in re.findall(r"struct (swy_\w+) \{(.*?)\n\}", text, flags=re.S):
            found.append((header.name, name, fields_of(body)))
    return found


def includes(headers):
    return "".join(f"#include <switchyard/{header}>\n" for header in sorted(set(headers)))


def write(include, cc):
    structs = structs_of(include)
    lines = ["#include <stdio.h>\n#include <stddef.h>\n", includes(h for h, _, _ in structs),
             "int main(void) {\n"]
    for header, struct, fields in structs:
        lines.append(f'  printf("{header} {struct} - 0 %u struct\\n", (unsigned)sizeof({struct}));\n')
        for field, kind in fields:
            lines.append(f'  printf("{header} {struct} {field} %u %u {kind}\\n", '
                         f"(unsigned)offsetof({struct}, {field}), (unsigned)sizeof((({struct}*)0)->{field}));\n")
    lines.append("  return 0;\n}\n")
    with tempfile.TemporaryDirectory() as work:
        source, program = pathlib.Path(work, "print.c"), pathlib.Path(work, "print")
        source.write_text("".join(lines))
        subprocess.run([cc, f"-I{include}", source, "-o", program], check=True)
        GOLDEN.write_text(subprocess.run([program], check=True, capture_output=True, text=True).stdout)
    print(f"{GOLDEN}: {len(structs)} structs")


def read_golden():
    return [line.split(" ", 5) for line in GOLDEN.read_text().splitlines()]


def pointer_type(kind):
    """A pointer to a field's type, as a cast to it is written."""
    array = re.fullmatch(r"(.*)\[(\w+)\]", kind)
    if array:
        return f"{array.group(1)}(*)[{array.group(2)}]"
    if "(SWY_CALL*)" in kind:
        return kind.replace("(SWY_CALL*)", "(SWY_CALL**)", 1)
    return kind + "*"


def check_source(typed):
    rows = read_golden()
    out = ["#include <stddef.h>\n", includes(row[0] for row in rows)]
    if typed == "cxx":
        out.append("#include <type_traits>\n")
    out.append("#define HOLDS(name, condition) typedef char name[(condition) ? 1 : -1]\n")
    for number, (_, struct, field, offset, size, kind) in enumerate(rows):
        name = f"at_{number}_{struct}_{field.replace('-', 'whole')}"
        if field == "-":
            relation = "==" if struct in FROZEN else ">="
            out.append(f"HOLDS({name}, sizeof({struct}) {relation} {size});\n")
            continue
        out.append(f"HOLDS({name}, offsetof({struct}, {field}) == {offset} && "
                   f"sizeof((({struct}*)0)->{field}) == {size});\n")
        if typed == "c11":
            out.append(f"_Static_assert(_Generic(&(({struct}*)0)->{field}, {pointer_type(kind)}: 1, default: 0), "
                       f'"{struct}.{field} was {kind}");\n')
        if typed == "cxx":
            out.append(f"static_assert(std::is_same<decltype(&((({struct}*)0)->{field})), {pointer_type(kind)}>::value, "
                       f'"{struct}.{field} was {kind}");\n')
    return "".join(out)


def compile_check(compiler, include, standard, suffix, typed, work, loud=True):
    source = pathlib.Path(work, f"check_{typed}.{suffix}")
    source.write_text(check_source(typed))
    done = subprocess.run([compiler, f"-std={standard}", "-pedantic-errors", "-Wall", "-Wextra", "-Werror",
                           "-Wno-unused-local-typedefs", "-fsyntax-only", f"-I{include}", source],
                          capture_output=True, text=True)
    if done.returncode and loud:
        print(f"{compiler} -std={standard}:\n{done.stderr[:4000]}")
    return done.returncode == 0


def missing_lines(include):
    """What the headers have and nobody wrote down: a new field that no later check would watch."""
    known = {(row[1], row[2]) for row in read_golden()}
    return [f"{struct}.{field}" for _, struct, fields in structs_of(include)
            for field, _ in fields if (struct, field) not in known]


def compiles(include, compilers, loud):
    good = True
    with tempfile.TemporaryDirectory() as work:
        for cc, cxx in zip(compilers[::2], compilers[1::2]):
            good &= compile_check(cc, include, "c89", "c", "c89", work, loud)
            good &= compile_check(cc, include, "c11", "c", "c11", work, loud)
            good &= compile_check(cxx, include, "c++11", "cpp", "cxx", work, loud)
    return good


def check(include, compilers):
    new = missing_lines(include)
    for name in new:
        print(f"{name} is not in layout.txt: if it was appended on purpose, run layout.py write")
    good = compiles(include, compilers, loud=True) and not new
    print(f"{len(read_golden())} lines, {len(compilers)} compilers: {'ok' if good else 'CHANGED'}")
    return good


def detect(include, compilers):
    missed = []
    for name in MISTAKES:
        with tempfile.TemporaryDirectory() as work:
            copy = mistaken_copy(include, work, name)
            found = bool(missing_lines(copy)) or not compiles(copy, compilers, loud=False)
        print(f"{name}: {'found' if found else 'NOT FOUND'}")
        if not found:
            missed.append(name)
    return not missed


def main(arguments):
    command, include, *compilers = arguments
    include = pathlib.Path(include).resolve()
    if command == "write":
        write(include, compilers[0])
        return 0
    run = {"check": check, "detect": detect}[command]
    return 0 if run(include, compilers) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
