"""Where a night stands and who may propose in, the next experiments out: fresh points, second seeds, controls.

The same trials and the same seed give the same batch. A batch has anchors at the incumbent before anything is known,
lanes for points that look best and were measured once or twice (so that nothing is believed for one lucky lane), and
fresh points by each proposer's share. What was tried, is waiting or lies next to another point of the batch is not
proposed again; what is unlikely to train is let through as rarely.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import numpy as np

from eval.loop.factorial import factorial
from eval.loop.propose import PROPOSERS, Proposed, Proposer, ablate, combine, predicted
from eval.loop.space import Point
from eval.loop.state import Plateau, State, head, plateau
from pipeline.core.rng import generator

ANCHORS = 2  # lanes of the incumbent in the first batch
CONTROLS = 0.05  # of all lanes that are the incumbent's, under new seeds
AGAIN = 0.25  # of a batch for points that were measured before
MOST_LANES = 3  # of a point in a search; more is a claim's to ask for
TOP = 1 / 3  # of the points at each number of lanes that get another
NOVEL = 0.02  # distance to any tried point, below which a point is the same again
SURE = 0.5  # chance of training from which a point is let through always
STUCK = 0.5  # of the fresh points of a stuck night that bundle and ablate


def next_batch(
    state: State,
    count: int,
    shares: Mapping[str, float],
    seed: int,
    *,
    proposers: Mapping[str, Proposer] = PROPOSERS,
    blocked: Collection[Point] = (),
    detectable: float | None = None,
    left: int | None = None,
) -> list[Proposed]:
    """Return the next `count` experiments; fewer only where the space holds nothing that was not tried.

    `shares` are those of the proposers, which sum to one; `blocked` are points that wait, run, or were refused. `left`
    are the experiments that the budget has, these too: without it no block begins that settles what depends on what.
    """
    stuck = plateau(state, detectable=detectable)
    chosen = [each for each in _again(state, count) if each.point not in blocked]
    chosen += factorial(state, count - len(chosen), left=left, is_stuck=stuck is not None, blocked=blocked)
    free = count - len(chosen)
    for name, number in _slots(state, free, shares, stuck=stuck, seed=seed).items():
        proposer = {"combine": combine, "ablate": ablate, **proposers}[name]
        asked = proposer(state, number, seed) if number else []
        chosen += _fresh(state, asked, chosen, blocked=blocked, seed=seed)[:number]
    for attempt in range(1, 4):  # what was refused as known or unlikely to train goes to who always has something
        for name in ("gp", "random"):
            if len(chosen) < count and name in proposers:
                asked = proposers[name](state, count, seed + attempt)
                chosen += _fresh(state, asked, chosen, blocked=blocked, seed=seed + attempt)[: count - len(chosen)]
    return chosen[:count]


def _again(state: State, count: int) -> list[Proposed]:
    """Return the lanes of points that were measured before: anchors, controls, and the best of each rung."""
    if not state.trials:
        return _lanes(state, [state.incumbent] * min(ANCHORS, count), "control", "what everything is compared with")
    if state.surrogate is None:
        return []
    own = len(state.lanes.get(state.incumbent, ()))
    controls = [state.incumbent] * (own < max(ANCHORS, CONTROLS * len(state.trials)))
    found = _lanes(state, controls, "control", "what everything is compared with")
    best = head(state).point
    wanted: list[Point] = []
    for rung in range(1, MOST_LANES):
        here = [p for p in state.gains if len(state.lanes[p]) == rung and p != state.incumbent]
        here.sort(key=lambda point: -state.gains[point][0])
        wanted += [p for p in here[: math.ceil(TOP * len(here))] if state.gains[p][0] > 0]
    wanted.sort(key=lambda point: (point != best, -state.gains[point][0]))
    room = max(round(AGAIN * count) - len(found), 0)
    return found + _lanes(state, wanted[:room], "replicate", "looks good, and one lane may be lucky")


def _lanes(state: State, points: list[Point], kind: Literal["control", "replicate"], reason: str) -> list[Proposed]:
    told = predicted(state, points, proposer=kind) if points else []
    return [Proposed(point, kind, prediction, reason, kind) for point, prediction in zip(points, told, strict=True)]


def _slots(state: State, free: int, shares: Mapping[str, float], *, stuck: Plateau | None, seed: int) -> dict[str, int]:
    """Return how many fresh points each proposer is asked for: its share, on average over batches."""
    if stuck is not None:
        kept = 1 - STUCK
        shares = {"combine": STUCK / 2, "ablate": STUCK / 2, **{name: kept * share for name, share in shares.items()}}
    offset = generator(seed, "slots", len(state.trials)).uniform()
    ends = np.floor(free * np.cumsum(list(shares.values())) / max(sum(shares.values()), 1e-12) + offset + 1e-9)
    counts = np.diff(np.concatenate([[math.floor(offset)], ends])).astype(int)
    return {name: int(number) for name, number in zip(shares, counts, strict=True)}


def _fresh(
    state: State, asked: Sequence[Proposed], chosen: list[Proposed], *, blocked: Collection[Point],
    seed: int,
) -> list[Proposed]:  # fmt: skip
    """Return what is new among points that were asked for, and likely enough to train."""
    rng, found = generator(seed, "fresh", len(state.trials), len(chosen)), list[Proposed]()
    for each in asked:
        known = [*state.lanes, *blocked, *(other.point for other in (*chosen, *found))]
        if each.kind == "fresh" and any(state.space.distance(each.point, other) < NOVEL for other in known):
            continue
        if each.point in blocked:
            continue
        chance = float(state.feasibility.probability([each.point])[0]) if state.trials else 1.0
        if rng.uniform() < chance / SURE:
            found.append(each)
    return found
