"""Problems made from a right one by one small change: does a checker read its prompt, or does it guess?

A changed problem with the old answer should mostly be refused. Not always: a number in the line before the problem, or
one that the question passes over, changes nothing. So the share that is noticed is a lower bound of what a checker
reads, told per family; a checker that ignores its prompt has 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from synth.task_part import accepts
from synth.tasks.draw import Draw

_NUMBER = re.compile(r"(?<![\w^{\\])\d+(?![\w}])")
_NAME = re.compile(r"\b[A-Z][a-z]+\b|\b[a-z]{3,}\b")


def changed_problems(draw: Draw, prompt: str) -> dict[str, str]:
    """Return kind of change -> changed problem, for the kinds that this prompt allows."""
    tries = {"number": _number(draw, prompt), "words": _words(draw, prompt), "sentence": _sentence(draw, prompt)}
    return {kind: text for kind, text in tries.items() if text is not None and text != prompt}


def noticed(check: Callable[[str, str], bool], problems: dict[str, str], answer: str) -> int:
    """Return how many of the changed problems the checker does not accept the old answer for."""
    return sum(not accepts(check, problem, answer) for problem in problems.values())


def _number(draw: Draw, prompt: str) -> str | None:
    """One number is one larger."""
    numbers = list(_NUMBER.finditer(prompt))
    if not numbers:
        return None
    one = draw.choice(numbers)
    return f"{prompt[: one.start()]}{int(one.group()) + 1:0{len(one.group())}d}{prompt[one.end() :]}"


def _words(draw: Draw, prompt: str) -> str | None:
    """Two words that differ change places."""
    words = list(_NAME.finditer(prompt))
    if len({word.group() for word in words}) < 2:
        return None
    one, two = sorted(draw.sample(words, 2), key=lambda word: word.start())
    return f"{prompt[: one.start()]}{two.group()}{prompt[one.end() : two.start()]}{one.group()}{prompt[two.end() :]}"


def _sentence(draw: Draw, prompt: str) -> str | None:
    """One sentence or line is left out."""
    parts = re.split(r"(?<=[.?!])\s+|\n+", prompt)
    if len(parts) < 2:
        return None
    gone = draw.choice(parts)
    return prompt.replace(gone, "", 1).strip() if gone else None
