"""The head of a search -> one claim by fresh seeds of both mixtures, and what each of its edits turned out to be worth.

A claim is written down before its first proxy is trained, so a night that is killed claims the same head by the same
seeds. Every claim of a search has seeds of its own; how often the held-out sets were opened is counted by the
workspace's looks, across nights, searches and whoever else asked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from pipeline.core.claude.prices import dollars
from pipeline.core.errors import RecipeError
from pipeline.plan.make import make_plan
from pipeline.plan.sweep import FIRST_SEED
from pipeline.recipe.edits import Edit, edit_of, key_of
from pipeline.recipe.load import load_recipe
from pipeline.recipe.sections import MOST_FIRST_SEED
from pipeline.recipe.spec import Recipe
from pipeline.research.night.claim_recipe import claim_recipe
from pipeline.research.night.power import power_of
from pipeline.research.record.card import Card, Cost, Result, card_id
from pipeline.research.search.bill import new_in, usd_left
from pipeline.research.search.search import Search

ATTRIBUTED = 3  # proxies of the head without each of its edits
ATTRIBUTED_FROM = FIRST_SEED + 100  # or above all seeds of cards: those that chose the head flatter it
ATTRIBUTION = "attribution"  # who proposes these


def why_unjudged(recipe: Recipe) -> str:
    """Return why no verdict can be had of a search's claim, by what its recipe says alone; "" where one can."""
    from eval.proxies.tiers import tier_called

    proxy = recipe.proxy
    assert proxy is not None and recipe.research is not None
    least = tier_called(proxy.tier_of()).least_tokens
    if proxy.tokens >= least:
        return ""
    return (
        f"{recipe.place}: each proxy reads {proxy.tokens:,} tokens, and a verdict needs {least:,} at tier "
        f"{proxy.tier_of()}: cards will be tried and nothing can be claimed. Raise proxy.tokens to claim."
    )


def open_claim(search: Search) -> None:
    """Write down what is claimed, before a fresh proxy is trained; or that there is nothing to claim."""
    from eval.loop.state import head

    if search.standing.tripped:
        search.write("ended", why=search.standing.tripped)
        return
    space = search.space()
    state = search.state(space)
    best = head(state)
    if best.point == space.base:
        search.write("ended", why="Nothing was found that is expected to be better than the incumbent; no claim.")
        return
    claims = len(search.ledger.of("claim_opened"))
    first = search.proxy.first_seed + claims * search.proxy.seeds
    if first > MOST_FIRST_SEED:
        raise RecipeError(f"{search.recipe.place}: no fresh seeds are left for a claim; set another `seed:`.")
    claim = {
        "head": [edit.told for edit in space.edits_of(best.point)], "expected": best.gain, "sd": best.sd,
        "probability_better": best.probability_better, "lanes": best.num_lanes, "seeds": search.proxy.seeds,
        "first_seed": first,
    }  # fmt: skip
    plan = make_plan(load_recipe(claim_recipe(search, claim)), search.bench.workspace)
    power = power_of(search, state, plan)
    if not power.plan.is_enough:
        luck = f" Of the {best.gain:.4f} that are expected, {power.optimism:.4f} are the luck of the chosen."
        search.write("ended", why=f"No claim was made. {power.plan.sentence}{luck if power.optimism else ''}")
        return
    cost, left = search.bench.cost_of(plan), max(usd_left(search), 0.0)
    if cost.usd > left:
        why = (
            f"No claim was made: its paid steps cost up to {dollars(cost.usd, up=True)}, and {dollars(left)} of "
            "research.budget.usd (or --max-usd) are left. Raise it and run again."
        )
        search.write("ended", why=why, short_of="usd")
        return
    search.write(
        "claim_opened", **claim, optimism=power.optimism, power=power.plan.power, detectable=power.plan.detectable,
        documents=None if power.documents is None else asdict(power.documents), paid=list(cost.paid),
        buyers=list(cost.buyers),
    )  # fmt: skip


def paid_by_claim(search: Search, claim: Mapping[str, Any]) -> dict[str, float]:
    """Return what the paid results that a claim builds have cost, by folder, where that is more than was known."""
    cost = Cost(paid=tuple(claim.get("paid", ())), buyers=tuple(claim.get("buyers", ())))
    return new_in(search, [cost])


