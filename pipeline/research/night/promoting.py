"""A head whose claim held -> a version in the registry: after the gate, and after a person where the recipe says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.research.night.claim_recipe import claim_recipe
from pipeline.research.people.approvals import HEAD, reach_of, waiting_in, word_on, words_in
from pipeline.research.search.search import Search

Promoter = Callable[
    [Mapping[str, Any]], Mapping[str, Any]
]  # the claim's recipe with its `promote:` -> name and version


def waits_for_person(search: Search) -> bool:
    """Say whether a head whose claim holds is promoted only by a person's word."""
    return search.recipe.promote is not None and "promotion" in search.research.person


def is_unanswered(search: Search) -> bool:
    """Say whether a claim held, and whether it is promoted is a person's to say yet."""
    return waits_for_person(search) and _word_on_head(search) in ("", "expired")


def _word_on_head(search: Search) -> str | None:
    """Return what was said of the promotion; None where nobody is asked."""
    words = words_in(search.ledger.path.parent)
    return next((word_on(each, words) for each in waiting_in(search.standing) if each.id == HEAD), None)


def promote_head(search: Search, promoter: Promoter) -> None:
    """Register the head, unless it was, its claim did not hold, or a person has yet to say yes to this very claim."""
    at = search.standing
    if search.recipe.promote is None or at.promoted is not None:
        return
    if at.claim is None or at.verdict is None or at.verdict["outcome"] != "promote":
        return
    if waits_for_person(search):
        if not at.verdict.get("waits", False):
            search.write("asked")
        told = _word_on_head(search)
        if told == "rejected":
            return
        if told != "approved":
            reach = reach_of(search.ledger.path.parent)
            search.progress.say(
                f"the claim held; its promotion waits for a person: tamis approve head{reach}, tamis reject head{reach}"
            )
            return
    promoted = promoter({**claim_recipe(search, at.claim), "promote": search.bench.data["promote"]})
    search.write("promoted", **promoted)
