"""Checks fractions with exact rational numbers, from left to right."""

from __future__ import annotations

import re
from fractions import Fraction

from synth.checkers.reading import agrees, found

_ONE = r"\d+(?:/\d+)?"


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is the value in lowest terms."""
    text = found(rf"\(?{_ONE} [-+*:] {_ONE}\)?(?: [-+*:] {_ONE})?", prompt_text).group()
    first, *rest = re.findall(rf"{_ONE}|(?<= )[-+*:](?= )", text)
    value = Fraction(first)
    for sign, part in zip(rest[::2], rest[1::2], strict=True):
        other = Fraction(part)
        value = {"+": value + other, "-": value - other, "*": value * other, ":": value / other}[sign]
    return agrees(prompt_text, answer_text, value)
