"""All trials of a night in, where it stands out: the working head, who proposes well, whether it is stuck.

Nothing is kept but the trials: the same trials in the same order give the same state, so a night that was killed goes
on where it was. The head is chosen by what a model expects of points, never by the luckiest value, and is no claim;
`eval.loop.claim` makes one of it. Values are bits per byte, less being better.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri

from eval.loop.space import Point, Space
from eval.loop.surrogate import LEAST_RUNS, Feasibility, Surrogate, fit_feasibility, fit_surrogate
from eval.search.restricted import Known
from eval.verdict.deviation import Deviation, pooled
from pipeline.core.rng import generator

INSIDE = 0.8  # of what is measured, in an interval of a prediction
SD_TO_SIDE = float(ndtri((1 + INSIDE) / 2))
FLOOR = 0.1  # least share of the experiments for each proposer
DRAWS = 4000  # from which shares are counted
STALE_BATCHES = 3  # without a new candidate, after which a night is stuck
LIKELY = 0.8  # chance of being better from which a point is a candidate
MOST_MODELLED = 400  # lanes that a model is fitted to: with ten knobs that takes 0.9 s, with 800 3.6 s, with 1,200 9 s

Kind = Literal["fresh", "replicate", "ablation", "control", "factorial"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one lane of a point will show over the mean of the incumbent's, in bits per byte; low to high holds 80 %."""

    median: float
    low: float
    high: float

    @property
    def sd(self) -> float:
        """The deviation of a normal distribution with this interval."""
        return max(self.high - self.low, 0.0) / (2 * SD_TO_SIDE)


@dataclass(frozen=True, slots=True)
class Trial:
    """One lane of a point: what it measured, or why it measured nothing.

    `noise` is the variance of its chance beside an ordinary lane's.
    """

    point: Point
    seed: int
    value: float | None
    why_failed: str | None
    proposer: str
    prediction: Prediction | None = None
    batch: int = 0
    kind: Kind = "fresh"
    noise: float = 1.0


@dataclass(frozen=True, slots=True)
class Head:
    """The point that is expected to be best of all that trained; the incumbent where none is."""

    point: Point
    gain: float  # over the incumbent
    sd: float
    probability_better: float
    num_lanes: int


