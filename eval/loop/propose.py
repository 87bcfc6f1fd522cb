"""Where a night stands in, points that it is worth to try next out, each with what is expected of it.

Every proposer is a function of the state, how many points are wanted and a seed. `gp` is our process: it moves
weights and leaves the knobs where the head has them, or knobs and leaves the weights. `optuna` moves knobs, by our
process where the package is missing. `random` asks nobody. `combine` and `ablate` are for a night that is stuck.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import combinations

import numpy as np

from eval.loop.predictions import widening
from eval.loop.space import WEIGHTS, Point
from eval.loop.state import SD_TO_SIDE, Kind, Prediction, State, head
from eval.loop.surrogate import Places
from eval.search.acquisition import expected_improvement, spread
from eval.search.optimum import Goal
from eval.search.optimum import propose as propose_weights
from eval.search.simplex import design
from pipeline.core.rng import derive, generator

CANDIDATES = 1500  # places of knobs from which a batch is chosen
NEAR = 0.4  # distance within which a second point of a batch tells little new
MOST_CHANGES = 3  # of a bundle, so that what it brings can be told apart
LEAST_FOR_OPTUNA = 8  # trials, before which its samples are random


@dataclass(frozen=True, slots=True)
class Proposed:
    """A point to try, who asks for it, what it will show, and why."""

    point: Point
    proposer: str
    prediction: Prediction | None
    reason: str
    kind: Kind = "fresh"


Proposer = Callable[[State, int, int], Sequence[Proposed]]


def predicted(state: State, points: Sequence[Point], *, proposer: str) -> list[Prediction | None]:
    """Return what one lane of each point will show over the incumbent's mean; None while nothing is known."""
    sd = state.lane_sd()
    if sd is None:
        return [None] * len(points)
    if state.surrogate is None:
        side = SD_TO_SIDE * math.sqrt(2) * sd
        return [Prediction(0.0, -side, side)] * len(points)
    mean_C, sd_C = state.surrogate.gains(points, over=state.incumbent)
    side_C = SD_TO_SIDE * np.hypot(sd_C, sd) * widening(state, proposer)
    return [
        Prediction(float(mean), float(mean - side), float(mean + side))
        for mean, side in zip(mean_C, side_C, strict=True)
    ]


def _told(
    state: State, points: Sequence[Point], *, proposer: str, reasons: Sequence[str], kind: Kind = "fresh"
) -> list[Proposed]:
    rows = zip(points, predicted(state, points, proposer=proposer), reasons, strict=True)
    return [Proposed(point, proposer, prediction, reason, kind) for point, prediction, reason in rows]


def gp(state: State, count: int, seed: int) -> list[Proposed]:
    """Propose by expected improvement: weights with the knobs of the head, and knobs with its weights, by turns."""
    space = state.space
    if count < 1 or space.limits is None:
        return by_process(state, count, seed, proposer="gp")
    of_knobs = (count + len(state.trials) % 2) // 2 if space.knobs else 0
    found = by_process(state, of_knobs, seed, proposer="gp")
    return _weights(state, count - len(found), seed) + found


def _weights(state: State, count: int, seed: int) -> list[Proposed]:
    """Propose weights by expected improvement, the knobs as the head has them."""
    if count < 1 or state.space.limits is None:
        return []
    knobs, at = head(state).point.knobs, head(state).point
    limits, prior_D = state.space.limits, state.space.weights([state.incumbent])[0]
    if state.surrogate is None:
        rng = generator(seed, "design", len(state.trials))
        tried = len(state.lanes)
        drawn_ND = design(tried + count + 1, limits=limits, prior_D=prior_D, rng=rng)[-count:]
        reasons = ["covers what the limits allow"] * count
    else:
        model = _OfWeights(state, knobs)
        tried_TD = state.space.weights([point for point in state.lanes if point.knobs == knobs] or [at])
        drawn_ND = propose_weights(
            {"value": model},
            Goal({"value": 1.0}),
            limits=limits,
            prior_D=prior_D,
            weights_ND=state.space.weights(state.trained),
            tried_TD=tried_TD,
            count=count,
            seed=derive(seed, "weights", len(state.trials)),
            chance_of=model.chance,
        )
        reasons = ["weights that are expected to be best", *["weights that may be better"] * (count - 1)]
    points = [state.space.point(weights_D, knobs) for weights_D in drawn_ND]
    return _told(state, points, proposer="gp", reasons=reasons)


