"""Polynomials in x: their value at a number, their sum, their product, all worked coefficient by coefficient."""

from __future__ import annotations

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped, signed
from synth.tasks.task import Task


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task: a value (1, 2), a sum (2, 3), a product of two (4), and with a square in it (5)."""
    kind = ("value", draw.choice(("value", "sum")), "sum", "product", "product")[difficulty - 1]
    one = _drawn(draw, 1 if kind == "product" else 2, difficulty)
    two = _drawn(draw, 2 if difficulty == 5 or kind == "sum" else 1, difficulty)
    p, q = written(one), written(two)
    steps: list[str] = []
    if kind == "value":
        at = draw.integer(2, 4 + difficulty)
        a, b, c = one[2], one[1], one[0]
        square = at * at
        value = a * square + b * at + c
        steps = [f"the square is {at} * {at} = {square}", f"the first term is {signed(a)} * {square} = {a * square}",
                 f"the second term is {signed(b)} * {at} = {b * at}",
                 f"together {signed(a * square)} + {signed(b * at)} + {signed(c)} = {value}"]  # fmt: skip
        answer, say = str(value), (f"Take the polynomial ({p}).", f"The polynomial is ({p}).")
        ask = (f"What is its value at x = {at}?", f"Evaluate it for x = {at}.", f"Find its value when x = {at}.")
    elif kind == "sum":
        total = [a + b for a, b in zip(one, two, strict=True)]
        steps = [f"the coefficients of {name}: {signed(one[n])} + {signed(two[n])} = {total[n]}"
                 for n, name in ((2, "x^2"), (1, "x"), (0, "the constant terms"))]  # fmt: skip
        steps[-1] = steps[-1].replace("the coefficients of ", "")
        answer, say = written(total), (f"There are two polynomials, ({p}) and ({q}).", f"Take ({p}) and ({q}).")
        ask = ("Add them and simplify.", "What is their sum, simplified?", "Write their sum with falling powers of x.")
    else:
        total = [0] * (len(one) + len(two) - 1)
        for i, a in enumerate(one):
            for j, b in enumerate(two):
                total[i + j] += a * b
        for power in range(len(total) - 1, -1, -1):
            parts = [f"{signed(a)} * {signed(two[power - i])}" for i, a in enumerate(one) if 0 <= power - i < len(two)]
            steps.append(f"for the power {power} of x: {' + '.join(parts)} = {total[power]}")
        answer, say = written(total), (f"There are two factors, ({p}) and ({q}).", f"Take ({p}) and ({q}).")
        ask = ("Multiply them and simplify.", "What is their product, multiplied out?", "Expand their product.")
    return shaped(
        draw, family="polynomials", difficulty=difficulty, answer=answer, steps=steps, say=say, ask=ask,
        titles=("Polynomials", "Working with powers of x", f"The {kind} of polynomials"),
        facts={"kind": kind, "coefficients": [one, two]},
    )  # fmt: skip


def _drawn(draw: Draw, degree: int, difficulty: int) -> list[int]:
    most = 3 + 2 * difficulty
    signs = [draw.choice((-1, 1)) * draw.integer(1, most) for _ in range(degree)]
    return [*signs, draw.integer(1, 2 + difficulty)]


def written(coefficients: list[int]) -> str:
    """Return `3x^2 - x + 4` for [4, -1, 3], lowest power first."""
    text = ""
    for power in range(len(coefficients) - 1, -1, -1):
        number = coefficients[power]
        if number:
            name = "" if power == 0 else "x" if power == 1 else f"x^{power}"
            size = "" if abs(number) == 1 and name else str(abs(number))
            sign = ("-" if number < 0 else "") if not text else (" - " if number < 0 else " + ")
            text += f"{sign}{size}{name}"
    return text or "0"
