"""A search's ledger -> its cards, by words, by what became of them, by who proposed them; and where their proxies lie.

Refused, failed and rejected cards are kept like the rest: what did not work is found again before it is tried again.
"""

from __future__ import annotations

from pipeline.core.errors import RecipeError, TamisError, nearest_names
from pipeline.queries.proxies.lanes import find_lanes
from pipeline.recipe.spec import Recipe
from pipeline.report.research.told import Told
from pipeline.research.page.telling import cards_told
from pipeline.research.record.card import card_id
from pipeline.research.record.fold import Standing, folded
from pipeline.research.search.reading import read_ledger
from pipeline.store.workspace import Workspace


def cards_about(
    recipe: Recipe, workspace: Workspace, *, about: str = "", status: str = "", proposer: str = ""
) -> list[Told]:
    """Return the cards that speak of all the words, whatever their case, in the order in which they were written."""
    words, found = about.casefold().split(), cards_told(_standing(recipe, workspace))
    known = sorted({card.proposer for card in found})
    if proposer and proposer not in known:
        raise RecipeError(f"--proposer {proposer}: has no card here; those who have are {', '.join(known)}.")
    return [
        card
        for card in found
        if (not status or card.status == status)
        and (not proposer or card.proposer == proposer)
        and all(word in _text(card) for word in words)
    ]


def _text(card: Told) -> str:
    """Return everything that a card says, to be searched."""
    said = (
        card.words,
        card.hypothesis,
        card.mechanism,
        card.falsifier,
        card.why,
        card.needs,
        card.hint,
        card.claim,
        card.outcome,
        *card.health,
    )
    return "\n".join(said).casefold()


def card_called(recipe: Recipe, workspace: Workspace, name: str) -> list[Told]:
    """Return the cards with an id, or with the only id that begins so: a question may be asked again by more seeds."""
    cards = cards_told(_standing(recipe, workspace))
    ids = sorted({card.id for card in cards if card.id.startswith(name)})
    if len(ids) > 1 and name not in ids:
        raise RecipeError(f"{name}: {len(ids)} cards begin so: {', '.join(ids[:5])}. Give more of the id.")
    if not ids or not name:
        near = nearest_names(name, {card.id for card in cards})
        raise RecipeError(f"{name}: no card of {recipe.name} is called so. Did you mean {near}?")
    wanted = name if name in ids else ids[0]
    return [card for card in cards if card.id == wanted]


def proxies_of(recipe: Recipe, workspace: Workspace, cards: list[Told]) -> dict[int, str]:
    """Return where the proxies of cards lie in the workspace, by seed; those that are there."""
    standing, found = _standing(recipe, workspace), dict[int, str]()
    assert recipe.research is not None
    for told in cards:
        edits = standing.cards[told.number].edits
        mixture = card_id(standing.base, edits, "tune") if edits else recipe.research.incumbent
        for seed in told.seeds:
            try:
                (lane,) = find_lanes(workspace, f"{mixture}/seed{seed}")
            except (TamisError, ValueError):  # none, or proxies of several rates: nothing to point at
                continue
            found[seed] = lane.folder.relative_to(workspace.root).as_posix()
    return found


def _standing(recipe: Recipe, workspace: Workspace) -> Standing:
    return folded(read_ledger(recipe, workspace))
