"""Proxies of a search and the weights found -> its pictures: simplex, weights, predictions, progress.

In all of them a dot is a proxy: the better its quarter, the larger, fuller and bluer, so that they can be told without
colours too; a diamond is the mixture found, an open square the one searched around. What would squash the rest (beyond
Tukey's fence) is drawn at the edge as a triangle, and where only bits per byte are bent, they are by their square root
above the lowest: half of a search is near its best. Dots are thinned where there are thousands, the best quarter last.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup, escape

from pipeline.report.draw import figures
from pipeline.report.draw.charts import Axis, Curve, Frame, label, line, pct, rect, svg
from pipeline.report.draw.marks import glyph, run_dot
from pipeline.report.mixture.simplex import triangle

if TYPE_CHECKING:
    from pipeline.report.mixture.search import Step, Tried, Weight

MOST_DOTS = 3000  # on the page: 0.6 MB
MOST_PANELS = 12
ROW = 34.0  # pixels of a dataset in parallel coordinates, more where there are few:
FEW_ROWS = 300.0
PAD = 0.05  # of the range, around it


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures of a search; a simplex only of three datasets."""

    simplex: Markup | None
    parallel: Markup
    panels: tuple[tuple[str, Markup], ...]  # dataset, weight against metric
    unseen: Markup  # predicted of proxies that models had not seen, against measured
    near: Markup  # the same, the best half
    progress: Markup
    num_drawn: int
    num_beyond: int
    fence: float


