"""What the mind of the research loop is held to, by simulation: `python -m tests.eval.loop_bars` prints the table.

`python -m tests.eval.loop_bars weights knobs ...` measures only some of it. Search, claim and gate are the product's
own (`eval/loop`, `eval/verdict`); only lanes are drawn. Gains are in deviations of a lane; the bars are those of the
field notes (section 7.3).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eval.loop.claim import plan_claim
from eval.loop.interactions import interactions
from eval.loop.optimism import optimism
from eval.loop.predictions import Share
from eval.loop.propose import PROPOSERS, Proposed, Proposer
from eval.loop.space import Knob, Point, Space
from eval.loop.state import State, head
from eval.search.simplex import Limits
from eval.verdict.deviation import Deviation
from eval.verdict.gate import GateRule, decide
from eval.verdict.paired import OVERALL, compare
from eval.verdict.sequential import FIRST_LOOK, Looks
from pipeline.core.rng import generator
from tests.eval.loop.nights import NOISE, Problem, cell, run, six_domains, ten_knobs

DOCUMENTS, DOCUMENT_SD = 60, 0.02  # held out, and of the gain on one, in bits per byte
MOST_PAIRS = 10
OF_DOCUMENTS = Deviation(DOCUMENT_SD**2 / DOCUMENTS, DOCUMENTS - 1.0)
REGISTRY = Deviation(NOISE**2, 8.0)


@dataclass(frozen=True)
class Bar:
    """What was measured with a 90 % interval, and what was asked, from `least` to `most`."""

    name: str
    measured: float
    low: float
    high: float
    count: int
    least: float
    most: float

    @property
    def is_met(self) -> bool:
        """Say whether what was measured is what was asked."""
        return self.least <= self.measured <= self.most

    @property
    def is_refuted(self) -> bool:
        """Say whether the whole interval misses what was asked: few nights cannot say more."""
        return self.high < self.least or self.low > self.most

    @property
    def told(self) -> str:
        """One row of the table."""
        inside = f"{self.measured:6.3f} ({self.low:6.3f} to {self.high:6.3f}) of {self.count:4}"
        return (
            f"{'met   ' if self.is_met else 'MISSED'} {self.name:58} {inside}   asked: {self.least:g} to {self.most:g}"
        )


def share(name: str, hits: Sequence[bool], *, least: float = 0.0, most: float = 1.0) -> Bar:
    """Return a bar for a share of cases."""
    found = Share.of(hits)
    return Bar(name, found.share, found.low, found.high, found.count, least, most)


def mean(name: str, values: Sequence[float], *, least: float, most: float) -> Bar:
    """Return a bar for a mean."""
    middle, side = float(np.mean(values)), 1.645 * float(np.std(values)) / max(len(values), 1) ** 0.5
    return Bar(name, middle, middle - side, middle + side, len(values), least, most)


def weights(count: int = 30) -> Iterator[Bar]:
    """Yield how near the best weights of six domains the head comes."""
    regrets: dict[int, list[float]] = {32: [], 64: []}
    inside: list[bool] = []
    expected: list[float] = []
    hoped: list[float] = []
    for seed in range(count):
        problem, state = six_domains(seed), None
        for number, found in regrets.items():
            state = run(problem, number, seed=seed, state=state)
            found.append(problem.regret(head(state).point))
        assert state is not None
        inside += held(problem, state)
        expected.append(head(state).gain / NOISE - problem.gain(head(state).point))
        hoped.append(expected[-1] - optimism(state, seed=seed) / NOISE)
    yield share("six domains, within 1 of the best at 64", [regret <= 1 for regret in regrets[64]], least=0.9)
    yield share("six domains, within 1 of the best at 32", [regret <= 1 for regret in regrets[32]], least=0.6)
    yield mean("six domains, median regret at 64", [float(np.median(regrets[64]))], least=0, most=0.5)
    yield share("six domains, predictions inside their 80 % interval", inside, least=0.7, most=0.9)
    yield mean("six domains, head's expected gain over its true one", expected, least=-0.5, most=0.5)
    yield mean("the same, less the luck of the chosen", hoped, least=-0.25, most=0.25)


def nothing(count: int = 40) -> Iterator[Bar]:
    """Yield what the head of 48 lanes among mixtures that are all alike is expected to gain."""
    expected: list[float] = []
    hoped: list[float] = []
    for seed in range(count):
        problem = all_alike()
        state = run(problem, 48, seed=seed, lane=REGISTRY)
        expected.append(head(state).gain / NOISE)
        hoped.append(expected[-1] - optimism(state, seed=seed) / NOISE)
    yield mean("mixtures all alike, head's expected gain", expected, least=-0.5, most=0.5)
    yield mean("the same, less the luck of its choice", hoped, least=-0.25, most=0.25)


def held(problem: Problem, state: State) -> list[bool]:
    """Return which predictions of a night held what their lane showed over the incumbent's true value."""
    base = problem.loss(problem.incumbent)
    return [
        trial.prediction.low <= base - trial.value <= trial.prediction.high
        for trial in state.measured
        if trial.prediction is not None and trial.value is not None and trial.point != problem.incumbent
    ]


