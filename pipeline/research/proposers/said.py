"""Claims about texts that error analyses of a search's mixtures found to hold: for its page, and for who proposes.

Whoever proposes is told what was found on sets that the search looks at, and nothing of what a gate judges by.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import TamisError
from pipeline.queries.errors.rounds import rounds_of
from pipeline.recipe.spec import Recipe
from pipeline.report.research.told import Finding, Range
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    from eval.claims.record import Claim


def for_page(recipe: Recipe, workspace: Workspace) -> tuple[Finding, ...]:
    """Return what was found of the incumbent and the claimed head on any set."""
    return tuple(_told(claim) for claim in _found(recipe, workspace, None))


def for_advisers(recipe: Recipe, workspace: Workspace) -> tuple[dict[str, Any], ...]:
    """Return what was found on sets that cards are scored on, as plain JSON without a word of a document."""
    assert recipe.research is not None
    return tuple(
        {"question": claim.question, "more_among_the_worst": claim.more, "step": claim.step, "edit": dict(claim.edit)}
        for claim in _found(recipe, workspace, set(recipe.research.on))
    )


def _found(recipe: Recipe, workspace: Workspace, on: Collection[str] | None) -> list[Claim]:
    assert recipe.research is not None
    try:
        rounds = rounds_of(workspace, [recipe.research.incumbent, recipe.research.as_])
    except TamisError:  # no head was claimed yet, or its proxies are gone
        return []
    held = [told for told in rounds if on is None or set(told.on) <= set(on)]
    return list({claim.id: claim for told in held for claim in told.findings}.values())


def _told(claim: Claim) -> Finding:
    effect = claim.effect
    return Finding(
        text=claim.question,
        effect=None if effect is None else Range(effect.difference, effect.low, effect.high),
        quotes=tuple((quote.doc_id, quote.text) for quote in claim.quotes),
        source=f"tamis errors, by {claim.by}",
    )
