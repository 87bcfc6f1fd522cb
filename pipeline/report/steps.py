"""A dataset's card, verdicts and signals -> what the report shows of it: steps, rules, histograms, examples.

Everything is read from stored files; nothing is measured. `alone` counts the documents that fail a rule whatever else
they fail, `only` those that no other rule would have dropped: the first says how much a rule catches, the second what
would come back without it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.chain import ERROR, Link
from pipeline.core.card import Card, read_card
from pipeline.core.step import Rule
from pipeline.decide import as_numbers, passes
from pipeline.evidence import Evidence
from pipeline.report import figures
from pipeline.report.bins import bin_values
from pipeline.report.charts import Bins


@dataclass(frozen=True, slots=True)
class RuleShown:
    """One rule and what it did. `first` counts the documents whose first failure it was."""

    name: str
    full_name: str
    signal: str
    op: str
    threshold: float
    parameter: str
    first: int
    alone: int
    only: int

    @property
    def pair(self) -> tuple[str, float]:
        """What a chart draws of the rule."""
        return self.op, self.threshold


@dataclass(frozen=True, slots=True)
class HistogramShown:
    """The distribution of one signal with the rules on it."""

    signal: str
    unit: str
    meaning: str
    rules: tuple[RuleShown, ...]
    bins: Bins
    num_values: int

    @property
    def spoken(self) -> str:
        """What the picture shows, in words."""
        rules = " and ".join(f"{rule.op} {figures.number(rule.threshold)}" for rule in self.rules)
        lost = int(self.bins.dropped.sum())
        return (
            f"Histogram of {self.signal} over {figures.count(self.num_values)} documents; kept needs {rules}; "
            f"{figures.count(lost)} of those in the picture fail."
        )


@dataclass(frozen=True, slots=True)
class StepShown:
    """One step of a dataset: what reached it, what it dropped, how long it took."""

    label: str
    step: str
    kind: str
    reached: int
    dropped: int
    quarantined: int
    seconds: float
    shared: bool  # measured in one pass with its neighbours, which report the same seconds
    cost_usd: float
    edits: bool
    parameters: str
    card: Card
    rules: tuple[RuleShown, ...]
    histograms: tuple[HistogramShown, ...] = ()

    @property
    def left(self) -> int:
        return self.reached - self.dropped - self.quarantined


@dataclass(frozen=True, slots=True)
class DatasetShown:
    """A published dataset and the evidence behind it."""

    name: str
    evidence: Evidence
    verdicts: pl.DataFrame  # row, part, id, kept, reason, failed, quarantined, num_bytes
    rows_in: int
    rows_out: int
    steps: tuple[StepShown, ...]
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def widest(self) -> int:
        """The most documents that fail one rule: what the longest bar stands for."""
        return max((max(rule.alone, rule.first) for step in self.steps for rule in step.rules), default=1)

    @property
    def has_overlap(self) -> bool:
        """Whether some rule failed documents that another had dropped before."""
        return any(rule.alone > rule.first for step in self.steps for rule in step.rules)

    @property
    def num_dropped(self) -> int:
        return sum(step.dropped for step in self.steps)

    @property
    def num_quarantined(self) -> int:
        return sum(step.quarantined for step in self.steps)


class Signals:
    """The signals of one dataset's steps, each column read once over all parts."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self._tables: dict[str, list[Any]] = {}
        self._strings: dict[str, dict[str, list[Any]]] = {}

    def tables(self, link: Link) -> list[Any]:
        """Return one table per part."""
        if link.label not in self._tables:
            self._tables[link.label] = [self.evidence.signals(link, part) for part in self.evidence.chain.base]
        return self._tables[link.label]

    def names(self, link: Link) -> list[str]:
        tables = self.tables(link)
        return [name for name in tables[0].column_names if name != ERROR] if tables else []

    def numbers(self, link: Link, signal: str) -> np.ndarray:
        """Return float64[rows of the base], NaN where nothing was measured."""
        found = [as_numbers(table.column(signal)) for table in self.tables(link)]
        return np.concatenate(found) if found else np.zeros(0)

    def strings(self, link: Link) -> dict[str, list[Any]]:
        """Return the values of every signal that is text."""
        if link.label not in self._strings:
            tables = self.tables(link)
            named = [name for name in self.names(link) if pa.types.is_string(tables[0].schema.field(name).type)]
            self._strings[link.label] = {
                name: [value for table in tables for value in table.column(name).to_pylist()] for name in named
            }
        return self._strings[link.label]


