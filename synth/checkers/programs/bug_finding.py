"""Checks notes by running the numbered lines with a table of values; exactly one note may differ."""

from __future__ import annotations

import re

from synth.checkers.reading import UnreadableError, agrees

_LINE = re.compile(r"(?m)^(\d+): ([a-z]) = (\d+|[a-z])(?: ([-+*]) (\d+|[a-z]))? +# ([a-z]) is (-?\d+)$")


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is the line of the wrong note, or the value that it should give."""
    values: dict[str, int] = {}
    wrong: list[tuple[int, int]] = []
    for number, target, one, sign, two, _, noted in _LINE.findall(prompt_text):
        value = _read(one, values)
        if sign:
            other = _read(two, values)
            value = {"+": value + other, "-": value - other, "*": value * other}[sign]
        values[target] = value
        if int(noted) != value:
            wrong.append((int(number), value))
    if len(wrong) != 1:
        raise UnreadableError(prompt_text)
    line, right = wrong[0]
    return agrees(
        prompt_text, answer_text, right if "value for" in prompt_text or "value should" in prompt_text else line
    )


def _read(text: str, values: dict[str, int]) -> int:
    if text.isdigit():
        return int(text)
    if text not in values:
        raise UnreadableError(text)
    return values[text]
