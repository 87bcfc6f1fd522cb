"""The kinds of students by name: how each learns, and how one that was saved is read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from filters.classifier import embedded, hidden
from filters.classifier.course import Course, LinearCourse, Student
from filters.classifier.embedded import EmbeddedCourse, EmbeddedModel
from filters.classifier.graded import Graded
from filters.classifier.hidden import HiddenCourse, HiddenModel
from filters.classifier.model import SETTINGS, Features, GradeModel, Settings
from pipeline.core.errors import DataError

Kind = Literal["linear", "hidden", "embedding"]


def course_of(
    kind: Kind, graded: Graded, *, settings: Settings, epochs: int, top: int, seed: int, embedding: Path | None = None
) -> Course:  # fmt: skip
    """Return the way in which a kind of student learns from these documents; `embedding` is a model's folder."""
    if embedding is not None:
        chars = settings.excerpt_chars
        vectors = embedded.vectors_of(graded.batch, folder=embedding, excerpt_chars=chars)
        return EmbeddedCourse(vectors, chars, embedding, epochs, top)
    inputs = Features.of(graded.batch, settings=settings)
    if kind == hidden.KIND:
        return HiddenCourse(inputs, settings, epochs, top, seed)
    return LinearCourse(inputs, settings, epochs, top)


def load_student(folder: Path, *, embedding: Path | None = None) -> Student:
    """Read whatever student was saved in a folder; DataError when there is none."""
    try:
        kind = json.loads((folder / SETTINGS).read_bytes()).get("kind")
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"{folder / SETTINGS}: no classifier can be read ({error}). Run the recipe again.") from error
    if embedding is not None:
        return EmbeddedModel.load(folder, embedding=embedding)
    return HiddenModel.load(folder) if kind == hidden.KIND else GradeModel.load(folder)
