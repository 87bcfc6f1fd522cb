"""Checks statements by rewriting the innermost brackets to 0 or 1 until one digit is left."""

from __future__ import annotations

import re
from itertools import product

from synth.checkers.reading import UnreadableError, agrees, found

_INNER = re.compile(r"\(not ([01])\)|\(([01]) (and|or) ([01])\)")


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is the value, or the number of true rows."""
    text = found(r"statement (?:is )?(\([^.]*\))\.", prompt_text).group(1)
    letters = sorted(set(re.findall(r"\b[a-z]\b", text)))
    given = dict(re.findall(r"\b([a-z]) is (true|false)", prompt_text))
    if "How many rows" in prompt_text or "how many rows" in prompt_text:
        rows = product("01", repeat=len(letters))
        return agrees(prompt_text, answer_text, sum(_true(text, dict(zip(letters, row, strict=True))) for row in rows))
    if set(given) != set(letters):
        raise UnreadableError(prompt_text)
    row = {letter: "1" if value == "true" else "0" for letter, value in given.items()}
    return agrees(prompt_text, answer_text, "true" if _true(text, row) else "false")


def _true(text: str, row: dict[str, str]) -> bool:
    text = re.sub(r"\b[a-z]\b", lambda match: row[match.group()], text)
    while len(text) > 1:
        shorter = _INNER.sub(_short, text)
        if shorter == text:
            raise UnreadableError(text)
        text = shorter
    return text == "1"


def _short(match: re.Match[str]) -> str:
    negated, left, word, right = match.groups()
    if negated:
        return "0" if negated == "1" else "1"
    return str(int(left) * int(right)) if word == "and" else max(left, right)
