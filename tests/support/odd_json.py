"""Valid JSON that nobody writes by hand: what passes through unread has to come out as it was."""

import random


def value(draw, depth=0):
    kind = draw.randrange(7 if depth < 4 else 5)
    if kind < 5:
        return ["null", "true", "1.50", "12345678901234567890", '"\\u00e9 \\/ \u00fc"'][kind]
    if kind == 5:
        return "[ " + " , ".join(value(draw, depth + 1) for _ in range(draw.randrange(3))) + "]"
    return "{" + ",".join(f'"k{n}" :{value(draw, depth + 1)}' for n in range(draw.randrange(3))) + " }"


def bodies(known, count=40, seed=7):
    """Objects with these members, as text, and random ones that no dialect knows, in any order."""
    draw = random.Random(seed)
    for _ in range(count):
        members = [f'"own_{n}": {value(draw)}' for n in range(draw.randrange(6))] + list(known)
        draw.shuffle(members)
        yield "{ " + " ,\n".join(members) + " }"
