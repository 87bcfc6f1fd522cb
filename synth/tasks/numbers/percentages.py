"""Percent: a part of a whole, a price that rises and falls, and the percent that one number is of another."""

from __future__ import annotations

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped
from synth.tasks.task import Task


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty makes the percents odd and adds a second and third change. Results are whole."""
    unit = (50, 20, 10, 5, 5)[difficulty - 1]
    say: tuple[str, ...]
    kind = draw.choice(("part", "change", "share"))
    if kind == "share":
        percent, whole = unit * draw.integer(1, 100 // unit), (100 // unit) * draw.integer(2, 40)
        part = whole * percent // 100
        say = (
            f"Of {whole} people, {part} came by train.",
            f"A box holds {whole} screws, and {part} of them are brass.",
        )
        ask = ("What percent is that?", "Which percentage is this of the whole?")
        return _task(draw, difficulty, kind, say, ask, f"{percent}%",
                     [f"{part} * 100 = {part * 100}", f"{part * 100} / {whole} = {percent}"])  # fmt: skip
    times = 1 if kind == "part" or difficulty < 3 else difficulty - 2 if difficulty < 5 else 2
    value = (100 // unit) ** times * draw.integer(2, 12) * (draw.integer(1, 5) if times == 1 else 1)
    start, changes, steps = value, [], []
    for _ in range(times):
        percent, up = unit * draw.integer(1, 90 // unit), draw.chance(50)
        amount = value * percent // 100
        steps += [f"one hundredth times {percent}: {value} * {percent} / 100 = {amount}"]
        if kind == "part":
            say = (f"A store has {value} items, and {percent}% of them are sold.",
                   f"From a sum of {value} euros, {percent}% is saved.")  # fmt: skip
            ask = ("How many is that?", "What number is this?")
            return _task(draw, difficulty, kind, say, ask, amount, ["a percent is one part of a hundred", *steps])
        steps.append(f"{value} {'+' if up else '-'} {amount} = {value + amount if up else value - amount}")
        changes.append(f"{'rises' if up else 'falls'} by {percent}%")
        value = value + amount if up else value - amount
    how = ", then ".join(changes)
    say = (f"A value of {start} {how}.", f"The price is {start} euros; it {how}.", f"A stock of {start} {how}.")
    return _task(draw, difficulty, kind, say, ("What is it at the end?", "Find the final value."), value, steps)


def _task(
    draw: Draw, difficulty: int, kind: str, say: tuple[str, ...], ask: tuple[str, ...], answer: object,
    steps: list[str],
) -> Task:  # fmt: skip
    return shaped(
        draw, family="percentages", difficulty=difficulty, answer=answer, steps=steps, say=say, ask=ask,
        titles=("Percent", "Parts of a hundred", "Rates and shares"), facts={"kind": kind, "answer": str(answer)},
    )  # fmt: skip
