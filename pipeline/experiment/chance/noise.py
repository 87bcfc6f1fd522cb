"""Scores of a workspace -> how much proxies of one kind differ by chance, kept in one small file that every run feeds.

A group is the proxies that were trained on one draw of text, alike in all but their seed, on one held-out set. The
file, `noise.json`, outlives the proxies; what a plan makes of it is `power.py`. Deviations differ
between mixtures (at t0 by a factor of two, Marin's by 25 at the rim), so a group keeps its shares, and a plan looks for
its own region of the mixtures first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from pipeline.core.errors import DataError
from pipeline.core.files.card import Card, read_card
from pipeline.core.files.record import read_record, write_record
from pipeline.core.identity import identity_of
from pipeline.experiment.chance.earlier import VERSIONS, scores_in
from pipeline.experiment.lanes import LaneFacts
from pipeline.experiment.scores import ScoreFacts
from pipeline.store.workspace import Workspace

FILE = "noise.json"
METRIC = "bits_per_byte"
NEAR = 0.5  # of at most 1.41 between square roots of shares; halves that swap a quarter are 0.26 apart
LEAST_FREEDOM = 2.0  # of near groups: of one pair of lanes a deviation is known to a factor of thirty


@dataclass(frozen=True, slots=True)
class Group:
    """Proxies that differ by chance alone, and what they scored."""

    tier: str
    metric: str
    tokens: int
    learning_rate: float
    draw: str  # identity of what they read
    held_out: str  # identity of what they were scored on
    kind: str  # what else they have in common: how much was scored, where and by which versions they were trained
    shares: Mapping[str, float]  # of datasets, by the names that a recipe gave them
    seeds: Sequence[int]
    mean: float
    variance: float
    tokens_per_second: float

    @property
    def key(self) -> tuple[object, ...]:
        return self.tier, self.metric, self.tokens, self.learning_rate, self.draw, self.held_out, self.kind

    @property
    def freedom(self) -> int:
        return len(self.seeds) - 1


def feed(workspace: Workspace) -> None:
    """Record what the scores of a workspace show."""
    groups = groups_in(workspace)
    if groups and groups != _recorded(workspace):
        write_record(workspace.root / FILE, {"groups": [asdict(group) for group in groups]})


def groups_in(workspace: Workspace) -> list[Group]:
    """Return every group that was recorded or can be read from scores; of two alike the one with more seeds."""
    found = {group.key: group for group in _recorded(workspace)}
    for group in _scored(workspace):
        known = found.get(group.key)
        if known is None or known.freedom < group.freedom:
            found[group.key] = group
    return [found[key] for key in sorted(found, key=repr)]


def near(groups: Sequence[Group], mixtures: Sequence[Mapping[str, float]]) -> list[Group]:
    """Return the groups of mixtures like these, if they tell enough; else all."""
    close = [group for group in groups if any(_distance(group.shares, mixture) <= NEAR for mixture in mixtures)]
    return close if sum(group.freedom for group in close) >= LEAST_FREEDOM else list(groups)


def _distance(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Return the distance between the square roots of two mixtures' shares."""
    whole, of_other = math.fsum(one.values()) or 1.0, math.fsum(other.values()) or 1.0
    names = {*one, *other}
    return math.sqrt(
        sum((math.sqrt(one.get(name, 0) / whole) - math.sqrt(other.get(name, 0) / of_other)) ** 2 for name in names)
    )


def _recorded(workspace: Workspace) -> list[Group]:
    path = workspace.root / FILE
    try:
        return [Group(**entry) for entry in read_record(path)["groups"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}). Delete it: the next run makes it again, of the scores still here."
        ) from error


def _scored(workspace: Workspace) -> list[Group]:
    lanes: dict[tuple[str, str, float, str, str, int], dict[int, tuple[LaneFacts, float, Card]]] = {}
    for card in scores_in(workspace):
        score = ScoreFacts(**card.details)
        lane = LaneFacts(**score.lane)
        if lane.healthy and lane.until == 1 and score.bits_per_byte is not None:
            versions = [card.payload[key] for key in VERSIONS]
            kind = identity_of([score.held_out_bytes, lane.device, lane.precision, *versions])
            own = lane.tier, lane.num_tokens  # one draw may serve several
            key = (lane.draw, score.documents, lane.learning_rate, kind, *own)
            lanes.setdefault(key, {})[lane.seed] = (lane, score.bits_per_byte, card)
    return [_group(workspace, found, held_out=key[1], kind=key[3]) for key, found in lanes.items() if len(found) > 1]


def _group(
    workspace: Workspace, found: Mapping[int, tuple[LaneFacts, float, Card]], *, held_out: str, kind: str
) -> Group:
    seeds = sorted(found)
    facts, rates = found[seeds[0]][0], [found[seed][1] for seed in seeds]
    return Group(
        tier=facts.tier,
        metric=METRIC,
        tokens=facts.num_tokens,
        learning_rate=facts.learning_rate,
        draw=facts.draw,
        held_out=held_out,
        kind=kind,
        shares=_shares(workspace, found[seeds[0]][2]),
        seeds=seeds,
        mean=float(np.mean(rates)),
        variance=float(np.var(rates, ddof=1)),
        tokens_per_second=float(np.mean([found[seed][0].tokens_per_second for seed in seeds])),
    )


def _shares(workspace: Workspace, score: Card) -> dict[str, float]:
    """Return what a lane's mixture gave of each dataset; nothing where that is gone."""
    lane = workspace.by_identity("lane", score.payload["lane"])
    mixture = workspace.by_identity("mixture", read_card(lane).payload["mixture"]) if lane is not None else None
    if mixture is None:
        return {}
    return {share["dataset"]: share["realised"] for share in read_card(mixture).details["shares"]}
