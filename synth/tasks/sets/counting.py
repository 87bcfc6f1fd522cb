"""Counting without listing: codes with and without repeats, committees, seats in a row, walks on a grid."""

from __future__ import annotations

from math import comb, factorial, perm

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped
from synth.tasks.task import Task


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty enlarges the numbers and brings in choices without order, then walks."""
    kind = draw.choice(("repeats", "codes", "committee", "walks")[: min(4, 1 + difficulty)])
    pool = draw.integer(3, 4 + difficulty)
    picks = draw.integer(2, min(pool, 2 + difficulty // 2))
    steps: list[str]
    if kind == "repeats":
        answer, product = pool**picks, " * ".join([str(pool)] * picks)
        say = [
            f"A lock has {picks} wheels with {pool} letters each.",
            f"A code has {picks} places, and each place is one of {pool} letters, which may come again.",
        ]
        ask = ["How many codes are possible?", "How many different settings are there?"]
        steps = [f"each of the {picks} places can be filled in {pool} ways", f"{product} = {answer}"]
    elif kind == "codes":
        answer = perm(pool, picks)
        product = " * ".join(str(pool - n) for n in range(picks))
        say = [
            f"From {pool} runners, the first {picks} places of a race are awarded, without ties.",
            f"There are {pool} different books, and {picks} of them are put in a row.",
        ]
        ask = ["In how many ways can this come out?", "How many orders are possible?"]
        steps = [
            f"for the first place there are {pool} ways, and one fewer for each place after it",
            f"{product} = {answer}",
        ]
    elif kind == "committee":
        answer, product = comb(pool, picks), " * ".join(str(pool - n) for n in range(picks))
        orders = " * ".join(str(n) for n in range(picks, 0, -1))
        say = [
            f"A club of {pool} people sends {picks} of them to a meeting.",
            f"From {pool} kinds of tea, {picks} different ones are chosen.",
        ]
        ask = [
            "How many choices are there if order does not matter?",
            "In how many ways is that possible, order aside?",
        ]
        steps = [
            f"one after the other there are {product} = {perm(pool, picks)} ways",
            f"each choice comes in {orders} = {factorial(picks)} orders",
            f"{perm(pool, picks)} / {factorial(picks)} = {answer}",
        ]
    else:
        right, up = draw.integer(2, 2 + difficulty // 2), draw.integer(2, 3 + difficulty // 2)
        answer = comb(right + up, up)
        say = [
            f"On a grid, a piece goes from one corner to the other by {right} steps right and {up} steps up.",
            f"A walk through a town is {right} blocks east and {up} blocks north, in any order.",
        ]
        ask = ["How many different ways are there?", "Count the different walks."]
        row = [1] * (right + 1)
        steps = [f"with no steps upward, each of the corners is reached in one way: {', '.join(map(str, row))}"]
        for level in range(1, up + 1):
            for at in range(1, right + 1):
                row[at] += row[at - 1]
            steps.append(f"row {level}, each corner from the left and from below: {', '.join(map(str, row))}")
    return shaped(
        draw,
        family="counting",
        difficulty=difficulty,
        answer=answer,
        steps=steps,
        say=say,
        ask=ask,
        titles=("How many ways?", "Counting choices", "A question of counting"),
        facts={"kind": kind, "answer": answer},
    )
