"""Numbers in, inline SVG out: bars, histograms, intervals, curves, calibration.

Every chart is as wide as its box and keeps its type size, because x is in percent and only y in pixels: a phone shows
the same chart narrower, not smaller. Colours are CSS classes, so dark mode costs nothing. No script, no library; each
chart says in `<title>` what a reader who cannot see it needs. Three hundred small charts weigh about 1 MB.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from pipeline.report.draw import figures


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values laid over 0 to 100 percent: linear, logarithmic, or by the square root above the lowest."""

    low: float
    high: float
    log: bool = False
    root: bool = False

    def percent(self, value: float) -> float:
        """Return where a value lies, clamped to the axis."""
        low, high, at = self._bent(self.low), self._bent(self.high), self._bent(value)
        return 0.0 if high <= low else 100 * min(max((at - low) / (high - low), 0.0), 1.0)

    def _bent(self, value: float) -> float:
        if self.root:
            return math.sqrt(max(value - self.low, 0.0))
        return math.log10(max(value, 1e-12)) if self.log else value

    def ticks(self, most: int = 5) -> list[float]:
        """Return round values inside the axis, at most about `most`."""
        if self.high <= self.low:
            return [self.low]
        if self.root:
            return self._parts(most)
        return self._decades(most) if self.log else round_values(self.low, self.high, most)

    def _parts(self, most: int) -> list[float]:
        """Return values that stand about evenly, each with as few digits as that takes."""
        found = {}
        for part in range(1, most + 1):
            above = (self.high - self.low) * (part / most) ** 2
            step = 10.0 ** math.floor(math.log10(above))
            found[round(round((self.low + above) / step) * step, 12)] = True
        return [value for value in found if self.low < value <= self.high]

    def _decades(self, most: int) -> list[float]:
        first, last = math.ceil(self._bent(self.low) - 1e-9), math.floor(self._bent(self.high) + 1e-9)
        if last - first < 1:
            return round_values(self.low, self.high, most)
        stride = max(1, math.ceil((last - first + 1) / most))
        return [10.0**power for power in range(first, last + 1, stride)]


def round_values(low: float, high: float, most: int) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten between `low` and `high`."""
    rough = (high - low) / max(most, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def tick_text(value: float) -> str:
    """Return a tick's label: `2k` for 2000, `1M` for a million."""
    for size, suffix in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return figures.number(value / size, 3) + suffix
    return figures.number(value, 3)


def tick_texts(values: Sequence[float]) -> list[str]:
    """Return the labels of an axis, with as many digits as its round values have."""
    return [
        tick_text(value)
        if abs(value) >= 1000
        else min((figures.number(value, n) for n in range(3, 8)), key=_off(value))
        for value in values
    ]


def _off(value: float) -> Callable[[str], float]:
    """Return what tells how far a label is from its value; to a millionth part."""
    return lambda text: round(
        abs(float(text.replace(figures.MINUS, "-").replace(",", "")) - value) * 1e6 / (abs(value) or 1)
    )


def pct(value: float) -> str:
    """Return a percentage for an attribute, short."""
    return f"{value:.2f}".rstrip("0").rstrip(".") + "%"


def svg(title: str, *, height: float, body: Sequence[Markup], kind: str) -> Markup:
    """Wrap shapes as one picture with its description."""
    head = Markup('<svg class="chart {}" role="img" width="100%" height="{}"><title>{}</title>').format(
        kind, f"{height:g}", title
    )
    return head + Markup("").join(body) + Markup("</svg>")


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """Draw a line; x in percent, y in pixels."""
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
        kind, pct(x1), f"{y1:g}", pct(x2), f"{y2:g}"
    )


def rect(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    """Draw a rectangle; x and width in percent, y and height in pixels."""
    # numbers and a class of ours have nothing to escape: a fifth of the time, and a page has a thousand of them
    return Markup(f'<rect class="{kind}" x="{pct(x)}" y="{y:.4g}" width="{pct(width)}" height="{height:.4g}"/>')


def dot(x: float, y: float, radius: float, kind: str) -> Markup:
    """Draw a dot."""
    return Markup('<circle class="{}" cx="{}" cy="{}" r="{}"/>').format(kind, pct(x), f"{y:g}", f"{radius:g}")


def label(x: float, y: float, text: str, kind: str = "tick") -> Markup:
    """Write text at a place; near an edge it grows inwards."""
    anchor = "start" if x < 6 else "end" if x > 94 else "middle"
    return Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(
        kind, pct(x), f"{y:g}", anchor, escape(text)
    )


def share_bar(parts: Sequence[tuple[float, str]], *, title: str, bare: bool = False) -> Markup:
    """Draw one bar cut into shares of the whole width: (fraction, css class) from the left; `bare` without the rest."""
    start, body = 0.0, [] if bare else [rect(0, 2, 100, 8, "track")]
    for fraction, kind in parts:
        if fraction > 0:
            body.append(rect(100 * start, 2, max(100 * fraction, 0.35), 8, kind))
        start += fraction
    return svg(title, height=12, body=body, kind="bar")


def columns(counts: Sequence[int], labels: Sequence[str], *, title: str, height: float = 110) -> Markup:
    """Draw one column for each label, its count on top."""
    most = max([*counts, 1])
    width, floor = 100 / max(len(counts), 1), height - 18
    body = [line(0, floor + 0.5, 100, floor + 0.5, "axis")]
    for index, (number, name) in enumerate(zip(counts, labels, strict=True)):
        tall, middle = (floor - 18) * number / most, (index + 0.5) * width
        body.append(rect(index * width + 0.12 * width, floor - tall, 0.76 * width, tall, "kept"))
        body.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                pct(middle), f"{floor - tall - 5:.4g}", figures.count(number)
            )
        )
        body.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                pct(middle), f"{height - 4:g}", name
            )
        )
    return svg(title, height=height, body=body, kind="columns")


