"""Searches for the report's tests: proxies and scores written by hand, what follows from them found for real."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

from pipeline.core.rng import generator
from pipeline.engine.executors import Local
from pipeline.engine.progress import Silent
from pipeline.engine.run import Run
from pipeline.experiment.cut import build_cut
from pipeline.experiment.scores import ScoreFacts
from pipeline.experiment.search import build_search
from pipeline.experiment.work import Work
from pipeline.plan.experiment import plan_experiment
from pipeline.plan.graph import Plan
from pipeline.plan.sweep import is_found
from pipeline.store.node import Node
from pipeline.store.results import close
from tests.pipeline.report.report_parts import MACHINE, facts, plan_of, run_documents, write_lines

Score = Callable[[Mapping[str, float]], float]  # of the weights: bits per byte
NOISE = 0.004
NAMES = ("books", "web", "code", "news", "notes", "mails", "talks", "papers")


def recipe(*names: str, sweep: str = "", gate: str = "") -> str:
    """Return a recipe that searches the weights of some datasets."""
    docs = "\n".join(f"  {name}_docs: {{read: jsonl, path: DIR/{name}.jsonl}}" for name in (*names, "dev", "test"))
    sets = "\n".join(f"  {name}: {{from: {name}_docs}}" for name in (*names, "dev", "test"))
    weights = ", ".join(f"{name}: 1" for name in names)
    return (
        f"name: hunt\nsources:\n{docs}\ndatasets:\n{sets}\nmixtures: {{even: {{weights: {{{weights}}}}}}}\n"
        f"proxy: {{tokens: 1M, seeds: 3}}\n"
        f"sweep: {{around: even, as: best, on: {{dev: 1}}, proxies: 16, rounds: 2{sweep}}}\n{gate}"
    )


def bowl(**best: float) -> Score:
    """Return scores that are least at some weights, and grow with the distance between square roots."""
    rest = 1 - sum(best.values())
    return lambda weights: (
        2.0
        + 0.5
        * sum(
            (math.sqrt(weight) - math.sqrt(best.get(name, rest / max(1, len(weights) - len(best))))) ** 2
            for name, weight in weights.items()
        )
    )


def searched(text: str, *, folder: Path, score: Score, rounds: int, broken: Mapping[str, str] | None = None) -> Plan:
    """Build a recipe's documents and some rounds of its search; `broken` maps a mixture to what its proxy is ill of."""
    names = [line.split("/")[-1].partition(".jsonl")[0] for line in text.splitlines() if "read: jsonl" in line]
    for name in names:
        write_lines(folder / f"{name}.jsonl", [{"id": f"{name} {n}", "text": f"{name} text {n}"} for n in range(4)])
    text = text.replace("DIR", str(folder))
    plan, draw = plan_of(text, folder=folder), generator(3, "report", "search")
    run_documents(plan)
    work = Work(Run(plan=plan, executor=Local(workers=1), progress=Silent()))
    while True:
        experiment = work.experiment
        stages = [stage for stage in experiment.stages if not is_found(stage.node)]
        if not stages or stages[0].number > rounds:
            break
        for name in {lane.mixture: lane for lane in experiment.lanes}:
            _mixed(experiment.mixtures[name], experiment.sections[name].weights)
        for lane, node in experiment.lanes.items():
            wrong = [broken[lane.mixture]] if broken and lane.mixture in broken else []
            _close(node, asdict(facts(lane, wrong)))
        for (lane, domain), node in experiment.scores.items():
            weights = experiment.sections[lane.mixture].weights
            total = sum(weights.values())
            value = score({name: weight / total for name, weight in weights.items()}) + float(draw.normal(0, NOISE))
            of = asdict(facts(lane, []))
            told = ScoreFacts(of, plan.documents_node(domain).identity, 300_000, value, MACHINE)
            _close(node, asdict(told))
        number, node = str(stages[0].number), stages[0].node
        build = partial(build_cut, cut=stages[0]) if stages[0].until < 1 else build_search
        files, details, rows = build(work, number, node)
        work.finish(node, files, details=details, seconds=0.1, rows=rows)
        plan_experiment(plan)
    return plan_of(text, folder=folder)


def _mixed(node: Node, weights: Mapping[str, float]) -> None:
    total = sum(weights.values())
    shares = [
        {"dataset": name, "nominal": weight / total, "realised": weight / total, "epochs": 3 * weight / total}
        | {"tokens": round(1e6 * weight / total), "capped": False, "cut_documents": 0}
        for name, weight in weights.items()
    ]
    _close(node, {"num_tokens": 1_000_000, "shares": shares})


def _close(node: Node, details: Mapping[str, object]) -> None:
    if not (node.folder / "card.json").exists():
        node.folder.mkdir(parents=True, exist_ok=True)
        close(node, {}, rows_in=0, rows_out=0, details=details, seconds=0.1)