@dataclass(frozen=True, slots=True)
class _OfWeights:
    """The state's models at fixed knobs, as functions of weights alone."""

    state: State
    knobs: tuple[float, ...]

    def predict(self, weights_CD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of the value."""
        assert self.state.surrogate is not None
        return self.state.surrogate.predict_at(self._places(weights_CD))

    def chance(self, weights_CD: np.ndarray) -> np.ndarray:
        """Return how likely weights are to train."""
        return self.state.feasibility.probability_at(self._places(weights_CD))

    def _places(self, weights_CD: np.ndarray) -> Places:
        ordered = tuple(knob.is_ordered for knob in self.state.space.knobs)
        return Places(weights_CD, np.tile(np.array(self.knobs), (len(weights_CD), 1)), ordered)


def by_process(state: State, count: int, seed: int, *, proposer: str) -> list[Proposed]:
    """Propose knobs by expected improvement of our own process, the weights as the head has them."""
    if not state.space.knobs or count < 1:
        return []
    at, rng = head(state).point, generator(seed, "knobs", proposer, len(state.trials))
    if state.surrogate is None:
        points = [replace(at, knobs=places) for places in _covering(state, count, seed, proposer)]
        return _told(state, points, proposer=proposer, reasons=["covers the settings"] * count)
    candidates = _climbed(state, at, _around(state, at, rng))
    candidates = [point for point in candidates if point not in state.lanes]
    if not candidates:
        return []
    mean_C, sd_C = state.surrogate.predict(candidates)
    best = float(min(state.surrogate.predict(list(state.trained))[0].min(), mean_C.min()))
    gain_C = expected_improvement(mean_C, sd_C, best=best) * state.feasibility.probability(candidates)

    def apart(one: int) -> np.ndarray:
        return np.array([state.space.distance(point, candidates[one]) for point in candidates])

    first = int(np.argmin(mean_C)) if proposer == "gp" else None  # who stands in for another asks for other points
    chosen = spread(gain_C, apart, count=count, near=NEAR, first=first)
    reasons = [
        "settings that are expected to be best" if row == first else "settings that may be better" for row in chosen
    ]
    return _told(state, [candidates[row] for row in chosen], proposer=proposer, reasons=reasons)


def _covering(state: State, count: int, seed: int, proposer: str) -> list[tuple[float, ...]]:
    """Return places of the knobs that cover their ranges evenly, the next of one sequence for the night."""
    from scipy.stats.qmc import Sobol

    skipped = len(state.trials)
    sequence = Sobol(len(state.space.knobs), seed=generator(seed, "covering", proposer))
    places_NK = sequence.random(1 << max(skipped + count - 1, 1).bit_length())[skipped : skipped + count]
    return [state.space.point(state.incumbent.weights, _equal(state, places_K)).knobs for places_K in places_NK]


def _equal(state: State, places_K: np.ndarray) -> list[float]:
    """Return places where each choice takes as much of a uniform draw."""
    found = []
    for knob, place in zip(state.space.knobs, places_K, strict=True):
        if not knob.is_ordered:
            place = min(int(place * len(knob.values)), len(knob.values) - 1) / (len(knob.values) - 1)
        found.append(float(place))
    return found


def _around(state: State, at: Point, rng: np.random.Generator) -> list[Point]:
    """Return points at the head's weights: half anywhere, half with a few of the head's knobs moved."""
    knobs, found = state.space.knobs, []
    for number in range(CANDIDATES):
        few = 1 + rng.binomial(len(knobs), 0.15) if number % 2 else len(knobs)
        moved = set(rng.permutation(len(knobs))[:few].tolist())
        places = tuple(
            knob.drawn(rng) if row in moved else place
            for row, (knob, place) in enumerate(zip(knobs, at.knobs, strict=True))
        )
        found.append(replace(at, knobs=places))
    return list(dict.fromkeys(found))


def _climbed(state: State, at: Point, candidates: list[Point]) -> list[Point]:
    """Return candidates with those met on the way from the best of them, one knob after the other, to a best place."""
    assert state.surrogate is not None
    best = candidates[int(np.argmin(state.surrogate.predict(candidates)[0]))]
    for _ in range(2):
        for row, knob in enumerate(state.space.knobs):
            places = np.linspace(0, 1, 11) if knob.is_ordered else [knob.to_unit(value) for value in knob.values]
            steps = [
                replace(best, knobs=(*best.knobs[:row], knob.snapped(place), *best.knobs[row + 1 :]))
                for place in places
            ]
            best = steps[int(np.argmin(state.surrogate.predict(steps)[0]))]
            candidates = candidates + steps
    return list(dict.fromkeys(candidates))


def optuna(state: State, count: int, seed: int) -> list[Proposed]:
    """Propose knobs by Optuna's TPE, the weights as the head has them; by our own process without the package.

    Its study is made anew from the trials each time. What other weights cost or brought is taken off their values, so
    that it sees knobs at the head's weights; trials that failed are told as failed, and carry no value.
    """
    if not state.space.knobs or count < 1:
        return []
    if find_spec("optuna") is None:
        found = by_process(state, count, seed, proposer="optuna")
        return [replace(each, reason=f"{each.reason} (our process: optuna is not installed)") for each in found]
    from eval.loop.tpe import asked

    at = head(state).point
    moved = [replace(trial.point, weights=at.weights) for trial in state.measured]
    values_N = np.array([trial.value for trial in state.measured], np.float64)
    if state.surrogate is not None:
        before, after = (
            state.surrogate.predict([trial.point for trial in state.measured]),
            state.surrogate.predict(moved),
        )
        values_N = values_N + after[0] - before[0]
    failed = [trial.point.knobs for trial in state.trials if trial.value is None]
    places = asked(
        state.space.knobs,
        [point.knobs for point in moved],
        values_N,
        failed=failed,
        count=count,
        least=LEAST_FOR_OPTUNA,
        seed=derive(seed, "optuna", len(state.trials)),
    )
    points = [replace(at, knobs=each) for each in places]
    return _told(state, points, proposer="optuna", reasons=["settings by TPE"] * len(points))


def at_random(state: State, count: int, seed: int) -> list[Proposed]:
    """Propose points that no model had a say in: half anywhere, half one to three changes from the head."""
    rng, space, at = generator(seed, "random", len(state.trials)), state.space, head(state).point
    points = []
    for _ in range(count):
        weights_D, moved = None, set(range(len(space.knobs)))
        if space.limits is not None:
            weights_D = space.limits.draw(1, prior_D=space.weights([at])[0], rng=rng)[0]
        if rng.uniform() < 0.5:
            settings = len(space.knobs) + (space.limits is not None)
            few = set(rng.permutation(settings)[: int(rng.integers(1, MOST_CHANGES + 1))].tolist())
            moved = few & moved
            weights_D = weights_D if len(space.knobs) in few else at.weights
        places = [
            knob.drawn(rng) if row in moved else place
            for row, (knob, place) in enumerate(zip(space.knobs, at.knobs, strict=True))
        ]
        points.append(space.point(weights_D, places))
    return _told(state, points, proposer="random", reasons=["drawn blindly"] * count)


def combine(state: State, count: int, seed: int) -> list[Proposed]:
    """Propose the head with changes of near misses, at most `MOST_CHANGES` at once, the most promising first."""
    if state.surrogate is None:
        return []
    best, space = head(state).point, state.space
    misses = sorted((p for p in state.gains if p not in (best, state.incumbent)), key=lambda p: -state.gains[p][0])[:6]
    bundles: dict[Point, str] = {}
    for size in (1, 2):
        for group in combinations(misses, size):
            for point, names in _bundled(state, best, group):
                if point not in state.lanes:
                    bundles.setdefault(point, f"the head with {', '.join(names)} of what came close")
    points = [point for point in bundles if 0 < len(space.changes(point, since=best)) <= MOST_CHANGES]
    if not points:
        return []
    mean_C, _ = state.surrogate.gains(points, over=state.incumbent)
    chosen = [points[row] for row in np.argsort(-mean_C, kind="stable")[:count]]
    return _told(state, chosen, proposer="combine", reasons=[bundles[point] for point in chosen])


def _bundled(state: State, best: Point, group: Sequence[Point]) -> list[tuple[Point, tuple[str, ...]]]:
    """Return the head with up to three changes of each of some points, and half way to the weights of the first."""
    found, space = [], state.space
    for size in range(1, MOST_CHANGES + 1):
        for names in combinations(space.changes(group[0], since=best)[:6], size):
            bundle, taken = space.with_changes(best, names, of=group[0]), names
            for other in group[1:]:
                more = space.changes(other, since=best)[: MOST_CHANGES - size]
                more = tuple(name for name in more if name not in names)
                bundle, taken = space.with_changes(bundle, more, of=other), (*taken, *more)
            found.append((bundle, taken))
    if best.weights is not None and group[0].weights != best.weights:
        middle_D = np.square(np.sqrt(space.weights([best])[0]) + np.sqrt(space.weights([group[0]])[0]))
        found.append((space.point(middle_D / middle_D.sum(), best.knobs), (WEIGHTS,)))
    return found


def ablate(state: State, count: int, seed: int) -> list[Proposed]:
    """Propose the head without one of its changes, those first of which the fewest lanes are known."""
    best, space = head(state).point, state.space
    names = space.changes(best, since=state.incumbent)
    without = {space.with_changes(best, (name,), of=state.incumbent): name for name in names}
    without.pop(state.incumbent, None)
    ordered = sorted(without, key=lambda point: len(state.lanes.get(point, ())))[:count]
    reasons = [f"the head without its change of {without[point]}" for point in ordered]
    return _told(state, ordered, proposer="ablate", reasons=reasons, kind="ablation")


PROPOSERS: dict[str, Proposer] = {"gp": gp, "optuna": optuna, "random": at_random}
