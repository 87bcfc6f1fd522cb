"""Scores of several mixtures -> what each is better by than one of them, with intervals, and what it costs in text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.errors import GateError
from pipeline.core.files.card import read_card
from pipeline.core.files.parquet.shards import read_table
from pipeline.experiment.compare import DOCUMENTS
from pipeline.experiment.lanes import facts_of
from pipeline.experiment.scores import bits_on
from pipeline.plan.graph import Plan
from pipeline.plan.lanes import LaneName

if TYPE_CHECKING:
    from eval.verdict.paired import Gain


@dataclass(frozen=True, slots=True)
class Effect:
    """How many bits per byte fewer `base` needs than `mixture`, over all domains and in each."""

    mixture: str
    gain: float
    low: float
    high: float
    seeds: int
    by_domain: dict[str, tuple[float, float, float]]  # gain, low, high


def effects_on(plan: Plan, *, base: str, mixtures: Sequence[str]) -> list[Effect]:
    """Compare one mixture of a finished plan with others, at the deciding learning rate.

    A pair of lanes of which one did not train soundly is left out; GateError where fewer than two are left.
    """
    from eval.verdict.paired import compare

    experiment, gate, proxy = plan.experiment, plan.recipe.gate, plan.recipe.proxy
    assert experiment is not None and experiment.comparison is not None and gate is not None and proxy is not None
    documents = read_table(experiment.comparison.folder / DOCUMENTS)
    domain = documents.column("domain").to_pylist()
    domains, rate = list(dict.fromkeys(domain)), proxy.learning_rates[0]
    found = []
    for mixture in mixtures:
        pairs = [(LaneName(base, rate, seed), LaneName(mixture, rate, seed)) for seed in proxy.seed_numbers]
        sound = [pair for pair in pairs if all(facts_of(experiment.lanes[lane]).healthy for lane in pair)]
        if len(sound) < 2:
            raise GateError(
                f"{mixture}: only {len(sound)} of {proxy.seeds} pairs of proxies trained without breaking; two are "
                "needed. Lower proxy.learning_rates and run again."
            )
        arms = [np.stack([bits_on(experiment, pair[arm], domains) for pair in sound]) for arm in (0, 1)]
        comparison = compare(
            bits_candidate=arms[0],
            bits_baseline=arms[1],
            num_bytes=documents.column("num_bytes").to_numpy(),
            domain=domain,
            cluster=documents.column("cluster").to_numpy(),
            confidence=gate.confidence,
            replicates=0,
        )
        by_domain = {gain.domain: _bounds(gain) for gain in comparison.domains}
        found.append(Effect(mixture, *_bounds(comparison.overall), len(sound), by_domain))
    return found


def _bounds(gain: Gain) -> tuple[float, float, float]:
    return gain.gain, gain.low, gain.high


def documents_of(plan: Plan, dataset: str) -> int:
    """Return how many documents a finished dataset has."""
    return read_card(plan.datasets[dataset].node.folder).rows_out
