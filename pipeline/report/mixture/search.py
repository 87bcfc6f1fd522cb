"""The rounds of a search -> what was found, what it promises, how far to trust it, and every proxy behind it.

All of it is in search.json of the last finished round; earlier rounds tell how the answer settled. What is predicted
is told with its uncertainty and called a prediction: a gate has fresh proxies, and the last word.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.core.shown import shown
from pipeline.experiment.findings.found import recipe_path
from pipeline.plan.graph import Plan
from pipeline.plan.groups import to_come_in
from pipeline.plan.sweep import found_in
from pipeline.report.draw import figures
from pipeline.report.mixture.search_pictures import Pictures, pictures_of
from pipeline.report.run.account import finished

MOST_ROWS = 40  # proxies listed on the page, the best; the CSV file has all
MOST_NAMED = 4  # datasets of a mixture in a sentence
AT_LIMIT = 0.0005  # of a weight of three decimals
SURE = 2.0  # standard deviations within which a predicted gain may be none
UNSURE = 0.75  # share of pairs below which an order is called a guess
MODELS = {
    "gaussian_process": "Gaussian process on square roots of the weights",
    "ridge": "ridge regression on square roots of the weights",
    "log_linear": "log-linear law",
    "trees": "gradient-boosted trees",
}


@dataclass(frozen=True, slots=True)
class Tried:
    """One proxy: what it read, what was measured of it, and what models that had not seen it predicted."""

    number: int  # in the order of training
    round: int
    mixture: str
    lane: str
    weights: tuple[float, ...]
    measured: float | None
    unseen: float | None
    metrics: Mapping[str, float | None]
    left_out: str
    dropped: str = ""  # at which stop, and why
    quarter: int = 0  # by what was measured, 0 for the best


@dataclass(frozen=True, slots=True)
class Weight:
    """One dataset: its weight in the mixture searched around, the one found, and where both may lie."""

    dataset: str
    around: float
    found: float
    low: float
    high: float
    least: float
    most: float
    supplied: bool  # `most` is what the dataset can give, and not a limit of the recipe

    @property
    def limits(self) -> str:
        """Which weights the search may give it, in words."""
        if self.most >= 1:
            return f"at least {percent(self.least)}" if self.least > 0 else "none"
        return f"{percent(self.least)} to {percent(self.most)}" if self.least > 0 else f"at most {percent(self.most)}"

    @property
    def at(self) -> str:
        """Which limit the weight found stands at, if it is one that could be moved."""
        if self.found >= self.most - AT_LIMIT and self.most < 1:
            return "all there is" if self.supplied else "at its most"
        return "at its least" if self.found <= self.least + AT_LIMIT and self.least > 0 else ""


@dataclass(frozen=True, slots=True)
class Step:
    """What was known after a round."""

    number: int
    num_proxies: int  # so far, those left out included
    best: float  # measured so far
    weights: tuple[float, ...]
    value: float  # predicted of these weights
    sd: float
    around: float
    regret: float


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of how far predictions hold, in plain words."""

    name: str
    value: float | None
    text: str
    says: str


@dataclass(frozen=True, slots=True)
class Model:
    """What one kind of model had to say about one held-out set."""

    domain: str
    name: str
    say: float
    error: float


@dataclass(frozen=True, slots=True)
class SearchShown:
    """A search as far as it is finished."""

    name: str
    around: str
    goal: Mapping[str, float]
    datasets: tuple[str, ...]
    rounds: int
    steps: tuple[Step, ...]
    weights: tuple[Weight, ...]
    tried: tuple[Tried, ...]  # best first; those left out or dropped are not among them
    left_out: tuple[Tried, ...]
    dropped: tuple[Tried, ...]
    anchors: int
    noise_sd: float | None
    gain: float
    gain_sd: float
    decimals: int
    measures: tuple[Measure, ...]
    by_domain: Mapping[str, Mapping[str, Any]]
    models: tuple[Model, ...]
    pictures: Pictures

    @property
    def last(self) -> Step:
        return self.steps[-1]

    @property
    def found_said(self) -> str:
        """The weights found, in words."""
        return mixed({row.dataset: row.found for row in self.weights})

    @property
    def on_said(self) -> str:
        """What the search looks at, in words."""
        parts = [
            name if factor == 1 else f"{name} ({figures.number(100 * factor, 3)} %)"
            for name, factor in self.goal.items()
        ]
        return listed(parts)

    @property
    def gain_is_sure(self) -> bool:
        return self.gain > SURE * self.gain_sd

    @property
    def listed(self) -> tuple[Tried, ...]:
        return self.tried[:MOST_ROWS]

    @property
    def quarters(self) -> list[tuple[str, int]]:
        """The range of what was measured in each quarter of the proxies, and how many those are."""
        found = []
        for quarter in range(4):
            mine = [each.measured for each in self.tried if each.quarter == quarter and each.measured is not None]
            ends = dict.fromkeys(figures.fixed(value, self.decimals) for value in (min(mine), max(mine)))
            found.append((" to ".join(ends), len(mine)))
        return found

    @property
    def best_span(self) -> float:
        """How far apart the best quarter was measured."""
        mine = [each.measured for each in self.tried if each.quarter == 0 and each.measured is not None]
        return max(mine) - min(mine)

    @property
    def best_is_a_guess(self) -> bool:
        """Say whether the models hardly order the mixtures among which a choice is made."""
        told = [each.value for each in self.measures if each.name.startswith("pairs in the right order, best quarter")]
        return bool(told) and told[0] is not None and told[0] < UNSURE


