"""Cards of a ledger -> cards as they are told: what was asked, what was measured, what it cost, why it was refused."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.report.research.told import Range, Status, Told
from pipeline.research.record.card import Card
from pipeline.research.record.fold import Standing, gain_of


def cards_told(standing: Standing) -> list[Told]:
    """Return all cards in the order in which they were written, without what a model makes of them."""
    return [card_told(standing, card) for card in standing.cards.values()]


def card_told(standing: Standing, card: Card, *, expected: Range | None = None) -> Told:
    """Return a card with what became of it; `expected` is what a model makes of its mixture."""
    result = standing.results.get(card.number)
    return Told(
        number=card.number, id=card.id, batch=standing.batch_of.get(card.number, standing.batches), kind=card.kind,
        proposer=card.proposer, parent=card.parent, status=_status(standing, card), words=card.words,
        hypothesis=card.hypothesis, mechanism=card.mechanism, falsifier=card.falsifier,
        predicted=None if card.prediction is None else Range(
            card.prediction.median, card.prediction.low, card.prediction.high
        ),
        measured=gain_of(standing, card.number), expected=expected, by_domain=_by_domain(standing, card),
        seeds=card.seeds, why=result.why if result else "", needs=card.needs, plan=card.plan, redo=card.cost.redo,
        nodes=card.cost.nodes, lanes=card.cost.lanes, usd=card.cost.usd, paid=result.usd if result else 0.0,
        hint=card.hint, health=tuple(result.health) if result else (), claim=card.claim,
        outcome=outcome_said(standing.weighed[card.claim]) if _is_weighed(standing, card) else "",
    )  # fmt: skip


def _is_weighed(standing: Standing, card: Card) -> bool:
    """Say whether it was this card that a claim was weighed by."""
    return card.claim in standing.weighed and standing.weighed[card.claim]["number"] == card.number


def outcome_said(weighed: Mapping[str, Any]) -> str:
    """Return in a sentence what came of acting on a claim."""
    if "gain" not in weighed:
        return f"{weighed['verdict']}: {weighed['why']}"
    return (
        f"{weighed['verdict']}: {weighed['gain']:+.4f} ({weighed['low']:+.4f} to {weighed['high']:+.4f}) bits per byte "
        f"by card {weighed['card']} on {weighed['documents']:,} documents that have it, {weighed['others_gain']:+.4f} "
        "on the others"
    )


def _status(standing: Standing, card: Card) -> Status:
    result = standing.results.get(card.number)
    if result is None:
        return "waiting" if card.needs and card.id not in standing.answers else "open"
    found: dict[str, Status] = {"done": "done", "failed": "failed", "refused": "refused", "rejected": "rejected"}
    return found.get(result.status, "open")


def _by_domain(standing: Standing, card: Card) -> dict[str, float]:
    """Return what a card gained on each held-out set that the search looks at."""
    result = standing.results.get(card.number)
    if result is None:
        return {}
    own, base = _means(result.values), _means(_incumbent_values(standing))
    return {name: base[name] - value for name, value in own.items() if name in base}


def _incumbent_values(standing: Standing) -> dict[str, Mapping[str, float]]:
    found: dict[str, Mapping[str, float]] = {}
    for number, result in standing.results.items():
        if not standing.cards[number].edits:
            found |= result.values
    return found


def _means(values: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    names = {name for scored in values.values() for name in scored}
    return {name: mean([scored[name] for scored in values.values() if name in scored]) for name in sorted(names)}


def mean(values: Sequence[float]) -> float:
    """Return the mean."""
    return math.fsum(values) / len(values)
