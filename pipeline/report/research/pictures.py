"""A search's cards -> pictures: who tried what and what came of it, gain against cost, foretold against measured.

A dot is a card: the better its quarter, the larger, fuller and bluer, as in the pictures of a weight search. A cross is
one that failed, a ring one that was refused or rejected, a diamond one that waits. Every sign says what it is of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from pipeline.report.draw import figures
from pipeline.report.draw.charts import Axis, Curve, Frame, label, line, pct, svg
from pipeline.report.draw.marks import RADII, glyph, run_dot
from pipeline.report.research.told import Digest, Mixture, Told

CLASSES = ("proxies only", "re-decide", "re-measure", "re-gather", "re-label", "re-generate")  # the dearest last
ROW = 30.0  # pixels of a proposer
LEVELS = 5  # on which cards of a row stand in turn, so that neighbours do not hide each other
MANY = 40  # cards of a row from which they do
MOST_BARS = 60  # predictions that are drawn with their 80 %
PAD = 0.06  # of a range, around it
MOST_LABEL = 16  # characters of a name beside a row


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures of a search, as far as there is something to draw."""

    timeline: Markup | None
    gains: Markup | None
    cost: Markup | None
    dollars: Markup | None
    foretold: Markup | None
    quarters: tuple[str, ...]  # what each quarter of the cards measured


def pictures_of(digest: Digest, front: Sequence[Mixture], decimals: int) -> Pictures:
    """Draw everything; `front` are the mixtures that no cheaper one betters."""
    quarter = _quarters(digest.cards)
    paid = [mixture for mixture in digest.mixtures if mixture.usd > 0]
    return Pictures(
        timeline=_timeline(digest, quarter) if digest.cards else None,
        gains=_gains(digest, quarter) if quarter else None,
        cost=_by_class(digest, front, quarter) if digest.mixtures else None,
        dollars=_by_dollars(digest, front, quarter) if paid else None,
        foretold=_foretold(digest, quarter),
        quarters=_ranges(digest.cards, quarter, decimals),
    )


def front_of(mixtures: Sequence[Mixture]) -> tuple[Mixture, ...]:
    """Return the mixtures expected to gain something that no cheaper one is expected to better, the cheapest first."""
    found: list[Mixture] = []
    for mixture in sorted(mixtures, key=lambda each: (_price(each), -each.expected.value)):
        if mixture.expected.value > max((each.expected.value for each in found), default=0.0):
            found.append(mixture)
    return tuple(found)


def _price(mixture: Mixture) -> tuple[float, int]:
    return mixture.usd, CLASSES.index(mixture.cost_class)