@dataclass(frozen=True, slots=True)
class Bins:
    """A histogram: counts of kept and dropped between neighbouring edges, and how many lie outside."""

    edges: np.ndarray
    kept: np.ndarray
    dropped: np.ndarray
    below: int
    above: int
    log: bool
    whole: bool  # bins are whole numbers, each drawn half a unit to both sides

    def place(self, op: str, threshold: float) -> float:
        """Return where the line between kept and dropped stands: between two whole numbers if values are such."""
        return threshold + {">=": -0.5, "<": -0.5, "<=": 0.5, ">": 0.5}.get(op, 0.0) * self.whole


def histogram(
    bins: Bins, thresholds: Sequence[tuple[str, float]], *, title: str, height: float = 108, marked: bool = True
) -> Markup:
    """Draw kept and dropped counts by value with every threshold (its words if `marked`) and the dropped side shaded.

    Heights are square roots of counts: at a linear scale the few that a rule drops could not be seen.
    """
    axis = Axis(float(bins.edges[0]), float(bins.edges[-1]), log=bins.log)
    floor, top = height - 17, 14.0
    placed = [(op, value, bins.place(op, value)) for op, value in thresholds]
    body = [_shade(axis, op, at, top=top, floor=floor) for op, _, at in placed]
    most = math.sqrt(max(float((bins.kept + bins.dropped).max(initial=0)), 1.0))
    for index, (kept, dropped) in enumerate(zip(bins.kept, bins.dropped, strict=True)):
        if kept + dropped == 0:
            continue
        left, right = axis.percent(bins.edges[index]), axis.percent(bins.edges[index + 1])
        tall = max((floor - top) * math.sqrt(kept + dropped) / most, 1.0)
        lost = tall * dropped / (kept + dropped)
        wide = max(right - left - 0.25, 0.2)
        if dropped:
            body.append(rect(left, floor - lost, wide, lost, "dropped"))
        if kept:
            body.append(rect(left, floor - tall, wide, tall - lost, "kept"))
    body.append(line(0, floor + 0.5, 100, floor + 0.5, "axis"))
    body += [label(axis.percent(tick), height - 4, tick_text(tick)) for tick in axis.ticks(4)]
    for op, value, at in placed:
        text = f"{figures.sign(op)} {figures.number(value, 3)}"
        if axis.low <= at <= axis.high:
            body.append(line(axis.percent(at), top - 2, axis.percent(at), floor, "threshold"))
        else:  # far off: say so instead of drawing it where it is not
            text = f"\N{LEFTWARDS ARROW} {text}" if at < axis.low else f"{text} \N{RIGHTWARDS ARROW}"
        if marked:
            body.append(label(axis.percent(at), 9, text, "mark"))
    return svg(title, height=height, body=body, kind="histogram")


