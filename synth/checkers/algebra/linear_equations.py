"""Checks linear equations by putting in 0 and 1: both sides are straight lines, so two points give the root."""

from __future__ import annotations

import re
from fractions import Fraction

from synth.checkers.reading import UnreadableError, agrees, evaluate, found

_SIDE = r"(?:\d*[nktxy]\b|\d+|[-+()]| )+"


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is the one root."""
    left, right = found(rf"(?<![a-zA-Z])({_SIDE})=({_SIDE})", prompt_text).groups()
    at_zero, at_one = (_value(left, at) - _value(right, at) for at in (0, 1))
    if at_zero == at_one:
        raise UnreadableError(prompt_text)
    return agrees(prompt_text, answer_text, at_zero / (at_zero - at_one))


def _value(side: str, at: int) -> Fraction:
    return evaluate(re.sub("[a-z]", str(at), re.sub(r"(\d)([a-z(])", r"\1 * \2", side)))
