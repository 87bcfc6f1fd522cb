"""Whoever grades documents when asked: the offline rubric, or Claude. (Grades that are there already: `grade_file`.)

A teacher gets excerpts and returns one grading per document, in their order, and a note for the card. Its `title` goes
into every row that it graded, so no label travels without saying whose it is. Refused, cut off and malformed answers
and rejected requests are gradings without a grade, never dropped: what a teacher would not grade is not missing at
random (Claude's safety classifiers decline by topic), and a classifier trained on the rest must be able to know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from filters.labels.offline_rubric import CRITERIA, grade_text
from filters.labels.rubric import Rubric
from pipeline.core.claude.answer import writable
from pipeline.core.claude.endpoint import foreign_endpoint, shown
from pipeline.core.claude.request import NOBODY, Buyer
from pipeline.core.errors import RecipeError

if TYPE_CHECKING:
    from pipeline.core.claude.client import Answer, ClaudeClient
    from pipeline.core.claude.request import Request

GradeStatus = Literal["graded", "refused", "truncated", "invalid", "errored"]
Useless = Literal["invalid", "refused", "truncated"]  # an answer that was paid for and says no grade

OFFLINE_TITLE = "offline-rubric-v1 (signals, not a model)"
CHUNK = 256


@dataclass(frozen=True, slots=True)
class Specimen:
    """One document as a teacher sees it."""

    id: str
    text: str  # an excerpt


@dataclass(frozen=True, slots=True)
class Grading:
    """One document's grade, or why it has none."""

    status: GradeStatus
    grade: float | None = None  # 0 to 5
    justification: str = ""


@dataclass(slots=True)
class Lesson:
    """What a teacher says of all documents together; `note` goes into the card."""

    gradings: list[Grading]
    note: dict[str, Any] = field(default_factory=dict)
    cost_usd: float = 0.0  # that these grades cost, whichever run paid for them


class Teacher(Protocol):
    """Grades documents."""

    title: str

    def grade(self, specimens: Sequence[Specimen]) -> Lesson:
        """Return one grading per specimen, in their order."""
        ...


class OfflineTeacher:
    """The transparent scorer of `offline_rubric`; needs nothing."""

    title = OFFLINE_TITLE

    def __init__(self, *, rubric: Rubric, map: Callable[..., list[Any]]) -> None:
        if rubric.criteria != CRITERIA:
            raise RecipeError(
                f"label: the offline teacher knows the rubric `educational` only, not {rubric.name!r}. "
                "Use `teacher: claude` or `teacher: file` with this rubric."
            )
        self._map = map

    def grade(self, specimens: Sequence[Specimen]) -> Lesson:
        texts = [specimen.text for specimen in specimens]
        chunks = [texts[start : start + CHUNK] for start in range(0, len(texts), CHUNK)]
        graded = self._map(grade_offline, chunks, label="label (offline rubric)")
        return Lesson(gradings=[grading for chunk in graded for grading in chunk])


def grade_offline(texts: Sequence[str]) -> list[Grading]:
    """Grade texts by the offline rubric; runs in a worker process."""
    grades = [grade_text(text) for text in texts]
    return [Grading("graded", grade=float(grade.grade), justification=grade.evidence) for grade in grades]


class ClaudeTeacher:
    """Claude, one document per request, through the client that buys every answer once."""

    def __init__(
        self, *, rubric: Rubric, model: str, ledger: Path, max_usd: float, prices: Path | None, concurrency: int,
        max_useless: float, ask_again: Mapping[Useless, int], say: Callable[[str], None], batches: bool = False,
        wait: bool = True, buyer: Buyer = NOBODY,
    ) -> None:  # fmt: skip
        self.title = f"{model}{shown(foreign_endpoint())}, rubric {rubric.name} {rubric.hash[:12]}"
        self._rubric, self._model, self._ledger, self._ask_again = rubric, model, ledger, ask_again
        self._how: dict[str, Any] = {
            "max_usd": max_usd, "prices": prices, "workers": concurrency, "max_useless": max_useless, "say": say,
            "batches": batches, "wait": wait, "buyer": buyer,
        }  # fmt: skip

    def grade(self, specimens: Sequence[Specimen]) -> Lesson:
        from pipeline.core.claude.client import ClaudeClient

        requests = [self._rubric.request(specimen.text, model=self._model) for specimen in specimens]
        with ClaudeClient(self._ledger, **self._how) as client:
            turns = self._ask(client, requests)
            note: dict[str, Any] = {"in_doubt": client.num_in_doubt, "spent_usd": client.spent_usd}
        unique = {answer.request_id: answer for answers in turns for answer in answers}.values()
        note["from_ledger"] = sum(answer.from_ledger for answer in unique)
        note["bought"] = sum(not answer.from_ledger and answer.status != "errored" for answer in unique)
        note["paid_now_usd"] = sum(answer.cost_usd for answer in unique if not answer.from_ledger)
        cost = sum(answer.cost_usd for answer in unique)  # of all runs: the card is written by the last one alone
        last = [answers[-1] for answers in turns]
        return Lesson(gradings=[self._grading(answer) for answer in last], note=note, cost_usd=cost)

    def _ask(self, client: ClaudeClient, requests: Sequence[Request]) -> list[list[Answer]]:
        """Return the answers to every request: one, and one more for each time that a useless one is asked again."""
        turns = [[answer] for answer in client.ask(requests, pardoned=list(self._ask_again))]
        for turn in range(1, 1 + max(self._ask_again.values(), default=0)):
            left = {status for status, times in self._ask_again.items() if times >= turn}
            again = [number for number, answers in enumerate(turns) if answers[-1].status in left]
            asked = [replace(requests[number], turn=turn) for number in again]
            pardoned = [status for status, times in self._ask_again.items() if times > turn]
            for number, answer in zip(again, client.ask(asked, pardoned=pardoned), strict=True):
                turns[number].append(answer)
        return turns

    def _grading(self, answer: Answer) -> Grading:
        if answer.data is None:
            assert answer.status != "parsed"
            return Grading(answer.status, justification=answer.reason)
        evidence = " ".join(writable(str(answer.data["evidence"])).split())[:500]
        return Grading("graded", grade=float(self._rubric.grade(answer.data)), justification=evidence)
