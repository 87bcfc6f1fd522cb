"""The kinds of students by name: how each learns, and how one that was saved is read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from filters.classifier import hidden
from filters.classifier.course import Course, LinearCourse, Student
from filters.classifier.graded import Graded
from filters.classifier.hidden import HiddenCourse, HiddenModel
from filters.classifier.model import SETTINGS, Features, GradeModel, Settings
from pipeline.core.errors import DataError

Kind = Literal["linear", "hidden"]


def course_of(kind: Kind, graded: Graded, *, settings: Settings, epochs: int, top: int, seed: int) -> Course:
    """Return the way in which a kind of student learns from these documents."""
    inputs = Features.of(graded.batch, settings=settings)
    if kind == "hidden":
        return HiddenCourse(inputs, settings, epochs, top, seed)
    return LinearCourse(inputs, settings, epochs, top)


def load_student(folder: Path) -> Student:
    """Read whatever student was saved in a folder; DataError when there is none."""
    try:
        kind = json.loads((folder / SETTINGS).read_bytes()).get("kind")
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"{folder / SETTINGS}: no classifier can be read ({error}). Run the recipe again.") from error
    return HiddenModel.load(folder) if kind == hidden.KIND else GradeModel.load(folder)
