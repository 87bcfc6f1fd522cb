"""Checks programs on lists with a machine of its own that knows a dozen kinds of lines; nothing is executed."""

from __future__ import annotations

import re
from collections.abc import Callable

from synth.checkers.reading import UnreadableError, agrees, found

_LINES: tuple[tuple[re.Pattern[str], Callable[[list[int], list[int]], None]], ...] = (
    (re.compile(r"\w+\.append\((\d+)\)"), lambda have, n: have.append(n[0])),
    (re.compile(r"\w+\.reverse\(\)"), lambda have, n: have.reverse()),
    (re.compile(r"\w+\.pop\((-?\d+)\)"), lambda have, n: have.__delitem__(n[0])),
    (re.compile(r"\w+\.sort\(\)"), lambda have, n: have.sort()),
    (re.compile(r"\w+\[(\d+)\] = (\d+)"), lambda have, n: have.__setitem__(n[0], n[1])),
    (re.compile(r"\w+\.insert\((\d+), (\d+)\)"), lambda have, n: have.insert(n[0], n[1])),
    (re.compile(r"\w+ = \[v \+ (\d+) for v in \w+\]"), lambda have, n: _add(have, n[0])),
    (re.compile(r"\w+ = \w+\[(\d+):\]"), lambda have, n: have.__delitem__(slice(0, n[0]))),
    (re.compile(r"\w+\.remove\((\d+)\)"), lambda have, n: have.remove(n[0])),
)  # fmt: skip


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is what the last line prints."""
    start = found(r"(?m)^\w+ = \[(\d+(?:, \d+)*)\]$", prompt_text)
    have = [int(item) for item in start.group(1).split(", ")]
    for line in prompt_text[start.end() + 1 :].split("\n"):
        shown = re.fullmatch(r"print\((?:(sum|len|max|min)\()?\w+(?:\[(-?\d+)\])?\)+", line)
        if shown:
            what, at = shown.groups()
            right: int | list[int] = have[int(at)] if at else have
            if what:
                right = sum(have) if what == "sum" else len(have) if what == "len" else sorted(have)[-(what == "max")]
            return agrees(prompt_text, answer_text, right)
        _run(line, have)
    raise UnreadableError(prompt_text)


def _add(have: list[int], number: int) -> None:
    have[:] = [value + number for value in have]


def _run(line: str, have: list[int]) -> None:
    for pattern, act in _LINES:
        match = pattern.fullmatch(line)
        if match:
            act(have, [int(text) for text in match.groups()])
            return
    raise UnreadableError(line)
