"""A head whose claim held -> a version in the registry: after the gate, and after a person where the recipe says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.research.approvals import HEAD, waiting_in, word_on, words_in
from pipeline.research.claiming import claim_recipe
from pipeline.research.search import Search

Promoter = Callable[
    [Mapping[str, Any]], Mapping[str, Any]
]  # the claim's recipe with its `promote:` -> name and version


def waits_for_person(search: Search) -> bool:
    """Say whether a head whose claim holds is promoted only by a person's word."""
    return search.recipe.promote is not None and "promotion" in search.research.person


def promote_head(search: Search, promoter: Promoter) -> None:
    """Register the head, unless it was, its claim did not hold, or a person has yet to say yes to this very claim."""
    at = search.standing
    if search.recipe.promote is None or at.promoted is not None:
        return
    if at.claim is None or at.verdict is None or at.verdict["outcome"] != "promote":
        return
    if waits_for_person(search):
        (asked,) = (each for each in waiting_in(at) if each.id == HEAD)
        told = word_on(asked, words_in(search.ledger.path.parent))
        if told == "rejected":
            return
        if told != "approved":
            search.progress.say(
                "the claim held; its promotion waits for a person: tamis approve head, tamis reject head"
            )
            return
    promoted = promoter({**claim_recipe(search, at.claim), "promote": search.bench.data["promote"]})
    search.write("promoted", **promoted)
