"""A signal's values and who failed its rules -> histogram bins that a reader can trust.

The range is robust (the middle 99 % and thresholds nearby) and what lies outside is counted, not hidden. Whole numbers
get bins of whole numbers; a long right tail gets a logarithmic scale. Kept and dropped are counted apart in every bin,
so a bin that straddles a threshold shows both. Values come in pieces and are looked at twice, first for the range, then
to be counted: every value is counted, but of very many the quantiles are those of a drawn share, so memory is bounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.report.draw.charts import Bins

MOST_BINS = 44
TAIL = 0.005  # share of values on each side that may lie outside
REACH = 0.9  # how far outside the range, in ranges, a threshold is still drawn
SKEW = 8.0  # the top of the range over the median from which a logarithmic scale reads better
MOST_DRAWN = 250_000  # values that quantiles are taken of: 2 MB, and 0.5 % is then known to +-0.014 % (one sigma)


def bin_values(values: np.ndarray, failed: np.ndarray, thresholds: Sequence[float]) -> Bins | None:
    """Return bins of the known `values` (float64, NaN unknown) split by `failed`; None for fewer than 3 values."""
    spread = Spread()
    spread.add(values)
    bins = spread.bins(thresholds)
    return counted(bins, values, failed) if bins is not None else None


@dataclass(slots=True)
class Spread:
    """What a first look at the values tells of their range."""

    num_values: int = 0
    least: float = math.inf
    most: float = -math.inf
    all_whole: bool = True
    distinct: np.ndarray = field(default_factory=lambda: np.zeros(0))  # three at most
    drawn: list[np.ndarray] = field(default_factory=list)

    def add(self, values: np.ndarray, *, drawn: np.ndarray | None = None) -> None:
        """Look at some values; `drawn` says which of them count for the quantiles, None that all do."""
        known = np.isfinite(values)
        if not known.all():
            values, drawn = values[known], drawn[known] if drawn is not None else None
        self.drawn.append(values if drawn is None else values[drawn])
        if not len(values):
            return
        self.num_values += len(values)
        self.least, self.most = min(self.least, float(values.min())), max(self.most, float(values.max()))
        self.all_whole = self.all_whole and all(bool((some == np.round(some)).all()) for some in (values[:99], values))
        if len(self.distinct) < 3:
            self.distinct = three_of(np.concatenate([self.distinct, values]))

    def join(self, other: Spread) -> None:
        """Add what was found of the values that come next."""
        self.drawn += other.drawn
        if not other.num_values:
            return
        self.num_values += other.num_values
        self.least, self.most = min(self.least, other.least), max(self.most, other.most)
        self.all_whole = self.all_whole and other.all_whole
        if len(self.distinct) < 3:
            self.distinct = np.unique(np.concatenate([self.distinct, other.distinct]))[:3]

    def bins(self, thresholds: Sequence[float]) -> Bins | None:
        """Return empty bins over the range; None for fewer than 3 values."""
        values = np.concatenate(self.drawn) if self.drawn else np.zeros(0)
        if len(self.distinct) < 3 or not len(values):
            return None
        low, high = (float(q) for q in np.quantile(values, [TAIL, 1 - TAIL], method="nearest"))
        if low == high:
            low, high = self.least, self.most
        log = low > 0 and high / float(np.median(values)) > SKEW
        marks = [mark for mark in thresholds if _is_near(mark, low=low, high=high, log=log)]
        low, high = min(low, *marks, high), max(high, *marks, low)
        whole = self.all_whole and not log
        edges = _log_edges(low, high) if log else _edges(low, high, whole=whole, marks=marks)
        kept, dropped = (np.zeros(len(edges) - 1, np.int64) for _ in range(2))
        return Bins(edges=edges, kept=kept, dropped=dropped, below=0, above=0, log=log, whole=whole)


def three_of(values: np.ndarray) -> np.ndarray:
    """Return up to three different values; usually the first few have them, and sorting all takes long."""
    some = np.unique(values[:99])[:3]
    return some if len(some) == 3 else np.unique(values)[:3]


def counted(bins: Bins, values: np.ndarray, failed: np.ndarray) -> Bins:
    """Return the bins with some more values in them."""
    known = np.isfinite(values)
    if not known.all():
        values, failed = values[known], failed[known]
    met, _ = np.histogram(values, bins.edges)
    dropped, _ = np.histogram(values[failed], bins.edges)
    below, above = int((values < bins.edges[0]).sum()), int((values > bins.edges[-1]).sum())
    return joined(bins, replace(bins, kept=met - dropped, dropped=dropped, below=below, above=above))


def joined(bins: Bins, more: Bins) -> Bins:
    """Return the counts of both; they have the same edges."""
    return replace(
        bins,
        kept=bins.kept + more.kept,
        dropped=bins.dropped + more.dropped,
        below=bins.below + more.below,
        above=bins.above + more.above,
    )


def _is_near(mark: float, *, low: float, high: float, log: bool) -> bool:
    """Say whether a threshold may stretch the range: one far off would press all values into a corner."""
    if not math.isfinite(mark) or (log and mark <= 0):
        return False
    place, first, last = (math.log(v) if log else v for v in (mark, low, high))
    return first - REACH * (last - first) <= place <= last + REACH * (last - first)


def _log_edges(low: float, high: float) -> np.ndarray:
    return np.geomspace(low, high * (1 + 1e-9), MOST_BINS + 1)


def _edges(low: float, high: float, *, whole: bool, marks: Sequence[float]) -> np.ndarray:
    """Return edges of equal width; the first threshold is one of them where values are not whole numbers."""
    if whole:
        wide = max(1, math.ceil((high - low + 1) / MOST_BINS))
        first = math.floor(low) - 0.5
        return first + wide * np.arange(math.ceil((high + 1 - low) / wide) + 1)
    anchor = marks[0] if marks else low
    width = (high - low) / (MOST_BINS - 2)
    start, stop = math.floor((low - anchor) / width - 1e-9), math.ceil((high - anchor) / width + 1e-9)
    return anchor + width * np.arange(start, stop + 1)
