"""Mixtures, proxies and the certificate -> verdict, interval plots, curves and tables of the report.

Expected files: a mixture's card says `num_tokens` and `shares`; the comparison has `curves.json` (one entry per lane
with its points) and a card that says tier, device, precision and speed; `eval.certificate` makes `certificate.json`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from pipeline.core.files.card import read_card
from pipeline.plan.graph import Plan
from pipeline.report import figures
from pipeline.report.account import node_of
from pipeline.report.charts import Axis, Curve, Interval, interval, plot, ruler

BURN_IN = 0.05  # share of the tokens left out when the height of a curve plot is chosen


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an interval plot."""

    name: str
    picture: Markup
    gain: str
    range: str
    guard: str
    strong: bool


@dataclass(frozen=True, slots=True)
class Forest:
    """Rows of intervals over one axis."""

    rows: tuple[Row, ...]
    axis: Markup


@dataclass(frozen=True, slots=True)
class CurvePlot:
    """The loss curves at one learning rate."""

    learning_rate: str
    picture: Markup
    finals: tuple[tuple[str, str, str], ...]  # mixture, css class, mean loss at the end


def certificate_in(plan: Plan) -> dict[str, Any] | None:
    """Return the certificate of a plan, if there is one."""
    node = node_of(plan, "certificate")
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
    for name, section in plan.recipe.mixtures.items():
        node = node_of(plan, f"mixture.{name}")
        if node is None:
            continue
        details = read_card(node.folder).details
        shares = sorted(details.get("shares", ()), key=lambda item: -item.get("nominal", 0.0))
        found.append(
            {"name": name, "num_tokens": details.get("num_tokens"), "shares": shares, "max_epochs": section.max_epochs}
        )
    return found


def experiment_facts(plan: Plan) -> dict[str, Any]:
    """Return what is known of tokenizer, tokens and proxies, from their cards."""
    facts: dict[str, Any] = {"tokens": [], "comparison": None, "tokenizer": None}
    for key in plan.experiment:
        node = node_of(plan, key)
        if node is None:
            continue
        details = read_card(node.folder).details
        if key.startswith("tokens."):
            facts["tokens"].append({"name": key.removeprefix("tokens."), **details})
        elif key in facts:
            facts[key] = dict(details)
    if facts["comparison"] is not None:
        shares = [lane.get("largest_document_share", 0.0) for lane in facts["comparison"].get("lanes", ())]
        facts["comparison"]["largest_document"] = max(shares, default=0.0)
    return facts


def curve_plots(plan: Plan) -> list[CurvePlot]:
    """Return the training curves, one plot per learning rate: every lane thin, the mean of each mixture bold."""
    node = node_of(plan, "comparison")
    if node is None or not (node.folder / "curves.json").exists():
        return []
    lanes = json.loads((node.folder / "curves.json").read_text(encoding="utf-8"))
    lanes = [{**lane, "points": _known(lane["points"])} for lane in lanes]
    lanes = [lane for lane in lanes if lane["points"]]
    gate = plan.recipe.gate
    kinds = {gate.candidate: "candidate", gate.baseline: "baseline"} if gate else {}
    rates = list(dict.fromkeys(float(lane["learning_rate"]) for lane in lanes))
    return [
        _curve_plot([lane for lane in lanes if lane["learning_rate"] == rate], rate=rate, kinds=kinds) for rate in rates
    ]


def _known(points: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    pairs = [(point["tokens"], point["bits_per_token"]) for point in points]
    return [(float(x), float(y)) for x, y in pairs if y is not None and math.isfinite(y)]


def _curve_plot(lanes: Sequence[Mapping[str, Any]], *, rate: float, kinds: Mapping[str, str]) -> CurvePlot:
    end = max(lane["points"][-1][0] for lane in lanes)
    settled = [y for lane in lanes for x, y in lane["points"] if x >= BURN_IN * end]
    high, low = max(settled), min(settled)
    pad = 0.04 * (high - low) or 0.01
    x, y = Axis(0.0, end), Axis(low - pad, high + pad)
    thin, bold, finals = [], [], []
    for name in dict.fromkeys(str(lane["mixture"]) for lane in lanes):
        kind = kinds.get(name, "other")
        mine = [lane["points"] for lane in lanes if lane["mixture"] == name]
        thin += [Curve(_inside(points, high + pad), f"lane {kind}") for points in mine]
        mean = _mean(mine)
        bold.append(Curve(_inside(mean, high + pad), f"mean {kind}"))
        finals.append((name, kind, figures.number(mean[-1][1], 4)))
    spoken = ", ".join(f"{name} {final}" for name, _, final in finals)
    title = f"Training loss against tokens at learning rate x{rate:g}; at the end, in bits per token: {spoken}"
    picture = plot([*thin, *bold], x=x, y=y, title=title, x_text="training tokens", y_text="bits per token")
    return CurvePlot(learning_rate=f"{rate:g}", picture=picture, finals=tuple(finals))


def _inside(points: Sequence[tuple[float, float]], top: float) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points if y <= top]


def _mean(curves: Sequence[Sequence[tuple[float, float]]]) -> list[tuple[float, float]]:
    """Return the mean over lanes at the points that all of them have."""
    length = min(len(points) for points in curves)
    return [(curves[0][i][0], float(np.mean([points[i][1] for points in curves]))) for i in range(length)]
