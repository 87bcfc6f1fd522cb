"""The triangle of a classifier's card -> its three sides as a plot, and in words what they mean and what to do next.

Expected in `details`, where people graded documents: triangle (documents and clusters that people graded and nothing
was learnt from; teacher_people, student_teacher and student_people, each value, low and high, where they could be told;
teacher_people_all, with its documents; through_teacher, gap and weaker).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.report.draw import figures
from pipeline.report.draw.charts import Axis
from pipeline.report.draw.forest import Estimate, Forest, forest_of

NAMES = {
    "teacher_people": "teacher and people",
    "student_teacher": "classifier and teacher",
    "student_people": "classifier and people",
}
BRING = (
    "Whether the teacher judges as people do is not known: nobody's grades were brought. Grade 100 documents or more "
    "yourself, blind to the teacher's grades, and name the file in `label`, `people: FILE` (JSON lines with `id` and "
    "`grade`, 0 to 5). 100 tell a rank correlation of 0.6 to about 0.13 either way."
)


@dataclass(frozen=True, slots=True)
class TriangleShown:
    """How far people, the teacher and the classifier agree with each other."""

    plot: Forest | None
    words: tuple[str, ...]


def triangle_shown(details: Mapping[str, Any]) -> TriangleShown:
    """Return the triangle of a classifier's card; what to bring where people graded nothing."""
    found = details.get("triangle")
    if not found:
        return TriangleShown(None, (BRING,))
    estimates = list(_estimates(found))
    plot = None
    if estimates:
        lowest = min(0.0, *(each.low for each in estimates if each.low is not None))
        plot = forest_of(estimates, axis=Axis(lowest, 1.0), text=lambda value: figures.fixed(value, 2))
    return TriangleShown(plot, tuple(_words(found)))


def _estimates(found: Mapping[str, Any]) -> Iterator[Estimate]:
    of = figures.counted(found["documents"], "document")
    for key, name in NAMES.items():
        if key in found:
            marks = ((float(found["through_teacher"]), "needed"),) if key == "student_people" else ()
            strong = found["weaker"] == key
            yield Estimate(name, of, **found[key], says="the weaker side" if strong else "", strong=strong, marks=marks)
    every = found["teacher_people_all"]
    if "teacher_people" in every and every["documents"] > found["documents"]:
        of = f"all {figures.counted(every['documents'], 'document')} that both graded"
        yield Estimate(NAMES["teacher_people"], of, **every["teacher_people"])


def _words(found: Mapping[str, Any]) -> Iterator[str]:
    of = figures.counted(found["documents"], "document")
    if "student_people" not in found:
        yield (
            f"People graded {of} that nothing was learnt from, in {figures.counted(found['clusters'], 'group')} of "
            "near-duplicates. An agreement with the classifier needs 10 groups and readers who do not give one grade "
            "to all: bring more grades of people."
        )
        return
    by_teacher, there = figures.fixed(found["through_teacher"], 2), figures.fixed(found["student_people"]["value"], 2)
    yield (
        "What the classifier knows of people's judgement came through the teacher: if its own errors have nothing to "
        f"do with the teacher's, it agrees with people by the product of the two other sides, {by_teacher} (dashed). "
        f"It agrees by {there}."
    )
    gap = found["gap"]
    ends = " to ".join(figures.signed(gap[end], 2) for end in ("low", "high"))
    told = f"classifier and teacher less teacher and people: {figures.signed(gap['value'], 2)} ({ends})"
    yield {
        "teacher_people": (
            f"The weaker side is teacher and people ({told}): more labels will not mend that. Sharpen the rubric's "
            "questions on which the label card says that the two differ, or ask a better model."
        ),
        "student_teacher": (
            f"The weaker side is classifier and teacher ({told}): the teacher is worth more than what was learnt of "
            "it. Grade more documents (`documents`, `rounds`) or try another `student`, before another rubric."
        ),
        "": f"Which side is the weaker cannot be told from {of} ({told}): bring more grades of people.",
    }[found["weaker"]]
