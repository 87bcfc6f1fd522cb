"""Chances as fractions: one ball, two balls without putting back, and the sum of two dice."""

from __future__ import annotations

from fractions import Fraction

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped
from synth.tasks.task import Task
from synth.tasks.words import listed

COLOURS = ("red", "blue", "green", "white", "black", "yellow")


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty goes from one ball to two balls and two dice, and adds colours."""
    if difficulty > 2 and draw.chance(40):
        return _dice(draw, difficulty)
    colours = draw.sample(COLOURS, 2 + difficulty // 2)
    counts = [draw.integer(2, 4 + 2 * difficulty) for _ in colours]
    total, wanted, have = sum(counts), colours[0], counts[0]
    bag = listed([f"{count} {colour}" for count, colour in sorted(zip(counts, colours, strict=True))])
    steps = [f"in all there are {' + '.join(map(str, counts))} = {total} balls"]
    if difficulty < 3:
        chance, drawn = Fraction(have, total), "One ball is drawn."
        ask = (f"How likely is it that it is {wanted}?", f"What is the probability that the ball is {wanted}?")
        steps.append(f"{have} of these {total} are {wanted}, which is {have}/{total}")
    else:
        chance, drawn = Fraction(have * (have - 1), total * (total - 1)), "Two balls are drawn, none is put back."
        ask = (f"How likely is it that both are {wanted}?", f"What is the probability that both are {wanted}?")
        steps += [
            f"the first is {wanted} in {have} of {total} cases",
            f"then {have} - 1 = {have - 1} of {total} - 1 = {total - 1} balls are {wanted}",
            f"multiply above the line, {have} * {have - 1} = {have * (have - 1)}",
            f"and below it, {total} * {total - 1} = {total * (total - 1)}",
        ]
    steps.append(f"in lowest terms this is {chance}")
    return _task(
        draw,
        difficulty,
        [f"A bag holds {bag} balls. {drawn}", f"In a bag there are {bag} balls. {drawn}"],
        ask,
        chance,
        steps,
        {"bag": dict(zip(colours, counts, strict=True)), "wanted": wanted},
    )


def _dice(draw: Draw, difficulty: int) -> Task:
    sides = draw.choice((4, 6, 6, 8)[: difficulty - 1])
    bound = draw.integer(4, 2 * sides - 1)
    exactly = draw.chance(50)
    rows = [
        (
            first,
            sum(
                1 for second in range(1, sides + 1) if (first + second == bound if exactly else first + second >= bound)
            ),
        )
        for first in range(1, sides + 1)
    ]
    good = sum(count for _, count in rows)
    chance = Fraction(good, sides * sides)
    steps = [f"there are {sides} * {sides} = {sides * sides} equally likely pairs"]
    steps.append(
        "by the first die, the pairs that fit are " + listed([f"{n} with a first die of {f}" for f, n in rows if n])
    )
    steps += [f"in all {good} pairs fit, which is {good}/{sides * sides}", f"in lowest terms this is {chance}"]
    what = f"exactly {bound}" if exactly else f"at least {bound}"
    return _task(
        draw,
        difficulty,
        [f"Two dice with {sides} sides each are rolled.", f"Somebody rolls two dice with {sides} sides."],
        (f"How likely is a sum of {what}?", f"What is the probability that the sum is {what}?"),
        chance,
        steps,
        {"sides": sides, "bound": bound},
    )


def _task(
    draw: Draw,
    difficulty: int,
    say: list[str],
    ask: tuple[str, str],
    chance: Fraction,
    steps: list[str],
    facts: dict[str, object],
) -> Task:
    return shaped(
        draw,
        family="probability",
        difficulty=difficulty,
        answer=chance,
        steps=steps,
        say=say,
        facts=facts,
        ask=[f"{text} Give a fraction in lowest terms." for text in ask],
        titles=("How likely is it?", "Chances", "A question of probability"),
    )
