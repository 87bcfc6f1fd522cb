"""How a student learns: some of the graded documents fitted at one penalty, others to see which penalty is best.

What differs between students is a course each; choosing the penalty, training the one that scores and the one that
learns shuffled grades is the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from filters.classifier.graded import Graded, TrainingSplit
from filters.classifier.model import L2_GRID, Features, GradeModel, Settings, loss_of, train
from pipeline.core import rng
from pipeline.core.text.batch import Batch


class Student(Protocol):
    """A trained model: scores documents, and can be written down."""

    def score(self, batch: Batch) -> np.ndarray:
        """Return float32[num_docs], the expected grade."""
        ...

    def save(self, folder: Path) -> None: ...


class Course(Protocol):
    """One way to learn from graded documents. A row is a graded document's number."""

    @property
    def penalties(self) -> Sequence[float]:
        """Return what to try, the strongest first."""
        ...

    def fit(self, rows: np.ndarray, *, grades: np.ndarray, penalty: float, start: Any = None) -> Any:
        """Return the student that learnt these rows' grades, from zero or from where another one is."""
        ...

    def loss(self, student: Any, rows: np.ndarray, *, grades: np.ndarray) -> float:
        """Return the mean cross-entropy of a student on documents that it may not have seen."""
        ...

    def describe(self, rows: np.ndarray) -> dict[str, Any]:
        """Return what the card says of the features of these rows."""
        ...


@dataclass(frozen=True, slots=True)
class Trained:
    """The student that scores, and how its penalty was found."""

    student: Any
    penalty: float
    losses: dict[str, float]


def teach(course: Course, graded: Graded, lesson: TrainingSplit) -> Trained:
    """Choose the penalty on a part of the training documents, then train on all of them."""
    fit, check = lesson.inner()
    grades, losses = graded.grades, dict[float, float]()
    student: Any = None
    if len(fit) and len(check):
        for penalty in course.penalties:  # from the strongest on, each fit beginning where the last one ended
            student = course.fit(fit, grades=grades[fit], penalty=penalty, start=student)
            losses[penalty] = course.loss(student, check, grades=grades[check])
    best = min(losses, key=lambda penalty: losses[penalty]) if losses else course.penalties[0]
    found = course.fit(lesson.train, grades=grades[lesson.train], penalty=best)
    return Trained(found, best, {f"{penalty:g}": loss for penalty, loss in losses.items()})


def teach_at_random(course: Course, graded: Graded, lesson: TrainingSplit, *, penalty: float, seed: int) -> Any:
    """Train the same way on the same grades, dealt to other documents: what there is to be had without learning."""
    dealt = rng.generator(seed, "quality", "random grades").permutation(graded.grades[lesson.train])
    return course.fit(lesson.train, grades=dealt, penalty=penalty)


@dataclass(frozen=True, slots=True)
class LinearCourse:
    """One weight for each hashed n-gram; see `model.py`."""

    inputs: Features
    settings: Settings
    epochs: int
    top: int

    @property
    def penalties(self) -> Sequence[float]:
        return L2_GRID

    def fit(self, rows: np.ndarray, *, grades: np.ndarray, penalty: float, start: Any = None) -> GradeModel:
        return train(
            self.inputs.take(rows), grades, settings=self.settings, l2=penalty, epochs=self.epochs, start=start,
            top=self.top,
        )  # fmt: skip

    def loss(self, student: Any, rows: np.ndarray, *, grades: np.ndarray) -> float:
        return loss_of(student, self.inputs.take(rows), grades)

    def describe(self, rows: np.ndarray) -> dict[str, Any]:
        return {"features": len(np.unique(self.inputs.take(rows).buckets))}