def pictures_of(
    tried: Sequence[Tried],
    weights: Sequence[Weight],
    steps: Sequence[Step],
    *,
    name: str,
    around: str,
    noise_sd: float | None,
    domains: str,
) -> Pictures:
    """Draw everything; `tried` are the proxies that count, the best first."""
    names = [row.dataset for row in weights]
    drawn = _thinned(tried, most=max(40, MOST_DOTS // (3 + min(len(names), MOST_PANELS))))
    measured = np.array([each.measured for each in tried], dtype=float)
    fence = _fence(measured)
    lowest = min(float(measured.min()), *(step.value - step.sd for step in steps))
    pad = PAD * (fence - lowest) or 0.01
    y = Axis(lowest - pad, fence + pad)
    bent = Axis(lowest - pad / 4, fence + pad, root=True)
    order = sorted(range(len(names)), key=lambda index: -max(weights[index].found, weights[index].around))
    labels = [_said(each, names) for each in drawn]
    half = [each for each in drawn if each.quarter < 2]
    return Pictures(
        simplex=triangle(drawn, labels, weights, name=name, around=around) if len(names) == 3 else None,
        parallel=_parallel(drawn, weights, name=name, around=around),
        panels=tuple(
            (names[index], _panel(drawn, labels, weights[index], index, steps[-1], y=bent, name=name, around=around))
            for index in order[:MOST_PANELS]
        ),
        unseen=_unseen(drawn, labels, y=y, noise_sd=noise_sd, domains=domains),
        near=_unseen(half, [_said(each, names) for each in half], y=_around(half), noise_sd=noise_sd, domains=domains),
        progress=_progress(drawn, labels, steps, y=bent),
        num_drawn=len(drawn),
        num_beyond=int((measured > y.high).sum()),
        fence=y.high,
    )


def _fence(values: np.ndarray) -> float:
    """Return the largest value that is not far beyond the others."""
    first, third = np.quantile(values, (0.25, 0.75))
    return float(values[values <= third + 1.5 * (third - first)].max())


def _thinned(tried: Sequence[Tried], *, most: int) -> list[Tried]:
    """Return at most so many proxies, evenly over their ranks; the worst first, so that the best are drawn on top."""
    places = np.unique(np.linspace(0, len(tried) - 1, min(most, len(tried))).round().astype(int))
    return [tried[place] for place in places[::-1].tolist()]


def _said(each: Tried, names: Sequence[str]) -> str:
    mixed = ", ".join(
        f"{name} {figures.share(round(weight, 6), 1)}" for name, weight in zip(names, each.weights, strict=True)
    )
    return f"{each.mixture}: {figures.number(each.measured, 5)} bits per byte; {mixed}"


def _panel(
    drawn: Sequence[Tried],
    labels: Sequence[str],
    row: Weight,
    index: int,
    last: Step,
    *,
    y: Axis,
    name: str,
    around: str,
) -> Markup:
    """Draw what was measured against one dataset's weight."""
    most = max([each.weights[index] for each in drawn] + [row.found, row.around, 0.01])
    frame = Frame(Axis(-0.02 * most, 1.02 * most), y, height=190)
    low, high = frame.x.percent(row.low), frame.x.percent(row.high)
    body = [rect(low, frame.top, max(high - low, 0.5), frame.floor - frame.top, "span")]
    body += _dots(frame, zip(drawn, labels, [each.weights[index] for each in drawn], strict=True))
    body.append(glyph(pct(frame.x.percent(row.around)), frame.down(last.around), "around", f"predicted of {around}"))
    body.append(glyph(pct(frame.x.percent(row.found)), frame.down(last.value), "found", f"predicted of {name}"))
    title = f"Bits per byte against the weight of {row.dataset}; found: {figures.share(round(row.found, 6), 1)}"
    return frame.draw(body, title=title, x_text=f"weight of {row.dataset}", y_text="bits per byte", x_ticks=_whole)


def _dots(frame: Frame, placed: Iterable[tuple[Tried, str, float]]) -> list[Markup]:
    """Draw proxies by what was measured of them against something else."""
    found = []
    for each, said, x in placed:
        assert each.measured is not None
        at, inside = pct(frame.x.percent(x)), each.measured <= frame.y.high
        if inside and x <= frame.x.high:
            found.append(run_dot(at, frame.down(each.measured), each.quarter, said))
        elif inside:
            found.append(glyph(at, frame.down(each.measured), "aside", said))
        else:
            found.append(glyph(at, frame.top, "beyond", said))
    return found


def _whole(value: float) -> str:
    return f"{100 * value:.3g} %"


def _around(tried: Sequence[Tried]) -> Axis:
    """Return an axis for what was measured and predicted of some proxies."""
    values = [value for each in tried for value in (each.measured, each.unseen) if value is not None]
    pad = PAD * (max(values) - min(values)) or 0.01
    return Axis(min(values) - pad, max(values) + pad)


def _unseen(
    drawn: Sequence[Tried], labels: Sequence[str], *, y: Axis, noise_sd: float | None, domains: str
) -> Markup:  # fmt: skip
    frame, (low, high) = Frame(y, y, height=300), (y.low, y.high)
    off = min(noise_sd or 0.0, high - low)
    band = [(low, low), (low + off, low), (high, high - off), (high, high), (high - off, high), (low, low + off)]
    body = [frame.lines([Curve([(low, low), (high, high)], "ideal")], areas=[Curve(band, "span")])]
    known = [(each, said, each.unseen) for each, said in zip(drawn, labels, strict=True) if each.unseen is not None]
    body += _dots(frame, known)
    title = f"Bits per byte on {domains}, measured against predicted by models that had not seen the proxy"
    return frame.draw(body, title=title, x_text="predicted, bits per byte", y_text="measured, bits per byte")


def _progress(drawn: Sequence[Tried], labels: Sequence[str], steps: Sequence[Step], *, y: Axis) -> Markup:
    """Draw every proxy in the order of the rounds, the best so far, and what was predicted after each round."""
    frame, start = Frame(Axis(0, steps[-1].num_proxies + 1), y, height=300), 0.5
    body, best = list[Markup](), list[tuple[float, float]]()
    for step in steps:
        end = step.num_proxies + 0.5
        if start > 1:
            body.append(line(frame.x.percent(start), frame.top, frame.x.percent(start), frame.floor, "edge"))
        body.append(label(frame.x.percent((start + end) / 2), frame.floor + 15, f"round {step.number}"))
        best += [(start, step.best), (end, step.best)]
        start = end
    body += _dots(frame, ((each, said, float(each.number)) for each, said in zip(drawn, labels, strict=True)))
    body.append(frame.lines([Curve(best, "found")]))
    for step in steps:
        at = frame.x.percent(step.num_proxies + 0.5)
        body.append(line(at, frame.down(step.value - step.sd), at, frame.down(step.value + step.sd), "interval strong"))
        said = f"predicted after round {step.number}: {figures.number(step.value, 5)}, give or take {step.sd:.2g}"
        body.append(glyph(pct(at), frame.down(step.value), "found", said))
    title = "Bits per byte of every proxy by round, the best so far, and what is predicted of the best weights: " + (
        "; ".join(f"round {step.number} {figures.number(step.value, 4)}" for step in steps)
    )
    return frame.draw(body, title=title, x_text="proxies, by round", y_text="bits per byte", x_ticks=lambda tick: "")


def _parallel(drawn: Sequence[Tried], weights: Sequence[Weight], *, name: str, around: str) -> Markup:
    """Draw one line for each proxy across the datasets, which stand below each other: there may be many of them."""
    most = max([weight for each in drawn for weight in each.weights] + [row.found for row in weights] + [0.01])
    most = math.ceil(20 * most - 0.1) / 20
    x, top, row_height = Axis(0, most), 6.0, max(ROW, FEW_ROWS / len(weights))
    height = top + row_height * len(weights) + 24
    middles = [top + row_height * (index + 0.5) for index in range(len(weights))]
    names, body = [], list[Markup]()
    for tick in x.ticks(4):
        at = x.percent(tick)
        body += [line(at, top, at, height - 22, "grid"), label(at, height - 6, _whole(tick))]
    for row, middle in zip(weights, middles, strict=True):
        low, high = x.percent(row.low), x.percent(row.high)
        body += [rect(low, middle - 11, max(high - low, 0.6), 22, "span"), line(0, middle, 100, middle, "axis")]
        for limit in (row.least, min(row.most, most)):
            body.append(line(x.percent(limit), middle - 7, x.percent(limit), middle + 7, "limit"))
        names.append(Markup('<text class="tick" x="0" y="{}">{}</text>').format(f"{middle + 4:g}", _short(row.dataset)))
    body.append(
        Markup('<svg viewBox="0 0 1000 {}" preserveAspectRatio="none" y="0" width="100%" height="{}">').format(
            f"{height:g}", f"{height:g}"
        )
    )
    for each in drawn:
        points = " ".join(
            f"{10 * x.percent(weight):.4g},{middle:g}" for weight, middle in zip(each.weights, middles, strict=True)
        )
        body.append(Markup('<polyline class="way q{}" points="{}"/>').format(each.quarter + 1, points))
    body.append(Markup("</svg>"))
    for row, middle in zip(weights, middles, strict=True):
        body.append(glyph(pct(x.percent(row.around)), middle, "around", f"{around}: {_whole(row.around)}"))
        body.append(glyph(pct(x.percent(row.found)), middle, "found", f"{name}: {_whole(row.found)}"))
    spoken = ", ".join(f"{row.dataset} {_whole(row.found)}" for row in weights)
    title = f"Weights of every proxy, a line each, the best quarter bold; found: {spoken}"
    side = Markup('<svg class="chart side" aria-hidden="true" width="96" height="{}">{}</svg>').format(
        f"{height:g}", Markup("").join(names)
    )
    picture = svg(title, height=height, body=body, kind="parallel")
    return Markup('<div class="plot wide">{}{}</div>').format(side, picture)


def _short(name: str) -> Markup:
    return escape(name if len(name) <= 15 else name[:14] + "\N{HORIZONTAL ELLIPSIS}")
