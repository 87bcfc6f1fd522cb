"""A made page of facts in prose, and a question whose answer must be computed from several of its sentences."""

from __future__ import annotations

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped
from synth.tasks.task import Task
from synth.tasks.words import THINGS, TOWNS, listed

PLACES = ("shop", "museum shop", "market hall", "workshop", "school fair", "harbour store")


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty adds towns and years, and so sentences that do not matter."""
    thing, place = draw.choice(THINGS)[0], draw.choice(PLACES)
    towns, first = draw.sample(TOWNS, 2 + (difficulty > 1) + (difficulty > 3)), draw.integer(1990, 2015)
    years = list(range(first, first + 2 + (difficulty > 2)))
    sold: dict[tuple[str, int], int] = {}
    for town in towns:
        numbers = draw.sample(range(20, 60 + 90 * difficulty), len(years))
        sold |= {(town, year): number for year, number in zip(years, numbers, strict=True)}
    lines = [
        draw.choice((
            f"In {year} the {place} in {town} sold {number} {thing}.",
            f"The {place} in {town} sold {number} {thing} in {year}.",
            f"{number} {thing} were sold in {town} in {year}.",
            f"For {town}, the books of {year} show {number} {thing} sold.",
        ))
        for (town, year), number in sold.items()
    ]  # fmt: skip
    one, two = draw.sample(towns, 2)
    year, kind = draw.choice(years), draw.choice(("total", "gap", "best", "year_sum"))
    own = [sold[one, y] for y in years]
    if kind == "total":
        answer: object = sum(own)
        ask = (f"How many {thing} were sold in {one} in all these years together?",
               f"What is the sum of the {thing} sold in {one} over all years?")  # fmt: skip
        steps = [f"the text gives {number} for {y}" for y, number in zip(years, own, strict=True)]
        steps.append(f"{' + '.join(map(str, own))} = {answer}")
    elif kind == "gap":
        high, low = max(sold[one, year], sold[two, year]), min(sold[one, year], sold[two, year])
        answer = high - low
        ask = (f"By how many did {one} and {two} differ in {year}?",
               f"How large is the difference between {one} and {two} in {year}?")  # fmt: skip
        steps = [
            f"in {year}, {one} had {sold[one, year]} and {two} had {sold[two, year]}",
            f"{high} - {low} = {answer}",
        ]
    elif kind == "best":
        answer = years[own.index(max(own))]
        ask = (f"In which year were the most {thing} sold in {one}?", f"Which year was the best for {one}?")
        steps = [f"{one} had {number} in {y}" for y, number in zip(years, own, strict=True)]
        steps.append(f"the most is {max(own)}, in {answer}")
    else:
        numbers = [sold[town, year] for town in towns]
        answer = sum(numbers)
        ask = (f"How many {thing} were sold in {year} in all places together?",
               f"What is the sum of the {thing} sold in {year}, over all towns?")  # fmt: skip
        steps = [f"for {year} the text gives " + listed([f"{n} in {t}" for t, n in zip(towns, numbers, strict=True)])]
        steps.append(f"{' + '.join(map(str, numbers))} = {answer}")
    return shaped(
        draw, family="document_facts", difficulty=difficulty, answer=answer, steps=steps, ask=ask,
        block=_blocks(draw.sample(lines, len(lines))), titles=("Reading a report", "Facts in a text", "Sold"),
        say=("Read the report.", "This is from a report on sales.", "A report says the following."),
        facts={"kind": kind, "sentences": len(lines)},
    )  # fmt: skip


def _blocks(lines: list[str]) -> str:
    half = (len(lines) + 1) // 2
    return f"{' '.join(lines[:half])}\n\n{' '.join(lines[half:])}"
