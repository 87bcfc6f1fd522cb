"""What a short Python program on a list prints, followed line by line."""

from __future__ import annotations

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped
from synth.tasks.task import Task


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty adds lines and kinds of lines."""
    name = draw.choice(("items", "values", "numbers", "data", "xs"))
    have = [draw.integer(0, 9 + 4 * difficulty) for _ in range(draw.integer(3, 4 + difficulty // 2))]
    code, steps = [f"{name} = {have}"], [f"at first {name} is {have}"]
    for _ in range(1 + difficulty):
        line, have = _line(draw, name, have, difficulty)
        code.append(line)
        steps.append(f"after {line} it is {have}")
    line, answer = draw.choice((
        (f"print({name})", str(have)), (f"print(sum({name}))", str(sum(have))), (f"print(len({name}))", str(len(have))),
        (f"print({name}[0])", str(have[0])), (f"print({name}[-1])", str(have[-1])),
        (f"print(max({name}))", str(max(have))), (f"print(min({name}))", str(min(have))),
    ))  # fmt: skip
    code.append(line)
    steps.append(f"{line} shows {answer}")
    return shaped(
        draw, family="list_programs", difficulty=difficulty, answer=answer, steps=steps, block="\n".join(code),
        titles=("What is printed?", "A program on a list", "Follow the list"), facts={"code": code},
        say=("Read this Python program.", "Here is a short program in Python.", "Follow the lines of this program:"),
        ask=("What does it print?", "What is the output?", "Which output does it give?"),
    )  # fmt: skip


def _line(draw: Draw, name: str, have: list[int], difficulty: int) -> tuple[str, list[int]]:
    """Return one line of the program and the list after it; the list keeps two numbers or more."""
    kind, number = draw.below(4 + difficulty), draw.integer(0, 9 + 2 * difficulty)
    if kind == 0 or len(have) < 3:
        return f"{name}.append({number})", [*have, number]
    if kind == 1:
        return f"{name}.reverse()", have[::-1]
    if kind == 2:
        at = draw.choice((0, -1, 1))
        return f"{name}.pop({at})", [value for n, value in enumerate(have) if n != at % len(have)]
    if kind == 3:
        return f"{name}.sort()", sorted(have)
    if kind == 4:
        at = draw.below(len(have))
        return f"{name}[{at}] = {number}", [*have[:at], number, *have[at + 1 :]]
    if kind == 5:
        at = draw.below(len(have))
        return f"{name}.insert({at}, {number})", [*have[:at], number, *have[at:]]
    if kind == 6:
        return f"{name} = [v + {number} for v in {name}]", [value + number for value in have]
    if kind == 7:
        return f"{name} = {name}[1:]", have[1:]
    value = draw.choice(have)
    return f"{name}.remove({value})", [*have[: have.index(value)], *have[have.index(value) + 1 :]]
