"""Checks a JSON value against the part of JSON Schema (2020-12) that our own documents use.

    faults = check(value, schema, document)      # a list of texts, empty where all is well

A keyword that is not known here is a fault of the schema: a rule that is not applied is worse than none.
"""

import datetime
import re

ANNOTATIONS = {"description", "default", "title", "examples"}
TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def resolve(reference, document):
    """What "#/a/b" stands for in the document."""
    value = document
    for name in reference.removeprefix("#/").split("/"):
        value = value[name.replace("~1", "/").replace("~0", "~")]
    return value


def check(value, schema, document, at=""):
    if "$ref" in schema:
        return check(value, resolve(schema["$ref"], document), document, at)
    faults = []
    for keyword, rule in schema.items():
        if keyword in ANNOTATIONS:
            continue
        if keyword not in RULES:
            faults.append(f"{at}: the schema's {keyword} is not known here")
            continue
        faults += RULES[keyword](value, rule, schema, document, at)
    return faults


def _type(value, rule, schema, document, at):
    names = [rule] if isinstance(rule, str) else rule
    if any(TYPES[name](value) for name in names):
        return []
    return [f"{at}: {value!r}, expected {' or '.join(names)}"]


def _properties(value, rule, schema, document, at):
    if not isinstance(value, dict):
        return []
    return [fault for name, inner in rule.items() if name in value
            for fault in check(value[name], inner, document, f"{at}/{name}")]


def _additional(value, rule, schema, document, at):
    if not isinstance(value, dict):
        return []
    extra = [name for name in value if name not in schema.get("properties", {})]
    if rule is False:
        return [f"{at}: {name} is not expected" for name in extra]
    if rule is True:
        return []
    return [fault for name in extra for fault in check(value[name], rule, document, f"{at}/{name}")]


def _required(value, rule, schema, document, at):
    if not isinstance(value, dict):
        return []
    return [f"{at}: {name} is missing" for name in rule if name not in value]


def _items(value, rule, schema, document, at):
    if not isinstance(value, list):
        return []
    return [fault for i, each in enumerate(value)
            for fault in check(each, rule, document, f"{at}/{i}")]


def _enum(value, rule, schema, document, at):
    return [] if value in rule else [f"{at}: {value!r}, expected one of {rule}"]


def _one_of(value, rule, schema, document, at):
    fitting = sum(not check(value, each, document, at) for each in rule)
    return [] if fitting == 1 else [f"{at}: {value!r} fits {fitting} of the schemas, expected one"]


def _format(value, rule, schema, document, at):
    if not isinstance(value, str):
        return []
    forms = {"date-time": ("%Y-%m-%dT%H:%M:%SZ", "a time like 2030-01-31T00:00:00Z"),
             "date": ("%Y-%m-%d", "a day like 2030-01-31")}
    if rule not in forms:
        return [f"{at}: the schema's format {rule} is not known here"]
    form, wanted = forms[rule]
    try:
        datetime.datetime.strptime(value, form)
    except ValueError:
        return [f"{at}: {value!r}, expected {wanted}"]
    return []


def _bound(wrong, word):
    def rule_of(value, rule, schema, document, at):
        comparable = isinstance(value, (int, float)) and not isinstance(value, bool)
        return [f"{at}: {value!r}, expected {word} {rule}"] if comparable and wrong(value, rule) else []
    return rule_of


def _length(wrong, word):
    def rule_of(value, rule, schema, document, at):
        if not isinstance(value, str) or not wrong(len(value), rule):
            return []
        return [f"{at}: {value!r}, expected {word} {rule} characters"]
    return rule_of


def _pattern(value, rule, schema, document, at):
    if not isinstance(value, str) or re.search(rule, value):
        return []
    return [f"{at}: {value!r} does not match {rule}"]


RULES = {
    "type": _type, "properties": _properties, "additionalProperties": _additional,
    "required": _required, "items": _items, "enum": _enum, "oneOf": _one_of, "format": _format,
    "minimum": _bound(lambda value, rule: value < rule, "at least"),
    "maximum": _bound(lambda value, rule: value > rule, "at most"),
    "minLength": _length(lambda size, rule: size < rule, "at least"),
    "maxLength": _length(lambda size, rule: size > rule, "at most"),
    "pattern": _pattern,
}