def _shade(axis: Axis, op: str, value: float, *, top: float, floor: float) -> Markup:
    at = axis.percent(value)
    left, right = (0.0, at) if op in (">=", ">") else (at, 100.0) if op in ("<=", "<") else (at, at)
    return rect(left, top, right - left, floor - top, "shade")


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its interval and the values that it is the mean of."""

    value: float
    low: float
    high: float
    points: tuple[float, ...] = ()


def interval(item: Interval, *, axis: Axis, marks: Sequence[tuple[float, str]], title: str, strong: bool) -> Markup:
    """Draw one row of an interval plot: marks behind, interval, seeds as small dots, the value as a large one."""
    height, middle = 38.0, 17.0
    body = [line(axis.percent(at), 0, axis.percent(at), height, kind) for at, kind in marks]
    low, high = axis.percent(item.low), axis.percent(item.high)
    kind = "interval strong" if strong else "interval"
    body += [
        line(low, middle, high, middle, kind),
        line(low, middle - 4, low, middle + 4, kind),
        line(high, middle - 4, high, middle + 4, kind),
    ]
    body += [dot(axis.percent(point), middle + 9, 1.8, "seed") for point in item.points]
    body.append(dot(axis.percent(item.value), middle, 5 if strong else 4, "value"))
    return svg(title, height=height, body=body, kind="intervals")


def ruler(
    axis: Axis, *, marks: Sequence[tuple[float, str]] = (), ticks: Sequence[float] = (), text: str = ""
) -> Markup:
    """Draw the axis below rows that share it: round values or `ticks`, and `text` under them."""
    body = [line(0, 0.5, 100, 0.5, "axis")]
    for tick in ticks or axis.ticks(5):
        body += [
            line(axis.percent(tick), 0, axis.percent(tick), 4, "axis"),
            label(axis.percent(tick), 16, figures.number(tick, 3)),
        ]
    body += [line(axis.percent(at), 0, axis.percent(at), 6, kind) for at, kind in marks]
    body += [label(50, 32, text)] if text else []
    return Markup('<svg class="chart ruler" aria-hidden="true" width="100%" height="{}">{}</svg>').format(
        36 if text else 20, Markup("").join(body)
    )


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a plot: points (x, y), its css class."""

    points: Sequence[tuple[float, float]]
    kind: str


@dataclass(frozen=True, slots=True)
class Frame:
    """Two axes with a grid, and where values lie in it: x in percent, y in pixels."""

    x: Axis
    y: Axis
    height: float = 250

    @property
    def top(self) -> float:
        return 20.0

    @property
    def floor(self) -> float:
        return self.height - 34

    def down(self, value: float) -> float:
        """Return how many pixels from the top a value of y lies."""
        return self.floor - (self.floor - self.top) * self.y.percent(value) / 100

    def lines(self, curves: Sequence[Curve], *, areas: Sequence[Curve] = ()) -> Markup:
        """Draw lines, areas behind them. They stretch with the page; strokes do not."""
        head = Markup('<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" y="{}" width="100%" height="{}">')
        drawn = [(area, "polygon") for area in areas] + [(curve, "polyline") for curve in curves]
        body = Markup("").join(_through(curve, x=self.x, y=self.y, shape=shape) for curve, shape in drawn)
        return head.format(f"{self.top:g}", f"{self.floor - self.top:g}") + body + Markup("</svg>")

    def draw(
        self,
        body: Sequence[Markup],
        *,
        title: str,
        x_text: str,
        y_text: str,
        x_ticks: Callable[[float], str] | None = None,
    ) -> Markup:
        """Return the whole picture, `body` over the grid."""
        names, behind = [Markup('<text class="tick" x="0" y="10">{}</text>').format(y_text)], []
        ticks = self.y.ticks(5)
        for tick, text in zip(ticks, tick_texts(ticks), strict=True):
            at = self.down(tick)
            behind.append(line(0, at, 100, at, "grid"))
            names.append(
                Markup('<text class="tick" x="38" y="{}" text-anchor="end">{}</text>').format(f"{at + 4:.4g}", text)
            )
        behind.append(line(0, self.floor + 0.5, 100, self.floor + 0.5, "axis"))
        ticks = self.x.ticks(5)
        texts = tick_texts(ticks) if x_ticks is None else [x_ticks(tick) for tick in ticks]
        behind += [label(self.x.percent(tick), self.floor + 15, text) for tick, text in zip(ticks, texts, strict=True)]
        behind.append(
            Markup('<text class="tick" x="100%" y="{}" text-anchor="end">{}</text>').format(
                f"{self.height - 4:g}", x_text
            )
        )
        side = Markup('<svg class="chart side" aria-hidden="true" width="44" height="{}">{}</svg>').format(
            f"{self.height:g}", Markup("").join(names)
        )
        picture = svg(title, height=self.height, body=[*behind, *body], kind="lines")
        return Markup('<div class="plot">{}{}</div>').format(side, picture)


def plot(
    curves: Sequence[Curve],
    *,
    x: Axis,
    y: Axis,
    title: str,
    x_text: str,
    y_text: str,
    height: float = 250,
    dots: bool = False,
) -> Markup:
    """Draw lines over common axes, dots on the last if asked."""
    frame = Frame(x, y, height)
    marked = curves[-1].points if dots else ()
    body = [frame.lines(curves), *(dot(x.percent(a), frame.down(b), 4, "value") for a, b in marked)]
    return frame.draw(body, title=title, x_text=x_text, y_text=y_text)


def _through(curve: Curve, *, x: Axis, y: Axis, shape: str) -> Markup:
    points = " ".join(f"{10 * x.percent(a):.5g},{1000 - 10 * y.percent(b):.5g}" for a, b in curve.points)
    return Markup('<{} class="{}" points="{}"/>').format(shape, curve.kind, points)
