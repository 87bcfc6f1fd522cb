"""Half-trained proxies of a round -> which of them go on, in cut.json: all their scores so far, who is dropped and why.

What a dropped proxy needs to go on is taken away, so a search of hundreds keeps the states of those that are training.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.core.files.writing.durable import write_text
from pipeline.experiment.lanes import facts_of, whole_of
from pipeline.experiment.work import Work
from pipeline.plan.graph import SearchRound
from pipeline.plan.lanes import LaneName
from pipeline.plan.sweep import CUT
from pipeline.store.node import Node


def build_cut(work: Work, number: str, node: Node, *, cut: SearchRound) -> tuple[list[str], dict[str, Any], int]:
    """Write which proxies go on; return the file, the card's details and the number of proxies."""
    sweep, experiment = work.plan.recipe.sweep, work.experiment
    assert sweep is not None
    looks = [look_at(work, lane) for lane in cut.lanes]
    reasons = _reasons(looks, cut.lanes, around=sweep.around, keep=sweep.keep)
    told = {
        "round": cut.number,
        "until": cut.until,
        "tokens": facts_of(experiment.lanes[cut.lanes[0]]).num_tokens,
        "runs": [
            look | {"lane": named(replace(lane, until=1.0)), "dropped": why}
            for lane, look, why in zip(cut.lanes, looks, reasons, strict=True)
        ],
    }
    for lane, why in zip(cut.lanes, reasons, strict=True):
        if why:
            shutil.rmtree(whole_of(work, lane, experiment.lanes[lane]) / "scratch", ignore_errors=True)
    node.folder.mkdir(parents=True, exist_ok=True)
    write_text(node.folder / CUT, json.dumps(told, indent=1, allow_nan=False) + "\n")
    dropped = sum(1 for why in reasons if why)
    work.run.progress.say(
        f"round {cut.number}: {dropped} of {len(looks)} proxies are dropped at {100 * cut.until:g} % of their tokens"
    )
    return [CUT], {"until": cut.until, "proxies": len(looks), "dropped": dropped}, len(looks)


def look_at(work: Work, lane: LaneName) -> dict[str, Any]:
    """Return what a proxy scored on each set that is looked at, their weighted sum, and what is wrong with it."""
    experiment, sweep = work.experiment, work.plan.recipe.sweep
    assert sweep is not None
    total, facts = math.fsum(sweep.on.values()), facts_of(experiment.lanes[lane])
    scores = {name: work.card(experiment.scores[lane, name]).details["bits_per_byte"] for name in sorted(sweep.on)}
    left_out = "; ".join(facts.findings) if not facts.healthy else ""
    if not left_out and any(value is None for value in scores.values()):
        left_out = "its bits per byte are not finite"
    goal = None if left_out else math.fsum(sweep.on[name] / total * scores[name] for name in scores)
    return {"metrics": scores, "goal": goal, "left_out": left_out}


def named(lane: LaneName) -> dict[str, Any]:
    """Return a lane's name, whole and in its parts."""
    return {"mixture": lane.mixture, "seed": lane.seed, "name": str(lane)}


def _reasons(looks: Sequence[Mapping[str, Any]], lanes: Sequence[LaneName], *, around: str, keep: float) -> list[str]:
    """Return for each proxy why it is dropped; nothing for one that goes on.

    Proxies of the mixture that is searched around go on: they show what chance does, and tie early losses to late ones.
    """
    from eval.search.halving import worst
    from eval.search.surrogates import LEAST_RUNS

    reasons = [str(look["left_out"]) for look in looks]
    tried = [k for k, lane in enumerate(lanes) if not reasons[k] and lane.mixture != around]
    if not tried:
        return reasons
    values_N = np.array([looks[k]["goal"] for k in tried])
    best, dropped_N = float(values_N.min()), worst(values_N, keep=keep, least=LEAST_RUNS)
    for k, value, dropped in zip(tried, values_N.tolist(), dropped_N.tolist(), strict=True):
        if dropped:
            reasons[k] = f"{value - best:.4f} bits per byte worse than the best of its round"
    return reasons
