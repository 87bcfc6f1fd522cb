"""The card of a quality classifier -> its agreement with the teacher, baselines, operating point and calibration.

Expected in `details`: agreement (spearman, spearman_low, spearman_high, rmse), baselines (name -> spearman, rmse and
gain, gain_low, gain_high of the classifier over it), by_source, top_tenth, calibration_error,
operating_points (threshold, precision with its interval, recall, f1, and keep_fraction or min_score), held_out_scores
(score and grade of each document held out), measured_on (how many these are, and clusters of them), calibration
(documents, mean_score, mean_grade by bin of the score), census (documents whose grades were known), triangle, the sizes
of the split and warnings. All are measured on documents held out. The rule in force is measured at its very threshold;
for a card of before held_out_scores, the nearest operating point is shown and named as that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from filters.classifier.agreement import alone, at_threshold
from filters.classifier.weighed import Census
from pipeline.report.dataset.steps import DatasetShown, StepShown
from pipeline.report.dataset.triangle import TriangleShown, triangle_shown
from pipeline.report.draw import figures
from pipeline.report.draw.charts import Axis, Curve, plot

SCALE = (0.0, 5.0)  # of the grades, for a card of before it was noted


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well one way to grade agrees with the teacher; empty text where it was not measured."""

    name: str
    spearman: str
    interval: str
    rmse: str
    gain: str  # of the classifier over it


@dataclass(frozen=True, slots=True)
class Point:
    """What a threshold would keep of the held-out documents; `chosen` names the rule in force, or the nearest to it."""

    keeps: str
    threshold: str
    precision: str
    recall: str
    f1: str
    kept: str  # held-out documents at the threshold or above
    chosen: str


@dataclass(frozen=True, slots=True)
class OfSource:
    """The held-out documents of one source; empty text where they are too few to tell."""

    name: str
    documents: str
    spearman: str
    interval: str


@dataclass(frozen=True, slots=True)
class Classifier:
    """A classifier as the report shows it."""

    step: str
    teacher: str
    sizes: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    learnt_only: str  # documents that nothing was measured on, as they were not drawn; empty if there are none
    known: str  # how many documents had a grade before, and so are weighed as they are; empty if none were
    triangle: TriangleShown
    sources: tuple[OfSource, ...]
    positive_grade: str
    agreement: str  # of the classifier with the teacher
    agreements: tuple[Agreement, ...]
    points: tuple[Point, ...]
    calibration: Markup | None
    bins: tuple[tuple[str, str, str], ...]  # mean score, mean grade, documents
    warnings: tuple[str, ...]


def classifiers_in(shown: DatasetShown) -> list[Classifier]:
    """Return every classifier of a dataset."""
    return [_classifier(step) for step in shown.steps if {"agreement", "calibration"} <= set(step.card.details)]


def _classifier(step: StepShown) -> Classifier:
    details = step.card.details
    named = {"graded": "documents graded", "train": "of them learnt from", "held_out": "held out"}
    sizes = [(said, f"{name}_documents") for name, said in named.items()]
    rows = [("the classifier", details["agreement"]), *dict(details.get("baselines", {})).items()]
    bins = list(details["calibration"])
    return Classifier(
        step=step.label,
        teacher=str(details.get("teacher", "")),
        sizes=tuple((said, figures.count(details[key])) for said, key in sizes if key in details),
        facts=tuple(_facts(details)),
        learnt_only=_learnt_only(details),
        known=figures.count(details["census"]["documents"]) if "census" in details else "",
        triangle=triangle_shown(details),
        sources=tuple(_of_source(name, row) for name, row in details.get("by_source", {}).items()),
        positive_grade=figures.number(details.get("positive_grade")),
        agreement=_with_interval(details["agreement"], "spearman"),
        agreements=tuple(_agreement(str(name), found) for name, found in rows),
        points=_points(step, details.get("operating_points", ())),
        calibration=_calibration(bins, highest=details.get("scale", SCALE)[1]) if bins else None,
        bins=tuple((_two(row["mean_score"]), _two(row["mean_grade"]), figures.count(row["documents"])) for row in bins),
        warnings=tuple(map(str, details.get("warnings", ()))),
    )


def _two(value: float | None) -> str:
    return figures.NONE if value is None else f"{value:.2f}".replace("-", figures.MINUS)