def dataset_shown(
    evidence: Evidence, signals: Signals, *, name: str, meanings: Mapping[str, Mapping[str, Any]]
) -> DatasetShown:
    """Gather all that the report shows of a dataset. `meanings` maps a step's label to its signals by name.

    Two datasets that are made alike share one folder, so the name is not read from it.
    """
    verdicts = _verdicts(evidence)
    first, alone, only = _counts(verdicts)
    broken = Counter(verdicts["quarantined"].drop_nulls().to_list())
    cards = {link.label: read_card(link.folder) for link in evidence.chain.links}
    details = {step["label"]: step for step in evidence.card.details["steps"]}
    steps: list[StepShown] = []
    reached = verdicts.height
    for index, link in enumerate(evidence.chain.links):
        card = cards[link.label]
        rules = tuple(_rule_shown(link, rule, first, alone, only) for rule in link.rules)
        before = steps[index - 1].card if index else None
        shown = StepShown(
            label=link.label,
            step=str(details[link.label]["step"]),
            kind=card.kind,
            reached=reached,
            dropped=sum(rule.first for rule in rules),
            quarantined=broken[link.label],
            seconds=card.seconds,
            shared=before is not None and card.kind == before.kind == "measured" and card.seconds == before.seconds,
            cost_usd=card.cost_usd,
            edits=link.edits,
            parameters=_parameters(details[link.label]),
            card=card,
            rules=rules,
            histograms=_histograms(signals, link, rules, meanings.get(link.label, {})),
        )
        steps.append(shown)
        reached = shown.left
    return DatasetShown(
        name=name,
        evidence=evidence,
        verdicts=verdicts,
        rows_in=verdicts.height,
        rows_out=reached,
        steps=tuple(steps),
        reasons=dict(first),
    )


def _verdicts(evidence: Evidence) -> pl.DataFrame:
    frames = [
        pl.DataFrame(evidence.verdicts(part)).with_row_index("row").with_columns(part=pl.lit(part.index, pl.Int64))
        for part in evidence.chain.base
    ]
    schema: dict[str, Any] = {
        "row": pl.UInt32,
        "id": pl.String,
        "kept": pl.Boolean,
        "reason": pl.String,
        "failed": pl.List(pl.String),
        "quarantined": pl.String,
        "num_bytes": pl.Int64,
        "part": pl.Int64,
    }
    return pl.concat(frames) if frames else pl.DataFrame(schema=schema)


def _counts(verdicts: pl.DataFrame) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Return documents by rule: whose first failure it was, who fail it at all, who fail nothing else."""
    first = Counter(verdicts["reason"].drop_nulls().to_list())
    alone = Counter(verdicts["failed"].explode().drop_nulls().to_list())
    single = verdicts.filter((pl.col("failed").list.len() == 1) & pl.col("quarantined").is_null())
    return first, alone, Counter(single["failed"].explode().to_list())


def _rule_shown(link: Link, rule: Rule, first: Counter[str], alone: Counter[str], only: Counter[str]) -> RuleShown:
    full = f"{link.label}.{rule.name}"
    return RuleShown(
        name=rule.name,
        full_name=full,
        signal=rule.signal,
        op=rule.op,
        threshold=rule.threshold,
        parameter=rule.parameter,
        first=first[full],
        alone=alone[full],
        only=only[full],
    )


def _parameters(step: Mapping[str, Any]) -> str:
    """Return the resolved parameters as `key=value`, the alarm left out."""
    shown = {key: value for key, value in step.get("params", {}).items() if key != "max_drop_fraction"}
    return ", ".join(f"{key}={_plain(value)}" for key, value in shown.items())


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(str(item) for item in value) + "]"
    return figures.number(value) if isinstance(value, float) else str(value)


def _histograms(
    signals: Signals, link: Link, rules: Sequence[RuleShown], meanings: Mapping[str, Any]
) -> tuple[HistogramShown, ...]:
    shown = []
    for name in dict.fromkeys(rule.signal for rule in rules):
        values = signals.numbers(link, name)
        mine = tuple(rule for rule in rules if rule.signal == name)
        failed = np.zeros(len(values), dtype=bool)
        for rule in link.rules:
            if rule.signal == name:
                failed |= ~passes(rule, values)
        bins = bin_values(values, failed, [rule.threshold for rule in mine])
        if bins is not None:
            signal = meanings.get(name)
            shown.append(
                HistogramShown(
                    signal=name,
                    unit=getattr(signal, "unit", ""),
                    meaning=getattr(signal, "meaning", ""),
                    rules=mine,
                    bins=bins,
                    num_values=int(np.isfinite(values).sum()),
                )
            )
    return tuple(shown)
