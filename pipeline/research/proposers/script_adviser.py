"""A Python file as one who has ideas, in a process that reaches nothing but its question.

    def propose(view, count, seed):  # -> [{"edits": [{"op", "place", "value"}], "hypothesis", "mechanism", ...}]

The same view, count and seed must give the same ideas, as a night that was killed asks again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import RecipeError
from pipeline.core.process.confined import Limits, ask_confined
from pipeline.research.proposers.ideas import Advice, Idea, View, idea_of
from pipeline.research.proposers.script_child import MODULE

NAME = "script"
LIMITS = Limits(wall_seconds=60.0, cpu_seconds=30, answer_bytes=1 << 20)
MOST_LOOKED_AT = 100  # ideas of one answer


@dataclass(frozen=True, slots=True)
class ScriptAdviser:
    """A script by its path; `hidden` is what it must not be able to read."""

    path: Path
    hidden: Sequence[Path] = ()
    limits: Limits = LIMITS
    name: str = NAME

    def ideas(self, view: View, count: int, seed: int) -> Advice:
        """Ask the script; whatever it does, the night goes on."""
        question = {"view": dict(view), "count": count, "seed": seed}
        outcome = ask_confined(
            "pipeline.research.proposers.script_child:answer", question, limits=self.limits, files={MODULE: self.path},
            hidden=self.hidden,
        )  # fmt: skip
        if outcome.kind != "answer":
            return Advice(why_none=f"{self.path.name}: {outcome.told}.")
        return _read(outcome.answer["ideas"], name=self.path.name)


def _read(told: Any, *, name: str) -> Advice:
    if not isinstance(told, list):
        return Advice(why_none=f"{name}: propose() returned {type(told).__name__}; it must be a list of ideas.")
    found, unusable = list[Idea](), list[str]()
    for each in told[:MOST_LOOKED_AT]:
        try:
            found.append(idea_of(each))
        except RecipeError as error:
            unusable.append(str(error))
    why = f"{name}: none of what it proposed is an idea: {unusable[0]}" if unusable and not found else ""
    return Advice(tuple(found), tuple(unusable), why or ("" if found else f"{name}: it had no ideas."))
