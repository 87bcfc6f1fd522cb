"""When to stop: a step that drops or breaks more than it may, found before anything is published or paid for.

A recipe's mistake (a wrong column, a threshold in the wrong unit) shows as a share that no sound step reaches, so each
step may declare `max_drop_fraction`. Data that changed shows as a share that no earlier run had: `max_drift` is how far
it may lie outside the band of the earlier results of the same dataset name in which the step had the same parameters.
The band is read from the cards of these results; a run that was let through widens it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import DataError
from pipeline.core.files.card import Card
from pipeline.core.step import Params
from pipeline.plan.graph import PlannedStep
from pipeline.recipe.spec import StepSpec
from pipeline.store.dataset.stored_dataset import StoredDataset

if TYPE_CHECKING:
    from pipeline.store.dataset.chain import Chain

EXAMPLES = 3
NOT_WRITTEN = (
    " (the step was put first because `from` names several inputs; "
    "write `unique_ids: {max_drop_fraction: ...}` as the first step to change it)"
)
ROUNDING = 1e-9  # of shares that are equal on paper


@dataclass(slots=True)
class Losses:
    """What became of the documents of a chain: losses by `step.rule`, or by step where they broke it."""

    documents: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)  # step -> ids

    def by(self, label: str) -> int:
        """Return how many documents one step cost."""
        return (
            sum(count for reason, count in self.dropped.items() if step_of(reason) == label) + self.quarantined[label]
        )

    def worst_of(self, label: str) -> str:
        """Return the rule that cost most, or the step's name where documents broke it."""
        of_step = {reason: count for reason, count in self.dropped.items() if step_of(reason) == label}
        of_step[label] = self.quarantined[label]
        return max(of_step, key=lambda reason: (of_step[reason], reason))


def step_of(reason: str) -> str:
    """Return the step of a reason `step.rule`."""
    return reason.partition(".")[0]


def losses_of(chain: Chain) -> Losses:
    """Judge every document of a chain as it stands."""
    import polars as pl  # 0.1 s, and most recipes watch nothing

    from pipeline.core.files.parquet.shards import read_table
    from pipeline.store.dataset.verdicts import judge

    found = Losses()
    for part in chain.base:
        verdicts = judge(part, chain.links, read_table(part.path, columns=["id"]).column("id"))
        found.documents += part.num_rows
        dropped = pl.DataFrame(verdicts.select(["id", "kept", "reason", "quarantined"])).filter(~pl.col("kept"))
        for column, counts in (("reason", found.dropped), ("quarantined", found.quarantined)):
            told = dropped.filter(pl.col(column).is_not_null())
            by = told.group_by(column, maintain_order=True).agg(pl.len(), pl.col("id").head(EXAMPLES))
            for reason, count, ids in by.iter_rows():
                counts[reason] += count
                examples = found.examples.setdefault(step_of(reason) if column == "reason" else reason, [])
                examples.extend(ids[: EXAMPLES - len(examples)])
    return found


def check_alarms(chain: Chain, steps: Sequence[PlannedStep], *, place: str, earlier: Iterable[Card]) -> None:
    """Raise DataError if a finished step cost a larger share of what reached it than it may, or than it used to.

    `earlier` are the cards of this dataset's earlier results; they are looked at only if a step has a `max_drift`.
    """
    done = {link.label for link in chain.links}
    watched = [step.spec for step in steps if step.spec.label in done]
    params: dict[str, Params] = {spec.label: spec.step.params for spec in watched}
    if all(alarms.max_drop_fraction >= 1.0 and alarms.max_drift >= 1.0 for alarms in params.values()):
        return
    bands = _bands(earlier, params) if any(alarms.max_drift < 1.0 for alarms in params.values()) else {}
    _sound(losses_of(chain), params, bands, implied=_implied(watched), place=place)


def check_finished(steps: Sequence[PlannedStep], card: Card, *, place: str) -> None:
    """Raise DataError by a published dataset's counts: a `max_drop_fraction` that was set after it was built."""
    params: dict[str, Params] = {step.spec.label: step.spec.step.params for step in steps}
    if any(alarms.max_drop_fraction < 1.0 for alarms in params.values()):
        _sound(_counted(card), params, {}, implied=_implied([step.spec for step in steps]), place=place)


def _counted(card: Card) -> Losses:
    return Losses(documents=card.rows_in, dropped=Counter(card.dropped), quarantined=Counter(card.quarantined))


def _implied(steps: Iterable[StepSpec]) -> frozenset[str]:
    return frozenset(spec.label for spec in steps if spec.implied)


def _sound(
    losses: Losses,
    params: Mapping[str, Params],
    bands: Mapping[str, Sequence[float]],
    *,
    implied: Collection[str] = (),
    place: str,
) -> None:
    """Raise DataError for the first step that cost a larger share of what reached it than it may or used to."""
    reached = losses.documents
    for label, alarms in params.items():
        count = losses.by(label)
        share = count / reached if reached else 0.0
        if share > alarms.max_drop_fraction:
            raise DataError(
                f"{place}: {_told(losses, label, reached)}; it may drop {alarms.max_drop_fraction:.1%}. "
                f"Correct the data or raise max_drop_fraction{NOT_WRITTEN if label in implied else ''}."
            )
        band = bands.get(label)
        if reached and band and max(min(band) - share, share - max(band)) > alarms.max_drift + ROUNDING:
            raise DataError(
                f"{place}: {_told(losses, label, reached)}; in {len(band)} earlier run{'s' if len(band) > 1 else ''} "
                f"it dropped {min(band):.1%} to {max(band):.1%}, and it may leave that by {alarms.max_drift:.1%}. "
                "See what changed in the data (tamis look, tamis stats), or raise max_drift."
            )
        reached -= count


def _told(losses: Losses, label: str, reached: int) -> str:
    count = losses.by(label)
    told = f"{label} dropped {count} of {reached} documents ({count / reached:.1%})"
    told += f", most by {losses.worst_of(label)}" if count else ""
    examples = losses.examples.get(label, ())
    return f"{told}, such as {', '.join(examples)}" if examples else told


def _bands(earlier: Iterable[Card], params: Mapping[str, Params]) -> dict[str, list[float]]:
    """Return, for each step that watches for drift, the shares that it dropped with the same parameters."""
    bands: dict[str, list[float]] = {}
    for card in earlier:
        for label, stored, share in _shares(card):
            now = params.get(label)
            if now is not None and now.max_drift < 1.0 and _same(now, stored):
                bands.setdefault(label, []).append(share)
    return bands


def _shares(card: Card) -> Iterator[tuple[str, Mapping[str, Any], float]]:
    """Yield each step of a published dataset with its parameters and the share of what reached it that it cost."""
    losses = _counted(card)
    reached = losses.documents
    for step in StoredDataset.from_card(card).steps:
        count = losses.by(step.label)
        if reached:
            yield step.label, step.params, count / reached
        reached -= count


def _same(now: Params, stored: Mapping[str, Any]) -> bool:
    """Say whether a step had these parameters, those left out that change no result."""
    mine = now.model_dump(mode="json")
    return all(now.role_of(key) in ("alarm", "how") or stored.get(key) == value for key, value in mine.items())
