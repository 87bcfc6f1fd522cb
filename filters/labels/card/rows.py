"""Gradings of a sample -> the signals of every document, the table of labels, and what the card counts of answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from filters.labels.asking.injections import FAMILIES
from filters.labels.rubrics.head import BEST, Criterion
from filters.labels.rubrics.rubric import UNSUPPORTED, Rubric
from filters.labels.sample.sampling import Choice
from filters.labels.teachers.grading import Grading
from pipeline.core.step import Part


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one document of the sample."""

    grading: Grading
    title: str  # who gave it
    chosen: Choice  # how the document came to be graded
    injections: tuple[str, ...]  # families of orders to a model that stand in what the teacher saw


def columns_of(
    part: Part, rows: Mapping[str, Row], *, rubric: Rubric, people: Mapping[str, float] | None
) -> dict[str, list[Any]]:
    """Return the signals of a part's documents; `people` are the grades that people gave, if any were brought."""
    ids = part.load(("id",)).column("id").to_pylist()
    found = [rows.get(id) for id in ids]
    graded = [None if row is None or row.grading.grade is None else row.grading for row in found]
    columns: dict[str, list[Any]] = {
        "grade": [None if grading is None else grading.grade for grading in graded],
        "status": [None if row is None else row.grading.status for row in found],
        "teacher": [None if row is None else row.title for row in found],
        "chosen": [None if row is None else row.chosen for row in found],
        "injections": [None if row is None else len(row.injections) for row in found],
        "unsupported": [None if grading is None else len(grading.unsupported) for grading in graded],
    }
    columns |= {} if people is None else {"people": [people.get(id) for id in ids]}
    return columns | {
        name: [None if grading is None else grading.more_scores.get(name) for grading in graded]
        for name in rubric.more_scores
    }


def labels_table(rows: Mapping[str, Row], *, rubric: Rubric) -> pa.Table:
    """Return the graded sample as a table, by id: a column for each question, and for each further grade.

    Its metadata say by which rubric, as the first line of a JSONL file of grades does.
    """
    listed = sorted(rows.items())
    gradings = [row.grading for _, row in listed]
    columns = {
        "id": pa.array([id for id, _ in listed], type=pa.string()),
        "grade": pa.array([grading.grade for grading in gradings], type=pa.float32()),
        "status": pa.array([grading.status for grading in gradings], type=pa.string()),
        "chosen": pa.array([row.chosen for _, row in listed], type=pa.string()),
        "justification": pa.array([grading.justification for grading in gradings], type=pa.string()),
        "injections": pa.array([", ".join(row.injections) for _, row in listed], type=pa.string()),
    }
    for name in rubric.more_scores:
        columns[name] = pa.array([grading.more_scores.get(name) for grading in gradings], type=pa.float32())
    for each in rubric.head.criteria:
        columns[each.key] = pa.array([_answer(grading, each) for grading in gradings], type=pa.string())
    return pa.table(columns).replace_schema_metadata({"rubric": rubric.name, "rubric_blake3": rubric.hash})


def counts(rows: Sequence[Row], *, rubric: Rubric) -> dict[str, Any]:
    """Count grades by whole number, answers by question, and what speaks against them."""
    gradings = [row.grading for row in rows]
    found: dict[str, Any] = {"grades": _histogram(grading.grade for grading in gradings)}
    if rubric.more_scores:
        found["more_grades"] = {
            name: _histogram(grading.more_scores.get(name) for grading in gradings) for name in rubric.more_scores
        }
    answered = [grading for grading in gradings if grading.answers]
    if answered:
        found["answers"] = {
            each.key: dict(sorted(Counter(str(_answer(grading, each)) for grading in answered).items()))
            for each in rubric.head.criteria
        }
    if rubric.quotes and answered:
        found["unsupported"] = {
            "documents": sum(bool(grading.unsupported) for grading in answered),
            "answers": sum(len(grading.unsupported) for grading in answered),
            "of": len(answered) * len(rubric.criteria),
            "by_question": {key: sum(key in grading.unsupported for grading in answered) for key in rubric.criteria},
        }
    families = Counter(family for row in rows for family in row.injections)
    found["injections"] = {
        "documents": sum(bool(row.injections) for row in rows),
        "of": len(rows),
        "by_family": {family: families[family] for family in FAMILIES if families[family]},
    }
    return found


def _answer(grading: Grading, criterion: Criterion) -> str | None:
    """Return how a question was answered, in words."""
    if criterion.key in grading.unsupported:
        return UNSUPPORTED
    place = grading.answers.get(criterion.key)
    return None if place is None else criterion.options[int(place)]


def _histogram(grades: Iterable[float | None]) -> dict[str, int]:
    found = Counter(round(grade) for grade in grades if grade is not None)
    return {str(grade): found[grade] for grade in range(BEST + 1)}
