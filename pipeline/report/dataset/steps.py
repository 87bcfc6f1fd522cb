"""A dataset's card, verdicts and signals -> what the report shows of it: steps, rules, histograms, examples.

Everything is read from stored files; nothing is measured. `alone` counts the documents that fail a rule whatever else
they fail, `only` those that no other rule would have dropped: the first says how much a rule catches, the second what
would come back without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.files.card import Card, read_card
from pipeline.core.step import Rule
from pipeline.report.dataset.chosen import Quoted, Side, sides_of
from pipeline.report.dataset.looks import Looks, look_twice
from pipeline.report.dataset.signals import Signals
from pipeline.report.dataset.tally import Tally, tally_of
from pipeline.report.draw import figures
from pipeline.report.draw.charts import Bins
from pipeline.store.dataset.chain import Link
from pipeline.store.dataset.stored_dataset import StoredDataset, StoredStep
from pipeline.store.evidence import Evidence
from pipeline.store.sizes import Bytes, Sizes, sizes_of


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
        rules = " and ".join(f"{figures.sign(rule.op)} {figures.number(rule.threshold)}" for rule in self.rules)
        lost = int(self.bins.dropped.sum())
        return (
            f"Histogram of {self.signal} over {figures.counted(self.num_values, 'document')}; kept if {rules}; "
            f"{figures.count(lost)} of those in the picture {'fails' if lost == 1 else 'fail'}."
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
    size: Bytes
    histograms: tuple[HistogramShown, ...] = ()

    @property
    def left(self) -> int:
        return self.reached - self.dropped - self.quarantined


@dataclass(frozen=True, slots=True)
class DatasetShown:
    """A published dataset and the evidence behind it."""

    name: str
    evidence: Evidence
    rows_in: int
    rows_out: int
    steps: tuple[StepShown, ...]
    num_bytes: int  # of the documents kept
    sizes: Sizes
    tally: Tally
    reasons: Mapping[str, int] = field(default_factory=dict)
    chosen: Mapping[Side, Sequence[Quoted]] = field(default_factory=dict)

    @property
    def widest(self) -> int:
        """The most documents that fail one rule: what the longest bar stands for."""
        return max((max(rule.alone, rule.first) for step in self.steps for rule in step.rules), default=1)

    @property
    def has_overlap(self) -> bool:
        """Whether some rule failed documents that another had dropped before."""
        return any(rule.alone > rule.first for step in self.steps for rule in step.rules)

    @property
    def bytes_in(self) -> int:
        return self.steps[0].size.reached if self.steps else self.num_bytes

    @property
    def num_dropped(self) -> int:
        return sum(step.dropped for step in self.steps)

    @property
    def num_quarantined(self) -> int:
        return sum(step.quarantined for step in self.steps)


def dataset_shown(
    signals: Signals, *, name: str, meanings: Mapping[str, Mapping[str, Any]], per_side: int = 0
) -> DatasetShown:
    """Gather all that the report shows of a dataset. `meanings` maps a step's label to its signals by name.

    Two datasets that are made alike share one folder, so the name is not read from it.
    """
    evidence = signals.evidence
    counts = tally_of(signals)
    sides = sides_of(signals, counts.first) if per_side else []
    looks = look_twice(signals, sides, dataset=name, per_side=per_side)
    cards = {link.label: read_card(link.folder) for link in evidence.chain.links}
    stored = {step.label: step for step in StoredDataset.from_card(evidence.card).steps}
    sizes = sizes_of(evidence, map=signals.map)
    steps: list[StepShown] = []
    reached = rows_in = sum(part.num_rows for part in evidence.chain.base)
    for index, link in enumerate(evidence.chain.links):
        card = cards[link.label]
        rules = tuple(_rule_shown(link, rule, counts) for rule in link.rules)
        before = steps[index - 1].card if index else None
        shown = StepShown(
            label=link.label,
            step=stored[link.label].step,
            kind=card.kind,
            reached=reached,
            dropped=sum(rule.first for rule in rules),
            quarantined=counts.broken[link.label],
            seconds=card.seconds,
            shared=before is not None and card.kind == before.kind == "measured" and card.seconds == before.seconds,
            cost_usd=card.cost_usd,
            edits=link.edits,
            parameters=_parameters(stored[link.label]),
            card=card,
            rules=rules,
            size=sizes.steps[index],
            histograms=_histograms(looks, link.label, rules, meanings.get(link.label, {})),
        )
        steps.append(shown)
        reached = shown.left
    return DatasetShown(
        name=name,
        evidence=evidence,
        rows_in=rows_in,
        rows_out=reached,
        steps=tuple(steps),
        num_bytes=sizes.kept,
        sizes=sizes,
        tally=counts,
        reasons=dict(counts.first),
        chosen=looks.chosen,
    )


def _rule_shown(link: Link, rule: Rule, counts: Tally) -> RuleShown:
    full = f"{link.label}.{rule.name}"
    return RuleShown(
        name=rule.name,
        full_name=full,
        signal=rule.signal,
        op=rule.op,
        threshold=rule.threshold,
        parameter=rule.parameter,
        first=counts.first[full],
        alone=counts.alone[full],
        only=counts.only[full],
    )


def _parameters(step: StoredStep) -> str:
    """Return the resolved parameters as `key=value`, alarms left out."""
    return ", ".join(f"{key}={_plain(value)}" for key, value in step.settings.items())


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(str(item) for item in value) + "]"
    return figures.number(value) if isinstance(value, float) else str(value)


def _histograms(
    looks: Looks, label: str, rules: Sequence[RuleShown], meanings: Mapping[str, Any]
) -> tuple[HistogramShown, ...]:
    mine = {rule.signal: tuple(other for other in rules if other.signal == rule.signal) for rule in rules}
    return tuple(
        HistogramShown(
            signal=name,
            unit=getattr(meanings.get(name), "unit", ""),
            meaning=getattr(meanings.get(name), "meaning", ""),
            rules=mine[name],
            bins=looks.bins[label, name],
            num_values=looks.num_values[label, name],
        )
        for name in mine
        if (label, name) in looks.bins
    )
