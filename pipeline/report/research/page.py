"""A search -> one self-contained page for the morning: what was claimed, what was learned, what waits, what it cost.

No script and no request, as the report of a run, whose drawings and style it shares; every number is the record's, and
the sentences are made of numbers by rule. Tables lie beside the page as CSV files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any

from pipeline import __version__
from pipeline.core.files.writing.durable import write_text
from pipeline.report.draw import figures
from pipeline.report.draw.charts import Axis, Interval, interval, ruler
from pipeline.report.draw.forest import Estimate, Forest, Row, forest_of
from pipeline.report.mixture.comparison import NO_DIFFERENCE
from pipeline.report.page import render
from pipeline.report.research.pictures import front_of, pictures_of
from pipeline.report.research.told import ClaimTold, Controls, Digest, EffectTold, Part, ProposerTold, Range, Told
from pipeline.report.tables import ReportTable, write_tables

MOST_ROWS = 40  # cards listed on the page; the CSV file has all
MOST_LOST = 20  # cards listed that failed or were refused
MOST_NEXT = 12
LEAST_TOLD = 0.0001  # bits per byte: less is no digit of what is told
USUAL = 0.95  # confidence of a claim that is not judged yet


def write_research(digest: Digest, *, path: Path) -> None:
    """Write the page and its tables, in place of earlier ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tables = tables_of(digest)
    write_tables(path.with_suffix(""), tables)
    content = _content(digest) | {"tables": tables, "tables_folder": path.stem}
    write_text(path, render(content, template="research.html"))


def _content(digest: Digest) -> dict[str, Any]:
    decimals, front = _decimals(digest), front_of(digest.mixtures)
    done = [card for card in digest.cards if card.measured is not None and card.kind != "control"]
    lost = [card for card in digest.cards if card.status in ("failed", "refused", "rejected")]
    return {
        "digest": digest,
        "version": __version__,
        "decimals": decimals,
        "front": front,
        "pictures": pictures_of(digest, front, decimals),
        "claim": _claim_forest(digest),
        "last": digest.claims[-1] if digest.claims else None,
        "best": sorted(done, key=lambda card: -(card.measured or 0.0))[:MOST_ROWS],
        "num_done": len(done),
        "lost": lost[:MOST_LOST],
        "num_lost": len(lost),
        "ailing": [card for card in digest.cards if card.health and card.status == "done"][:MOST_LOST],
        "waiting_cards": {card.id: card for card in digest.cards if card.status == "waiting"},
        "effects": _effects_forests(digest.effects),
        "worth": _parts_forest([(each, each.worth, "{} mixtures") for each in digest.proposers], mark=0.5),
        "inside": _parts_forest([(each, each.inside, "{} foretold") for each in digest.proposers], mark=0.8),
        "controls": _controls_forest(digest.controls),
        "next_cards": digest.next.cards[:MOST_NEXT],
        "odds": _odds,
        "level": _level(digest),
        "ranged": lambda gain: _ranged(gain, decimals),
    }


def _decimals(digest: Digest) -> int:
    """Return as many decimals as tell one proxy's chance."""
    sd = digest.controls.sd
    small = sd is not None and 0 < sd.value < 0.01
    return 4 if small else 3


def _ranged(gain: Range, decimals: int) -> str:
    value, low, high = (figures.signed(each, decimals) for each in (gain.value, gain.low, gain.high))
    return f"{value} ({low} to {high})"


def _level(digest: Digest) -> str:
    """Return the confidence of the gate, of which the intervals of claims are: `95 %`."""
    claim = digest.claims[-1] if digest.claims else None
    return f"{100 * ((claim.confidence if claim else None) or USUAL):.4g} %"


def _odds(odds: float | None) -> str:
    """Return odds as they are said: `1,200 to 1`."""
    return figures.NONE if odds is None else f"{figures.number(odds, 2)} to 1" if odds < 1e6 else "over a million to 1"


def _padded(values: Sequence[float], *, low: float | None = None, high: float | None = None) -> Axis:
    ends = [0.0, *values]
    pad = 0.05 * (max(ends) - min(ends)) or 0.001
    return Axis(min(ends) - pad if low is None else low, max(ends) + pad if high is None else high)