@dataclass(frozen=True, slots=True)
class SearchState:
    """What the page says of a search: what is found so far, if anything, and what is still to come."""

    name: str
    around: str
    rounds: int
    shown: SearchShown | None
    to_come: str
    recipe: str  # the recipe with what was found, in the workspace; empty before it is written


def search_in(plan: Plan) -> SearchState | None:
    """Return a recipe's search, if it has one."""
    sweep, experiment = plan.recipe.sweep, plan.experiment
    if sweep is None or experiment is None:
        return None
    told = [found_in(found.node) for found in experiment.rounds if finished(found.node) is not None]
    capped = {name for name, value in sweep.most.items() if value < 1}
    search = shown_of(told, name=sweep.as_, capped=capped) if told else None
    written = recipe_path(plan.workspace, plan.recipe.name, sweep.as_)
    done = written.exists() and len(told) == sweep.rounds
    recipe = written.relative_to(plan.workspace.root).as_posix() if done else ""
    return SearchState(sweep.as_, sweep.around, sweep.rounds, search, to_come_in(plan), recipe)


def shown_of(told: Sequence[Mapping[str, Any]], *, name: str, capped: set[str]) -> SearchShown:
    """Return what the results of the finished rounds say; `capped` are the datasets whose most the recipe gives."""
    last = told[-1]
    runs = [_tried(run, number=number) for number, run in enumerate(last["runs"], start=1)]
    sound = sorted((run for run in runs if run.measured is not None), key=_measured)
    tried = tuple(_placed(run, rank=rank, of=len(sound)) for rank, run in enumerate(sound))
    optimum, around = last["optimum"], last["of_around"]
    weights = tuple(
        Weight(
            dataset=dataset, around=last["prior"][index], found=optimum["weights"][dataset],
            low=optimum["low"][index], high=optimum["high"][index],
            least=last["least"][index], most=last["most"][index],
            supplied=last["most"][index] < 1 and dataset not in capped,
        )
        for index, dataset in enumerate(last["datasets"])
    )  # fmt: skip
    steps = tuple(_step(each) for each in told)
    gain_sd = math.hypot(optimum["sd"], around["sd"])
    decimals = decimals_of(min((value for value in (gain_sd, last["noise_sd"] or gain_sd) if value > 0), default=0.01))
    return SearchShown(
        name=name,
        around=last["around"],
        goal=last["goal"],
        datasets=tuple(last["datasets"]),
        rounds=last["rounds"],
        steps=steps,
        weights=weights,
        tried=tried,
        left_out=tuple(run for run in runs if run.left_out),
        dropped=tuple(run for run in runs if run.dropped and not run.left_out),
        anchors=last["anchors"],
        noise_sd=last["noise_sd"],
        gain=around["value"] - optimum["value"],
        gain_sd=gain_sd,
        decimals=decimals,
        measures=tuple(_measures(last)),
        by_domain=last["by_domain"],
        models=tuple(
            Model(domain, MODELS.get(kind, kind.replace("_", " ")), say, model["errors"][kind])
            for domain, model in last["models"].items()
            for kind, say in sorted(model["says"].items(), key=lambda item: -item[1])
        ),
        pictures=pictures_of(
            tried,
            weights,
            steps,
            name=name,
            around=last["around"],
            noise_sd=last["noise_sd"],
            domains=listed(last["goal"]),
        ),
    )


def decimals_of(sd: float) -> int:
    """Return as many decimals as show two digits of a standard deviation."""
    return min(6, max(3, 1 - math.floor(math.log10(sd))))


