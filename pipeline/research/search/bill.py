"""Cards and what was paid -> dollars: each paid result counts once, for those who asked for it, whatever came of them.

A card names the paid results that it will build before it runs, so a night that is killed after they were paid finds
them again. What is bought for a result that is never finished is told by the ledger of paid requests, and counts too;
where a later card finishes the result, only what that adds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from pipeline.research.record.card import Card, Cost
from pipeline.research.search.search import Search


@dataclass(frozen=True, slots=True)
class Paid:
    """What was paid for a batch's results: by folder, and by card's number."""

    results: Mapping[str, float]
    cards: Mapping[int, float]


def paid_for(search: Search, cards: Sequence[Card]) -> Paid:
    """Return what cards that were tried together cost; results that several asked for are split among them."""
    asked = Counter(place for card in cards for place in card.cost.paid)
    results = new_in(search, [card.cost for card in cards])
    before = search.standing.paid
    return Paid(
        results,
        {
            card.number: math.fsum(
                (results[place] - before.get(place, 0.0)) / asked[place] for place in card.cost.paid if place in results
            )
            for card in cards
        },
    )


def new_in(search: Search, costs: Iterable[Cost]) -> dict[str, float]:
    """Return what the paid results of some costs have cost in all, where that is more than was written down."""
    buyers: dict[str, set[str]] = {}
    for cost in costs:
        for place, step in zip_longest(cost.paid, cost.buyers, fillvalue=""):
            buyers.setdefault(place, set()).add(step)
    before = search.standing.paid
    found = search.bench.paid({place: buyers[place] for place in sorted(buyers)})
    return {place: usd for place, usd in found.items() if usd > before.get(place, 0.0)}


def usd_left(search: Search, *, beside: Iterable[Card] = (), remarks: Iterable[Mapping[str, Any]] = ()) -> float:
    """Return what is left of a search's dollars once all is paid that is written down, and what stands `beside`."""
    on_its_way = math.fsum(card.cost.usd for card in (*search.standing.open_cards, *beside))
    asked = math.fsum(remark.get("usd", 0.0) for remark in remarks)
    return search.usd - search.standing.usd - on_its_way - asked
