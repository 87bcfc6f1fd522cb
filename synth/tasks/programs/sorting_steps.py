"""Sorting by hand: the list after some rounds of a named method, or how many swaps bubble sort makes."""

from __future__ import annotations

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped
from synth.tasks.task import Task

RULES = {
    "bubble sort": "a round goes from left to right and swaps neighbours that are out of order",
    "selection sort": "round k swaps the smallest number from place k on into place k",
    "insertion sort": "round k moves the number at place k + 1 to the left until the first k + 1 are in order",
}


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty adds numbers and rounds."""
    have = draw.sample(range(1, 30 + 10 * difficulty), 4 + difficulty)
    method = draw.choice(("bubble sort", "selection sort", "insertion sort"))
    start, steps = list(have), []
    if method == "bubble sort" and draw.chance(40):
        swaps = 0
        for number in range(1, len(have)):
            before = swaps
            swaps += _round(method, have, number)
            if swaps == before:
                break
            steps.append(f"round {number} makes {swaps - before} and leaves {_shown(have)}")
        steps.append(f"all numbers are in order, after {swaps} swaps")
        answer, ask = str(swaps), ("How many swaps does it make in all?", "Count its swaps until the list is in order.")
    else:
        rounds = draw.integer(1, 1 + (difficulty + 1) // 2)
        for number in range(1, rounds + 1):
            _round(method, have, number)
            steps.append(f"round {number} leaves {_shown(have)}")
        answer, word = _shown(have), f"{rounds} round{'s' * (rounds > 1)}"
        steps.append(f"so after {word} the list is {answer}")
        ask = (f"How does the list look after {word}?", f"What is the list after {word}?")
    return shaped(
        draw, family="sorting_steps", difficulty=difficulty, answer=answer, steps=steps, ask=ask,
        titles=("Sorting by hand", f"Rounds of {method}", "Step by step to order"),
        facts={"method": method, "numbers": start},
        say=(f"The list {_shown(start)} is sorted by {method}: {RULES[method]}.",
             f"In {method}, {RULES[method]}. It is used on the list {_shown(start)} now."),
    )  # fmt: skip


def _shown(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def _round(method: str, have: list[int], number: int) -> int:
    """Do one round in place, and return the number of swaps."""
    if method == "bubble sort":
        swaps = 0
        for at in range(len(have) - 1):
            if have[at] > have[at + 1]:
                have[at], have[at + 1] = have[at + 1], have[at]
                swaps += 1
        return swaps
    if method == "selection sort":
        least = have.index(min(have[number - 1 :]))
        have[number - 1], have[least] = have[least], have[number - 1]
    else:
        have[: number + 1] = sorted(have[: number + 1])
    return 1
