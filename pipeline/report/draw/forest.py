"""Estimates with their intervals, one row each over one axis: the plot that says what can be told from nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pipeline.report.draw.charts import Axis, Interval, interval, ruler

Mark = tuple[float, str]  # where a line stands, and its css class


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an interval plot."""

    name: str
    picture: Markup
    gain: str
    range: str
    guard: str  # what stands under the name
    strong: bool
    says: str = ""  # what stands under the range


@dataclass(frozen=True, slots=True)
class Forest:
    """Rows of intervals over one axis."""

    rows: tuple[Row, ...]
    axis: Markup


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value of one row; without an interval where too little was measured for one."""

    name: str
    under: str  # what it is of
    value: float
    low: float | None
    high: float | None
    says: str = ""
    strong: bool = False
    marks: tuple[Mark, ...] = ()  # of this row alone


def forest_of(
    estimates: Sequence[Estimate], *, axis: Axis, text: Callable[[float], str], marks: Sequence[Mark] = ()
) -> Forest:
    """Draw estimates over an axis, in their order; `text` prints a value."""
    rows = []
    for each in estimates:
        low, high = (each.value if end is None else end for end in (each.low, each.high))
        range_ = "too few to tell" if each.low is None or each.high is None else f"{text(low)} to {text(high)}"
        picture = interval(
            Interval(each.value, low, high), axis=axis, marks=[*marks, *each.marks], strong=each.strong,
            title=f"{each.name}: {text(each.value)}, 95 % interval {range_}",
        )  # fmt: skip
        rows.append(Row(each.name, picture, text(each.value), range_, each.under, each.strong, each.says))
    return Forest(rows=tuple(rows), axis=ruler(axis, marks=marks))
