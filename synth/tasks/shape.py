"""The shape that most families share: a family draws the problem, and the frame, the asked form and the close are here.

A family of this shape is one short file: it draws numbers or words, and gives phrasings, the bare answer and the
worked steps. `shaped` puts a line before the problem, asks for one of five forms of answer, and closes. The checkers
know the forms from the words of the prompt alone (`agrees` in `checkers/reading.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from synth.tasks.draw import Draw
from synth.tasks.task import Task
from synth.tasks.words import NAMES, TOWNS

FRAMES = (
    "{a} found this exercise in a book from {t}.",
    "A quiz in {t} has this question.",
    "{a} and {b} work on a task together.",
    "In {t}, {a} is given this problem.",
    "This one is from {a}'s notebook.",
    "{a} asks {b} for help.",
    "The school paper of {t} printed this puzzle.",
    "{a} wants to be sure of this one.",
    "For {b}, {a} has written down a task.",
    "At a club in {t} this was set.",
    "{a} practises with tasks like this.",
    "Class {n} in {t} works on this.",
    "Number {n} on {a}'s list is this.",
)
FORMS = (
    ("", "", ""),
    ("", "", ""),
    (" Put the final answer in square brackets.", "[", "]"),
    (" Write the final answer inside \\boxed{}.", "\\boxed{", "}"),
    (' Give the answer as JSON with the single key "answer".', '{"answer": "', '"}'),
    (" Write the answer between << and >>.", "<<", ">>"),
)
CLOSINGS = ("The answer is {}.", "So the answer is {}.", "Hence the answer: {}.", "This gives {}.", "The result is {}.")


def shaped(
    draw: Draw, *, family: str, difficulty: int, titles: Sequence[str], say: Sequence[str], ask: Sequence[str],
    answer: object, steps: Sequence[str], facts: Mapping[str, object], block: str = "",
) -> Task:  # fmt: skip
    """Return the task; one of `say` opens it, `block` is set out on lines of its own, and one of `ask` is the question.

    `answer` is bare: 12, not [12]. What is in `say` and `block` is for the checker to read, so it must be exact.
    """
    if draw.chance(88):
        a, b = draw.choice(NAMES), draw.choice(NAMES)
        frame = draw.choice(FRAMES if a != b else FRAMES[:2])
        opening = f"{frame.format(a=a, b=b, t=draw.choice(TOWNS), n=draw.integer(2, 60))} {draw.choice(say)}"
    else:
        opening = draw.choice(say)
    request, left, right = draw.choice(FORMS)
    dressed = f"{left}{answer}{right}"
    return Task(
        family=family,
        difficulty=difficulty,
        title=draw.choice(titles),
        statement=(opening, block) if block else (opening,),
        question=draw.choice(ask) + request,
        answer=dressed,
        steps=tuple(steps),
        conclusion=draw.choice(CLOSINGS).format(dressed),
        facts=facts,
    )


def plus(number: int) -> str:
    """Return ` + 5` or ` - 5`, to go on with in an expression."""
    return f" + {number}" if number >= 0 else f" - {-number}"


def signed(number: int) -> str:
    """Return `5` or `(-5)`, to begin an expression with."""
    return str(number) if number >= 0 else f"({number})"
