"""Walks on a grid: turns and steps, and then where one is, which way one looks, or how far the start is."""

from __future__ import annotations

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped, signed
from synth.tasks.task import Task

WAYS = ("north", "east", "south", "west")
MOVES = ((0, 1), (1, 0), (0, -1), (-1, 0))


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty adds turns."""
    x, y, way = draw.integer(0, 5), draw.integer(0, 5), draw.below(4)
    start, orders, steps = (x, y, WAYS[way]), [], []
    for _ in range(1 + difficulty):
        count = draw.integer(1, 4 + difficulty)
        turn = draw.choice(("left", "right", "around") if difficulty > 2 else ("left", "right"))
        orders += [f"go {count} step{'s' * (count > 1)} forward", f"turn {turn}"]
        dx, dy = MOVES[way]
        move = (
            f"{signed(x)} {'+' if dx > 0 else '-'} {count}" if dx else f"{signed(y)} {'+' if dy > 0 else '-'} {count}"
        )
        x, y = x + dx * count, y + dy * count
        way = (way + {"left": 3, "right": 1, "around": 2}[turn]) % 4
        steps.append(f"{'x' if dx else 'y'} becomes {move} = {x if dx else y}, and one then looks {WAYS[way]}")
    kind = draw.choice(("place", "way", "far"))
    across, along = abs(x - start[0]), abs(y - start[1])
    if kind == "place":
        answer, ask = f"({x}, {y})", ("Where does it end? Give (x, y).", "At which point (x, y) does it stop?")
        steps.append(f"the end is at ({x}, {y})")
    elif kind == "way":
        answer, ask = WAYS[way], ("Which way does it look at the end?", "In which direction does it face at last?")
        steps.append(f"it looks {answer} at the end")
    else:
        answer = str(across + along)
        ask = (
            "How many steps along the grid is it from the end back to the start?",
            "What is the shortest way back to the start along the grid, in steps?",
        )
        steps.append(f"x differs by {across} and y by {along}, and {across} + {along} = {answer}")
    shown = ", ".join(orders)
    place = f"at ({start[0]}, {start[1]}) and looks {start[2]}"
    return shaped(
        draw,
        family="grid_walks",
        difficulty=difficulty,
        answer=answer,
        steps=steps,
        ask=ask,
        titles=("A walk on a grid", "Turns and steps", "Where does it end?"),
        facts={"kind": kind, "orders": len(orders)},
        say=(
            f"A robot is {place}; x grows to the east and y to the north. Its orders: {shown}.",
            f"A toy car stands {place}. East is x + 1, north is y + 1. It is told: {shown}.",
        ),
    )
