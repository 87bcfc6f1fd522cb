"""A plan's finished experiment -> the runs that a tracker shows: curves, comparisons, the search.

Everything is read from stored results, so a run that builds nothing tells as much as one that trains, and no number
depends on whether anybody asked for it. A proxy has its loss by step; a comparison one row, at the number of its
seeds, so that looks with more seeds make a curve; a search one row for each proxy, in the order of training.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.core.errors import DataError, GateError
from pipeline.core.files.card import is_complete, read_card
from pipeline.core.identity import identity_of
from pipeline.experiment.findings.effects import effects_on
from pipeline.experiment.lanes import CURVE, LaneFacts, facts_of
from pipeline.plan.graph import Experiment, Plan
from pipeline.plan.lanes import LaneName
from pipeline.plan.parts import is_sealed
from pipeline.plan.sweep import found_in
from pipeline.store.node import Node

Fact = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Row:
    """What is known at one step."""

    step: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """One entry in a tracker's list of runs."""

    name: str  # unique in a recipe, with slashes
    rows: Sequence[Row]
    facts: Mapping[str, Fact]  # what it was made with
    results: Mapping[str, float] = field(default_factory=dict)  # what it came to
    texts: Mapping[str, str] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Return the run as JSON would hold it, with the hash of its content as its `id`."""
        content = asdict(self)
        return {**content, "id": identity_of(content)[:16]}


def told_of(plan: Plan) -> list[TrackedRun]:
    """Return what a plan's experiment has finished; nothing where it has none."""
    if plan.experiment is None:
        return []
    return [*_proxies(plan, plan.experiment), *_verdict(plan.experiment), *_effects(plan), *_search(plan.experiment)]


def _finished(node: Node | None) -> bool:
    return node is not None and is_complete(node.folder, node.identity)


def _proxies(plan: Plan, experiment: Experiment) -> Iterator[TrackedRun]:
    domains: dict[LaneName, dict[str, Node]] = {}
    proxy = plan.recipe.proxy
    assert proxy is not None
    for (lane, domain), node in experiment.scores.items():
        if not is_sealed(domain):  # only a verdict looks there
            domains.setdefault(lane, {})[domain] = node
    shares = {
        name: read_card(node.folder).details["shares"] for name, node in experiment.mixtures.items() if _finished(node)
    }
    for lane, node in sorted(experiment.lanes.items()):
        if _finished(node):
            yield _proxy(
                lane, node, domains.get(lane, {}), shares=shares[lane.mixture], num_tokens=proxy.tokens_of(lane.mixture)
            )


def _proxy(
    lane: LaneName, node: Node, domains: Mapping[str, Node], *, shares: Sequence[Mapping[str, Any]], num_tokens: int
) -> TrackedRun:
    """Return one proxy; `num_tokens` are those of its schedule, of which a search may have let it read a part."""
    facts = facts_of(node)
    scores = {
        domain: read_card(score.folder).details["bits_per_byte"]
        for domain, score in domains.items()
        if _finished(score)
    }
    return TrackedRun(
        name=f"proxy/{lane}",
        rows=list(_curve(node, facts, num_tokens=num_tokens)),
        facts={
            "until": facts.until,
            "mixture": lane.mixture, "seed": lane.seed, "learning_rate": lane.learning_rate, "tier": facts.tier,
            "parameters": facts.parameters, "tokens": facts.num_tokens, "device": facts.device,
            "precision": facts.precision, "identity": node.identity[:12],
            **{f"weight/{share['dataset']}": share["nominal"] for share in shares},
            **{f"share/{share['dataset']}": share["realised"] for share in shares},
        },
        results={
            "healthy": float(facts.healthy),
            "largest_document_share": facts.largest_document_share,
            **{f"bits_per_byte/{domain}": value for domain, value in sorted(scores.items()) if value is not None},
        },
        texts={"health": "; ".join(facts.findings) or "sound"},
    )  # fmt: skip


def _curve(node: Node, facts: LaneFacts, *, num_tokens: int) -> Iterator[Row]:
    """Yield a proxy's loss by step, up to where it broke, with the rate of its whole schedule."""
    from eval.proxies.schedule import schedule
    from eval.proxies.tiers import tier_called
    from eval.proxies.trainer import steps_of

    tier = tier_called(facts.tier)
    full_rate, num_steps = facts.learning_rate * tier.muon_lr, steps_of(num_tokens, tier=tier)
    for point in json.loads((node.folder / CURVE).read_bytes())["points"]:
        if point["bits_per_token"] is not None:
            rate = full_rate * schedule(point["step"] - 1, num_steps=num_steps, course=tier.course)
            values = {"bits_per_token": point["bits_per_token"], "tokens": point["tokens"], "learning_rate": rate}
            yield Row(point["step"], {f"train/{name}": value for name, value in values.items()})


