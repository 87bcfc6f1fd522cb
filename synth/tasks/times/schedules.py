"""A day's meetings: how long they are together, the longest pause, and which clash with a call."""

from __future__ import annotations

from itertools import pairwise

from synth.tasks.draw import Draw
from synth.tasks.shape import shaped
from synth.tasks.task import Task
from synth.tasks.words import listed

SUBJECTS = ("budget", "garden", "choir", "repairs", "website", "library", "travel", "hiring", "music", "training")


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty adds meetings and makes the times less round."""
    unit, at = (30, 15, 15, 5, 5)[difficulty - 1], 8 * 60
    meetings: list[tuple[int, int, str]] = []
    for subject in draw.sample(SUBJECTS, 3 + difficulty // 2):
        begin = at + unit * draw.integer(0 if meetings else 1, max(1, 60 // unit))
        at = begin + unit * draw.integer(1, max(2, 75 // unit))
        meetings.append((begin, at, subject))
    lines = [f"{subject} {_clock(a)}-{_clock(b)}" for a, b, subject in meetings]
    kind = draw.choice(("total", "pause", "clash") if difficulty > 1 else ("total", "clash"))
    steps: list[str]
    if kind == "total":
        lengths = [b - a for a, b, _ in meetings]
        answer: object = sum(lengths)
        steps = [f"{subject} takes {b - a} minutes" for a, b, subject in meetings]
        steps.append(f"{' + '.join(map(str, lengths))} = {answer}")
        ask = (
            "How many minutes do the meetings take together?",
            "What is the total length of the meetings in minutes?",
        )
    elif kind == "pause":
        pauses = [(b[0] - a[1], a[2], b[2]) for a, b in pairwise(meetings)]
        answer = max(pause for pause, _, _ in pauses)
        steps = [f"between {one} and {two} there are {pause} minutes" for pause, one, two in pauses]
        steps.append(f"the longest of these is {answer}")
        ask = (
            "How many minutes is the longest pause between two meetings?",
            "What is the longest pause from one meeting to the next, in minutes?",
        )
    else:
        begin = meetings[0][0] + unit * draw.integer(0, (at - meetings[0][0]) // unit - 1)
        end = begin + unit * draw.integer(1, max(2, 90 // unit))
        hit = [subject for a, b, subject in meetings if a < end and begin < b]
        steps = [
            f"{subject} {'runs' if subject in hit else 'does not run'} at some time from {_clock(begin)} to "
            f"{_clock(end)}"
            for _, _, subject in meetings
        ]
        answer = ", ".join(hit) or "none"
        steps.append(f"it clashes with {listed(hit)}" if hit else "it clashes with none of them")
        ask = (
            f"Which meetings clash with a call from {_clock(begin)} to {_clock(end)}? In order of time, or none.",
            f"A call takes place from {_clock(begin)} to {_clock(end)}. Which meetings overlap with it? Name them by "
            "time, or say none.",
        )
    shown = ", ".join(draw.sample(lines, len(lines)))
    return shaped(
        draw,
        family="schedules",
        difficulty=difficulty,
        answer=answer,
        steps=steps,
        ask=ask,
        titles=("A day of meetings", "Times and pauses", "The calendar"),
        facts={"kind": kind, "meetings": lines},
        say=(
            f"The meetings of a day are {shown}.",
            f"The calendar shows {shown}.",
            f"These meetings are planned: {shown}.",
        ),
    )


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
