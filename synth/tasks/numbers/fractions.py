"""Fractions: sums, differences, products and quotients, shortened to lowest terms."""

from __future__ import annotations

from math import gcd

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped
from synth.tasks.task import Task


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty enlarges the denominators and adds a third fraction."""
    most = 4 + 3 * difficulty
    top, bottom = _drawn(draw, most)
    text, steps = f"{top}/{bottom}", []
    for turn in range(2 if difficulty > 3 else 1):
        sign = draw.choice("+-" if difficulty == 1 else "+-*:")
        a, b = _drawn(draw, most)
        if sign in "+-":
            common = bottom * b // gcd(bottom, b)
            left, right = top * (common // bottom), a * (common // b)
            new = left + right if sign == "+" else left - right
            steps.append(f"over {common}, {top}/{bottom} is {left}/{common} and {a}/{b} is {right}/{common}")
            steps.append(f"above the line, {f'({left})' if left < 0 else left} {sign} {right} = {new}")
            top, bottom = new, common
        else:
            over, under = (a, b) if sign == "*" else (b, a)
            how = "multiply" if sign == "*" else f"to divide by {a}/{b}, multiply by {b}/{a}: multiply"
            steps.append(f"{how} above and below the line, {top * over}/{bottom * under}")
            top, bottom = top * over, bottom * under
        shared = gcd(top, bottom) or 1
        if shared > 1:
            steps.append(f"shorten {top}/{bottom} by {shared}")
            top, bottom = top // shared, bottom // shared
        text = f"({text}) {sign} {a}/{b}" if turn else f"{text} {sign} {a}/{b}"
    answer = f"{top}/{bottom}" if bottom != 1 else str(top)
    steps.append(f"in lowest terms this is {answer}")
    return shaped(
        draw, family="fractions", difficulty=difficulty, answer=answer, steps=steps, facts={"expression": text},
        titles=("Fractions", "Lowest terms", "Counting with parts"),
        say=(f"Work out {text} by hand.", f"The expression is {text} here.", f"Look at {text} for a moment."),
        ask=("Give the result in lowest terms.", "What is it, as a fraction in lowest terms?",
             "Shorten the result as far as possible."),
    )  # fmt: skip


def _drawn(draw: Draw, most: int) -> tuple[int, int]:
    bottom = draw.integer(2, most)
    top = draw.integer(1, bottom + bottom // 2)
    return top // gcd(top, bottom), bottom // gcd(top, bottom)