def attribute(search: Search) -> None:
    """Leave out each edit of a promoted head in turn; write down what each is worth, once that is known."""
    standing = search.standing
    assert standing.claim is not None and standing.verdict is not None
    edits = tuple(edit_of(told) for told in standing.claim["head"])
    if standing.verdict["outcome"] != "promote" or len(edits) < 2:
        search.write("attributed", edits=[])
        return
    seeds = _fresh_seeds(search)
    own = {(card.key, seed) for card in _attributing(search) for seed in card.seeds}
    cards: list[Card] = []
    for each in (edits, *(_without(edits, edit) for edit in edits)):
        left = tuple(seed for seed in seeds if (key_of(each), seed) not in own)
        if left:
            card = Card(
                id=card_id(standing.base, each, "ablation"), number=len(standing.cards) + len(cards), kind="ablation",
                edits=each, parent="head", proposer=ATTRIBUTION, hypothesis="The head is worse without an edit.",
                mechanism="leave one edit out", falsifier="It is as good or better.", prediction=None, cost=Cost(),
                seeds=left,
            )  # fmt: skip
            cost, plan = search.bench.price(each, name=search.name_of(card), seeds=left)
            cards.append(replace(card, cost=cost, plan=plan))
    if cards:
        search.write(
            "batch", batch=standing.batches, cards=[card.told for card in cards], refused=_too_dear(search, cards),
            remarks=[],
        )  # fmt: skip
        return
    search.write("attributed", edits=[_worth(search, edit, edits, seeds) for edit in edits])


def _fresh_seeds(search: Search) -> range:
    """Return seeds that no card had when the claim was opened."""
    opened = search.ledger.of("claim_opened")[-1].number
    batches = [event.body for event in search.ledger.of("batch") if event.number < opened]
    used = [int(seed) for batch in batches for card in batch["cards"] for seed in card["seeds"]]
    first = max(ATTRIBUTED_FROM, 1 + max(used, default=0))
    return range(first, first + ATTRIBUTED)


def _attributing(search: Search) -> list[Card]:
    return [card for card in search.standing.cards.values() if card.parent == "head"]


def _too_dear(search: Search, cards: Sequence[Card]) -> list[dict[str, Any]]:
    """Return the refusals of cards that nobody is asked about, and that cost more than may be spent unasked."""
    refused: list[dict[str, Any]] = []
    kept: list[Card] = []
    for card in cards:
        most = min(search.research.usd_without_person, usd_left(search, beside=kept))
        if card.cost.usd > max(most, 0.0):
            why = f"it costs up to ${card.cost.usd:.2f}, and ${max(most, 0.0):.2f} may be spent without a person"
            refused.append({"number": card.number, "result": Result(card.id, "refused", why=why).told})
        else:
            kept.append(card)
    return refused


def _without(edits: Sequence[Edit], edit: Edit) -> tuple[Edit, ...]:
    return tuple(other for other in edits if other != edit)


def _worth(search: Search, edit: Edit, edits: Sequence[Edit], seeds: Sequence[int]) -> dict[str, Any]:
    """Return what an edit of the head is worth, seed by seed: how much worse the head is without it."""
    import numpy as np

    goals = {
        (card.key, int(seed)): value
        for card in _attributing(search)
        if card.number in search.standing.results
        for seed, value in search.standing.results[card.number].goals.items()
    }
    without, whole = key_of(_without(edits, edit)), key_of(edits)
    keys = [seed for seed in seeds if (without, seed) in goals and (whole, seed) in goals]
    paired = [goals[without, seed] - goals[whole, seed] for seed in keys]
    if not paired:
        return {"edit": edit.told, "worth": None, "sd": None, "pairs": 0, "seeds": []}
    sd = float(np.std(paired, ddof=1)) / math.sqrt(len(paired)) if len(paired) > 1 else None
    return {"edit": edit.told, "worth": float(np.mean(paired)), "sd": sd, "pairs": len(paired), "seeds": keys}