def _quarters(cards: Sequence[Told]) -> dict[int, int]:
    """Return the quarter of each card that was measured and is no control, 0 for the best."""
    told = [card for card in cards if card.measured is not None and card.kind != "control"]
    order = sorted(told, key=lambda card: -(card.measured or 0.0))
    return {card.number: 4 * rank // len(order) for rank, card in enumerate(order)}


def _ranges(cards: Sequence[Told], quarter: dict[int, int], decimals: int) -> tuple[str, ...]:
    found = []
    for number in range(4):
        mine = [card.measured for card in cards if quarter.get(card.number) == number and card.measured is not None]
        ends = dict.fromkeys(figures.signed(value, decimals) for value in (max(mine), min(mine))) if mine else {}
        found.append(" to ".join(ends))
    return tuple(found)


def _said(card: Told) -> str:
    what = {"done": f"gain {figures.signed(card.measured, 4)}"} if card.measured is not None else {}
    came = what.get(card.status, card.status)
    return f"card {card.id} by {card.proposer}, {came}: {figures.excerpt(card.words, 160)}"


def _sign(card: Told, quarter: dict[int, int], x: float, y: float) -> Markup:
    """Draw what a card came to."""
    at, said = pct(x), _said(card)
    if card.number in quarter:
        return run_dot(at, y, quarter[card.number], said)
    if card.status == "waiting":
        return glyph(at, y, "found", said)
    if card.status == "failed":
        return glyph(at, y, "failed", said)
    kind = "refused" if card.status in ("refused", "rejected") else "control" if card.kind == "control" else "untried"
    return Markup('<circle class="{}" cx="{}" cy="{}" r="3.2"><title>{}</title></circle>').format(
        kind, at, f"{y:.4g}", said
    )


def _timeline(digest: Digest, quarter: dict[int, int]) -> Markup:
    """Draw a row of each proposer, its cards in the order in which they were written."""
    cards = digest.cards
    names = list(dict.fromkeys([*(each.name for each in digest.proposers), *(card.proposer for card in cards)]))
    names = [name for name in names if any(card.proposer == name for card in cards)]
    of = {name: [card for card in cards if card.proposer == name] for name in names}
    deep = {name: ROW + (24 if len(of[name]) > MANY else 0) for name in names}
    x, top = Axis(-0.5, len(cards) - 0.5), 6.0
    height = top + sum(deep.values()) + 24
    side, body, start = list[Markup](), list[Markup](), top
    for first in _starts(cards):
        at = x.percent(first - 0.5)
        body.append(line(at, top, at, height - 22, "grid"))
    for name in names:
        middle = start + deep[name] / 2
        body.append(line(0, middle, 100, middle, "grid"))
        side.append(Markup('<text class="tick" x="0" y="{}">{}</text>').format(f"{middle + 4:g}", _short(name)))
        levels = LEVELS if len(of[name]) > MANY else 1
        for place, card in enumerate(of[name]):
            off = (place % levels - (levels - 1) / 2) * (deep[name] - 14) / max(levels, 2)
            body.append(_sign(card, quarter, x.percent(card.number), middle + off))
        start += deep[name]
    body += [label(x.percent(tick), height - 6, figures.count(tick)) for tick in _whole_ticks(len(cards))]
    counts = ", ".join(f"{name} {len(of[name])}" for name in names)
    title = f"Cards of each proposer in the order in which they were written: {counts}"
    left = Markup('<svg class="chart side" aria-hidden="true" width="96" height="{}">{}</svg>').format(
        f"{height:g}", Markup("").join(side)
    )
    return Markup('<div class="plot wide">{}{}</div>').format(
        left, svg(title, height=height, body=body, kind="timeline")
    )


def _starts(cards: Sequence[Told]) -> list[int]:
    """Return the first card of each batch but the first; of many batches only some."""
    first = {card.batch: card.number for card in reversed(cards)}
    places = sorted(first.values())[1:]
    return places[:: max(1, math.ceil(len(places) / 30))]


def _whole_ticks(count: int) -> list[int]:
    ticks = [int(tick) for tick in Axis(0, max(count - 1, 1)).ticks(5) if float(tick).is_integer()]
    return [tick for tick in ticks if tick < count]


def _short(name: str) -> Markup:
    return escape(name if len(name) <= MOST_LABEL else name[: MOST_LABEL - 1] + "\N{HORIZONTAL ELLIPSIS}")


def _axis(values: Sequence[float]) -> Axis:
    """Return an axis for gains, no difference among them; what lies far below the rest is drawn at its edge."""
    known = sorted(values)
    first, third = known[len(known) // 4], known[(3 * len(known)) // 4]
    low = min([value for value in known if value >= first - 3 * (third - first)] + [0.0])
    high = max([*known, 0.0])
    pad = PAD * (high - low) or 0.001
    return Axis(low - pad, high + pad)


def _gain_of(card: Told) -> float:
    assert card.measured is not None
    return card.measured


def _gains(digest: Digest, quarter: dict[int, int]) -> Markup:
    """Draw what every card measured, in their order, over the band in which chance moves one proxy."""
    told = [card for card in digest.cards if card.number in quarter]
    frame = Frame(Axis(-0.5, len(digest.cards) - 0.5), _axis([_gain_of(card) for card in told]), height=270)
    body = _chance(digest, frame)
    for card in told:
        inside = _gain_of(card) >= frame.y.low
        x, y = frame.x.percent(card.number), frame.down(_gain_of(card))
        body.append(run_dot(pct(x), y, quarter[card.number], _said(card)) if inside else _below(frame, x, _said(card)))
    best = max(told, key=_gain_of)
    title = f"Gain of {figures.counted(len(told), 'card')} in their order; the luckiest measured {_gain_of(best):+.4f}"
    return frame.draw(body, title=title, x_text="card", y_text="gain, bits per byte", x_ticks=_card_tick)


def _card_tick(value: float) -> str:
    return figures.count(value) if float(value).is_integer() and value >= 0 else ""


def _below(frame: Frame, x: float, said: str) -> Markup:
    return glyph(pct(x), frame.floor - 4, "below", said)


def _chance(digest: Digest, frame: Frame) -> list[Markup]:
    """Draw no difference, and the band in which one proxy of the incumbent lies by chance."""
    sd = digest.controls.sd
    low, high = frame.x.low, frame.x.high
    areas = []
    if sd is not None and sd.value > 0:
        below, above = max(-sd.value, frame.y.low), min(sd.value, frame.y.high)
        areas = [Curve([(low, below), (high, below), (high, above), (low, above)], "span")]
    return [frame.lines([Curve([(low, 0.0), (high, 0.0)], "ideal")], areas=areas)]


def _by_class(digest: Digest, front: Sequence[Mixture], quarter: dict[int, int]) -> Markup:
    """Draw expected gains by what is dearest of a mixture's making; the front is a line through its best."""
    shown = [name for name in CLASSES if any(mixture.cost_class == name for mixture in digest.mixtures)]
    frame = Frame(Axis(0, len(shown)), _axis([mixture.expected.value for mixture in digest.mixtures]), height=270)
    of = {name: [mixture for mixture in digest.mixtures if mixture.cost_class == name] for name in shown}
    places = {
        mixture.card: column + 0.12 + 0.76 * _spread(place)
        for column, name in enumerate(shown)
        for place, mixture in enumerate(of[name])
    }
    body = _mixtures(digest, frame, front, quarter, places)
    body += [
        Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            pct(frame.x.percent(column + 0.5)), f"{frame.floor + 15:g}", name
        )
        for column, name in enumerate(shown)
    ]
    title = "Expected gain by what a mixture made to be done again: " + ", ".join(
        f"{name} {of[name][0].expected.value:+.4f} at best of {len(of[name])}" for name in shown
    )
    return frame.draw(body, title=title, x_text="", y_text="expected gain", x_ticks=lambda tick: "")


def _spread(place: int) -> float:
    """Return a place between 0 and 1 where few of a row come near to each other (golden ratio)."""
    return (0.5 + place * 0.6180339887) % 1.0


def _by_dollars(digest: Digest, front: Sequence[Mixture], quarter: dict[int, int]) -> Markup:
    """Draw expected gains against dollars."""
    most = max(mixture.usd for mixture in digest.mixtures)
    frame = Frame(Axis(-0.03 * most, 1.03 * most), _axis([each.expected.value for each in digest.mixtures]), height=270)
    body = _mixtures(digest, frame, front, quarter, {each.card: each.usd for each in digest.mixtures})
    title = f"Expected gain against dollars, up to {figures.dollars(most)}"
    return frame.draw(body, title=title, x_text="dollars", y_text="expected gain", x_ticks=figures.dollars)


def _mixtures(
    digest: Digest, frame: Frame, front: Sequence[Mixture], quarter: dict[int, int], places: dict[str, float]
) -> list[Markup]:
    body = _chance(digest, frame)
    if len(front) > 1:
        body.append(frame.lines([Curve([(places[each.card], each.expected.value) for each in front], "found")]))
    of = {card.id: quarter[card.number] for card in reversed(digest.cards) if card.number in quarter}
    best = {mixture.card for mixture in front}
    for mixture in reversed(digest.mixtures):  # the best on top
        x, said = frame.x.percent(places[mixture.card]), _mixture_said(mixture)
        y = frame.down(mixture.expected.value)
        if mixture.expected.value < frame.y.low:
            body.append(_below(frame, x, said))
        elif mixture.card in best:
            body.append(glyph(pct(x), y, "found", said))
        else:
            body.append(run_dot(pct(x), y, of.get(mixture.card, 3), said))
    return body


def _mixture_said(mixture: Mixture) -> str:
    return (
        f"{figures.excerpt(mixture.words, 160)}: {figures.signed(mixture.expected.value, 4)} expected, "
        f"{figures.signed(mixture.measured, 4)} measured of {figures.counted(mixture.proxies, 'proxy')}"
    ).replace("proxys", "proxies")


def _foretold(digest: Digest, quarter: dict[int, int]) -> Markup | None:
    """Draw what was foretold of each card with its 80 %, against what was measured; on the line it was right."""
    told = [card for card in digest.cards if card.held is not None and card.number in quarter]
    if not told:
        return None
    ends = [value for card in told if card.predicted is not None for value in (card.predicted.value, _gain_of(card))]
    axis = _axis(ends)
    frame = Frame(axis, axis, height=300)
    body = [frame.lines([Curve([(axis.low, axis.low), (axis.high, axis.high)], "ideal")])]
    for card in told if len(told) <= MOST_BARS else ():
        assert card.predicted is not None
        y = frame.down(_gain_of(card))
        low, high = frame.x.percent(card.predicted.low), frame.x.percent(card.predicted.high)
        body.append(line(low, y, high, y, "interval" if card.held else "interval missed"))
    for card in told:
        assert card.predicted is not None
        x, y = frame.x.percent(card.predicted.value), frame.down(_gain_of(card))
        if _gain_of(card) < axis.low:
            body.append(_below(frame, x, _said(card)))
            continue
        body.append(
            Markup('<circle class="{}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>').format(
                "value" if card.held else "missed", pct(x), f"{y:.4g}", f"{RADII[2]:g}", _said(card)
            )
        )
    held = sum(bool(card.held) for card in told)
    title = f"Measured against foretold gain; {held} of {len(told)} lie inside of what 80 % was said of"
    return frame.draw(body, title=title, x_text="foretold gain, with 80 %", y_text="measured gain")