def knobs(count: int = 20) -> Iterator[Bar]:
    """Yield how often the head is in the best cell of ten knobs after 60 to 100 lanes of 100, and what is named."""
    hits: list[bool] = []
    inside: list[bool] = []
    kept: list[bool] = []
    named: list[bool] = []
    wrong: list[float] = []
    for seed in range(count):
        mixed, state = ten_knobs(seed), None
        reached = False
        for evaluations in range(60, 101, 10):
            state = run(mixed.problem, evaluations, seed=seed, batch=10, state=state, budget=100)
            reached = reached or cell(head(state).point) == mixed.best
        assert state is not None
        pairs = [set(each.changes) for each in interactions(state)]
        hits.append(reached)
        kept.append(cell(head(state).point) == mixed.best)
        inside += held(mixed.problem, state)
        named.append(set(mixed.pair) in pairs)
        wrong.append(float(len(pairs) - named[-1]))
    yield share("ten knobs, best cell within 100", hits, least=0.8)
    yield share("ten knobs, best cell at 100", kept, least=0.8)
    yield share("ten knobs, predictions inside their 80 % interval", inside, least=0.7, most=0.9)
    yield share("ten knobs, their interaction named", named, least=0.6)
    yield mean("ten knobs, interactions named that are none", wrong, least=0, most=0.5)


@dataclass(frozen=True)
class Claimed:
    """What the gate said of a claim, and the gain that it measured, in deviations of a lane."""

    outcome: str
    gain: float


def claimed(gain: float, *, seeds: int, number: int, louder: float = 1.0, looks: Looks = FIRST_LOOK) -> Claimed:
    """Judge by fresh lanes of both arms a head whose true gain is `gain`; lanes deviate `louder` than is known."""
    draw = generator(number, "claim", seeds, looks.candidate_number)
    lanes = draw.normal(2.2, louder * NOISE, (2, seeds, 1))
    documents = draw.normal(0, DOCUMENT_SD, (2, 1, DOCUMENTS))
    of_gain = draw.normal(0, DOCUMENT_SD, DOCUMENTS)
    documents[1] = documents[0] + of_gain + gain * NOISE
    num_bytes = np.full(DOCUMENTS, 1000)
    told = compare(
        bits_candidate=(lanes[0] + documents[0]) * num_bytes, bits_baseline=(lanes[1] + documents[1]) * num_bytes,
        num_bytes=num_bytes, domain=["science"] * DOCUMENTS, cluster=np.arange(DOCUMENTS), replicates=0,
        earlier={OVERALL: REGISTRY, "science": REGISTRY},
    )  # fmt: skip
    rule = GateRule(metric="bits_per_byte", min_gain=0.0, confidence=0.95, guards={}, min_tokens=0)
    return Claimed(decide([told], rule=rule, num_tokens=1, looks=looks).outcome, told.overall.gain / NOISE)


def false_promotions(count: int = 400) -> Iterator[Bar]:
    """Yield how often two nights among mixtures that are all alike end in a promotion, every head being claimed."""
    for louder in (1.0, 1.25):
        told = f"false promotions, noise {100 * (louder - 1):.0f} % above the registry's, resumed at random"
        yield share(told, [noise_loop(number, louder=louder) for number in range(count)], most=0.05)


def all_alike() -> Problem:
    """Return a problem in which nothing that may move makes a difference."""
    names = ("a", "b", "c")
    space = Space(names, Limits.of(names), (Knob("cut", "float"), Knob("on", "flag")))
    return Problem(space, space.point([0.4, 0.3, 0.3], (0.5, 0.0)), lambda point: 2.0, least=2.0)


