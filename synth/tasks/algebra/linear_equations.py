"""Linear equations in one unknown, from x + 3 = 8 to brackets on the left, solved step by step."""

from __future__ import annotations

from synth.tasks.draw import Draw
from synth.tasks.shape import plus, shaped, signed
from synth.tasks.task import Task


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty adds a factor, the unknown on both sides, and brackets."""
    v, root = draw.choice("xyntk"), draw.integer(-3 * difficulty, 6 + 4 * difficulty)
    a, b = (1 if difficulty == 1 else draw.integer(3, 5 + 2 * difficulty)), draw.integer(1, 10 * difficulty)
    c = 0 if difficulty < 3 else draw.integer(2, a - 1)
    if difficulty < 4:
        left, constant, steps = f"{'' if a == 1 else a}{v} + {b}", b, []
    else:
        left, constant, steps = f"{a}({v} + {b})", a * b, [f"multiply out the brackets: {a} * {b} = {a * b}"]
        if difficulty == 5:
            e = draw.integer(1, 9)
            left, constant = f"{left} - {e}", a * b - e
            steps.append(f"collect the numbers on the left: {a * b} - {e} = {constant}")
    end = (a - c) * root + constant
    right = f"{c}{v}{plus(end)}" if c else str(end)
    rest, factor = end - constant, a - c
    if c:
        steps.append(f"subtract {c}{v} on both sides: {a} - {c} = {factor}, which leaves {factor}{v} on the left")
    steps.append(f"take {signed(constant)} from both sides: {signed(end)} - {signed(constant)} = {rest}")
    if factor > 1:
        steps.append(f"divide both sides by {factor}: {signed(rest)} / {factor} = {root}")
    steps.append(f"so {v} is {root}")
    equation = f"{left} = {right}"
    return shaped(
        draw, family="linear_equations", difficulty=difficulty, answer=root, steps=steps,
        titles=("An equation", "Find the unknown", f"Solving for {v}"), facts={"equation": equation, "root": root},
        say=(f"It is known that {equation}.", f"Look at the equation {equation}.", f"Here is an equation: {equation}.",
             f"Suppose that {equation} holds."),
        ask=(f"Solve for {v}.", f"What is {v}?", f"Find the value of {v}.", f"Which number is {v}?"),
    )  # fmt: skip
