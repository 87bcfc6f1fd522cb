"""Weights of three datasets as a triangle: each corner is one dataset alone, the side opposite has none of it.

Unlike the other charts it keeps its shape, so it has a size of its own and shrinks only on a narrow page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from pipeline.report.draw import figures
from pipeline.report.draw.marks import glyph, run_dot

if TYPE_CHECKING:
    from pipeline.report.mixture.search import Tried, Weight

Place = tuple[float, float]
Shares = tuple[float, float, float]

SIDE, LEFT, TOP = 320.0, 48.0, 34.0
TALL = SIDE * math.sqrt(3) / 2
WIDTH, HEIGHT = SIDE + 2 * LEFT, TOP + TALL + 50
CORNERS: tuple[Place, Place, Place] = ((LEFT + SIDE / 2, TOP), (LEFT, TOP + TALL), (LEFT + SIDE, TOP + TALL))
EDGES: tuple[Shares, Shares, Shares] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
PARTS = (0.25, 0.5, 0.75)  # of the grid


def triangle(
    drawn: Sequence[Tried], labels: Sequence[str], weights: Sequence[Weight], *, name: str, around: str
) -> Markup:
    """Draw proxies in the triangle of their weights, limits, the interval, and both mixtures by name."""
    body = [_polygon([CORNERS[0], CORNERS[1], CORNERS[2]], "outside")]
    body.append(_polygon(allowed([(row.least, row.most) for row in weights]), "inside"))
    body += _grid()
    body.append(_polygon(allowed([(row.low, row.high) for row in weights]), "span"))
    body.append(_polygon([CORNERS[0], CORNERS[1], CORNERS[2]], "rim"))
    for each, said in zip(drawn, labels, strict=True):
        x, y = place((each.weights[0], each.weights[1], each.weights[2]))
        body.append(run_dot(f"{x:.5g}", y, each.quarter, said))
    told = []
    for kind, named, shares in (
        ("around", around, (weights[0].around, weights[1].around, weights[2].around)),
        ("found", name, (weights[0].found, weights[1].found, weights[2].found)),
    ):
        x, y = place(shares)
        body.append(glyph(f"{x:.5g}", y, kind))
        anchor, off = ("end", -13) if x > WIDTH / 2 else ("start", 13)
        body.append(_text(x + off, y + 4, named, kind="name", anchor=anchor))
        spoken = zip(weights, shares, strict=True)
        told.append(f"{named}: " + ", ".join(f"{row.dataset} {figures.share(round(w, 6), 1)}" for row, w in spoken))
    top, left, right = (row.dataset for row in weights)
    body += [
        _text(CORNERS[0][0], TOP - 14, top, kind="corner", anchor="middle"),
        _text(2, HEIGHT - 6, left, kind="corner", anchor="start"),
        _text(WIDTH - 2, HEIGHT - 6, right, kind="corner", anchor="end"),
    ]
    title = f"Weights of {top}, {left} and {right} of every proxy in a triangle. {'. '.join(told)}"
    head = Markup('<svg class="simplex" role="img" width="{w}" height="{h}" viewBox="0 0 {w} {h}"><title>{t}</title>')
    return head.format(w=f"{WIDTH:g}", h=f"{HEIGHT:.5g}", t=title) + Markup("").join(body) + Markup("</svg>")


def place(shares: Shares) -> Place:
    """Return where weights lie; they may sum to a little more or less than one."""
    total = math.fsum(shares)
    x = math.fsum(share * corner[0] for share, corner in zip(shares, CORNERS, strict=True)) / total
    y = math.fsum(share * corner[1] for share, corner in zip(shares, CORNERS, strict=True)) / total
    return x, y


def allowed(limits: Sequence[tuple[float, float]]) -> list[Place]:
    """Return the part of the triangle where every share is between its limits, cut by one limit after the other."""
    shape: list[Shares] = list(EDGES)
    for index, (low, high) in enumerate(limits):
        shape = _cut(shape, index, low, above=True)
        shape = _cut(shape, index, high, above=False)
    return [place(corner) for corner in shape]


def _cut(shape: Sequence[Shares], index: int, limit: float, *, above: bool) -> list[Shares]:
    """Return the part of a convex shape on one side of a limit."""
    found: list[Shares] = []
    for one, other in zip(shape, [*shape[1:], *shape[:1]], strict=True):
        inside, follows = ((point[index] >= limit) == above or point[index] == limit for point in (one, other))
        if inside:
            found.append(one)
        if inside != follows:
            part = (limit - one[index]) / (other[index] - one[index])
            x, y, z = (a + part * (b - a) for a, b in zip(one, other, strict=True))
            found.append((x, y, z))
    return found


def _grid() -> list[Markup]:
    found = []
    for part in PARTS:
        rest, text = 1 - part, f"{100 * part:g} %"
        for one, other, at, anchor, (right, down) in (
            ((part, rest, 0.0), (part, 0.0, rest), (part, rest, 0.0), "end", (-7, 4)),
            ((rest, part, 0.0), (0.0, part, rest), (0.0, part, rest), "middle", (-7, 16)),
            ((0.0, rest, part), (rest, 0.0, part), (rest, 0.0, part), "start", (7, 0)),
        ):
            (x1, y1), (x2, y2), (x, y) = place(one), place(other), place(at)
            found.append(
                Markup('<line class="grid" x1="{:.5g}" y1="{:.5g}" x2="{:.5g}" y2="{:.5g}"/>').format(x1, y1, x2, y2)
            )
            found.append(_text(x + right, y + down, text, kind="tick", anchor=anchor))
    return found


def _polygon(corners: Sequence[Place], kind: str) -> Markup:
    points = " ".join(f"{x:.5g},{y:.5g}" for x, y in corners)
    return Markup('<polygon class="{}" points="{}"/>').format(kind, points)


def _text(x: float, y: float, text: str, *, kind: str, anchor: str) -> Markup:
    return Markup('<text class="{}" x="{:.5g}" y="{:.5g}" text-anchor="{}">{}</text>').format(kind, x, y, anchor, text)