def _gains(name: str, gain: float, low: float, high: float) -> dict[str, float]:
    return {f"gain/{name}": gain, f"gain_low/{name}": low, f"gain_high/{name}": high}


def _verdict(experiment: Experiment) -> Iterator[TrackedRun]:
    """One run for each learning rate that the certificate compares, the deciding one first."""
    node = experiment.certificate
    if node is None or not _finished(node):
        return
    found = json.loads((node.folder / "certificate.json").read_bytes())
    arms = {arm: found[arm]["name"] for arm in ("candidate", "baseline")}
    verdict = found["verdict"]
    for place, compared in enumerate(found["comparisons"]):
        values: dict[str, float] = {}
        for gain in (compared["overall"], *compared["domains"]):
            values |= _gains(gain["domain"], gain["gain"], gain["low"], gain["high"])
        yield TrackedRun(
            name=f"gate/{arms['candidate']}-over-{arms['baseline']}/lr{compared['learning_rate']:g}",
            rows=[Row(len(compared["seeds"]), values)],
            facts={
                **arms, "learning_rate": compared["learning_rate"], "decides": place == 0,
                "seeds": len(compared["seeds"]), "min_gain": found["rule"]["min_gain"],
                "confidence": found["rule"]["confidence"], "certificate": found["certificate_id"],
                "outcome": verdict["outcome"],
            },
            results=values,
            texts={"verdict": " ".join(filter(None, (verdict["sentence"], verdict["next_step"])))},
        )  # fmt: skip


def _effects(plan: Plan) -> Iterator[TrackedRun]:
    """One run for each mixture that a gate without a verdict compares the candidate with, as in an ablation."""
    experiment, gate = plan.experiment, plan.recipe.gate
    if experiment is None or gate is None or gate.verdict or not _finished(experiment.comparison):
        return
    for mixture in sorted({lane.mixture for lane in experiment.judged} - {gate.candidate}):
        name = f"comparison/{gate.candidate}-over-{mixture}"
        facts: dict[str, Fact] = {"candidate": gate.candidate, "baseline": mixture, "confidence": gate.confidence}
        try:
            (effect,) = effects_on(plan, base=gate.candidate, mixtures=[mixture])
        except (GateError, DataError) as error:
            yield TrackedRun(name, rows=(), facts=facts, texts={"left out": str(error)})
            continue
        values = _gains("overall", effect.gain, effect.low, effect.high)
        for domain, bounds in effect.by_domain.items():
            values |= _gains(domain, *bounds)
        yield TrackedRun(name, [Row(effect.seeds, values)], facts={**facts, "seeds": effect.seeds}, results=values)


def _search(experiment: Experiment) -> Iterator[TrackedRun]:
    """Weights against scores: every proxy of the search in the order of training, and what its models found."""
    done = [found.node for found in experiment.rounds if _finished(found.node)]
    if not done:
        return
    found = found_in(done[-1])
    rows = []
    for number, run in enumerate(found["runs"], start=1):
        if not run["left_out"]:
            weights = zip(found["datasets"], run["weights"], strict=True)
            values = {f"weight/{dataset}": weight for dataset, weight in weights} | {"round": run["round"]}
            if not run["stopped"]:  # what was dropped on its way has projected scores, and no measured ones
                values |= {f"bits_per_byte/{domain}": value for domain, value in run["metrics"].items()}
                values["goal"] = run["goal"]
            rows.append(Row(number, values))
    best = found["optimum"]
    yield TrackedRun(
        name="search",
        rows=rows,
        facts={"around": found["around"], "rounds": found["rounds"], "finished_rounds": found["round"]},
        results={
            **{f"found/weight/{dataset}": weight for dataset, weight in best["weights"].items()},
            "found/goal": best["value"],
            "found/goal_sd": best["sd"],
            "around/goal": found["of_around"]["value"],
            **{f"accuracy/{name}": value for name, value in found["accuracy"].items() if _is_number(value)},
        },
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
