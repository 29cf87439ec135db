"""Statements with co_await that g++ 12.2 miscompiles: in a condition, with braces, with ?:, and defaulted aggregates."""

import re
import sys

import tree

CO_AWAIT = re.compile(r"\bco_await\b")
CONDITION = re.compile(r"\b(if|while|switch|for)\s*(?:constexpr\s*)?\($")
# What stands before the brace of a block; before any other brace stands a type, a name, "=", "(" or ",".
BLOCK_BEFORE = re.compile(r"([;{})\]:>]|\b(else|do|try|mutable|noexcept|const|override|final)|->\s*[\w:]+)$")
DEFAULTED = re.compile(r"\bawaitable<[^;{}]*?\([^;{}]*?=\s*[\w:]*\{")


def before_fault(code, at):
    """What is wrong between the statement's beginning and its co_await at `at`, or None."""
    open_parens = 0  # "(" passed on the way back that were not closed after them
    depth = 0        # ")" passed whose "(" is still to come
    for i in range(at - 1, -1, -1):
        char = code[i]
        if char in ")]":
            depth += 1
        elif char in "([":
            if depth > 0:
                depth -= 1
                continue
            open_parens += 1
            if CONDITION.search(code[max(0, i - 40):i + 1]):
                return "in a condition"
        elif char == "?" and depth == 0:
            return "in a statement with ?:"
        elif char == "{" and depth == 0:
            return None if BLOCK_BEFORE.search(code[max(0, i - 80):i].rstrip()) else "inside braces"
        elif char == "}" and depth == 0:
            # The end of a block before the statement; but inside parentheses a block can't end.
            return after_brace_fault(code, i, open_parens)
        elif char == ";" and depth == 0:
            return for_fault(code, i)
    return None


def for_fault(code, at):
    """A ";" may be the one inside for (...; ...; ...)."""
    depth = 0
    for i in range(at - 1, -1, -1):
        if code[i] == ")":
            depth += 1
        elif code[i] == "(":
            if depth == 0:
                return "in a condition" if CONDITION.search(code[max(0, i - 40):i + 1]) else None
            depth -= 1
        elif code[i] in "{}" and depth == 0:
            return None
    return None


def after_brace_fault(code, at, open_parens):
    if open_parens == 0:
        # "Options{...}.with(co_await f())" goes on after the brace; a block does not.
        return "in a statement with braces" if code[at + 1:at + 2] in {".", ",", ")"} else None
    depth = 0
    for i in range(at, -1, -1):
        if code[i] == "}":
            depth += 1
        elif code[i] == "{":
            depth -= 1
            if depth == 0:
                block = re.search(r"[;{}]$|\b(else|do|try)$|\)$", code[max(0, i - 80):i].rstrip())
                inside = code[at + 1:at + 2] in {",", ")", "."}
                return "in a statement with braces" if inside or not block else None
    return None


def after_fault(code, at):
    """What is wrong between the co_await and the statement's end, or None."""
    depth = 0
    for i in range(at, len(code)):
        char = code[i]
        if char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif char == "?":
            return "in a statement with ?:"
        elif char == "{":
            return "in a statement with braces or a lambda"
        elif char == ";" or char == "}":
            return None
    return None


def faults(path, text):
    code = tree.without_comments_and_strings(text)
    found = []
    for match in CO_AWAIT.finditer(code):
        what = before_fault(code, match.start()) or after_fault(code, match.start())
        if what:
            found.append((match.start(), f"co_await {what}: name it in a statement of its own"))
    for match in DEFAULTED.finditer(code):
        found.append((match.start(), "a coroutine defaults an aggregate: overload it"))
    return [f"{path}:{tree.line_of(text, at)}: {what}" for at, what in sorted(found)]


def main():
    found = []
    for path in tree.files("core", "plugins", "sdk", "tests", suffixes=(".hpp", ".cpp")):
        found += faults(path.as_posix(), (tree.ROOT / path).read_text())
    return tree.report(found)


if __name__ == "__main__":
    sys.exit(main())
