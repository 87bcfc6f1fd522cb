"""A dataset's tally -> drops by source and by language, scores by language, and which rules fail together."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from pipeline.report.dataset.steps import DatasetShown
from pipeline.report.dataset.tally import SCORE_BINS, Group, Scores, Tally
from pipeline.report.draw import figures
from pipeline.report.draw.charts import Axis, dot, label, line, rect, ruler, svg

MOST_SHOWN = 10  # groups and rules; the other groups are summed
OTHERS = "others"
LEAST_SHOWN = 0.5  # percent from which a cell of the matrix has a number


@dataclass(frozen=True, slots=True)
class GroupRow:
    """Documents of one group, and the rule that took most of them."""

    name: str
    documents: int
    kept: int
    dropped: int
    broken: int
    most: str  # step.rule
    num_most: int


@dataclass(frozen=True, slots=True)
class Groups:
    """Documents by source or language, the largest first."""

    kind: str
    rows: tuple[GroupRow, ...]


@dataclass(frozen=True, slots=True)
class Strip:
    """How a score lies in one language."""

    name: str
    documents: int
    picture: Markup
    median: str


@dataclass(frozen=True, slots=True)
class Strips:
    """A score by language over one axis."""

    signal: str
    condition: str
    rows: tuple[Strip, ...]
    axis: Markup


@dataclass(frozen=True, slots=True)
class Together:
    """Of those that fail the rule of a row, the share that fails the rule of a column too, in percent."""

    names: tuple[str, ...]
    documents: tuple[int, ...]
    shares: tuple[tuple[float, ...], ...]

    def heat(self, row: int, column: int) -> int:
        """Return the colour of a cell, 0 to 5."""
        return min(math.ceil(self.shares[row][column] / 20), 5) if self.text(row, column) else 0

    def text(self, row: int, column: int) -> str:
        """Return what stands in a cell."""
        percent = self.shares[row][column]
        return "" if percent < LEAST_SHOWN else f"{percent:.0f}"


def groups_of(shown: DatasetShown) -> list[Groups]:
    """Return documents by source and by language, where there is more than one."""
    return [
        Groups(kind, _rows(found)) for kind, found in shown.tally.groups.items() if sum(map(_met, found.values())) > 1
    ]


def _met(group: Group) -> bool:
    return group.documents > 0


def _rows(found: Mapping[str, Group]) -> tuple[GroupRow, ...]:
    names = sorted(found, key=lambda name: (-found[name].documents, name))
    rows = [_row(name, found[name]) for name in names[:MOST_SHOWN]]
    rest = Group()
    for name in names[MOST_SHOWN:]:
        rest.kept += found[name].kept
        rest.broken += found[name].broken
        rest.first.update(found[name].first)
    number = len(names) - MOST_SHOWN
    return tuple([*rows, _row(f"{number:,} {OTHERS if number > 1 else 'other'}", rest)] if number > 0 else rows)


def _row(name: str, group: Group) -> GroupRow:
    most = max(sorted(group.first), key=group.first.__getitem__, default="")
    return GroupRow(
        figures.excerpt(name, 60), group.documents, group.kept, group.dropped, group.broken, most, group.first[most]
    )


def strips_of(tally: Tally) -> Strips | None:
    """Return how the score that decides on languages lies in each of them."""
    scores, languages = tally.scores, tally.groups.get("language", {})
    if scores is None or not languages:
        return None
    axis = Axis(0.0, 1.0)
    names = sorted(scores.counts, key=lambda name: (-int(scores.counts[name].sum()), name))[:MOST_SHOWN]
    rows = [_strip(name, scores, axis) for name in names if scores.counts[name].any()]
    condition = f"{figures.sign(scores.op)} {figures.number(scores.threshold)}"
    return Strips(scores.signal, condition, tuple(rows), ruler(axis, marks=[(scores.threshold, "threshold")]))


def _strip(name: str, scores: Scores, axis: Axis) -> Strip:
    counts = scores.counts[name]
    ends = np.cumsum(counts) / counts.sum()
    p05, p25, p50, p75, p95 = (
        (int(np.searchsorted(ends, share)) + 0.5) / SCORE_BINS for share in (0.05, 0.25, 0.5, 0.75, 0.95)
    )
    middle, at = 10.0, axis.percent(scores.threshold)
    shade = (0.0, at) if scores.op in (">=", ">") else (at, 100.0 - at)
    body = [
        rect(shade[0], 0, shade[1], 20, "shade"),
        line(at, 0, at, 20, "threshold"),
        line(axis.percent(p05), middle, axis.percent(p95), middle, "whisker"),
        rect(axis.percent(p25), middle - 4, max(axis.percent(p75) - axis.percent(p25), 0.4), 8, "kept"),
        dot(axis.percent(p50), middle, 3.5, "median"),
    ]
    title = (
        f"{scores.signal} of {figures.counted(int(counts.sum()), 'document')} in {name}: "
        f"half lie between {p25:.2f} and {p75:.2f}, 90 of 100 between {p05:.2f} and {p95:.2f}, the median is {p50:.2f}"
    )
    return Strip(name, int(counts.sum()), svg(title, height=20, body=body, kind="strip"), f"{p50:.2f}")


def together_of(tally: Tally) -> Together | None:
    """Return the matrix of the rules that fail most, those that share documents with another."""
    counts = tally.together
    alone = counts.diagonal()
    shared = (counts - np.diag(alone)).sum(axis=1) > 0
    chosen = [int(rule) for rule in np.argsort(-alone, kind="stable") if shared[rule]][:MOST_SHOWN]
    chosen = [rule for rule in chosen if counts[rule, chosen].sum() > alone[rule]]
    if len(chosen) < 2:
        return None
    shares = [tuple(100 * int(counts[a, b]) / int(alone[a]) for b in chosen) for a in chosen]
    return Together(
        tuple(tally.rules[rule] for rule in chosen), tuple(int(alone[rule]) for rule in chosen), tuple(shares)
    )


def lengths_picture(shown: DatasetShown) -> Markup | None:
    """Draw how long the documents were that reached a dataset, and how long those are that it kept."""
    before, after = shown.sizes.before, shown.sizes.after
    met = np.flatnonzero(before + after)
    if len(met) < 3:
        return None
    first, last = int(met[0]), int(met[-1]) + 1
    axis, height, top = Axis(2 ** (first / 4), 2 ** (last / 4), log=True), 150.0, 14.0
    floor, most = height - 18, float(max(before.max(), after.max()))
    body = []
    for bins, kind in ((before, "before"), (after, "after")):
        for place in range(first, last):
            tall = (floor - top) * float(bins[place]) / most
            if bins[place]:
                left, right = (axis.percent(2 ** (edge / 4)) for edge in (place, place + 1))
                body.append(rect(left, floor - tall, right - left - 0.15, max(tall, 0.7), kind))
    body.append(line(0, floor + 0.5, 100, floor + 0.5, "axis"))
    body += [label(axis.percent(tick), height - 4, re.sub(r"\.0+ ", " ", figures.size(tick))) for tick in axis.ticks(5)]
    body.append(label(0, 9, f"{figures.counted(most, 'document')} in the highest column"))
    title = (
        f"Lengths in bytes: {figures.counted(shown.rows_in, 'document')} before, mean {mean_size(shown, before=True)}; "
        f"{figures.counted(shown.rows_out, 'document')} after, mean {mean_size(shown, before=False)}"
    )
    return svg(title, height=height, body=body, kind="lengths")


def mean_size(shown: DatasetShown, *, before: bool) -> str:
    """Return the mean length of the documents before or after a dataset's steps."""
    size, documents = (shown.bytes_in, shown.rows_in) if before else (shown.num_bytes, shown.rows_out)
    return figures.size(size / documents) if documents else figures.NONE
