"""Numbers in bases 2 to 16: from base ten by dividing, to base ten by places, between two bases by both."""

from __future__ import annotations

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped
from synth.tasks.task import Task

DIGITS = "0123456789abcdef"


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty enlarges numbers and bases, and from 4 on neither base need be ten."""
    number = draw.integer(5, (15, 60, 200, 500, 2000)[difficulty - 1])
    bases = ((2,), (2, 3, 4), (2, 5, 8, 16), (2, 3, 7, 8, 16), (2, 3, 6, 9, 12, 16))[difficulty - 1]
    base = draw.choice(bases)
    other = draw.choice([b for b in (*bases, 10) if b != base]) if difficulty > 3 else 10
    source, target = (base, other) if draw.chance(50) else (other, base)
    shown, answer, steps = _digits(number, source), _digits(number, target), []
    if source != 10:
        value = 0
        for digit in shown:
            place = DIGITS.index(digit)
            steps.append(f"{value} * {source} + {place} = {value * source + place}")
            value = value * source + place
    rest = number
    while target != 10 and rest:
        steps.append(f"{rest} divided by {target} is {rest // target}, remainder {DIGITS[rest % target]}")
        rest //= target
    if target != 10:
        steps.append("read the remainders from the last to the first")
    else:
        steps.append("the last number is the value in base 10")
    return shaped(
        draw, family="number_bases", difficulty=difficulty, answer=answer, steps=steps,
        titles=("Another base", f"From base {source} to base {target}", "Places and digits"),
        say=(f"In base {source} a number is written {shown}.", f"The numeral {shown} is in base {source}.",
             f"A number has the digits {shown} in base {source}."),
        ask=(f"How is it written in base {target}?", f"Write it in base {target}.", f"Give it to base {target}."),
        facts={"number": number, "source": source, "target": target},
    )  # fmt: skip


def _digits(number: int, base: int) -> str:
    text = ""
    while number:
        text, number = DIGITS[number % base] + text, number // base
    return text or "0"
