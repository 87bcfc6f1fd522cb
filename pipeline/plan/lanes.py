"""A recipe's mixtures, learning rates and seeds -> the proxies that they ask for, each named by the three.

A proxy is a node of its own: what it is depends on its mixture's tokens, its seed and its learning rate, and not on
what it is compared with, what its mixture is called, or how many others there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.recipe.spec import Recipe


@dataclass(frozen=True, slots=True, order=True)
class LaneName:
    """Which proxy of a recipe is meant."""

    mixture: str
    learning_rate: float
    seed: int
    until: float = 1.0  # the share of its tokens after which it is looked at, or all of it

    def __str__(self) -> str:
        name = f"{self.mixture}/seed{self.seed}/lr{self.learning_rate:g}"
        return name if self.until == 1 else f"{name}/to{self.until:g}"


def lane_label(lane: LaneName, *, tier: str) -> str:
    """Return what a lane's result is called: by its place and not by its mixture, whose name changes nothing."""
    name = f"{tier}-seed{lane.seed}-lr{lane.learning_rate:g}"
    return name if lane.until == 1 else f"{name}-to{lane.until:g}"


def tried_name(found: str, number: int, index: int) -> str:
    """Return what a mixture is called that a round of a search tries; no recipe can name one so."""
    return f"{found}.{number}.{index}"


def is_tried(mixture: str) -> bool:
    """Say whether a mixture's name is that of one which a search tries."""
    return "." in mixture


def lanes_of(recipe: Recipe, mixtures: Iterable[str]) -> list[LaneName]:
    """Return every proxy that a gate asks for, pairs of one seed and rate beside each other: they finish together."""
    assert recipe.proxy is not None
    found = (recipe.sweep.as_,) if recipe.sweep is not None else ()
    judged = sorted(name for name in mixtures if name in recipe.mixtures or name in found)
    return [
        LaneName(mixture=mixture, learning_rate=rate, seed=seed)
        for rate in recipe.proxy.learning_rates
        for seed in recipe.proxy.seed_numbers
        for mixture in judged
    ]


def trial_lanes(recipe: Recipe) -> list[LaneName]:
    """Return the proxies that a recipe's trials ask for, mixture by mixture."""
    assert recipe.trials is not None and recipe.proxy is not None
    rate = recipe.proxy.learning_rates[0]
    return [LaneName(mixture, rate, seed) for mixture, seeds in recipe.trials.seeds.items() for seed in seeds]


def seeds_said(lanes: Iterable[LaneName]) -> str:
    """Return lanes of one mixture in words: `5 seeds`, `seed 5`, `5 seeds x 2 rates`, or their number."""
    found = set(lanes)
    seeds, rates = {lane.seed for lane in found}, {lane.learning_rate for lane in found}
    if len(found) < len(seeds) * len(rates):
        return f"{len(found)} proxies"
    told = f"seed {min(seeds)}" if len(seeds) == 1 else f"{len(seeds)} seeds"
    return told if len(rates) == 1 else f"{told} x {len(rates)} rates"
