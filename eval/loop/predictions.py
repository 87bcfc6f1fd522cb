"""What proposers said of their points and what these showed in, how far each can be believed out.

A prediction is of one lane's gain over the mean of the incumbent's. Beside each proposer stands who always says "no
change, give or take the chance of a lane": by what the field reports, that is hard to beat. Predictions are scored and
never decide what is skipped; a proposer whose intervals are too narrow has them widened.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from scipy.special import betaincinv, ndtr

from eval.loop.state import INSIDE, Prediction, State, Trial

MODELLED = frozenset(
    ("gp", "optuna", "random", "combine", "ablate", "replicate", "factorial")
)  # who predict by our model
BEFORE = 1.25  # factor by which our model's intervals are too narrow on made problems (eval/LOG.md)
TRUSTED = 8  # predictions that this counts for
MOST_WIDENED = 5.0


@dataclass(frozen=True, slots=True)
class Share:
    """A share of some cases with a 90 % interval (Jeffreys)."""

    share: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, hits: Sequence[bool]) -> Share:
        """Return the share of hits; one half of no cases, with an interval that says nothing."""
        count, good = len(hits), sum(map(bool, hits))
        low, high = (float(betaincinv(good + 0.5, count - good + 0.5, level)) for level in (0.05, 0.95))
        return cls(good / count if count else 0.5, 0.0 if good == 0 else low, 1.0 if good == count else high, count)


@dataclass(frozen=True, slots=True)
class Score:
    """How the predictions of one proposer came out.

    `crps` is the continuous ranked probability score in bits per byte, less being better, `crps_of_no_change` that of
    who always predicts none.
    """

    proposer: str
    sign: Share
    inside: Share
    crps: float
    crps_of_no_change: float


def scored_predictions(state: State) -> tuple[Score, ...]:
    """Return the scores of all proposers that predicted something, by name."""
    noise = _chance(state)
    found = []
    for name in sorted({trial.proposer for trial in state.trials if trial.prediction is not None}):
        rows = [(prediction, gain) for _, prediction, gain in _rows(state, {name})]
        if not rows:
            continue
        said = [(prediction, gain) for prediction, gain in rows if prediction.median != 0]
        found.append(
            Score(
                name,
                sign=Share.of([(prediction.median > 0) == (gain > 0) for prediction, gain in said]),
                inside=Share.of([prediction.low <= gain <= prediction.high for prediction, gain in rows]),
                crps=float(np.mean([crps(gain, mean=each.median, sd=each.sd) for each, gain in rows])),
                crps_of_no_change=float(np.mean([crps(gain, mean=0.0, sd=noise) for _, gain in rows])),
            )
        )
    return tuple(found)


def widening(state: State, proposer: str) -> float:
    """Return by which factor a proposer's intervals must be wider (or narrower) than they come to hold what they say.

    The quantile of how far what was measured lay from the median, in half-widths before any widening, pulled towards
    `BEFORE` as if that had been seen `TRUSTED` times. All who predict by our model (`MODELLED`) are one in this.
    """
    names = MODELLED if proposer in MODELLED else {proposer}
    far: list[float] = []
    factor = _factor(far)
    for _, rows in groupby(_rows(state, names), key=lambda row: row[0].batch):
        far += [
            factor * abs(gain - prediction.median) / max((prediction.high - prediction.low) / 2, 1e-12)
            for _, prediction, gain in list(rows)
        ]
        factor = _factor(far)  # by which the next batch's were wider
    return factor


def _factor(far: Sequence[float]) -> float:
    said = float(np.quantile(far, INSIDE)) if far else 1.0
    pulled = (len(far) * math.log(max(said, 1e-6)) + TRUSTED * math.log(BEFORE)) / (len(far) + TRUSTED)
    return min(max(math.exp(pulled), 1 / MOST_WIDENED), MOST_WIDENED)


def crps(gain: float, *, mean: float, sd: float) -> float:
    """Return the continuous ranked probability score of a normal prediction (Gneiting and Raftery 2007)."""
    if sd <= 0:
        return abs(gain - mean)
    z = (gain - mean) / sd
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return sd * (z * (2 * float(ndtr(z)) - 1) + 2 * density - 1 / math.sqrt(math.pi))


def _rows(state: State, names: Collection[str]) -> list[tuple[Trial, Prediction, float]]:
    """Return each prediction of some proposers with the gain that its lane showed; controls are no gain."""
    return [
        (trial, trial.prediction, state.incumbent_value - trial.value)
        for trial in state.measured
        if trial.prediction is not None
        and trial.value is not None
        and trial.proposer in names
        and trial.point != state.incumbent
    ]


def _chance(state: State) -> float:
    """Return by how much a lane deviates from the incumbent's mean by chance alone."""
    lanes = sum(trial.point == state.incumbent for trial in state.measured)
    sd = state.lane_sd()
    return (sd if sd is not None else 0.0) * math.sqrt(1 + 1 / max(lanes, 1))
