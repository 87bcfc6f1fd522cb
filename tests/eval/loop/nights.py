"""Nights of the research loop on made problems whose truth is known; only lanes are drawn, all else is `eval.loop`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from eval.loop.batch import next_batch
from eval.loop.propose import PROPOSERS, Proposed, Proposer
from eval.loop.space import Knob, Point, Space
from eval.loop.state import State, Trial, shares
from eval.search.simplex import Limits
from eval.verdict.deviation import Deviation
from pipeline.core.rng import generator

Loss = Callable[[Point], float]
NOISE = 0.01  # of one lane, in bits per byte
DOMAINS = tuple("abcdef")


@dataclass(frozen=True)
class Problem:
    """A space, the loss of every point without chance, the least of all losses, and which points do not train."""

    space: Space
    incumbent: Point
    loss: Loss
    least: float
    fails: Callable[[Point], bool] = lambda _: False

    def regret(self, point: Point) -> float:
        """Return by how many deviations of a lane a point is worse than the best."""
        return (self.loss(point) - self.least) / NOISE

    def gain(self, point: Point) -> float:
        """Return what a point gains over the incumbent, in deviations of a lane."""
        return (self.loss(self.incumbent) - self.loss(point)) / NOISE


def run(
    problem: Problem,
    evaluations: int,
    *,
    seed: int,
    batch: int = 8,
    proposers: Mapping[str, Proposer] = PROPOSERS,
    fixed_shares: Mapping[str, float] | None = None,
    noise: float = NOISE,
    lane: Deviation | None = None,
    stop: Callable[[State], bool] | None = None,
    state: State | None = None,
    resumed: bool = False,
    budget: int | None = None,
) -> State:
    """Return the state after a night. `resumed` makes the state anew from its trials before every batch.

    `budget` is that of the whole night where this is a part of it.
    """
    state = State(problem.space, problem.incumbent, lane=lane) if state is None else state
    while len(state.trials) < evaluations and not (stop is not None and stop(state)):
        if resumed:
            state = State(state.space, state.incumbent, tuple(state.trials), state.lane)
        of = dict(fixed_shares) if fixed_shares is not None else shares(state, list(proposers), seed=seed)
        count = min(batch, evaluations - len(state.trials))
        asked = next_batch(
            state, count, of, seed, proposers=proposers, left=(budget or evaluations) - len(state.trials)
        )
        if not asked:
            break
        state = state.with_trials(
            [tried(problem, each, state, seed=seed, row=row, noise=noise) for row, each in enumerate(asked)]
        )
    return state


def tried(problem: Problem, asked: Proposed, state: State, *, seed: int, row: int, noise: float) -> Trial:
    """Return what a lane of a point showed; its seed is the number of the trial."""
    number = len(state.trials) + row
    fails = problem.fails(asked.point)
    value = problem.loss(asked.point) + float(generator(seed, "lane", number).normal(0, noise))
    return Trial(
        asked.point,
        seed=number,
        value=None if fails else value,
        why_failed="did not fit" if fails else None,
        proposer=asked.proposer,
        prediction=asked.prediction,
        batch=state.batch,
        kind=asked.kind,
    )


def six_domains(seed: int, *, spread: float = 5.0, inputs: int = 6) -> Problem:
    """Return a sum of losses that each fall with the weights of one domain or another (field notes, appendix A).

    `spread` is the deviation of the losses of mixtures drawn evenly, in deviations of a lane.
    """
    rng = generator(seed, "six")
    share_T = rng.dirichlet(np.full(6, 2.0))
    height_T, near_T = rng.uniform(0.5, 2, 6), rng.uniform(2, 10, 6)
    other_TD = rng.uniform(0, 1.5, (6, inputs))

    def raw(weights_ND: np.ndarray) -> np.ndarray:
        own_NT = weights_ND[:, :6] * near_T + weights_ND @ other_TD.T
        found: np.ndarray = (share_T * height_T * np.exp(-own_NT)).sum(axis=1)
        return found

    drawn_ND = rng.dirichlet(np.ones(inputs), 20_000)
    scale = spread * NOISE / raw(drawn_ND[:4000]).std()
    best_D = drawn_ND[int(np.argmin(raw(drawn_ND)))]
    for step in (0.05, 0.02, 0.01, 0.003, 0.001):  # to the bottom, by moves of weight between two domains
        moves = step * (np.eye(inputs)[:, None] - np.eye(inputs)[None]).reshape(-1, inputs)
        while True:
            around = best_D + moves
            around = around[(around >= 0).all(axis=1)]
            lowest = around[int(np.argmin(raw(around)))]
            if raw(lowest[None])[0] >= raw(best_D[None])[0] - 1e-12:
                break
            best_D = lowest
    names = tuple("abcdefgh"[:inputs])
    space = Space(names, Limits.of(names))
    return Problem(
        space,
        space.point(np.full(inputs, 1 / inputs), ()),
        loss=lambda point: 2 + scale * float(raw(np.array([point.weights]))[0]),
        least=2 + scale * float(raw(best_D[None])[0]),
    )


KNOBS = (
    *(Knob(f"cut{number}", "float") for number in range(5)),
    *(Knob(f"switch{number}", "flag") for number in range(3)),
    Knob("keep", "choice", choices=("first", "longest", "best")),
    Knob("bands", "int", low=4, high=20),
)
LEVELS = 3  # cells of an ordered knob


def cell(point: Point) -> tuple[int, ...]:
    """Return in which part of each knob a point lies."""
    places = zip(KNOBS, point.knobs, strict=True)
    return tuple(
        min(int(place * LEVELS), LEVELS - 1) if knob.is_ordered else knob.values.index(knob.from_unit(place))
        for knob, place in places
    )


@dataclass(frozen=True)
class Mixed:
    """Ten knobs, each with an effect of its own, and two that depend on each other."""

    problem: Problem
    best: tuple[int, ...]
    pair: tuple[str, str]


def ten_knobs(seed: int, *, spread: float = 5.0) -> Mixed:
    """Return a problem whose best cell is known: the effects of the knobs add up, and two switches work together."""
    rng = generator(seed, "ten")
    centers = [(int(rng.integers(LEVELS)) + 0.5) / LEVELS for _ in KNOBS]
    sizes = rng.uniform(0.6, 1.4, len(KNOBS))
    good = [int(rng.integers(len(knob.values))) if not knob.is_ordered else 0 for knob in KNOBS]
    one, other = (int(row) for row in rng.permutation([5, 6, 7])[:2])
    together = float(rng.uniform(1.0, 1.6))

    def raw(point: Point) -> float:
        total = 0.0
        for row, (knob, place) in enumerate(zip(KNOBS, point.knobs, strict=True)):
            if knob.is_ordered:
                total += sizes[row] * 3.5 * min((place - centers[row]) ** 2, 0.3)
            else:
                total += sizes[row] * float(knob.values.index(knob.from_unit(place)) != good[row])
        hits = [KNOBS[row].values.index(KNOBS[row].from_unit(point.knobs[row])) == good[row] for row in (one, other)]
        return total - together * float(all(hits))

    space = Space((), None, KNOBS)
    drawn = [Point(None, tuple(knob.drawn(rng) for knob in KNOBS)) for _ in range(1000)]
    scale = spread * NOISE / float(np.std([raw(point) for point in drawn]))
    best = tuple(
        centers[row] if knob.is_ordered else knob.to_unit(knob.values[good[row]]) for row, knob in enumerate(KNOBS)
    )
    return Mixed(
        Problem(
            space,
            drawn[0],
            loss=lambda point: 2 + scale * raw(point),
            least=2 + scale * raw(Point(None, best)),
        ),
        cell(Point(None, best)),
        (KNOBS[one].name, KNOBS[other].name),
    )
