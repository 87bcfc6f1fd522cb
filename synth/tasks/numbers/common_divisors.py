"""Greatest common divisors and least common multiples, worked by Euclid's divisions."""

from __future__ import annotations

from math import lcm

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped
from synth.tasks.task import Task
from synth.tasks.words import listed


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty enlarges the numbers, and from 3 on there may be three of them."""
    multiple, shared = draw.chance(40), draw.integer(2, 6 + 2 * difficulty)
    count = 3 if difficulty > 2 and draw.chance(50) else 2
    numbers = [shared * draw.integer(2, 4 + 3 * difficulty) for _ in range(count)]
    steps: list[str] = []
    have = numbers[0]
    for number in numbers[1:]:
        high, low = max(have, number), min(have, number)
        while low:
            steps.append(f"{high} divided by {low} is {high // low} with remainder {high % low}")
            high, low = low, high % low
        if multiple:
            steps.append(f"the divisor of {have} and {number} is {high}, and {have} * {number} / {high} = "
                         f"{have * number // high}")  # fmt: skip
            have = lcm(have, number)
        else:
            steps.append(f"the last divisor without remainder is {high}")
            have = high
    name = "least common multiple" if multiple else "greatest common divisor"
    what = listed(list(map(str, numbers)))
    return shaped(
        draw, family="common_divisors", difficulty=difficulty, answer=have, steps=steps,
        titles=(f"A {name}", "Divisors and multiples", "Euclid's divisions"), facts={"kind": name, "numbers": numbers},
        say=(f"The numbers are {what}.", f"Take the numbers {what}.", f"Here are some numbers: {what}."),
        ask=(f"What is their {name}?", f"Find the {name}.", f"Compute the {name} of these numbers."),
    )  # fmt: skip
