"""A gain that was looked at more than once in, the evidence that a promotion needs out: odds instead of an interval.

An interval holds for one look. Whoever adds seeds because the first answer was open looks again, and a gate that
forgets this promotes a mixture that gains nothing 4.2 to 8.3 times in 100. An e-process forgets nothing: it is what a
fair bet against "no gain" would have won, so however often one looks, it exceeds 1/a by chance in at most `a` of cases
(Ville; Ramdas et al. 2023). Here it is the mean of likelihood ratios over a few gains in units of one lane's deviation.
The variance is estimated, and it holds all the same: with the first look by the interval and the gate's own advice on
seeds 1.7 to 2.2 false promotions in 100 where the estimate is right, 3.1 to 3.7 where the true deviation is 25 % above
it (`python -m tests.eval.looks`).

Every candidate after the first that is judged against one baseline is a chance more, as is a new experiment on the same
candidate; the error of later looks is divided among all of them (e-LOND, Xu and Ramdas 2024, which holds however
comparisons depend on each other, as they do by one baseline). The first look's error comes on top of that: by default
2.5 in 100 for it, 5 in 100 for all later ones together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtri

from eval.verdict.paired import MOST_SEEDS, Gain

GAINS = (0.25, 0.5, 1.0, 2.0, 3.0)  # beyond what is required, in deviations of one lane


@dataclass(frozen=True, slots=True)
class Looks:
    """Where a look stands among all that were taken at what it judges by.

    `number` counts looks at one experiment with more and more seeds; `candidate_number` is that of the experiment
    against this baseline, in the order of their first looks: each candidate, and each set of its proxies, is one;
    `promoted` those of them that were promoted before; `openings` the certificates that were made with any of these
    held-out sets. Each counts this one too but `promoted`.
    """

    number: int = 1
    candidate_number: int = 1
    promoted: int = 0
    openings: int = 1

    @property
    def is_first(self) -> bool:
        """Say whether nobody saw a result of this kind before, so that the interval alone may decide."""
        return self.number == 1 and self.candidate_number == 1

    def odds_needed(self, *, confidence: float) -> float:
        """Return the e-value that promotes: one over this candidate's part of the error."""
        part = 1 / (self.candidate_number * (self.candidate_number + 1))  # of all: they sum to one
        return 1 / ((1 - confidence) * part * (self.promoted + 1))

    def luck_of_documents(self, variance: float) -> float:
        """Return how much better the luckiest of all openings looks by the choice of documents, on average.

        `variance` is that of a gain through this choice; the expected maximum is Blom's approximation.
        """
        return float(ndtri((self.openings - 0.375) / (self.openings + 0.25))) * math.sqrt(variance)


FIRST_LOOK = Looks()


def wealth(gain: Any, lane_variance: Any, variance: Any) -> Any:
    """Return the e-value of a gain beyond what is required; numbers or arrays of simulations alike.

    `lane_variance` is of one lane's bits per byte, `variance` of the mean gain from all sources.
    """
    unit = np.sqrt(lane_variance)
    ratios = [np.exp(np.minimum(size * unit * (gain - size * unit / 2) / variance, 700.0)) for size in GAINS]
    return np.mean(ratios, axis=0)


def gain_for_odds(lane_variance: float, variance: float, *, needed: float) -> float:
    """Return by how much a gain must exceed what is required to reach these odds, by bisection; 0 without chance."""
    if lane_variance <= 0 or variance <= 0:
        return 0.0
    below, above = 0.0, max(GAINS) * math.sqrt(lane_variance) + math.log(needed * len(GAINS)) * math.sqrt(variance)
    while float(wealth(above, lane_variance, variance)) < needed:
        above *= 2
    for _ in range(50):
        middle = (below + above) / 2
        enough = float(wealth(middle, lane_variance, variance)) >= needed
        below, above = (below, middle) if enough else (middle, above)
    return above


def odds_of(gain: Gain, *, threshold: float, num_seeds: int | None = None) -> float:
    """Return the odds that the true gain exceeds a threshold, as they are or would be with another number of seeds."""
    chance = gain.chance if num_seeds is None else gain.chance_with(num_seeds)
    variance = float(chance.lanes + chance.documents)
    if variance <= 0 or gain.lane_variance <= 0:
        return math.inf if gain.gain > threshold else 0.0
    return float(wealth(gain.gain - threshold, gain.lane_variance, variance))


def seeds_for_odds(gain: Gain, *, threshold: float, needed: float) -> int | None:
    """Return how many more seeds would reach these odds if the gain stays as it is; None where seeds alone cannot."""
    if gain.gain <= threshold:
        return None
    for num_seeds in range(gain.num_seeds + 1, MOST_SEEDS + 1):
        if odds_of(gain, threshold=threshold, num_seeds=num_seeds) >= needed:
            return num_seeds - gain.num_seeds
    return None


def about_looks(looks: Looks, *, confidence: float, odds: float) -> str:
    """State what was looked at before, and what that costs."""
    needed = looks.odds_needed(confidence=confidence)
    return (
        f"This is look {looks.number} at this experiment, which is number {looks.candidate_number} against this "
        "baseline (another candidate, other proxies, or another part of the documents to judge by are experiments of "
        f"their own). So a promotion needs odds of {needed:,.0f} to 1 beside the interval, and has {odds_said(odds)}."
    )


def about_openings(looks: Looks, gain: Gain, *, confidence: float, sealed: float) -> str:
    """State how often what is judged by was opened, and what that cost or the next time will."""
    what = f"the sealed {sealed * 100:g} % of the held-out sets" if sealed else "these held-out sets"
    if looks.openings == 1:
        again = replace(looks, number=looks.number + 1).odds_needed(confidence=confidence)
        other = replace(looks, candidate_number=looks.candidate_number + 1).odds_needed(confidence=confidence)
        if not looks.is_first:
            return f"This was the first verdict to open {what}."
        return (
            f"This was the first verdict to open {what}, so the interval alone decides. The next will need odds beside "
            f"it: {again:,.0f} to 1 for more seeds of this candidate, {other:,.0f} to 1 for another candidate against "
            "this baseline."
        )
    luck = looks.luck_of_documents(gain.document_variance)
    return (
        f"This verdict was opening {looks.openings} of {what}, by any gate of this workspace. The luckiest of "
        f"{looks.openings} candidates that gain nothing would look {luck:.4f} better by the choice of documents alone, "
        "which more seeds do not take away: hold out fresh documents before that matters."
    )


def odds_said(odds: float) -> str:
    """Return odds in words."""
    return f"{odds:,.0f} to 1" if 10 <= odds < 1e6 else f"{odds:.2g} to 1" if odds < 10 else "more than 1,000,000 to 1"
