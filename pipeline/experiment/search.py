"""Proxies of a search so far -> models of each held-out set, the best weights by them, and the next round's mixtures.

search.json holds all of it, for reports and for the plan of the next round. A proxy counts with the shares of tokens
that it really read, which differ from the weights where a dataset is too small for its own. One that was dropped on
the way counts with what it would have come to, which is no measurement: nothing is judged by it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.errors import GateError, RecipeError
from pipeline.core.files.writing.durable import write_text
from pipeline.core.rng import derive
from pipeline.experiment.cut import look_at, named
from pipeline.experiment.work import Work
from pipeline.plan.lanes import LaneName, is_tried
from pipeline.plan.sweep import CUT, FOUND, limits_of, prior_of, told_in
from pipeline.store.node import Node

if TYPE_CHECKING:
    from eval.search.optimum import Goal
    from eval.search.simplex import Limits


def build_search(work: Work, number: str, node: Node) -> tuple[list[str], dict[str, Any], int]:
    """Write what the search knows after a round; return its files, its card's details and the number of proxies."""
    from eval.search.optimum import Goal, propose
    from eval.search.simplex import rounded
    from eval.search.study import study_runs

    plan, experiment, sweep = work.plan, work.experiment, work.plan.recipe.sweep
    assert sweep is not None
    work.run.progress.begin(f"model the search, round {number} of {sweep.rounds}", total=0, unit="proxies")
    around, seed = experiment.sections[sweep.around], derive(plan.recipe.seed, "search", int(number))
    total = math.fsum(sweep.on.values())
    goal = Goal({domain: sweep.on[domain] / total for domain in sorted(sweep.on)}, pull=sweep.pull)
    runs = _runs(work, int(number), goal)
    sound = _sound(runs)
    weights_ND = np.array([run["weights"] for run in sound])
    values = {domain: np.array([run["metrics"][domain] for run in sound]) for domain in goal.factors}
    limits, prior_D = _feasible(work, limits_of(sweep, around)), prior_of(around)
    measured_N = np.array([not run["stopped"] for run in sound])
    found = study_runs(weights_ND, values, goal=goal, limits=limits, prior_D=prior_D, seed=seed, judged_N=measured_N)
    following: list[list[float]] = []
    if int(number) < sweep.rounds:
        chosen_ND = propose(
            found.models, goal, limits=limits, prior_D=prior_D, weights_ND=weights_ND,
            tried_TD=np.array([run["weights"] for run in runs]), count=sweep.sizes[int(number)], seed=seed,
        )  # fmt: skip
        following = rounded(chosen_ND).tolist()
    anchors = [run["goal"] for run in sound if run["lane"]["mixture"] == sweep.around]
    unseen = iter(found.unseen_N.tolist())
    told = {
        "round": int(number),
        "rounds": sweep.rounds,
        "around": sweep.around,
        "goal": goal.factors,
        "datasets": list(limits.names),
        "prior": prior_D.tolist(),
        "least": limits.low_D.tolist(),
        "most": limits.high_D.tolist(),
        "runs": [run | {"unseen": None if run["left_out"] else next(unseen)} for run in runs],
        "anchors": len(anchors),
        "noise_sd": float(np.std(anchors, ddof=1)) if len(anchors) > 1 else None,
        "models": {domain: {"says": model.says, "errors": model.errors} for domain, model in found.models.items()},
        "accuracy": asdict(found.accuracy),
        "by_domain": {domain: asdict(accuracy) for domain, accuracy in found.by_metric.items()},
        "optimum": {
            "weights": dict(zip(limits.names, found.chosen_D.tolist(), strict=True)),
            "low": found.optimum.low_D.tolist(),
            "high": found.optimum.high_D.tolist(),
            "value": found.of_chosen[0],
            "sd": found.of_chosen[1],
            "by_domain": found.optimum.by_metric,
        },
        "of_around": {"value": found.of_prior[0], "sd": found.of_prior[1]},
        "next": following,
    }
    node.folder.mkdir(parents=True, exist_ok=True)
    write_text(node.folder / FOUND, json.dumps(told, indent=1, allow_nan=False) + "\n")
    work.run.progress.advance(len(sound))
    work.run.progress.end()
    card = {"weights": told["optimum"]["weights"], "value": found.of_chosen[0], "of_around": found.of_prior[0]}
    return [FOUND], card, len(sound)