def _facts(details: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    best = details.get("top_tenth")
    if best:
        yield f"good in the top tenth, by {figures.count(best['documents'])} held out", _percent(best, "precision")
        among = "the dataset" if "census" in details else "all held out"
        yield f"good of {among}", _percent(best, "good_of_all")
    if "calibration_error" in details:
        yield "calibration error, grades", _two(details["calibration_error"])


def _percent(found: Mapping[str, Any], name: str) -> str:
    """Return a share in percent with its interval, for a card of before without it."""
    if found[name] is None:
        return "cannot be told"
    low, high = found.get(f"{name}_low"), found.get(f"{name}_high")
    interval = "" if low is None or high is None else f" ({100 * low:.1f} to {100 * high:.1f})"
    return figures.share(found[name], 1) + interval


def _learnt_only(details: Mapping[str, Any]) -> str:
    measured = dict(details.get("measured_on") or {}).get("chosen", {})
    if list(measured) != ["sample"]:
        return ""
    others = {name: count for name, count in details["graded_by_choice"].items() if name != "sample"}
    return ", ".join(f"{figures.count(count)} {name}" for name, count in others.items())


def _of_source(name: str, row: Mapping[str, Any]) -> OfSource:
    told = _agreement(name, row)
    return OfSource(name, figures.count(row["documents"]), told.spearman, told.interval)


def _agreement(name: str, found: Mapping[str, Any]) -> Agreement:
    gain = f"{_two(found['gain'])} ({_interval(found, 'gain')})" if "gain" in found else ""
    return Agreement(
        name=name.replace("_", " "),
        spearman=_two(found.get("spearman")),
        interval=_interval(found, "spearman"),
        rmse=_two(found.get("rmse")),
        gain=gain,
    )


def _interval(found: Mapping[str, Any], name: str) -> str:
    low, high = found.get(f"{name}_low"), found.get(f"{name}_high")
    return f"{_two(low)} to {_two(high)}" if low is not None and high is not None else ""


def _with_interval(found: Mapping[str, Any], name: str) -> str:
    interval = _interval(found, name)
    return _two(found.get(name)) + (f" ({interval})" if interval else "")


def _points(step: StepShown, measured: Sequence[Mapping[str, Any]]) -> tuple[Point, ...]:
    rows = [dict(row) for row in measured]
    rule = step.rules[0] if step.rules else None
    chosen, called = None, "in force"
    if rule is not None and rows:
        exact = _measured_at(rule.threshold, step.card.details)
        if exact is not None and all(row["threshold"] != rule.threshold for row in rows):
            rows.insert(0, exact)
        distances = [abs(row["threshold"] - rule.threshold) for row in rows]
        chosen = distances.index(min(distances))
        called = called if exact is not None else "nearest to the rule in force"
    return tuple(_point(row, chosen=called if index == chosen else "") for index, row in enumerate(rows))


def _measured_at(threshold: float, details: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return precision, recall and F1 of the rule in force; None if the card holds no scores to measure them on."""
    if not details.get("held_out_scores"):
        return None
    scores, grades = np.array(details["held_out_scores"], np.float64).T
    positive = float(details["positive_grade"])
    return at_threshold(
        scores, grades, threshold=threshold, positive_grade=positive, alone=alone(details), census=Census.of(details)
    )  # fmt: skip


def _point(row: Mapping[str, Any], *, chosen: str) -> Point:
    share, score = row.get("keep_fraction"), row.get("min_score")
    named = f"best {figures.share(share, 1)}" if share is not None else f"score {figures.number(score)} or more"
    return Point(
        keeps=named if share is not None or score is not None else "what is kept",
        threshold=_two(row["threshold"]),
        precision=_with_interval(row, "precision"),
        recall=_with_interval(row, "recall"),
        f1=_two(row.get("f1")),
        kept=figures.count(row.get("kept")),
        chosen=chosen,
    )


def _calibration(bins: Sequence[Mapping[str, Any]], *, highest: float) -> Markup:
    """Draw the teacher's mean grade over the classifier's mean score, with the line on which both agree."""
    points = [(float(row["mean_score"]), float(row["mean_grade"])) for row in bins]
    top = min(highest, max(1.0, *(value for point in points for value in point)) + 0.3)
    axis = Axis(0.0, top)
    spoken = "; ".join(f"score {x:.2f}, grade {y:.2f}" for x, y in points)
    curves = [Curve([(0.0, 0.0), (top, top)], "ideal"), Curve(points, "found")]
    title = f"Calibration on held-out documents, mean score and the teacher's mean grade: {spoken}"
    return plot(curves, x=axis, y=axis, title=title, x_text="mean score", y_text="mean grade", height=270, dots=True)
