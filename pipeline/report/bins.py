"""A signal's values and who failed its rules -> histogram bins that a reader can trust.

The range is robust (the middle 99 % and thresholds nearby) and what lies outside is counted, not hidden. Whole numbers
get bins of whole numbers; a long right tail gets a logarithmic scale. Kept and dropped are counted apart in every bin,
so a bin that straddles a threshold shows both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pipeline.report.charts import Bins

MOST_BINS = 44
TAIL = 0.005  # share of values on each side that may lie outside
REACH = 0.9  # how far outside the range, in ranges, a threshold is still drawn
SKEW = 8.0  # the top of the range over the median from which a logarithmic scale reads better


def bin_values(values: np.ndarray, failed: np.ndarray, thresholds: Sequence[float]) -> Bins | None:
    """Return bins of the known `values` (float64, NaN unknown) split by `failed`; None for fewer than 3 values."""
    known = np.isfinite(values)
    values, failed = values[known], failed[known]
    if len(np.unique(values)) < 3:
        return None
    low, high = (float(q) for q in np.quantile(values, [TAIL, 1 - TAIL], method="nearest"))
    if low == high:
        low, high = float(values.min()), float(values.max())
    log = low > 0 and high / float(np.median(values)) > SKEW
    marks = [mark for mark in thresholds if _is_near(mark, low=low, high=high, log=log)]
    low, high = min(low, *marks, high), max(high, *marks, low)
    whole = bool((values == np.round(values)).all()) and not log
    edges = _log_edges(low, high) if log else _edges(low, high, whole=whole, marks=marks)
    kept, _ = np.histogram(values[~failed], edges)
    dropped, _ = np.histogram(values[failed], edges)
    below, above = int((values < edges[0]).sum()), int((values > edges[-1]).sum())
    return Bins(edges=edges, kept=kept, dropped=dropped, below=below, above=above, log=log, whole=whole)


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
