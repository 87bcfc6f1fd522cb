"""A plan and what earlier proxies showed of chance -> the gain that its gate can see, and what seeing it costs.

Said before a second of training. How much single proxies differ is taken from all that this workspace has scored at the
same tier, tokens and learning rate; before the first run, for t0, from eval/LOG.md. Held-out documents add to it, by as
much as no plan can know, so what is told is the least that must be true.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.experiment.chance.noise import METRIC, groups_in, near
from pipeline.plan.graph import Plan
from pipeline.recipe.sections import ProxySection
from pipeline.store.workspace import Workspace

T0_DEVIATIONS = {250_000: 0.009, 500_000: 0.0065, 1_000_000: 0.006}  # eval/LOG.md, 2026-11-29
T0_FREEDOM = 8.0  # that they count for; they are of other text


@dataclass(frozen=True, slots=True)
class Power:
    """What a gate can see. Gains in bits per byte; a gain of `visible` is promoted in 80 of 100 such experiments."""

    seeds: int
    required: float
    deviation: float  # of one proxy
    known_from: int  # earlier proxies; 0: from the log of experiments
    of_like_mixtures: bool  # and others of this kind of proxy left out
    visible: float
    other_seeds: int
    visible_with_other: float
    seconds_per_seed: float | None  # of training, both arms side by side; None before the first run
    odds_needed: float | None  # beside the interval; None where this will be the first look
    remark: str  # on the baseline's proxies; empty where there is nothing to say


def power_of(plan: Plan) -> Power | None:
    """Return what the gate of a plan can see; None where there is no gate or nothing is known of its proxies."""
    from eval.verdict.interval import Chance, detectable
    from eval.verdict.sequential import gain_for_odds
    from pipeline.experiment.chance.looking import known_looks, looks_ahead, remark_on_incumbent

    gate, proxy, experiment = plan.recipe.gate, plan.recipe.proxy, plan.experiment
    if gate is None or proxy is None or experiment is None or not gate.verdict:
        return None
    found = _found(plan)
    if found is None:
        return None
    variance, speed = found.variance, found.tokens_per_second
    level = (1 + gate.confidence) / 2

    looks = looks_ahead(plan)
    odds = None if looks.is_first else looks.odds_needed(confidence=gate.confidence)

    def visible(seeds: int) -> float:
        chance = Chance(2 * variance / seeds, 2.0 * (seeds - 1) + found.freedom, 0.0, 1000.0)
        least = 0.0 if odds is None else gain_for_odds(variance, chance.lanes, needed=odds)
        return gate.min_gain + detectable(chance, level=level, least=least)

    return Power(
        seeds=proxy.seeds,
        required=gate.min_gain,
        deviation=math.sqrt(variance),
        known_from=found.proxies,
        of_like_mixtures=found.is_near,
        visible=visible(proxy.seeds),
        other_seeds=2 * proxy.seeds,
        visible_with_other=visible(2 * proxy.seeds),
        seconds_per_seed=len(proxy.learning_rates) * proxy.tokens / speed if speed else None,
        odds_needed=odds,
        remark=remark_on_incumbent(plan, known_looks(plan.workspace)),
    )


@dataclass(frozen=True, slots=True)
class Noise:
    """What is known of chance: a proxy's variance, degrees of freedom lent, by how many proxies, and their speed."""

    variance: float
    freedom: float
    proxies: int
    is_near: bool  # of mixtures like these, and others left out
    tokens_per_second: float


def _found(plan: Plan) -> Noise | None:
    proxy, gate, experiment = plan.recipe.proxy, plan.recipe.gate, plan.experiment
    assert proxy is not None and gate is not None and experiment is not None
    sections = [experiment.sections[arm] for arm in (gate.candidate, gate.baseline) if arm in experiment.sections]
    return noise_of(plan.workspace, proxy, [section.weights for section in sections])


def noise_of(workspace: Workspace, proxy: ProxySection, mixtures: Sequence[Mapping[str, float]]) -> Noise | None:
    """Return what is known of the chance of proxies of this kind before any of an experiment is trained."""
    from eval.proxies.tiers import tier_called
    from eval.verdict.deviation import MOST_EARLIER_FREEDOM, Deviation, pooled

    tier = tier_called(proxy.tier_of())
    step = tier.batch_rows * tier.context
    of_kind = [
        group
        for group in groups_in(workspace)
        if group.tier == tier.name
        and group.metric == METRIC
        and group.learning_rate == proxy.learning_rates[0]
        and abs(group.tokens - proxy.tokens) < step
    ]
    groups = near(of_kind, mixtures)
    if groups:
        found = pooled([Deviation(group.variance, group.freedom) for group in groups])
        proxies = {(group.draw, seed) for group in groups for seed in group.seeds}
        speed = float(np.mean([group.tokens_per_second for group in groups]))
        freedom = min(found.freedom, MOST_EARLIER_FREEDOM)
        return Noise(found.variance, freedom, len(proxies), len(groups) < len(of_kind), speed)
    if tier.name != "t0":
        return None
    like = min(T0_DEVIATIONS, key=lambda tokens: abs(math.log(tokens / proxy.tokens)))
    return Noise(T0_DEVIATIONS[like] ** 2, T0_FREEDOM, 0, False, 0.0)


def power_text(power: Power) -> str:
    """Return what a gate can see, in one line."""
    known = f"{power.known_from} earlier ones" if power.known_from else "eval/LOG.md"
    known += " of mixtures like these" if power.of_like_mixtures else ""
    seconds = power.seconds_per_seed
    long = seconds is not None and seconds >= 90
    cost = "" if seconds is None else f", {seconds / 60:.0f} min a seed" if long else f", {seconds:.0f} s a seed"
    looks = "" if power.odds_needed is None else f" It was looked at before: odds of {power.odds_needed:,.0f} to 1 too."
    remark = f" {power.remark}" if power.remark else ""
    return (
        f"With {power.seeds} seeds the gate can see a gain of {power.visible:.3f}, with {power.other_seeds} of "
        f"{power.visible_with_other:.3f} (proxies differ by {power.deviation:.4f}, by {known}{cost}).{looks}{remark}"
    )
