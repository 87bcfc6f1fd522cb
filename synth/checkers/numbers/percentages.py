"""Checks percentages with exact fractions: every change is one factor, a share is a quotient."""

from __future__ import annotations

import re
from fractions import Fraction

from synth.checkers.reading import agrees, found


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is the part, the changed value or the share."""
    share = re.search(r"Of (\d+) people, (\d+)|holds (\d+) screws, and (\d+)", prompt_text)
    if share:
        whole, part = (int(number) for number in share.groups() if number)
        return agrees(prompt_text, answer_text, f"{Fraction(100 * part, whole)}%")
    value = Fraction(found(r"(?:has|of|is) (\d+)\b", prompt_text).group(1))
    changes = re.findall(r"(rises|falls) by (\d+)%", prompt_text)
    for way, percent in changes:
        value *= 1 + Fraction(int(percent), 100) * (1 if way == "rises" else -1)
    if not changes:
        value *= Fraction(int(found(r"(\d+)%", prompt_text).group(1)), 100)
    return agrees(prompt_text, answer_text, value)
