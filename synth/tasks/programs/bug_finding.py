"""A program whose notes say the value after each line, one of them wrongly: where is it, and what is right?"""

from __future__ import annotations

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped, signed
from synth.tasks.task import Task


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty adds lines and letters."""
    letters = draw.choice(("abc", "xyz", "pqr", "ijk"))[: 2 + (difficulty > 2)]
    values: dict[str, int] = {}
    code, notes, steps = [], [], []
    for number in range(3 + difficulty):
        target = letters[number] if number < len(letters) else draw.choice(letters)
        if number < len(letters):
            text, value, work = (first := str(draw.integer(2, 12))), int(first), ""
        else:
            one, sign = draw.choice(letters), draw.choice("+-*" if difficulty > 1 else "+-")
            two = (
                draw.choice(letters)
                if draw.chance(50) and sign != "*"
                else str(draw.integer(2, 3 if sign == "*" else 9))
            )
            a, b = values[one], values[two] if two in values else int(two)
            value = a + b if sign == "+" else a - b if sign == "-" else a * b
            text, work = f"{one} {sign} {two}", f"{signed(a)} {sign} {signed(b)} = {value}"
        values[target] = value
        code.append(f"{target} = {text}")
        notes.append((target, value))
        steps.append(f"line {number + 1} gives {target} the value {value}" + (f", since {work}" if work else ""))
    at = draw.integer(len(letters), len(code) - 1)
    name, right = notes[at]
    notes[at] = (name, right + draw.choice((-10, -2, -1, 1, 2, 10)))
    steps.append(f"the note of line {at + 1} says {notes[at][1]}, but {name} is {right} there")
    width = max(map(len, code))
    block = "\n".join(f"{n + 1}: {line.ljust(width)}  # {who} is {value}"
                      for n, (line, (who, value)) in enumerate(zip(code, notes, strict=True)))  # fmt: skip
    where = draw.chance(50)
    return shaped(
        draw, family="bug_finding", difficulty=difficulty, answer=at + 1 if where else right, steps=steps, block=block,
        titles=("One note is wrong", "Find the mistake", "Check the notes"), facts={"line": at + 1, "right": right},
        say=("The note behind each line tells a value after it, and one note is wrong.",
             "Each line has a note on the value it leaves. Exactly one note is false."),
        ask=("Which line has the wrong note? Give its number.", "In which line is the note wrong? Give the number.")
        if where
        else ("Which value should the wrong note give?", "What is the right value for the wrong note?"),
    )  # fmt: skip
