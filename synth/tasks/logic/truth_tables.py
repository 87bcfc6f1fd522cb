"""Statements with and, or and not: the value for one row, or the number of rows that make them true."""

from __future__ import annotations

import re
from itertools import product

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped
from synth.tasks.task import Task
from synth.tasks.words import listed


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty makes the statement deeper and, from 3 on, takes three letters."""
    letters = draw.choice(("pqr", "abc", "uvw"))[: 2 + (difficulty > 2)]
    while True:
        text, value = _drawn(draw, letters, 2 + difficulty // 2)
        if all(re.search(rf"\b{letter}\b", text) for letter in letters):  # `a` also stands in `and`
            break
    rows = [dict(zip(letters, row, strict=True)) for row in product((True, False), repeat=len(letters))]
    steps: list[str] = []
    if difficulty < 3 or draw.chance(40):
        row = draw.choice(rows)
        said = listed([f"{letter} is {_word(row[letter])}" for letter in letters])
        result = _word(_value(value, row, steps))
        answer: object = result
        ask = (f"Is it true or false when {said}?", f"What is its value, true or false, if {said}?")
        steps.append(f"so the statement is {result}")
    else:
        true = [row for row in rows if _value(value, row, [])]
        for row in rows:
            said = listed([f"{letter} {_word(row[letter])}" for letter in letters])
            steps.append(f"with {said} it is {_word(row in true)}")
        answer = len(true)
        ask = ("For how many rows of its truth table is it true?", "How many rows of the truth table make it true?")
    return shaped(
        draw, family="truth_tables", difficulty=difficulty, answer=answer, steps=steps, ask=ask,
        titles=("A truth table", "True or false", "And, or, not"), facts={"statement": text},
        say=(f"The statement is {text}.", f"Take the statement {text}.", f"Look at the logical statement {text}."),
    )  # fmt: skip


def _word(value: bool) -> str:
    return "true" if value else "false"


def _drawn(draw: Draw, letters: str, depth: int) -> tuple[str, tuple[object, ...]]:
    """Return a statement as text, and as (text, word, parts)."""
    if depth == 0 or (depth == 1 and draw.chance(30)):
        letter = draw.choice(letters)
        return letter, (letter, "letter")
    if draw.chance(25):
        text, inside = _drawn(draw, letters, depth - 1)
        return f"(not {text})", (f"(not {text})", "not", inside)
    word = draw.choice(("and", "or"))
    (left, one), (right, two) = _drawn(draw, letters, depth - 1), _drawn(draw, letters, depth - 1)
    return f"({left} {word} {right})", (f"({left} {word} {right})", word, one, two)


def _value(node: tuple[object, ...], row: dict[str, bool], steps: list[str]) -> bool:
    text, word, *parts = node
    if word == "letter":
        return row[str(text)]
    values = [_value(part, row, steps) for part in parts if isinstance(part, tuple)]
    result = not values[0] if word == "not" else all(values) if word == "and" else any(values)
    steps.append(f"{text} is {_word(result)}")
    return result
