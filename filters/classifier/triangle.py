"""Grades by people, the teacher and the classifier, of the same documents -> how far each agrees with the two others.

All sides are rank correlations on documents that people graded and the classifier learnt nothing of, neither from them
nor from near-duplicates; intervals resample clusters of these. The classifier learns from the teacher alone: where its
errors have nothing to do with the teacher's, it agrees with people by the product of the two other sides. The smaller
of these two is the one to work on, and it is only named where their difference cannot be chance.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from filters.classifier.agreement import MIN_BY_SOURCE, resampled, spearman
from filters.classifier.graded import Graded, TrainingSplit

SIDES = {"teacher_people": (1, 0), "student_teacher": (2, 1), "student_people": (2, 0)}  # rows of what is compared


def triangle(graded: Graded, lesson: TrainingSplit, scores: np.ndarray, *, seed: int) -> dict[str, Any]:
    """Return the sides as plain JSON; no sides of too few documents, and nothing where people graded none.

    `scores` are the classifier's of all graded documents. Teacher and people are compared on all that both graded, too:
    neither of them has learnt from any.
    """
    both = np.flatnonzero(graded.by_both)
    if not len(both):
        return {}
    rows, clusters = lesson.judged, lesson.clusters
    found: dict[str, Any] = {"documents": len(rows), "clusters": len(np.unique(clusters[rows]))}
    every = np.stack([graded.people[both], graded.grades[both]])
    found["teacher_people_all"] = {"documents": len(both), **_sides(every, clusters[both], seed=seed)}
    judged = np.stack([graded.people[rows], graded.grades[rows], scores[rows].astype(np.float64)])
    return found | _sides(judged, clusters[rows], seed=seed)


def _sides(readings: np.ndarray, clusters: np.ndarray, *, seed: int) -> dict[str, Any]:
    """Return the sides between float64[2 or 3, num_docs]; none of fewer clusters than a source needs for its own.

    Of three readers also `gap`, by how much the classifier agrees with the teacher more than the teacher with people.
    """
    alike = (readings == readings[:, :1]).all(axis=1).any()  # who gives all the same grade agrees with nobody
    if alike or len(np.unique(clusters)) < MIN_BY_SOURCE:
        return {}
    there = {name: pair for name, pair in SIDES.items() if pair[0] < len(readings)}

    def sides(rows: Any) -> list[float]:
        return [spearman(readings[one, rows], readings[other, rows]) for one, other in there.values()]

    values, drawn = sides(slice(None)), np.array([sides(rows) for rows in resampled(clusters, seed=seed)])
    found: dict[str, Any] = {
        name: _with_interval(value, column) for name, value, column in zip(there, values, drawn.T, strict=True)
    }
    if len(readings) == 2:
        return found
    by_people, by_student, _ = values
    gap = _with_interval(by_student - by_people, drawn[:, 1] - drawn[:, 0])
    weaker = "teacher_people" if gap["low"] > 0 else "student_teacher" if gap["high"] < 0 else ""
    return found | {"through_teacher": by_people * by_student, "gap": gap, "weaker": weaker}


def _with_interval(value: float, drawn: np.ndarray) -> dict[str, float]:
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    return {"value": value, "low": low, "high": high}
