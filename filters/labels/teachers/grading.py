"""What a teacher is: whoever grades documents when asked, with the document that it sees and the grading that it gives.

A teacher gets excerpts and returns one grading per document, in their order, and in the end an account of all that it
was asked, for the card. Its `title` goes into every row that it graded, so no label travels without saying whose it is.
Refused, cut off and malformed answers and rejected requests are gradings without a grade, never dropped: what a teacher
would not grade is not missing at random (Claude's safety classifiers decline by topic), and a classifier trained on the
rest must be able to know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self

from filters.labels.teachers.agreement import Rated

GradeStatus = Literal["graded", "unsupported", "refused", "truncated", "invalid", "errored"]
Useless = Literal["unsupported", "invalid", "refused", "truncated"]  # an answer that was paid for and says no grade

CHUNK = 256  # documents that a worker process takes at once


@dataclass(frozen=True, slots=True)
class Specimen:
    """One document as a teacher sees it."""

    id: str
    text: str  # an excerpt
    reading: int = 0  # further ones are asked for apart from the first


@dataclass(frozen=True, slots=True)
class Grading:
    """One document's grade, or why it has none."""

    status: GradeStatus
    grade: float | None = None  # 0 to 5
    justification: str = ""
    answers: Mapping[str, float] = field(default_factory=dict)  # places among the options of each question, where known
    unsupported: tuple[str, ...] = ()  # questions whose quote does not stand in the document
    more_scores: Mapping[str, float] = field(default_factory=dict)  # grades beside `grade`, by name

    @property
    def rated(self) -> Rated | None:
        """Return the grade and the answers, if there are any."""
        return None if self.grade is None else Rated(self.grade, self.answers)


@dataclass(frozen=True, slots=True)
class Account:
    """What all that a teacher was asked came to; `note` goes into the card."""

    note: Mapping[str, Any] = field(default_factory=dict)
    cost_usd: float = 0.0  # that the answers cost, whichever run paid for them
    full_usd: float = 0.0  # of their tokens, one by one and uncached: the same however they were bought
    answers: int = 0


class Teacher(Protocol):
    """Grades documents, several times if asked; a context, as it may hold connections."""

    title: str

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def grade(self, specimens: Sequence[Specimen]) -> list[Grading]:
        """Return one grading per specimen, in their order."""
        ...

    def account(self) -> Account:
        """Return what came of everything asked so far."""
        ...
