"""What a task is before it becomes a document: problem, answer, worked steps, and the plain facts behind them.

A family's `generate(draw, difficulty)` returns one Task. Steps are clauses in lower case without a final stop, so
that a layout can number them, list them or join them with connecting words. The checker of the family never sees a
Task: it reads `prompt` as text and solves it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Task:
    """One problem with its worked solution. `answer` is the one canonical form that the checker accepts."""

    family: str
    difficulty: int  # 1..5
    title: str
    statement: tuple[str, ...]
    question: str
    answer: str
    steps: tuple[str, ...]
    conclusion: str  # one sentence that states `answer`
    facts: Mapping[str, object]  # the problem as plain data

    prompt: str = field(init=False, repr=False, compare=False)  # the problem as the reader meets it

    def __post_init__(self) -> None:
        """Join statement parts and question, with blank lines around blocks."""
        parts = [part for part in (*self.statement, self.question) if part]
        text = parts[0]
        for before, part in pairwise(parts):
            text += ("\n\n" if "\n" in part or "\n" in before else " ") + part
        object.__setattr__(self, "prompt", text)
