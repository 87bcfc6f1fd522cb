"""A search as it stands -> what a claim of its head would show, before a proxy of it is trained.

What the head is expected to gain is too much by its having been chosen (`eval.loop.optimism`); what a claim can see is
bounded by how proxies differ and by how many documents it is judged on (`eval.loop.documents`), and looks that were
taken before cost more. What a gain on the cards' documents keeps on a set of another kind, nobody knows before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.errors import TamisError
from pipeline.core.files.card import is_complete, read_card
from pipeline.core.files.parquet.shards import read_table
from pipeline.core.rng import derive
from pipeline.experiment.chance.looking import looks_ahead
from pipeline.experiment.compare import clusters_of
from pipeline.experiment.scores import BITS
from pipeline.plan.make import make_plan
from pipeline.plan.parts import Part
from pipeline.recipe.edits import Edit, key_of
from pipeline.recipe.load import load_recipe
from pipeline.research.night.claim_recipe import claim_recipe
from pipeline.research.record.fold import incumbent_goals
from pipeline.research.search.bench import Asked
from pipeline.research.search.search import Search

if TYPE_CHECKING:
    import pyarrow as pa

    from eval.loop.claim import ClaimPlan
    from eval.loop.documents import Scored
    from eval.loop.state import State
    from eval.verdict.deviation import Deviation
    from pipeline.plan.graph import Plan


@dataclass(frozen=True, slots=True)
class Power:
    """What a claim of the head would show. Gains in bits per byte."""

    expected: float  # by the model of all cards
    optimism: float  # of that, by having been chosen
    documents: Deviation | None  # of the gain through the claim's documents; None where that cannot be seen
    plan: ClaimPlan

    @property
    def hoped(self) -> float:
        """What the head is expected to gain once the luck of the chosen is taken off."""
        return self.expected - self.optimism


def luck_of(search: Search, state: State) -> float:
    """Return by how much the head's expected gain is too high by its having been chosen."""
    from eval.loop.optimism import optimism

    def made() -> float:
        return optimism(state, seed=derive(search.recipe.seed, "optimism"))

    found: float = search.once("optimism", made)
    return found


def power_of(search: Search, state: State, plan: Plan) -> Power:
    """Return what the claim of a plan would show, with the seeds that the recipe gives it."""
    from eval.loop.state import head

    best, luck = head(state), luck_of(search, state)
    documents = _documents(search, plan, search.space().edits_of(best.point))
    return Power(best.gain, luck, documents, _planned(search, state, best.gain - luck, plan, documents))


def detectable(search: Search, state: State) -> float | None:
    """Return the true gain that a claim of the head finds in 80 of 100 cases; None before anything is modelled.

    While the head is the incumbent, there is nothing to claim: what a first claim would find, on documents without end.
    """
    from eval.loop.state import head

    if state.surrogate is None:
        return None

    def made() -> float:
        edits = search.space().edits_of(head(state).point)
        if not edits:
            return _planned(search, state, 0.0, None, None).detectable
        claim = {"head": [edit.told for edit in edits], "seeds": search.proxy.seeds, "first_seed": 0}
        plan = make_plan(load_recipe(claim_recipe(search, claim)), search.bench.workspace)
        return _planned(search, state, 0.0, plan, _documents(search, plan, edits)).detectable

    found: float = search.once("detectable", made)
    return found


def _planned(search: Search, state: State, hoped: float, plan: Plan | None, documents: Deviation | None) -> ClaimPlan:
    """Return the plan of a claim with the recipe's seeds; it is a first look where there is no plan."""
    from eval.loop.claim import plan_claim
    from eval.loop.state import own_lanes
    from eval.verdict.deviation import with_earlier
    from eval.verdict.sequential import FIRST_LOOK

    own, gate, seeds = own_lanes(state), search.gate, search.proxy.seeds
    lane = state.lane if own is None else with_earlier(own, state.lane)[0]
    assert lane is not None  # two proxies of the incumbent were the first of the search
    return plan_claim(
        hoped, lane=lane, most_seeds=seeds, least_seeds=seeds, documents=documents,
        looks=FIRST_LOOK if plan is None else looks_ahead(plan), required=gate.min_gain, confidence=gate.confidence,
    )  # fmt: skip


