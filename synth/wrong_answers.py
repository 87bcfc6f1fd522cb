"""Wrong answers made from a right one, to prove that a checker refuses them: the negative controls of every run.

The kinds follow what task verifiers were caught accepting (reasoning-gym #265 and #526): near misses, reordered and
shortened lists, another task's answer, a hedge that contains the right answer, and the problem itself.
"""

from __future__ import annotations

import re


def wrong_answers(answer: str, *, neighbour: str, prompt: str) -> dict[str, str]:
    """Return kind -> wrong answer; `neighbour` is the answer to another task of the family. None equals `answer`."""
    tries = {
        "empty": "",
        "off_by_one": _off_by_one(answer),
        "swapped_order": _swapped(answer),
        "dropped_element": _dropped(answer),
        "repeated_element": _repeated(answer),
        "negated": f"-{answer}",
        "neighbour": neighbour,
        "wrong_unit": _other_unit(answer),
        "hedged": f"{answer} or {neighbour}",
        "echo": prompt,
    }
    return {kind: wrong for kind, wrong in tries.items() if wrong is not None and wrong != answer}


def _off_by_one(answer: str) -> str | None:
    """The last number plus one; in a text without numbers, the last letter moved on by one."""
    numbers = list(re.finditer(r"\d+", answer))
    if numbers:
        last = numbers[-1]
        changed = str(int(last.group()) + 1).rjust(len(last.group()), "0")
        return answer[: last.start()] + changed + answer[last.end() :]
    letters = list(re.finditer(r"[a-zA-Z]", answer))
    if not letters:
        return None
    at = letters[-1].start()
    return answer[:at] + ("a" if answer[at] in "zZ" else chr(ord(answer[at]) + 1)) + answer[at + 1 :]


def _items(answer: str) -> tuple[str, list[str], str]:
    inside = answer[1:-1] if answer.startswith("{") else answer
    left, right = ("{", "}") if answer.startswith("{") else ("", "")
    return left, inside.split(", ") if inside else [], right


def _swapped(answer: str) -> str | None:
    """The first two neighbours that differ change places: items of a list, else characters."""
    left, items, right = _items(answer)
    units, glue = (items, ", ") if len(items) > 1 else (list(items[0]), "") if items else ([], "")
    for at in range(len(units) - 1):
        if units[at] != units[at + 1]:
            units[at], units[at + 1] = units[at + 1], units[at]
            return left + glue.join(units) + right
    return None


def _dropped(answer: str) -> str | None:
    left, items, right = _items(answer)
    if len(items) > 1:
        return left + ", ".join(items[:-1]) + right
    return answer[:-1]


def _repeated(answer: str) -> str | None:
    left, items, right = _items(answer)
    return left + ", ".join([*items, items[-1]]) + right if items else None


def _other_unit(answer: str) -> str | None:
    """`12 km` becomes `12 miles`; None where the answer has no unit."""
    match = re.fullmatch(r"(-?[\d.]+) (\D+)", answer)
    if match:
        return f"{match.group(1)} {'miles' if match.group(2) != 'miles' else 'km'}"
    return answer.replace("$", "") if "$" in answer else None
