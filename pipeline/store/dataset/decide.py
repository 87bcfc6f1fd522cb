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


def failures(rules: Sequence[Rule], signals: pa.Table | pa.RecordBatch) -> np.ndarray:
    """Return bool[num_rules, num_rows]: which document fails which rule."""
    failed = np.zeros((len(rules), signals.num_rows), dtype=bool)
    for index, rule in enumerate(rules):
        failed[index] = ~passes(rule, as_numbers(signals.column(rule.signal)))
    return failed


class Reasons:
    """The first thing that speaks against each of some documents, found one step after the other.

    `rule` is int64[num_rows], the number of the first rule that a document fails, counted over all steps; `broken` is
    the number of the step that it broke before any. -1 stands for none.
    """

    def __init__(self, num_rows: int) -> None:
        self.rule = np.full(num_rows, -1)
        self.broken = np.full(num_rows, -1)
        self._num_rules = self._num_steps = 0

    @property
    def kept(self) -> np.ndarray:
        """Return bool[num_rows]: who broke no step and failed no rule so far."""
        kept: np.ndarray = (self.rule < 0) & (self.broken < 0)
        return kept

    def add(self, failed: np.ndarray, *, broken: np.ndarray | None = None) -> None:
        """Count the next step: bool[num_rules, num_rows] of its rules, and bool[num_rows] of who broke it."""
        if broken is not None:
            self.broken[self.kept & broken] = self._num_steps
        if len(failed):
            dropped = self.kept & failed.any(axis=0)
            self.rule[dropped] = self._num_rules + failed[:, dropped].argmax(axis=0)
        self._num_rules += len(failed)
        self._num_steps += 1


def named(names: Sequence[str], numbers: np.ndarray) -> pa.Array:
    """Return string[len(numbers)]: the name of each number, null for -1."""
    return pa.array(names, pa.string()).take(pa.array(numbers, mask=numbers < 0))
