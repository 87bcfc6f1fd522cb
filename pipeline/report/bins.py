"""A signal's values and who failed its rules -> histogram bins that a reader can trust.

The range is robust (the middle 99 % and every threshold) and what lies outside is counted, not hidden. Whole numbers
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
SKEW = 8.0  # the top of the range over the median from which a logarithmic scale reads better


def bin_values(values: np.ndarray, failed: np.ndarray, thresholds: Sequence[float]) -> Bins | None:
    """Return bins of the known `values` (float64, NaN unknown) split by `failed`; None for fewer than 3 values."""
    known = np.isfinite(values)
    values, failed = values[known], failed[known]
    marks = [mark for mark in thresholds if math.isfinite(mark)]
    if len(np.unique(values)) < 3:
        return None
    low, high = (float(q) for q in np.quantile(values, [TAIL, 1 - TAIL], method="nearest"))
    low, high = min(low, *marks, high), max(high, *marks, low)
    if low == high:
        low, high = float(values.min()), float(values.max())
    median = float(np.median(values))
    log = low > 0 and median > 0 and high / median > SKEW
    edges = (
        _log_edges(low, high) if log else _edges(low, high, whole=bool((values == np.round(values)).all()), marks=marks)
    )
    kept, _ = np.histogram(values[~failed], edges)
    dropped, _ = np.histogram(values[failed], edges)
    below, above = int((values < edges[0]).sum()), int((values > edges[-1]).sum())
    return Bins(edges=edges, kept=kept, dropped=dropped, below=below, above=above, log=log)


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