def percent(weight: float) -> str:
    """Return a weight in percent; what is next to nothing is nothing."""
    return figures.share(round(weight, 6), 1)


def listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    """Return `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def mixed(weights: Mapping[str, float]) -> str:
    """Return weights in words, the largest first: `63.3 % tables and 36.7 % numeric, no tasks`."""
    order = sorted((name for name, weight in weights.items() if weight >= AT_LIMIT), key=lambda name: -weights[name])
    named = [f"{percent(weights[name])} {name}" for name in order[:MOST_NAMED]]
    if len(order) > MOST_NAMED:
        rest = math.fsum(weights[name] for name in order[MOST_NAMED:])
        named.append(f"{percent(rest)} of {figures.counted(len(order) - MOST_NAMED, 'other')}")
    none = [name for name, weight in weights.items() if weight < AT_LIMIT]
    if not none:
        return listed(named)
    left = f"no {listed(none).replace(' and ', ' or ')}" if len(none) <= MOST_NAMED else f"none of {len(none)} others"
    return f"{listed(named)}, {left}"


def _measured(run: Tried) -> float:
    assert run.measured is not None
    return run.measured


def _tried(run: Mapping[str, Any], *, number: int) -> Tried:
    lane, stopped = run["lane"], run["stopped"]
    dropped = f"at {percent(stopped['until'])} of its tokens: {stopped['why']}" if stopped else ""
    return Tried(
        number=number, round=run["round"], mixture=lane["mixture"], lane=lane["name"], weights=tuple(run["weights"]),
        measured=None if stopped else run["goal"], unseen=run["unseen"],
        metrics=dict.fromkeys(run["metrics"]) if stopped else run["metrics"],
        left_out=shown(run["left_out"]), dropped=dropped,
    )  # fmt: skip


def _placed(run: Tried, *, rank: int, of: int) -> Tried:
    best = of // 4  # as many as accuracy is told for
    return replace(run, quarter=0 if rank < best else max(1, 4 * rank // of))


def _step(told: Mapping[str, Any]) -> Step:
    measured = [run["goal"] for run in told["runs"] if run["goal"] is not None and not run["stopped"]]
    return Step(
        number=told["round"],
        num_proxies=len(told["runs"]),
        best=min(measured),
        weights=tuple(told["optimum"]["weights"][name] for name in told["datasets"]),
        value=told["optimum"]["value"],
        sd=told["optimum"]["sd"],
        around=told["of_around"]["value"],
        regret=told["accuracy"]["regret"],
    )


def _measures(told: Mapping[str, Any]) -> list[Measure]:
    accuracy, noise = told["accuracy"], told["noise_sd"]
    count = accuracy["num_runs"]

    def pairs(part: str, key: str, best: int, says: str) -> Measure:
        value = accuracy[key]
        if value is None:
            says = f"Needs four proxies in the best {part}; there are {best}."
        return Measure(f"pairs in the right order, best {part}", value, _whole_percent(value), says)

    by_chance = ""
    if noise is not None:
        regret, parts = accuracy["regret"], f"Proxies of one mixture differ by {figures.number(noise, 2)}"
        by_chance = f" {parts}." if regret == 0 else f" {parts}; it is {figures.number(regret / noise, 2)} times that."
    return [
        Measure(
            "rank correlation",
            accuracy["rank_correlation"],
            figures.number(accuracy["rank_correlation"], 2),
            "1: mixtures are predicted in the order that was measured; 0: in any order. It flatters: telling bad "
            "mixtures from good ones is easy.",
        ),
        Measure(
            "pairs in the right order, all",
            accuracy["pairs"],
            _whole_percent(accuracy["pairs"]),
            "Of two mixtures, how often the better one is predicted to be better. Guessing gives 50 %.",
        ),
        pairs("quarter", "pairs_best_quarter", count // 4, "The same among the best quarter, where a choice is made."),
        pairs("tenth", "pairs_best_tenth", count // 10, "The same among the best tenth."),
        Measure(
            "regret",
            accuracy["regret"],
            figures.number(accuracy["regret"], 2),
            "Bits per byte by which the mixture predicted best was measured worse than the best one." + by_chance,
        ),
        Measure(
            "error",
            accuracy["error"],
            figures.number(accuracy["error"], 2),
            "Bits per byte between predicted and measured (root mean square), for bad mixtures too.",
        ),
    ]


def _whole_percent(value: float | None) -> str:
    return figures.NONE if value is None else f"{100 * value:.0f} %"