@dataclass(frozen=True)  # without slots, for what is computed once
class State:
    """Where a night stands. `lane` is what lanes of earlier experiments deviate by, where any are known."""

    space: Space
    incumbent: Point
    trials: tuple[Trial, ...] = ()
    lane: Deviation | None = None

    @cached_property
    def measured(self) -> tuple[Trial, ...]:
        """Trials that have a value."""
        return tuple(trial for trial in self.trials if trial.value is not None)

    @cached_property
    def lanes(self) -> Mapping[Point, tuple[Trial, ...]]:
        """All trials of each point, in the order of the points' first."""
        found: dict[Point, list[Trial]] = {}
        for trial in self.trials:
            found.setdefault(trial.point, []).append(trial)
        return {point: tuple(trials) for point, trials in found.items()}

    @cached_property
    def modelled(self) -> tuple[Trial, ...]:
        """The measured trials that the model is fitted to: all of them, or those of the best and of the latest points.

        The incumbent is always among them. Of a point whole or nothing, so that no lane is chosen by its luck.
        """
        if len(self.measured) <= MOST_MODELLED:
            return self.measured
        own: dict[Point, list[float]] = {}
        for trial in self.measured:
            own.setdefault(trial.point, []).append(float(trial.value or 0.0))
        best = sorted(own, key=lambda point: float(np.mean(own[point])))
        latest = list(dict.fromkeys(trial.point for trial in reversed(self.measured)))
        chosen = {self.incumbent}
        count = len(own.get(self.incumbent, ()))
        for point in (each for pair in zip(best, latest, strict=True) for each in pair):
            if point not in chosen and count + len(own[point]) <= MOST_MODELLED:
                chosen.add(point)
                count += len(own[point])
        return tuple(trial for trial in self.measured if trial.point in chosen)

    @cached_property
    def surrogate(self) -> Surrogate | None:
        """The model of what was measured; None of too few values."""
        if len(self.modelled) < LEAST_RUNS or len({trial.point for trial in self.modelled}) < 2:
            return None
        values = [float(trial.value) for trial in self.modelled if trial.value is not None]
        known = None
        if self.lane is not None and self.lane.variance > 0:
            known = Known(self.lane.variance, self.lane.freedom, level=self.incumbent_value)
        return fit_surrogate(
            [trial.point for trial in self.modelled],
            values,
            space=self.space,
            noises=[trial.noise for trial in self.modelled],
            known=known,
        )

    @cached_property
    def feasibility(self) -> Feasibility:
        """The model of which points train: of many points those that did not, and the latest."""
        points = list(self.lanes)
        if len(points) > MOST_MODELLED:
            failed = {p for p in points if all(trial.value is None for trial in self.lanes[p])}
            ordered = sorted(enumerate(points), key=lambda each: (each[1] not in failed, -each[0]))
            points = [point for _, point in sorted(ordered[:MOST_MODELLED])]
        trained = [any(trial.value is not None for trial in self.lanes[point]) for point in points]
        return fit_feasibility(points, trained, space=self.space)

    @cached_property
    def incumbent_value(self) -> float:
        """The mean of the incumbent's lanes, of all lanes where it has none, NaN before the first."""
        own = [trial.value for trial in self.measured if trial.point == self.incumbent]
        values = own or [trial.value for trial in self.measured]
        return float(np.mean(np.array(values, np.float64))) if values else math.nan

    @cached_property
    def trained(self) -> tuple[Point, ...]:
        """Points of which a lane has a value, in the order of their first."""
        return tuple(dict.fromkeys(trial.point for trial in self.measured))

    @cached_property
    def gains(self) -> Mapping[Point, tuple[float, float]]:
        """What every point that trained is expected to gain over the incumbent, with a deviation."""
        if self.surrogate is None:
            return {}
        mean_C, sd_C = self.surrogate.gains(self.trained, over=self.incumbent)
        return {point: (float(mean), float(sd)) for point, mean, sd in zip(self.trained, mean_C, sd_C, strict=True)}

    @cached_property
    def batch(self) -> int:
        """The number of the next batch."""
        return max((trial.batch for trial in self.trials), default=-1) + 1

    def lane_sd(self) -> float | None:
        """Return by how much a lane of the incumbent deviates by chance, as far as is known."""
        if self.surrogate is not None:
            return self.surrogate.noise_sd(self.incumbent)
        return None if self.lane is None else math.sqrt(self.lane.variance)

    def with_trials(self, trials: Sequence[Trial]) -> State:
        """Return the state after some more trials."""
        return State(self.space, self.incumbent, (*self.trials, *trials), self.lane)


def head(state: State) -> Head:
    """Return the working head."""
    best, gain, sd = state.incumbent, 0.0, 0.0
    for point, (mean, spread) in state.gains.items():
        if point != state.incumbent and mean > gain:
            best, gain, sd = point, mean, spread
    sure = 0.5 if best == state.incumbent else float(ndtr(gain / max(sd, 1e-12)))
    return Head(best, gain, sd, sure, num_lanes=len(state.lanes.get(best, ())))


