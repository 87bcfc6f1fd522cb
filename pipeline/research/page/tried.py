"""Claims of error analyses -> what searches that acted on them found, from all ledgers of a workspace."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.core.errors import TamisError
from pipeline.research.page.telling import outcome_said
from pipeline.research.record.fold import Standing, folded
from pipeline.research.record.ledger import FILE, Ledger
from pipeline.store.workspace import Workspace


def tried_in(workspace: Workspace) -> dict[str, str]:
    """Return claim -> what came of it, in a sentence; of several searches one after the other."""
    found: dict[str, list[str]] = {}
    for path in sorted((workspace.root / "research").glob(f"*/{FILE}")):
        try:
            standing = folded(Ledger(path.parent))
        except TamisError:  # a damaged ledger is for `verify` to tell
            continue
        for claim, said in outcomes_of(standing):
            found.setdefault(claim, []).append(f"{said} (search {path.parent.name})")
    return {claim: "; ".join(each) for claim, each in found.items()}


def outcomes_of(standing: Standing) -> Iterator[tuple[str, str]]:
    """Yield claims that a search acted on, or could not act on, each with what came of it."""
    for mark in standing.remarks:
        if mark.get("what") == "claim":
            yield mark["claim"], f"open: not tried, as {mark['words']}"
    for card in standing.cards.values():
        if card.claim and card.claim not in standing.weighed:
            result = standing.results.get(card.number)
            yield card.claim, f"open: card {card.id} {'waits' if result is None else result.status}"
    for claim, weighed in standing.weighed.items():
        yield claim, outcome_said(weighed)
