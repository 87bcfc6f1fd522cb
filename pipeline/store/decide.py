"""Deciding: rules over stored signals -> who fails what, by how much. No measurement happens here.

A rule says what a document must meet to be kept. A value that is null or NaN passes every rule: nothing was measured,
so nothing was found wrong. The margin is how far a value lies on the kept side of its threshold, in the signal's unit;
below zero it failed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.step import Rule

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}


def as_numbers(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Return a numeric or boolean column as float64[num_rows], null as NaN; may be read-only."""
    numbers = pc.cast(column, pa.float64())
    return _joined([_floats(chunk) for chunk in _chunks(numbers)], np.float64)


def as_flags(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Return a boolean column without nulls as bool[num_rows]; may be read-only."""
    return _joined([np.from_dlpack(chunk) for chunk in _chunks(pc.cast(column, pa.uint8()))], np.uint8).view(np.bool_)


# through DLPack, as Arrow's own `to_numpy` imports pandas: 0.2 s for a verb that needs nothing of it
def _chunks(column: pa.ChunkedArray | pa.Array) -> list[pa.Array]:
    return column.chunks if isinstance(column, pa.ChunkedArray) else [column]


def _joined(pieces: list[np.ndarray], kind: type[np.generic]) -> np.ndarray:
    return pieces[0] if len(pieces) == 1 else np.concatenate([np.zeros(0, kind), *pieces])


def _floats(chunk: pa.Array) -> np.ndarray:
    if not chunk.null_count:
        return np.from_dlpack(chunk)
    values = np.frombuffer(chunk.buffers()[1], np.float64)[chunk.offset : chunk.offset + len(chunk)]
    return np.where(as_flags(chunk.is_null()), np.nan, values)


def passes(rule: Rule, values: np.ndarray) -> np.ndarray:
    """Return bool[num_rows]: which values meet the rule. `values` is float64, NaN where nothing was measured."""
    threshold = np.float64(rule.threshold)
    passed: np.ndarray = _COMPARE[rule.op](values, threshold) | np.isnan(values)
    return passed


def margin(rule: Rule, value: float) -> float:
    """Return how far `value` lies on the kept side of the threshold."""
    if rule.op in (">=", ">"):
        return value - rule.threshold
    if rule.op in ("<=", "<"):
        return rule.threshold - value
    distance = abs(value - rule.threshold)
    return -distance if rule.op == "==" else distance


def failures(rules: Sequence[Rule], signals: pa.Table) -> np.ndarray:
    """Return bool[num_rules, num_rows]: which document fails which rule."""
    failed = np.zeros((len(rules), signals.num_rows), dtype=bool)
    for index, rule in enumerate(rules):
        failed[index] = ~passes(rule, as_numbers(signals.column(rule.signal)))
    return failed
