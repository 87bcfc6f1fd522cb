"""Claims about texts that error analyses of a search's mixtures found to hold: for its page, and for who proposes.

Whoever proposes is told what was found on sets that the search looks at, and nothing of what a gate judges by.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import TamisError
from pipeline.queries.errors.rounds import rounds_around
from pipeline.recipe.spec import Recipe
from pipeline.report.research.told import Finding, Range
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    from eval.claims.record import Claim

TO_BETTER = ("lost", "hard")  # documents that an edit should help; what was gained needs none


@dataclass(frozen=True, slots=True)
class Found:
    """A claim that held, where its round lies, and on which sets."""

    claim: Claim
    folder: Path
    on: tuple[str, ...]
    which: str


def for_page(
    recipe: Recipe, workspace: Workspace, *, tried: Mapping[str, str] | None = None
) -> tuple[Finding, ...]:  # fmt: skip
    """Return what was found of the incumbent beside any other mixture; `tried` says what came of acting on a claim."""
    return tuple(_told(each.claim, (tried or {}).get(each.claim.id, "")) for each in _found(recipe, workspace, None))


def for_advisers(recipe: Recipe, workspace: Workspace) -> tuple[dict[str, Any], ...]:
    """Return what was found on sets that cards are scored on, as plain JSON without a word of a document."""
    return tuple(
        {
            "id": each.claim.id, "question": each.claim.question, "more_among_the_worst": each.claim.more,
            "step": each.claim.step, "edit": dict(each.claim.edit),
        }
        for each in to_try(recipe, workspace)
    )  # fmt: skip


def to_try(recipe: Recipe, workspace: Workspace) -> list[Found]:
    """Return the claims about documents to better, found on sets that cards are scored on."""
    assert recipe.research is not None
    return [each for each in _found(recipe, workspace, set(recipe.research.on)) if each.which in TO_BETTER]


def _found(recipe: Recipe, workspace: Workspace, on: Collection[str] | None) -> list[Found]:
    assert recipe.research is not None
    try:
        rounds = rounds_around(workspace, recipe.research.incumbent)
    except TamisError:  # its proxies are gone
        return []
    held = [(folder, told) for folder, told in rounds if on is None or set(told.on) <= set(on)]
    found = [Found(claim, folder, told.on, told.which) for folder, told in held for claim in told.findings]
    return list({each.claim.id: each for each in found}.values())


def _told(claim: Claim, outcome: str) -> Finding:
    effect = claim.effect
    return Finding(
        text=claim.question,
        effect=None if effect is None else Range(effect.difference, effect.low, effect.high),
        quotes=tuple((quote.doc_id, quote.text) for quote in claim.quotes),
        source=f"tamis errors, by {claim.by}",
        id=claim.id,
        outcome=outcome,
    )