def _documents(search: Search, plan: Plan, edits: tuple[Edit, ...]) -> Deviation | None:
    """Return the variance of the head's gain through the choice of the claim's documents, by what cards showed."""
    from eval.loop.documents import of_a_claim, of_a_group

    sets = _scored(search, edits)
    found = {name: of_a_group(scored) for name, scored in sets.items()}
    known = {name: deviation for name, deviation in found.items() if deviation is not None}
    seen = {name: (len(sets[name].num_bytes_D), len(np.unique(sets[name].cluster_D))) for name in known}
    size = {name: float(np.mean(sets[name].num_bytes_D)) for name in known}
    if not known:
        return None
    return of_a_claim(known, {name: _groups(search, plan, name, seen, size) for name in search.gate.on})


def _groups(
    search: Search, plan: Plan, name: str, seen: Mapping[str, tuple[int, int]], size: Mapping[str, float]
) -> int:
    """Return how many groups of documents a claim reads of a set, at documents like those that cards read."""
    sealed, limit = search.gate.sealed, search.proxy.held_out_bytes
    per_document = float(np.mean([groups / documents for documents, groups in seen.values()]))
    bytes_each = float(np.mean(list(size.values())))
    node = plan.documents_node(name)
    if is_complete(node.folder, node.identity):
        documents = read_card(node.folder).rows_out * (sealed or 1.0)
    else:
        documents = float(np.mean([count for count, _ in seen.values()]))
    most = Part(name, is_sealed=bool(sealed), share=sealed).limit_of(limit) if sealed else limit
    return max(round(min(documents, most / bytes_each) * per_document), 2)


def _scored(search: Search, edits: tuple[Edit, ...]) -> dict[str, Scored]:
    """Return the bits of the head's and the incumbent's proxies on each set of documents that cards are scored on."""
    standing, key = search.standing, key_of(edits)
    done = [(standing.cards[number], result) for number, result in standing.results.items() if result.goals]
    own = {int(seed): card for card, result in done if card.key == key for seed in result.goals}
    base = tuple(sorted(map(int, incumbent_goals(standing))))
    if not own or not base:
        return {}
    head = Asked(search.name_of(next(iter(own.values()))), edits, tuple(sorted(own)))
    try:
        return _read(search, (head, Asked(search.research.incumbent, (), base)))
    except TamisError:  # taken away since: a claim is planned all the same
        return {}


def _read(search: Search, both: tuple[Asked, Asked]) -> dict[str, Scored]:
    from eval.loop.documents import Scored

    lanes, found = [search.bench.scores_of(asked) for asked in both], dict[str, Scored]()
    for name in search.research.on:
        arms = [[read_table(folders[name] / BITS) for folders in arm.values() if name in folders] for arm in lanes]
        if all(arms):
            bits = [np.stack([table.column("bits").to_numpy() for table in arm]) for arm in arms]
            table = arms[0][0]
            found[name] = Scored(
                bits[0], bits[1], table.column("num_bytes").to_numpy(), _groups_in(search, name, table)
            )
    return found


def _groups_in(search: Search, name: str, table: pa.Table) -> np.ndarray:
    """Return int64[D]: the group of every document of a set; found once, as neither changes in a search."""

    def made() -> np.ndarray:
        ids = table.column("id").to_pylist()
        folders = {name: search.bench.documents_of(name)}
        return clusters_of({"domain": [name] * len(ids), "id": ids}, folders, group_by=search.gate.group_by)

    found: np.ndarray = search.once(f"groups of {name}", made, forever=True)
    return found
