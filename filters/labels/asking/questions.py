"""A teacher asked for a sample of documents, for further rounds, and for what shows how far its grades can be trusted.

Everything that is asked goes through one teacher, so one cap holds for all of it. Grades that are there already
(`known`) are taken as they are; some of these documents, the anchors, are asked for all the same, and so are those that
people graded. Then some of the sample are read a second time, and as twins in another style. None of these readings
changes a grade: they are what the label card is made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from filters.labels.asking.twins import TWINS
from filters.labels.rubrics.rubric import excerpt
from filters.labels.sample.brought import Here
from filters.labels.sample.rounds import Rounds
from filters.labels.sample.sampling import Survey, choose
from filters.labels.teachers.agreement import Pair
from filters.labels.teachers.grading import Grading, Specimen, Teacher
from pipeline.core.errors import BudgetError

if TYPE_CHECKING:
    from pipeline.core.step import Part


@dataclass(frozen=True, slots=True)
class Wishes:
    """What to ask for."""

    documents: int
    stratified: bool
    strata: Sequence[int]  # columns of the survey's marks
    anchors: int
    second_reading: float
    twins: float
    rounds: Rounds
    canaries: float
    best_answer: Mapping[str, Any]  # that canaries ask for


@dataclass(frozen=True, slots=True)
class Question:
    """One document to be graded, by its position in the survey: as it is, a second time, as a twin or as a canary."""

    position: int
    kind: str  # FIRST, SECOND, one of TWINS, or CANARY with a family
    specimen: Specimen


FIRST, SECOND = "first", "second"


def sample_of(survey: Survey, wishes: Wishes, *, known: Here | None) -> list[int]:
    """Return the documents to ask for in the first place: none that has a grade already."""
    free = np.ones(len(survey.ids), bool)
    free[[] if known is None else list(known.keys)] = False
    at = np.flatnonzero(free)
    chosen = choose(survey.where(free), count=wishes.documents, stratified=wishes.stratified, by=wishes.strata)
    return [int(at[position]) for position in chosen]


def beside(
    survey: Survey, sample: Sequence[int], wishes: Wishes, *, known: Here | None, people: Here | None
) -> list[int]:
    """Return what is asked for beside the sample: all that people graded, and anchors; in the seeded order."""
    anchors = _ordered(survey, known.keys if known is not None else ())[: wishes.anchors]
    wanted = {*anchors, *(people.keys if people is not None else ())} - set(sample)
    return _ordered(survey, wanted)


def _ordered(survey: Survey, positions: Iterable[int]) -> list[int]:
    return sorted(positions, key=lambda position: int(survey.places[position]))


class Texts:
    """Excerpts of documents, each read once."""

    def __init__(self, parts: Sequence[Part], survey: Survey, *, max_chars: int) -> None:
        self._parts, self._survey, self.max_chars = parts, survey, max_chars
        self._texts: dict[str, str] = {}

    def specimens(self, positions: Sequence[int]) -> list[Specimen]:
        """Return excerpts, in the order of the positions."""
        ids = self._survey.ids[positions].tolist() if len(positions) else []
        missing = [id for id in ids if id not in self._texts]
        if missing:
            self._texts |= load_excerpts(self._parts, wanted=missing, max_chars=self.max_chars)
        return [Specimen(id=id, text=self._texts[id]) for id in ids]


def load_excerpts(parts: Sequence[Part], *, wanted: Sequence[str], max_chars: int) -> dict[str, str]:
    """Return excerpts of the wanted documents, by id."""
    import pyarrow.compute as pc  # 0.04 s, which steps that are only planned need not

    values, texts = pa.array(wanted, type=pa.string()), {}
    for part in parts:
        table = part.load(("id", "text"))
        table = table.filter(pc.is_in(table.column("id"), value_set=values))
        for id, text in zip(table.column("id").to_pylist(), table.column("text").to_pylist(), strict=True):
            texts[id] = excerpt(text, max_chars=max_chars)
    return texts


def questions(
    sample: Sequence[int], others: Sequence[int], texts: Texts, *, second_reading: float, twins: float
) -> list[Question]:
    """Return all that is to be asked: the labels, then second readings and twins of the first of the sample."""
    positions = [*sample, *others]
    specimens = dict(zip(positions, texts.specimens(positions), strict=True))
    asked = [Question(position, FIRST, specimen) for position, specimen in specimens.items()]
    for position in sample[: round(second_reading * len(sample))]:
        asked.append(Question(position, SECOND, replace(specimens[position], reading=1)))
    most = round(twins * len(sample))
    for name, dress in TWINS.items():
        dressed = ((position, dress(specimens[position].text)) for position in sample)
        other = ((position, text) for position, text in dressed if text != specimens[position].text)
        for position, text in islice(other, most):
            asked.append(Question(position, name, replace(specimens[position], text=text)))
    return asked


@dataclass(frozen=True, slots=True)
class Said:
    """What came of questions: the grade of every document, and how the further readings compare with it."""

    asked: Sequence[Question]
    first: Mapping[int, Grading]
    pairs: Mapping[str, Sequence[Pair]]  # by kind (the first reading, that one), where both have a grade
    left_out: int = 0  # further readings that the cap had no room for


def ask_all(teacher: Teacher, asked: Sequence[Question]) -> Said:
    """Ask everything; where the cap has no room for further readings, the labels alone. BudgetError if not for them."""
    labels = [question for question in asked if question.kind == FIRST]
    try:
        return _said(teacher, asked)
    except BudgetError:
        if len(labels) == len(asked):
            raise
    return replace(_said(teacher, labels), left_out=len(asked) - len(labels))


def _said(teacher: Teacher, asked: Sequence[Question]) -> Said:
    said = list(zip(asked, teacher.grade([question.specimen for question in asked]), strict=True))
    first = {question.position: grading for question, grading in said if question.kind == FIRST}
    pairs: dict[str, list[Pair]] = {}
    for question, grading in said:
        one, other = first[question.position].rated, grading.rated
        if question.kind != FIRST and one is not None and other is not None:
            pairs.setdefault(question.kind, []).append((one, other))
    return Said(asked, first, pairs)