def _sound(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    from eval.search.surrogates import LEAST_RUNS

    sound = [run for run in runs if not run["left_out"]]
    whole = sum(1 for run in sound if not run["stopped"])
    if whole < LEAST_RUNS:
        raise GateError(
            f"sweep: only {whole} of {len(runs)} proxies trained without breaking; {LEAST_RUNS} are needed. Lower "
            "proxy.learning_rates and run again."
        )
    return sound


def _runs(work: Work, number: int, goal: Goal) -> list[dict[str, Any]]:
    """Return what every proxy up to a round read and scored, and why it is left out if it is."""
    experiment, runs = work.experiment, list[dict[str, Any]]()
    looks: dict[str, dict[float, dict[str, Any]]] = {}  # lane -> what it scored at the stops that it came to
    for cut in experiment.cuts:
        if cut.number <= number:
            for lane, look in zip(cut.lanes, told_in(cut.node, CUT)["runs"], strict=True):  # it may have other names
                looks.setdefault(str(replace(lane, until=1.0)), {})[cut.until] = look
    for found in experiment.rounds[:number]:
        first = next((cut.lanes for cut in experiment.cuts if cut.number == found.number), found.lanes)
        for lane in (replace(each, until=1.0) for each in first):
            run = {"round": found.number, "lane": named(lane), "weights": _weights(work, lane), "stopped": None}
            if lane in found.lanes:
                runs.append(run | look_at(work, lane))
                continue
            until, look = max(looks[str(lane)].items())
            run["stopped"] = {"until": until, "why": look["dropped"], "metrics": look["metrics"]}
            runs.append(run | {key: look[key] for key in ("metrics", "goal", "left_out")})
    for until in {run["stopped"]["until"] for run in runs if run["stopped"]}:
        _carry_on(runs, {name: seen[until] for name, seen in looks.items() if until in seen}, until=until, goal=goal)
    return runs


def _carry_on(runs: Sequence[dict[str, Any]], looks: Mapping[str, dict[str, Any]], *, until: float, goal: Goal) -> None:
    """Give the proxies that were dropped at a stop the scores to which they would have come, by those that went on."""
    from eval.search.halving import carried_on

    sound = [run for run in runs if run["lane"]["name"] in looks and not run["left_out"]]
    late = [run for run in sound if not run["stopped"]]
    dropped = [run for run in sound if run["stopped"] and run["stopped"]["until"] == until]
    for domain in goal.factors:
        early_N = np.array([looks[run["lane"]["name"]]["metrics"][domain] for run in late])
        late_N = np.array([run["metrics"][domain] for run in late])
        stopped_M = np.array([run["stopped"]["metrics"][domain] for run in dropped])
        for run, value in zip(dropped, carried_on(early_N, late_N, stopped_M).tolist(), strict=True):
            run["metrics"] = {**run["metrics"], domain: value}
    for run in dropped:
        run["goal"] = math.fsum(factor * run["metrics"][domain] for domain, factor in goal.factors.items())


def _weights(work: Work, lane: LaneName) -> list[float]:
    return [share["realised"] for share in _shares(work, lane.mixture)]


def _shares(work: Work, mixture: str) -> list[dict[str, Any]]:
    """Return what a mixture's card says of its datasets, in the order of their names."""
    found: list[dict[str, Any]] = work.card(work.experiment.mixtures[mixture]).details["shares"]
    return sorted(found, key=lambda share: str(share["dataset"]))


def _feasible(work: Work, limits: Limits) -> Limits:
    """Return the limits, and no dataset's most above the share that it can give within its epochs."""
    highest_D = limits.high_D.copy()
    for name, section in work.experiment.sections.items():
        if is_tried(name):
            for index, share in enumerate(_shares(work, name)):
                if share["epochs"] > 0:
                    supply = section.max_epochs * share["realised"] / share["epochs"]
                    highest_D[index] = max(limits.low_D[index], min(highest_D[index], supply))
    if highest_D.sum() < 1:
        told = ", ".join(f"{name} {most:.3f}" for name, most in zip(limits.names, highest_D.tolist(), strict=True))
        raise RecipeError(
            f"sweep.most: together with what the datasets can give within max_epochs it allows {told} at most, "
            "which is less than 1. Raise most or max_epochs, add text, or lower proxy.tokens."
        )
    return replace(limits, high_D=highest_D)
