"""The newest run's record, the recipe and the source cards -> what stands under the verdict: when, where, how much.

The date is that of the stored record and never the clock's, so a page written again is the same page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.core.files.card import Card
from pipeline.core.shown import shown
from pipeline.engine.run_record import RunRecord
from pipeline.plan.graph import Plan
from pipeline.recipe.spec import Recipe
from pipeline.report.draw import figures

Fact = tuple[str, str]  # what it is, and what is known of it


@dataclass(frozen=True, slots=True)
class RowFates:
    """What became of the rows that a dataset comes from, through all datasets before it."""

    read: int
    kept: int
    quarantined: int


def facts_of(plan: Plan, cards: Mapping[str, Card], run: RunRecord | None, *, seconds: float, usd: float) -> list[Fact]:
    """Return the labelled lines under the verdict."""
    facts: list[Fact] = []
    if run is not None:
        facts.append(("Run", _run(run)))
        facts.append(("Machine", _machine(run)))
    read = [f"{name}: {_read(cards[node.identity])}" for name, node in plan.sources.items() if node.identity in cards]
    facts += [("Read", "; ".join(read))] if read else []
    facts += [("Proxies", _proxies(plan.recipe, run))] if plan.recipe.proxy is not None and plan.recipe.mixtures else []
    facts.append(("Cost", f"{figures.seconds(seconds)} for all results, {figures.dollars(usd)} spent"))
    return facts


def _run(run: RunRecord) -> str:
    results = f"{figures.counted(run.built, 'result')} built, {run.reused:,} reused"
    return f"{date(run.at)}, {figures.seconds(run.seconds)}; {results}"


def date(stamp: str) -> str:
    """Return `29 November 2026, 19:30 UTC`."""
    at = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def _machine(run: RunRecord) -> str:
    found = run.machine
    parts = [
        f"{figures.counted(int(found['cores']), 'core')} of {shown(str(found['processor']))}",
        f"{figures.size(found['memory_bytes'])} of memory",
        f"{found['system']}, Python {found['python']}, Tamis {found['tamis']}",
        figures.counted(run.workers, "worker"),
    ]
    return "; ".join(parts)


def _read(card: Card) -> str:
    lost = sum(card.quarantined.values())
    if not lost:
        return figures.counted(card.rows_out, "document")
    return f"{card.rows_out:,} of {figures.counted(card.rows_in, 'row')}, {lost:,} quarantined"


def _proxies(recipe: Recipe, run: RunRecord | None) -> str:
    proxy = recipe.proxy
    assert proxy is not None
    sweep = recipe.sweep
    arms, rates = len(recipe.mixtures) + (sweep is not None), len(proxy.learning_rates)
    lanes = arms * rates * proxy.seeds
    factors = [(arms, "mixture"), (proxy.seeds, "seed"), (rates, "learning rate")]
    spelled = f" {figures.TIMES} ".join(figures.counted(number, name) for number, name in factors)
    if sweep is not None:
        searching = sweep.proxies + sweep.anchors
        spelled = f"{searching:,} to search" + (f", {lanes:,} to judge: {spelled}" if recipe.gate is not None else "")
        lanes = searching + lanes * (recipe.gate is not None)
    device = f", device {run.device}" if run is not None else ""
    return (
        f"{lanes:,} of tier {proxy.tier} ({spelled}), {figures.counted(proxy.tokens, 'token')} each, "
        f"{figures.counted(lanes * proxy.tokens, 'token')} in all{device}"
    )


def rows_of(plan: Plan, cards: Mapping[str, Card], name: str) -> RowFates | None:
    """Return what became of all rows that a dataset comes from; None if a result on the way is not there."""
    if name in plan.sources:
        card = cards.get(plan.sources[name].identity)
        return RowFates(card.rows_in, card.rows_out, sum(card.quarantined.values())) if card is not None else None
    planned = plan.datasets[name]
    card = cards.get(planned.node.identity)
    above = [rows_of(plan, cards, parent) for parent in planned.spec.inputs] if planned.made is None else []
    known = [rows for rows in above if rows is not None]
    if card is None or len(known) < len(above):
        return None
    read = sum(rows.read for rows in known) if above else card.rows_in
    own = sum(card.quarantined.values()) if card.kind == "dataset" else 0
    return RowFates(read, card.rows_out, own + sum(rows.quarantined for rows in known))