def noise_loop(number: int, *, louder: float = 1.0) -> bool:
    """Return whether one of two nights promotes anything; what is refused as underpowered is claimed all the same."""
    problem, rng = all_alike(), generator(number, "noise")
    space = problem.space
    given: dict[str, Proposer] = {name: PROPOSERS[name] for name in ("gp", "random")}
    state = State(space, problem.incumbent, lane=REGISTRY)
    for night in (1, 2):
        for _ in range(2 if night == 1 else 1):
            until = len(state.trials) + 8
            state = run(problem, until, seed=number, state=state, proposers=given, noise=louder * NOISE)
            if rng.uniform() < 0.5:  # killed: what goes on knows the trials alone, as they were written down
                trials = [replace(each, point=Point.from_json(each.point.as_json())) for each in state.trials]
                state = State(space, problem.incumbent, tuple(trials), REGISTRY)
        best = head(state)
        if best.point == problem.incumbent:
            continue
        looks = Looks(candidate_number=night, openings=night)
        plan = plan_claim(best.gain, lane=REGISTRY, most_seeds=MOST_PAIRS, looks=looks)
        if claimed(0.0, seeds=plan.seeds, number=number, louder=louder, looks=looks).outcome == "promote":
            return True
    return False


def claims(count: int = 400) -> Iterator[Bar]:
    """Yield how often a head of a true gain of 3 is promoted by at most ten pairs, and what is claimed beyond truth."""
    found, beyond, pairs = [], [], []
    for number in range(count):
        expected = 3 + 0.5 * float(generator(number, "expected").normal())  # of a head, as a search leaves it
        plan = plan_claim(expected * NOISE, lane=REGISTRY, most_seeds=MOST_PAIRS, documents=OF_DOCUMENTS)
        told = claimed(3.0, seeds=plan.seeds, number=number)
        found.append(told.outcome == "promote")
        pairs.append(float(plan.seeds))
        beyond += [told.gain - 3.0] if found[-1] else []
    yield share("a head that gains 3 is promoted", found, least=0.9)
    yield mean("pairs planned for it", pairs, least=2, most=MOST_PAIRS)
    yield mean("claimed gain over the true one, where promoted", beyond, least=-0.1, most=0.1)


def good(problem: Problem, best: Point) -> Proposer:
    """Return a scripted proposer that knows in which direction the best lies."""

    def proposer(state: State, count: int, seed: int) -> Sequence[Proposed]:
        rng, at = generator(seed, "good", len(state.trials)), head(state).point
        ends = state.space.weights([at, best])
        points = [
            state.space.point(way * ends[1] + (1 - way) * ends[0] + 0.03 * rng.normal(size=ends.shape[1]), at.knobs)
            for way in rng.uniform(0.3, 0.9, count)
        ]
        return [Proposed(point, "scripted", None, "towards the best") for point in points]

    return proposer


def useless(state: State, count: int, seed: int) -> Sequence[Proposed]:
    """Propose what random draws would, by another name."""
    return [replace(each, proposer="scripted") for each in PROPOSERS["random"](state, count, seed + 1)]


def harmful(state: State, count: int, seed: int) -> Sequence[Proposed]:
    """Propose only what does not train: nearly all of one domain."""
    rng = generator(seed, "harmful", len(state.trials))
    points = [state.space.point([0.9, *rng.dirichlet(np.ones(5)) * 0.1], ()) for _ in range(count)]
    return [Proposed(point, "scripted", None, "surely") for point in points]


def near_best(problem: Problem) -> Callable[[State], bool]:
    """Return whether the head of a state is within 1 of the best."""
    return lambda state: problem.regret(head(state).point) <= 1


def scripted(count: int = 30) -> Iterator[Bar]:
    """Yield how many more evaluations a fourth proposer costs until the head is within 1 of the best."""
    own = {name: PROPOSERS[name] for name in ("gp", "random")}
    needed: dict[str, list[int]] = {"none": [], "good": [], "useless": [], "harmful": []}
    for seed in range(count):
        problem = replace(six_domains(seed), fails=lambda point: point.weights is not None and point.weights[0] > 0.85)
        best = head(run(problem, 64, seed=seed + 1000, proposers=own)).point
        by_script: dict[str, Proposer] = {"good": good(problem, best), "useless": useless, "harmful": harmful}
        for name, found in needed.items():
            given = own if name == "none" else {**own, "scripted": by_script[name]}
            state = run(problem, 96, seed=seed, proposers=given, stop=near_best(problem))
            found.append(len(state.trials))
    for name, most in (("good", 1.0), ("useless", 1.1), ("harmful", 1.2)):
        ratios = np.array(needed[name], np.float64) / np.mean(needed["none"])
        yield mean(f"evaluations with a {name} proposer over those without", list(ratios), least=0, most=most)


BARS: dict[str, Callable[[], Iterator[Bar]]] = {
    "weights": weights,
    "nothing": nothing,
    "knobs": knobs,
    "claims": claims,
    "scripted": scripted,
    "false": false_promotions,
}


def main() -> None:
    """Print the table, or the part of it that is named."""
    for name in sys.argv[1:] or BARS:
        for bar in BARS[name]():
            print(bar.told, flush=True)


if __name__ == "__main__":
    main()