def _claim_forest(digest: Digest) -> Forest | None:
    """Draw what was expected of each claim, and what fresh proxies measured."""
    ranges: list[tuple[str, str, Range, bool]] = []
    for number, claim in enumerate(digest.claims, start=1):
        which = f" of claim {number}" if len(digest.claims) > 1 else ""
        level = claim.confidence or USUAL
        side = NormalDist().inv_cdf((1 + level) / 2) * claim.sd
        hoped = Range(claim.expected, claim.expected - side, claim.expected + side)
        ranges.append((f"expected{which}", "by the model of all cards", hoped, False))
        if claim.luck >= LEAST_TOLD:
            rest = Range(hoped.value - claim.luck, hoped.low - claim.luck, hoped.high - claim.luck)
            ranges.append((f"hoped for{which}", "less the luck of the chosen; by this it was planned", rest, False))
        if claim.gain is not None:
            seeds = f"seeds {claim.seeds[0]} to {claim.seeds[1]} of both mixtures"
            ranges.append((f"claimed{which}", seeds, claim.gain, True))
    if not ranges:
        return None
    axis, rows = _padded([end for _, _, each, _ in ranges for end in (each.low, each.high)]), []
    for name, under, each, strong in ranges:
        text = f"{figures.signed(each.low, 3)} to {figures.signed(each.high, 3)}"
        picture = interval(
            Interval(each.value, each.low, each.high), axis=axis, marks=NO_DIFFERENCE, strong=strong,
            title=f"{name}: gain {figures.signed(each.value, 3)} bits per byte, {_level(digest)} interval {text}",
        )  # fmt: skip
        rows.append(Row(name, picture, figures.signed(each.value, 3), text, under, strong))
    return Forest(tuple(rows), ruler(axis, marks=NO_DIFFERENCE))


def _effects_forests(effects: Sequence[EffectTold]) -> list[tuple[str, Forest]]:
    """Draw what each edit of the head is worth: overall, and on each held-out set where there are several."""
    if not effects:
        return []
    domains = list(dict.fromkeys(name for each in effects for name in each.by_domain))
    of: dict[str, list[tuple[EffectTold, Range | None]]] = {
        "on all that the search looks at": [(each, each.overall) for each in effects]
    }
    if len(domains) > 1:
        of |= {f"on {name}": [(each, each.by_domain.get(name)) for each in effects] for name in domains}
    ends = [end for rows in of.values() for _, gain in rows if gain is not None for end in (gain.low, gain.high)]
    axis = _padded(ends or [each.mean for each in effects if each.mean is not None])
    return [(name, _effect_forest(rows, axis)) for name, rows in of.items()]


def _effect_forest(rows: Sequence[tuple[EffectTold, Range | None]], axis: Axis) -> Forest:
    drawn = [
        Estimate(
            figures.excerpt(effect.edit, 80),
            f"{figures.counted(effect.pairs, 'pair')} of proxies",
            gain.value if gain is not None else effect.mean or 0.0,
            gain.low if gain is not None else None,
            gain.high if gain is not None else None,
            says="helps" if gain and gain.low > 0 else "hurts" if gain and gain.high < 0 else "may be nothing",
            strong=gain is not None and gain.settled,
        )
        for effect, gain in rows
    ]
    return forest_of(drawn, axis=axis, text=lambda value: figures.signed(value, 3), marks=NO_DIFFERENCE)


def _parts_forest(rows: Sequence[tuple[ProposerTold, Part | None, str]], *, mark: float) -> Forest | None:
    """Draw shares with their 90 % intervals, one row for each proposer that has one."""
    axis, drawn, marks = Axis(0, 1), [], [(mark, "zero")]
    for each, part, under in rows:
        if part is None:
            continue
        text = f"{_whole(part.low)} to {_whole(part.high)}"
        picture = interval(
            Interval(part.share, part.low, part.high), axis=axis, marks=marks, strong=False,
            title=f"{each.name}: {_whole(part.share)}, 90 % interval {text}",
        )  # fmt: skip
        drawn.append(Row(each.name, picture, _whole(part.share), text, under.format(part.count), strong=False))
    if not drawn:
        return None
    return Forest(tuple(drawn), ruler(axis, marks=marks))


def _whole(share: float) -> str:
    return f"{100 * share:.0f} %"


