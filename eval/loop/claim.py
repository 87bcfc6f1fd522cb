"""A hoped gain in, what a claim of it costs out, before a lane of it is paid; and which findings of a stream hold.

A claim is one sealed comparison of the head with the incumbent, by fresh seeds of both, judged by the gate
(`eval.verdict`). Here is only what comes before: how many seeds find a gain of this size nine times in ten, and the
refusal where they cannot be afforded. Nights that claim against one baseline are looks at it, so later ones need odds
beside the interval (`eval.verdict.sequential`, which counts them); the seeds for that are in the plan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import nctdtr

from eval.verdict.deviation import MOST_EARLIER_FREEDOM, Deviation
from eval.verdict.interval import Chance, detectable, half_width
from eval.verdict.paired import MOST_SEEDS
from eval.verdict.sequential import FIRST_LOOK, Looks, gain_for_odds

POWER = 0.9  # share of claims of a true gain of the hoped size that are found
LEAST_SEEDS = 3  # as the gate asks for


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """How a claim would be made. `seeds` are those of each arm, as many as can be afforded where it is refused.

    `seeds_needed` are None where no number of seeds that a recipe may ask for is enough. `detectable` is the true gain
    that is found in 80 of 100 claims with `seeds`, `power` the share in which the hoped one is.
    """

    hoped: float
    seeds: int
    seeds_needed: int | None
    power: float
    detectable: float
    is_enough: bool
    sentence: str


def plan_claim(
    hoped: float,
    *,
    lane: Deviation,
    most_seeds: int,
    least_seeds: int = LEAST_SEEDS,
    looks: Looks = FIRST_LOOK,
    required: float = 0.0,
    confidence: float = 0.95,
    documents: Deviation | None = None,
) -> ClaimPlan:
    """Return the fewest seeds that find a gain of `hoped` with `POWER`, or the refusal of a claim that would not.

    `lane` is the deviation of single lanes by what is known before; `documents` that of the mean gain through the
    choice of documents. `required` is the gain that the gate asks for, and `most_seeds` what can be afforded.
    """

    def at(seeds: int) -> tuple[float, float]:
        return _power_of(hoped - required, seeds, lane=lane, looks=looks, confidence=confidence, documents=documents)

    needed = next((seeds for seeds in range(least_seeds, MOST_SEEDS + 1) if at(seeds)[0] >= POWER), None)
    is_enough = needed is not None and needed <= most_seeds
    seeds = needed if needed is not None and is_enough else max(min(most_seeds, MOST_SEEDS), least_seeds)
    power, least = at(seeds)
    return ClaimPlan(
        hoped,
        seeds,
        needed,
        power,
        required + least,
        is_enough,
        _sentence(hoped, seeds, needed, power, least + required),
    )


def _power_of(
    beyond: float, seeds: int, *, lane: Deviation, looks: Looks, confidence: float, documents: Deviation | None
) -> tuple[float, float]:
    """Return how often a gain is found that lies `beyond` what is required, and the detectable one."""
    level = (1 + confidence) / 2
    of_documents = documents if documents is not None else Deviation(0.0, 1000.0)
    freedom = 2.0 * (seeds - 1) + min(lane.freedom, MOST_EARLIER_FREEDOM)
    chance = Chance(2 * lane.variance / seeds, freedom, of_documents.variance, of_documents.freedom)
    error = float(chance.standard_error)
    least = 0.0
    if not looks.is_first:
        needed = looks.odds_needed(confidence=confidence)
        least = gain_for_odds(lane.variance, error**2, needed=needed)
    found = detectable(chance, level=level, least=least)
    if error == 0:
        return float(beyond > 0), found
    spread = chance.lanes**2 / chance.lane_freedom + chance.documents**2 / chance.document_freedom
    width = max(float(half_width(chance, level=level)), least)
    power = 1 - float(nctdtr(min(error**4 / spread, 1000.0), beyond / error, width / error))
    return (power if math.isfinite(power) else float(beyond > width)), found


def _sentence(hoped: float, seeds: int, needed: int | None, power: float, least: float) -> str:
    told = (
        f"A true gain of {hoped:.4f} bits per byte is found in {100 * power:.0f} of 100 claims with {seeds} seeds of "
    )
    told += "the head and of the incumbent"
    if needed is not None and needed <= seeds:
        return told + "."
    told += f"; that is too few to spend them, and {least:.4f} is the least that they show."
    if needed is None:
        return told + f" Not even {MOST_SEEDS} seeds would do: a larger gain, longer proxies or more documents would."
    return told + f" {needed} seeds of each, {2 * needed} lanes, would find it in {100 * POWER:.0f}."


def findings(e_values: Sequence[float], *, rate: float = 0.1) -> tuple[bool, ...]:
    """Return which of a stream of e-values are findings, of which at most `rate` are false on average (e-LOND).

    Xu and Ramdas 2024; it holds however the e-values depend on each other, as all do that share an incumbent. The t-th
    has a part of 1 / (t (t + 1)) of the rate, times one more than what was found before it.
    """
    found: list[bool] = []
    for number, value in enumerate(e_values, start=1):
        looks = Looks(candidate_number=number, promoted=sum(found))
        found.append(value >= looks.odds_needed(confidence=1 - rate))
    return tuple(found)
