"""Scores that the workspace holds already -> how much single proxies of this kind differ by chance.

Lanes count that were trained on as many tokens of the same tier, at the same learning rate, by the same versions,
device and precision, and scored on all of the same held-out documents; of each draw of rows every seed once, and none
of the draws that the new comparison rests on: an edit of the recipe that changes no token gives the very same lanes
again, which know nothing new. Only cards are read. Looked up when a comparison is built and stored in its card, as
what it rests on; what is learnt later changes no verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.core.errors import TamisError
from pipeline.core.files.card import Card, read_card
from pipeline.core.files.names import CARD
from pipeline.experiment.lanes import LaneFacts
from pipeline.experiment.scores import ScoreFacts
from pipeline.store.workspace import Workspace

VERSIONS = ("engine", "eval", "torch")  # in a payload: other ones round otherwise
OVERALL = "overall"

Rates = dict[str, float]  # held-out set -> bits per byte


def earlier_lanes(
    workspace: Workspace,
    own: Sequence[LaneFacts],
    *,
    documents: Mapping[str, str],
    held_out_bytes: int,
    versions: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Return, for each learning rate of the comparison's `own` lanes, variance and freedom by domain and `overall`.

    `documents` are the identities of the held-out sets by name, of which `held_out_bytes` were read.
    """
    kinds, draws = {lane.kind for lane in own}, {lane.draw for lane in own}
    lanes: dict[str, tuple[LaneFacts, Rates]] = {}
    for card in scores_in(workspace):
        if any(card.payload[key] != value for key, value in versions.items()):
            continue
        score = ScoreFacts(**card.details)
        if score.held_out_bytes != held_out_bytes or score.bits_per_byte is None:
            continue
        lane = LaneFacts(**score.lane)
        if lane.healthy and lane.draw not in draws and lane.kind in kinds:
            rates = lanes.setdefault(card.payload["lane"], (lane, {}))[1]
            rates |= {name: score.bits_per_byte for name, identity in documents.items() if identity == score.documents}
    found = []
    for rate in dict.fromkeys(lane.learning_rate for lane in own):
        arms = _arms(lanes, rate=rate, domains=sorted(documents))
        if arms:
            found.append(_summary(rate, arms))
    return found


def scores_in(workspace: Workspace) -> Iterator[Card]:
    """Yield the cards of all finished scores; one that cannot be read is not this comparison's to repair."""
    for path in sorted((workspace.root / "score").glob(f"*/{CARD}")):
        try:
            yield read_card(path.parent)
        except TamisError:
            continue


def _arms(
    lanes: Mapping[str, tuple[LaneFacts, Rates]], *, rate: float, domains: Sequence[str]
) -> list[dict[str, Rates]]:
    """Return lane -> rates for each draw of which two seeds or more were scored on every domain."""
    draws: dict[tuple[Any, ...], dict[int, tuple[str, Rates]]] = {}
    for identity, (lane, rates) in sorted(lanes.items()):
        if lane.learning_rate == rate and len(rates) == len(domains):
            draws.setdefault((lane.draw, *lane.kind), {}).setdefault(lane.seed, (identity, rates))
    return [dict(seeds[k] for k in sorted(seeds)) for _, seeds in sorted(draws.items()) if len(seeds) >= 2]


def _summary(rate: float, arms: Sequence[Mapping[str, Rates]]) -> dict[str, Any]:
    from dataclasses import asdict

    from eval.verdict.deviation import of_arms

    lanes = [list(arm.values()) for arm in arms]
    values = {name: [np.array([rates[name] for rates in arm]) for arm in lanes] for name in sorted(lanes[0][0])}
    values[OVERALL] = [np.mean(groups, axis=0) for groups in zip(*values.values(), strict=True)]
    return {
        "learning_rate": rate,
        "lanes": sorted(identity for arm in arms for identity in arm),
        "deviations": {name: asdict(of_arms(*groups)) for name, groups in values.items()},
    }
