"""Mixtures, proxies and the certificate -> verdict, interval plots, curves and tables of the report.

A mixture's card says `num_tokens` and `shares`, a lane's folder holds its curve, the comparison's card says tier,
device, precision, speed and the health of every lane; `eval.verdict.certificate` makes `certificate.json`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from pipeline.core.files.card import read_card
from pipeline.experiment.lanes import CURVE
from pipeline.plan.graph import Plan
from pipeline.plan.lanes import LaneName
from pipeline.report.draw import figures
from pipeline.report.draw.charts import Axis, Curve, Interval, interval, plot, ruler
from pipeline.report.draw.forest import Forest, Row
from pipeline.report.run.account import finished

Point = tuple[float, float]  # tokens, bits per token
HUES = 5  # mixtures beside candidate and baseline that have a colour of their own
BURN_IN = 0.05  # share of the tokens left out when the height of a curve plot is chosen


@dataclass(frozen=True, slots=True)
class CurvePlot:
    """The loss curves at one learning rate."""

    learning_rate: str
    picture: Markup
    finals: tuple[tuple[str, str, str], ...]  # mixture, css class, mean loss at the end


def certificate_in(plan: Plan) -> dict[str, Any] | None:
    """Return the certificate of a plan, if there is one."""
    node = finished(plan.experiment.certificate) if plan.experiment is not None else None
    if node is None:
        return None
    found: dict[str, Any] = json.loads((node.folder / "certificate.json").read_text(encoding="utf-8"))
    return found


def forests(certificate: Mapping[str, Any]) -> tuple[Forest, Forest]:
    """Return the interval plots of the deciding comparison by domain, and of all learning rates overall."""
    first = certificate["comparisons"][0]
    guards = {guard["domain"]: guard for guard in certificate["verdict"]["guards"]}
    gains = [first["overall"], *first["domains"]]
    by_domain = _forest(gains, [str(gain["domain"]) for gain in gains], certificate, guards=guards)
    overall = [item["overall"] for item in certificate["comparisons"]]
    names = [f"learning rate \N{MULTIPLICATION SIGN}{item['learning_rate']:g}" for item in certificate["comparisons"]]
    return by_domain, _forest(overall, names, certificate, guards={})


def _forest(
    gains: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    certificate: Mapping[str, Any],
    *,
    guards: Mapping[str, Any],
) -> Forest:
    needed = float(certificate["rule"]["min_gain"])
    decimals = decimals_for(gains, needed)
    ends = [float(gain[end]) for gain in gains for end in ("low", "high")] + [0.0, needed]
    ends += [float(value) for gain in gains for value in gain["per_seed"]]
    pad = 0.05 * (max(ends) - min(ends)) or 0.001
    axis = Axis(min(ends) - pad, max(ends) + pad)
    rows = []
    for index, (gain, name) in enumerate(zip(gains, names, strict=True)):
        guard = guards.get(name)
        marks = [(0.0, "zero"), (needed, "needed")] if index == 0 or not guards else [(0.0, "zero")]
        marks += [(-float(guard["max_loss"]), "guard")] if guard and -guard["max_loss"] >= axis.low else []
        low, high = figures.signed(gain["low"], decimals), figures.signed(gain["high"], decimals)
        value = figures.signed(gain["gain"], decimals)
        item = Interval(gain["gain"], gain["low"], gain["high"], points=tuple(gain["per_seed"]))
        title = f"{name}: gain {value} bits per byte, interval {low} to {high}"
        rows.append(
            Row(
                name=name,
                picture=interval(item, axis=axis, marks=marks, title=title, strong=index == 0),
                gain=value,
                range=f"{low} to {high}",
                strong=index == 0,
                guard=_guard(guard["status"], guard["max_loss"]) if guard else "",
            )
        )
    return Forest(rows=tuple(rows), axis=ruler(axis, marks=[(0.0, "zero"), (needed, "needed")]))


def _guard(status: str, max_loss: float) -> str:
    """Say what a domain's guard came to."""
    said = {
        "kept": "no loss over {}",
        "broken": "lost more than {}",
        "open": "loss over {} not ruled out",
    }
    return said[status].format(figures.number(max_loss))


def decimals_for(gains: Sequence[Mapping[str, Any]], needed: float) -> int:
    """Return as many decimals as show the widths of the intervals and what is required."""
    gaps = [gain["high"] - gain["low"] for gain in gains] + [needed]
    smallest = min((gap for gap in gaps if gap > 0), default=0.001)
    return min(6, max(3, math.ceil(-math.log10(smallest)) + 1))


