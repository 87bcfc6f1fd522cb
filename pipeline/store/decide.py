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

from pipeline.core.arrow import as_numbers
from pipeline.core.step import Rule

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}


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
