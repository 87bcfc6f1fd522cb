"""Checks probabilities by listing: every ordered pair of different balls, every pair of faces."""

from __future__ import annotations

import re
from fractions import Fraction

from synth.checkers.reading import agrees, found


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether the answer is the share of cases that fit."""
    if "dice" in prompt_text:
        faces = range(1, int(found(r"dice with (\d+) sides", prompt_text).group(1)) + 1)
        kind, bound = found(r"(exactly|at least) (\d+)", prompt_text).groups()
        sums = [one + other for one in faces for other in faces]
        good = [total for total in sums if total == int(bound) or (kind == "at least" and total > int(bound))]
        return agrees(prompt_text, answer_text, Fraction(len(good), len(sums)))
    bag = [colour for count, colour in re.findall(r"(\d+) (red|blue|green|white|black|yellow)", prompt_text)
           for _ in range(int(count))]  # fmt: skip
    wanted = found(r"(?:is|are) (red|blue|green|white|black|yellow)\b", prompt_text).group(1)
    hits = [colour == wanted for colour in bag]
    if "One ball" in prompt_text:
        return agrees(prompt_text, answer_text, Fraction(sum(hits), len(hits)))
    pairs = [one and other for at, one in enumerate(hits) for to, other in enumerate(hits) if at != to]
    return agrees(prompt_text, answer_text, Fraction(sum(pairs), len(pairs)))