def seed_rows(certificate: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the overall gain of every seed at every learning rate."""
    decimals = decimals_for([item["overall"] for item in certificate["comparisons"]], certificate["rule"]["min_gain"])
    return [
        {
            "rate": f"\N{MULTIPLICATION SIGN}{item['learning_rate']:g}",
            "seeds": [
                (seed, figures.signed(gain, decimals), gain < 0)
                for seed, gain in zip(item["seeds"], item["overall"]["per_seed"], strict=True)
            ],
            "sd": figures.number(item["overall"]["lane_sd"], 2),
        }
        for item in certificate["comparisons"]
    ]


def mixture_rows(plan: Plan) -> list[dict[str, Any]]:
    """Return every mixture with the shares that were asked for and those that came out."""
    found = []
    for name, section in plan.mixtures.items():
        node = finished(plan.experiment.mixtures[name]) if plan.experiment is not None else None
        if node is None:
            continue
        details = read_card(node.folder).details
        shares = sorted(details.get("shares", ()), key=lambda item: -item.get("nominal", 0.0))
        found.append(
            {"name": name, "num_tokens": details.get("num_tokens"), "shares": shares, "max_epochs": section.max_epochs}
        )
    return found


def experiment_facts(plan: Plan) -> dict[str, Any]:
    """Return what the comparison's card knows of the proxies."""
    node = finished(plan.experiment.comparison) if plan.experiment is not None else None
    if node is None:
        return {"comparison": None}
    details = read_card(node.folder).details
    largest = max((lane["largest_document_share"] for lane in details["lanes"]), default=0.0)
    return {"comparison": {**details, "largest_document": largest}}


def curve_plots(plan: Plan) -> list[CurvePlot]:
    """Return the training curves, one plot per learning rate: every lane thin, the mean of each mixture bold."""
    if plan.experiment is None:
        return []
    curves: dict[LaneName, list[Point]] = {}
    for lane in sorted(plan.experiment.judged):
        node = finished(plan.experiment.lanes[lane])
        if node is not None and (points := known_points(json.loads((node.folder / CURVE).read_bytes())["points"])):
            curves[lane] = points
    if not curves:
        return []
    kinds = _kinds(plan, {lane.mixture for lane in curves})
    rates = plan.recipe.proxy.learning_rates if plan.recipe.proxy is not None else ()
    found = {rate: {lane: points for lane, points in curves.items() if lane.learning_rate == rate} for rate in rates}
    return [curve_plot(mine, rate=rate, kinds=kinds) for rate, mine in found.items() if mine]


def _kinds(plan: Plan, mixtures: Set[str]) -> dict[str, str]:
    """Return the class of every mixture that was trained, in the recipe's order; beyond a few, hues repeat none."""
    gate = plan.recipe.gate
    assert gate is not None  # without one no lane is trained
    roles = {gate.candidate: "candidate"} | ({gate.baseline: "baseline"} if gate.verdict else {})
    others = [name for name in plan.mixtures if name in mixtures and name not in roles]
    hues = {name: f"other hue{number}" for number, name in enumerate(others[:HUES], start=1)}
    return {name: roles.get(name) or hues.get(name, "other") for name in plan.mixtures if name in mixtures}


def known_points(points: Sequence[Mapping[str, Any]]) -> list[Point]:
    """Return the points of a stored curve that are numbers."""
    pairs = [(point["tokens"], point["bits_per_token"]) for point in points]
    return [(float(x), float(y)) for x, y in pairs if y is not None and math.isfinite(y)]


def curve_plot(curves: Mapping[LaneName, Sequence[Point]], *, rate: float, kinds: Mapping[str, str]) -> CurvePlot:
    """Draw every lane thin and the mean of each mixture bold, in the class of its kind."""
    end = max(points[-1][0] for points in curves.values())
    settled = [y for points in curves.values() for x, y in points if x >= BURN_IN * end]
    high, low = max(settled), min(settled)
    pad = 0.04 * (high - low) or 0.01
    x, y = Axis(0.0, end), Axis(low - pad, high + pad)
    thin, bold, finals = [], [], []
    for name, kind in kinds.items():
        mine = [points for lane, points in curves.items() if lane.mixture == name]
        if not mine:
            continue
        thin += [Curve(_inside(points, high + pad), f"lane {kind}") for points in mine]
        mean = _mean(mine)
        bold.append(Curve(_inside(mean, high + pad), f"mean {kind}"))
        finals.append((name, kind, figures.number(mean[-1][1], 4)))
    spoken = ", ".join(f"{name} {final}" for name, _, final in finals)
    title = f"Training loss against tokens at learning rate x{rate:g}; at the end, in bits per token: {spoken}"
    picture = plot([*thin, *bold], x=x, y=y, title=title, x_text="training tokens", y_text="bits per token")
    return CurvePlot(learning_rate=f"{rate:g}", picture=picture, finals=tuple(finals))


def _inside(points: Sequence[Point], top: float) -> list[Point]:
    return [(x, y) for x, y in points if y <= top]


def _mean(curves: Sequence[Sequence[Point]]) -> list[Point]:
    """Return the mean over lanes at the points that all of them have."""
    length = min(len(points) for points in curves)
    return [(curves[0][i][0], float(np.mean([points[i][1] for points in curves]))) for i in range(length)]
