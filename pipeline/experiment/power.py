"""A plan and what earlier proxies showed of chance -> the gain that its gate can see, and what seeing it costs.

Said before a second of training. How much single proxies differ is taken from all that this workspace has scored at the
same tier, tokens and learning rate; before the first run, for t0, from eval/LOG.md. Held-out documents add to it, by as
much as no plan can know, so what is told is the least that must be true.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.experiment.earlier import scores_in
from pipeline.experiment.lanes import LaneFacts
from pipeline.experiment.scores import ScoreFacts
from pipeline.plan.graph import Plan

if TYPE_CHECKING:
    pass

T0_DEVIATIONS = {250_000: 0.009, 500_000: 0.0065, 1_000_000: 0.006}  # eval/LOG.md, 2026-11-29
T0_FREEDOM = 8.0  # that they count for; they are of other text


@dataclass(frozen=True, slots=True)
class Power:
    """What a gate can see. Gains in bits per byte; a gain of `visible` is promoted in 80 of 100 such experiments."""

    seeds: int
    required: float
    deviation: float  # of one proxy
    known_from: int  # earlier proxies; 0: from the log of experiments
    visible: float
    other_seeds: int
    visible_with_other: float
    seconds_per_seed: float | None  # of training, both arms side by side; None before the first run


def power_of(plan: Plan) -> Power | None:
    """Return what the gate of a plan can see; None where there is no gate or nothing is known of its proxies."""
    from eval.verdict.interval import Chance, detectable

    gate, proxy, experiment = plan.recipe.gate, plan.recipe.proxy, plan.experiment
    if gate is None or proxy is None or experiment is None or not gate.verdict:
        return None
    found = _found(plan)
    if found is None:
        return None
    variance, freedom, known_from, speed = found
    level = (1 + gate.confidence) / 2

    def visible(seeds: int) -> float:
        own = 2.0 * (seeds - 1)
        return gate.min_gain + detectable(Chance(2 * variance / seeds, own + freedom, 0.0, 1000.0), level=level)

    return Power(
        seeds=proxy.seeds,
        required=gate.min_gain,
        deviation=math.sqrt(variance),
        known_from=known_from,
        visible=visible(proxy.seeds),
        other_seeds=2 * proxy.seeds,
        visible_with_other=visible(2 * proxy.seeds),
        seconds_per_seed=len(proxy.learning_rates) * proxy.tokens / speed if speed else None,
    )


def _found(plan: Plan) -> tuple[float, float, int, float] | None:
    """Return variance of one proxy, degrees of freedom lent, number of proxies, and tokens per second of each."""
    from eval.proxies.tiers import TIERS
    from eval.verdict.deviation import MOST_EARLIER_FREEDOM, Deviation, pooled

    proxy = plan.recipe.proxy
    assert proxy is not None
    tier = TIERS[proxy.tier]
    step = tier.batch_rows * tier.context
    groups: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    lanes: dict[str, LaneFacts] = {}
    for card in scores_in(plan.workspace):
        score = ScoreFacts(**card.details)
        lane = LaneFacts(**score.lane)
        like = lane.tier == proxy.tier and lane.learning_rate == proxy.learning_rates[0]
        if like and lane.healthy and score.bits_per_byte is not None and abs(lane.num_tokens - proxy.tokens) < step:
            groups[lane.draw, score.documents][lane.seed] = score.bits_per_byte
            lanes[card.payload["lane"]] = lane
    several = [list(seeds.values()) for seeds in groups.values() if len(seeds) > 1]
    of_one = [Deviation(float(np.var(rates, ddof=1)), len(rates) - 1) for rates in several]
    speed = float(np.mean([lane.tokens_per_second for lane in lanes.values()])) if lanes else 0.0
    if of_one:
        all_of_them = pooled(of_one)
        told = {(draw, seed) for (draw, _), seeds in groups.items() if len(seeds) > 1 for seed in seeds}
        return all_of_them.variance, min(all_of_them.freedom, MOST_EARLIER_FREEDOM), len(told), speed
    if proxy.tier != "t0":
        return None
    near = min(T0_DEVIATIONS, key=lambda tokens: abs(math.log(tokens / proxy.tokens)))
    return T0_DEVIATIONS[near] ** 2, T0_FREEDOM, 0, speed


def power_text(power: Power) -> str:
    """Return what a gate can see, in one line."""
    known = f"{power.known_from} earlier ones" if power.known_from else "eval/LOG.md"
    seconds = power.seconds_per_seed
    long = seconds is not None and seconds >= 90
    cost = "" if seconds is None else f", {seconds / 60:.0f} min a seed" if long else f", {seconds:.0f} s a seed"
    return (
        f"With {power.seeds} seeds the gate can see a gain of {power.visible:.3f}, with {power.other_seeds} of "
        f"{power.visible_with_other:.3f} (proxies differ by {power.deviation:.4f}, by {known}{cost})."
    )
