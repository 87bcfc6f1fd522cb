"""Checks arithmetic: evaluates the expression as read, or runs a story backwards from the answer to its start."""

from __future__ import annotations

import re
from fractions import Fraction

from synth.checkers.reading import UnreadableError, evaluate, whole

_EXPRESSION = re.compile(r"\(*\d+\)*(?: [-+*/x] \(*\d+\)*)+")
_LINE = re.compile(r"(\d+) [a-z]+ at \$(\d+)\.(\d\d) each")
_LEG = re.compile(r"(\d+) hours? at (\d+) km/h")
_EVENTS = (
    (re.compile(r"\b(?:buys|finds|receives|wins) (\d+)\b|\bcollects another (\d+)\b|\bgives \w+ (\d+) more"), "gain"),
    (re.compile(r"\b(?:gives|lends) (\d+) to\b|\b(?:sells|loses|donates|borrows) (\d+)\b"), "loss"),
    (re.compile(r"\bdoubles?\b"), "x2"),
    (re.compile(r"\btriples?\b"), "x3"),
    (re.compile(r"\bgives half of them\b"), "part2"),
    (re.compile(r"\bgives a third of them\b"), "part3"),
    (re.compile(r"\bgives a quarter of them\b"), "part4"),
)


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether `answer_text` answers `prompt_text`."""
    if _LINE.search(prompt_text):
        return answer_text == _bill(prompt_text)
    if _LEG.search(prompt_text):
        return answer_text == _journey(prompt_text)
    expression = _EXPRESSION.search(prompt_text)
    number = whole(answer_text)
    if number is None:
        return False
    if expression:
        return evaluate(expression.group()) == number
    if re.search(r"\bfull\b|left over|filled|needed", prompt_text):
        return _packing(prompt_text, number)
    return _undo_story(prompt_text, number)


def _bill(prompt: str) -> str:
    cents = sum(int(count) * int(dollars + rest) for count, dollars, rest in _LINE.findall(prompt))
    paid = re.search(r"\$(\d+)(?!\d|\.\d)", prompt)
    due = int(paid.group(1)) * 100 - cents if paid else cents
    return f"${due // 100}.{due % 100:02d}"


def _journey(prompt: str) -> str:
    legs = [(int(hours), int(speed)) for hours, speed in _LEG.findall(prompt)]
    # the way is the area under the speed, hour by hour
    hourly = [speed for hours, speed in legs for _ in range(hours)]
    if "average speed" in prompt:
        mean = Fraction(sum(hourly), len(hourly))
        return f"{mean} km/h"
    return f"{sum(hourly)} km"


def _packing(prompt: str, answer: int) -> bool:
    numbers = [int(text) for text in re.findall(r"\d+", prompt)]
    if len(numbers) != 2:
        raise UnreadableError(prompt)
    total, size = max(numbers), min(numbers)
    if "left over" in prompt or "do not fit" in prompt:
        return 0 <= answer < size and (total - answer) % size == 0
    if "needed" in prompt:
        return answer * size >= total > (answer - 1) * size
    return answer * size <= total < (answer + 1) * size


def _undo_story(prompt: str, answer: int) -> bool:
    """Undo every event from the last to the first; the number at the start must come out."""
    sentences = re.split(r"(?<=[.?])\s+", prompt)
    start = re.search(r"\d+", sentences[0])
    if start is None:
        raise UnreadableError(prompt)
    number = Fraction(answer)
    for sentence in reversed(sentences[1:-1]):
        kind, amount = _event(sentence)
        if kind == "gain":
            number -= amount
        elif kind == "loss":
            number += amount
        elif kind[0] == "x":
            number /= int(kind[1])
        else:
            number /= 1 - Fraction(1, int(kind[4]))
    return number == int(start.group())


def _event(sentence: str) -> tuple[str, int]:
    for pattern, kind in _EVENTS:
        match = pattern.search(sentence)
        if match:
            return kind, int(next((group for group in match.groups() if group), "0"))
    raise UnreadableError(sentence)
