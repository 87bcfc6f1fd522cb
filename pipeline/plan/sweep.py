"""A recipe's search for weights -> its rounds of mixtures, as far as they are known.

The first round covers what the limits allow. What a later one tries is in the result of the round before it, so a plan
reads that result where it is there and ends where it is not; a run builds it and plans again. A result is stored once,
and with it every choice that followed from it, so a search that is taken up again asks for the same mixtures.
Weights have three decimals: what is trained is what a reader is shown.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.core.files.card import is_complete, read_card, verify_files
from pipeline.core.rng import generator
from pipeline.plan.lanes import LaneName, tried_name
from pipeline.recipe.sections import MixtureSection, ProxySection, SweepSection

if TYPE_CHECKING:
    import numpy as np

    from eval.search.simplex import Limits
    from pipeline.store.node import Node

FOUND = "search.json"
CUT = "cut.json"
NEARLY_NONE = 1e-6  # of a dataset with no weight: no row, unless another has too little text for its own weight
FIRST_SEED = 1000  # of the search's proxies: a gate's are below 964, and judge with luck of their own


@dataclass(frozen=True, slots=True)
class Tried:
    """What one round adds: mixtures by name, and the proxies that train on them."""

    sections: Mapping[str, MixtureSection]
    lanes: tuple[LaneName, ...]


def limits_of(sweep: SweepSection, around: MixtureSection) -> Limits:
    """Return the limits of a search, over the datasets of its mixture in the order of their names."""
    from eval.search.simplex import Limits

    return Limits.of(sorted(around.weights), least=sweep.least, most=sweep.most)


def prior_of(around: MixtureSection) -> np.ndarray:
    """Return float64[D]: the weights of the mixture that is searched around, which sum to one."""
    import numpy as np

    total = math.fsum(around.weights.values())
    return np.array([around.weights[name] / total for name in sorted(around.weights)])


def first_round(sweep: SweepSection, around: MixtureSection, *, proxy: ProxySection, seed: int) -> Tried:
    """Return a design over what the limits allow, and the proxies that show how much chance does."""
    from eval.search.simplex import design, rounded

    limits, prior = limits_of(sweep, around), prior_of(around)
    count = sweep.sizes[0]
    weights = design(count + 1, limits=limits, prior_D=prior, rng=generator(seed, "search", "design"))[1:]
    rate = proxy.learning_rates[0]
    anchors = [LaneName(sweep.around, rate, FIRST_SEED + index) for index in range(sweep.anchors)]
    tried = _tried(rounded(weights), sweep, around, number=1, rate=rate)
    return Tried(tried.sections, (*anchors, *tried.lanes))


def next_round(node: Node, sweep: SweepSection, around: MixtureSection, *, proxy: ProxySection, number: int) -> Tried:
    """Return what the result of the round before asks for."""
    import numpy as np

    weights = np.array(found_in(node)["next"])
    return _tried(weights, sweep, around, number=number, rate=proxy.learning_rates[0])


def going_on(node: Node, lanes: Sequence[LaneName]) -> tuple[LaneName, ...]:
    """Return the lanes of a round that go on after a stop: by place, as a new name of what is found renames them."""
    return tuple(lane for lane, run in zip(lanes, told_in(node, CUT)["runs"], strict=True) if not run["dropped"])


def proposed(node: Node, around: MixtureSection) -> MixtureSection:
    """Return the mixture that a finished search found, with the caps of the one that it began with."""
    weights = found_in(node)["optimum"]["weights"]
    return around.model_copy(update={"weights": {name: weight for name, weight in weights.items() if weight > 0}})


def is_found(node: Node) -> bool:
    """Say whether a round's result is there by now, whenever it was planned."""
    return is_complete(node.folder, node.identity)


def found_in(node: Node) -> dict[str, Any]:
    """Return a finished round's result."""
    return told_in(node, FOUND)


def told_in(node: Node, file: str) -> dict[str, Any]:
    """Return what a finished round, or a stop within it, tells in its file."""
    verify_files(node.folder, read_card(node.folder))
    found: dict[str, Any] = json.loads((node.folder / file).read_bytes())
    return found


def _tried(weights_ND: np.ndarray, sweep: SweepSection, around: MixtureSection, *, number: int, rate: float) -> Tried:
    names, sections, lanes = sorted(around.weights), dict[str, MixtureSection](), []
    for index, row in enumerate(weights_ND.tolist()):
        name = tried_name(sweep.as_, number, index + 1)
        weights = {dataset: max(weight, NEARLY_NONE) for dataset, weight in zip(names, row, strict=True)}
        sections[name] = around.model_copy(update={"weights": weights})
        lanes.append(LaneName(name, rate, FIRST_SEED))
    return Tried(sections, tuple(lanes))