def credits(state: State, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return what each proposer's fresh points are worth and how many they are.

    A point is worth how likely it is to be better than the incumbent by all that is known now; one that did not train
    is worth nothing. Among points that gain nothing all proposers are worth a half.
    """
    found = dict.fromkeys(names, (0.0, 0.0))
    for point, trials in state.lanes.items():
        first = trials[0]
        if first.kind != "fresh" or first.proposer not in found or point == state.incumbent:
            continue
        worth, count = found[first.proposer]
        mean, sd = state.gains.get(point, (-math.inf, 1.0))
        known = state.surrogate is not None or first.value is None
        found[first.proposer] = (worth + float(ndtr(mean / max(sd, 1e-12))), count + 1) if known else (worth, count)
    return found


def shares(state: State, names: Sequence[str], *, seed: int) -> dict[str, float]:
    """Return the share of the next batch for each proposer: how likely it is to be the best, and at least `FLOOR`.

    As Thompson's rule draws, counted over many draws from what is known of each (Beta distributions). Tens of points
    hardly tell proposers apart, and these shares say so.
    """
    rng, floor = generator(seed, "shares", len(state.trials)), min(FLOOR, 1 / max(len(names), 1))
    known = credits(state, names)
    drawn_PS = np.stack([rng.beta(1 + worth, 1 + count - worth, DRAWS) for worth, count in known.values()])
    is_best_P = np.bincount(drawn_PS.argmax(axis=0), minlength=len(names)) / DRAWS
    return {name: floor + (1 - floor * len(names)) * float(is_best_P[row]) for row, name in enumerate(names)}


@dataclass(frozen=True, slots=True)
class Plateau:
    """Why a night is stuck, since how many batches, and which settings of the head lie at an end of their range."""

    rule: Literal["no_candidate", "below_detectable"]
    batches: int
    at_limits: tuple[str, ...]
    sentence: str


def plateau(state: State, *, detectable: float | None = None) -> Plateau | None:
    """Return why it does not pay to go on as before, or None.

    Either even what is at all likely of the best point lies below the gain that a claim could show (`detectable`), or
    no point of the last `STALE_BATCHES` batches is likely to be better than all before them.
    """
    if state.surrogate is None:
        return None
    batches = sorted({trial.batch for trial in state.trials})
    best = head(state)
    if detectable is not None and len(batches) > STALE_BATCHES:
        most = max(mean + SD_TO_SIDE * sd for mean, sd in state.gains.values())
        if most < detectable:
            return Plateau(
                "below_detectable",
                len(batches),
                at_limits(state.space, best.point),
                f"Nothing that was tried is likely to gain more than {most:.4f} bits per byte; a claim that can be "
                f"afforded shows {detectable:.4f}.",
            )
    if len(batches) > STALE_BATCHES:
        first = batches[-STALE_BATCHES]
        before = [state.incumbent, *(p for p in state.trained if state.lanes[p][0].batch < first)]
        after = [p for p in state.trained if state.lanes[p][0].batch >= first and p != state.incumbent]
        means = state.surrogate.gains(before, over=state.incumbent)[0]
        gain_C, sd_C = (
            state.surrogate.gains(after, over=before[int(np.argmax(means))]) if after else (np.zeros(0), np.zeros(0))
        )
        if not (ndtr(gain_C / np.maximum(sd_C, 1e-12)) > LIKELY).any():
            return Plateau(
                "no_candidate",
                STALE_BATCHES,
                at_limits(state.space, best.point),
                f"The last {STALE_BATCHES} batches brought no point that is better than all before with a chance of "
                f"more than {LIKELY:g}.",
            )
    return None


def at_limits(space: Space, point: Point) -> tuple[str, ...]:
    """Return the settings of a point that lie at an end of their range, where a wider one might hold more."""
    found = []
    if space.limits is not None:
        low_D, high_D, weights_D = space.limits.low_D, space.limits.high_D, space.weights([point])[0]
        tight = ((high_D < 1) & (weights_D > high_D - 1e-3)) | ((low_D > 0) & (weights_D < low_D + 1e-3))
        found = [name for name, is_tight in zip(space.datasets, tight, strict=True) if is_tight]
    places = zip(space.knobs, point.knobs, strict=True)
    return (*found, *(knob.name for knob, place in places if knob.is_ordered and place in (0.0, 1.0)))


def own_lanes(state: State) -> Deviation | None:
    """Return by how much lanes of the same point deviate, from points with more than one; None where none has."""
    groups = []
    for trials in state.lanes.values():
        values = [trial.value for trial in trials if trial.value is not None]
        if len(values) > 1:
            groups.append(Deviation(float(np.var(np.array(values, np.float64), ddof=1)), len(values) - 1))
    return pooled(groups) if groups else None