def _controls_forest(controls: Controls) -> Forest | None:
    """Draw the incumbent's own proxies around their mean, and what the luckiest of null cards would show."""
    if controls.mean is None or controls.sd is None:
        return None
    mean, sd = controls.mean, controls.sd
    points = tuple(mean - goal for goal in controls.goals.values())
    axis = _padded([*points, sd.high, -sd.high, controls.luckiest or 0.0])
    text = f"{figures.number(sd.low, 2)} to {figures.number(sd.high, 2)}"
    told = f"one proxy deviates by {figures.number(sd.value, 2)} by chance, 90 % interval {text}"
    rows = [
        Row(
            "the incumbent again",
            interval(
                Interval(0.0, -sd.value, sd.value, points), axis=axis, marks=NO_DIFFERENCE, strong=False, title=told
            ),
            figures.number(sd.value, 2), text, figures.counted(len(points), "proxy").replace("proxys", "proxies"),
            strong=False,
        )
    ]  # fmt: skip
    if controls.luckiest is not None:
        told = f"the luckiest of {controls.tried} mixtures without any effect would show {controls.luckiest:+.4f}"
        luckiest = controls.luckiest
        drawn = interval(
            Interval(luckiest, luckiest, luckiest), axis=axis, marks=NO_DIFFERENCE, strong=False, title=told
        )
        said = figures.signed(luckiest, 3)
        rows.append(
            Row("the luckiest of nothing", drawn, said, "", f"of {controls.tried} without effect", strong=False)
        )
    return Forest(tuple(rows), ruler(axis, marks=NO_DIFFERENCE))


def tables_of(digest: Digest) -> list[ReportTable]:
    """Return the tables beside the page: all cards, all proposers, all claims, with whole numbers."""
    head = (
        "card", "number", "batch", "kind", "proposer", "status", "edits", "hypothesis", "mechanism", "measured",
        "expected", "expected low", "expected high", "foretold", "foretold low", "foretold high", "seeds", "redo",
        "results to build", "usd at most", "usd paid", "why", "waits for a person", "plan",
    )  # fmt: skip
    claims = [_claim_row(claim) for claim in digest.claims]
    found = [
        ReportTable("cards", head, tuple(_card_row(card) for card in digest.cards)),
        ReportTable("proposers", PROPOSER_HEAD, tuple(_proposer_row(each) for each in digest.proposers)),
        ReportTable("claims", CLAIM_HEAD, tuple(claims)),
    ]
    return [table for table in found if table.rows]


CAME_TO = ("done", "failed", "refused", "rejected", "waiting")
PROPOSER_HEAD = (
    "proposer", "cards", "gave a number", "failed", "refused", "rejected", "waiting", "share at first", "share next",
    "worth", "worth low", "worth high", "inside of 80 %", "foretold", "crps", "crps of no change", "usd",
)  # fmt: skip
CLAIM_HEAD = (
    "edits",
    "expected",
    "sd",
    "luck",
    "power",
    "detectable",
    "outcome",
    "gain",
    "low",
    "high",
    "odds",
    "odds needed",
    "look",
    "sentence",
)


def _ends(gain: Range | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if gain is None else (gain.value, gain.low, gain.high)


def _card_row(card: Told) -> tuple[Any, ...]:
    seeds = " ".join(map(str, card.seeds))
    return (
        card.id, card.number, card.batch, card.kind, card.proposer, card.status, card.words, card.hypothesis,
        card.mechanism, card.measured, *_ends(card.expected), *_ends(card.predicted), seeds, " ".join(card.redo),
        card.nodes, card.usd, card.paid, card.why, card.needs, card.plan,
    )  # fmt: skip


def _proposer_row(each: ProposerTold) -> tuple[Any, ...]:
    worth, inside = each.worth, each.inside
    return (
        each.name, each.cards, *(each.counts.get(key, 0) for key in CAME_TO),
        each.began, each.next, *((worth.share, worth.low, worth.high) if worth else (None, None, None)),
        inside.share if inside else None, inside.count if inside else 0, each.crps, each.crps_of_no_change, each.usd,
    )  # fmt: skip


def _claim_row(claim: ClaimTold) -> tuple[Any, ...]:
    told = (claim.outcome, *_ends(claim.gain), claim.odds, claim.odds_needed, claim.look, claim.sentence)
    return ("; ".join(claim.edits), claim.expected, claim.sd, claim.luck, claim.power, claim.detectable, *told)
