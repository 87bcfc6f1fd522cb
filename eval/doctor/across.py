"""All lanes of an experiment -> do they differ where they must and agree where they must?"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

from eval.doctor.checks import CHECKS
from eval.doctor.findings import Finding, Outcome, Series, Unchecked
from eval.doctor.record import ExperimentRecord, LaneRecord
from eval.proxies.health import LEAST_STEPS

OUTLIER_CHANCE, LEAST_SIBLINGS = 0.001, 5  # that one of a group of sound lanes is called one
LEAST_DEVIATION = 1e-3  # bits per token
LEAST_RATES = 3  # of two, the better one is always at an edge


def across_outcomes(experiment: ExperimentRecord) -> Iterator[Outcome]:
    """Yield what lanes show beside each other."""
    lanes = experiment.lanes
    yield from _seeds(lanes)
    yield from _pairs(lanes)
    yield from _unequal(lanes)
    yield from _swapped(lanes)
    yield from _outliers(lanes)
    yield from _rate_edge(lanes)


def grouped(lanes: Sequence[LaneRecord], key: Callable[[LaneRecord], Hashable]) -> list[list[LaneRecord]]:
    """Return lanes that have a key in common."""
    found: dict[Hashable, list[LaneRecord]] = defaultdict(list)
    for lane in lanes:
        found[key(lane)].append(lane)
    return list(found.values())


def _seeds(lanes: Sequence[LaneRecord]) -> Iterator[Outcome]:
    """Lanes of one mixture and rate with different seeds must begin elsewhere and read in other orders."""
    for same in grouped(lanes, lambda lane: (lane.mixture, lane.learning_rate, lane.until)):
        for told, what in ((_start_of, "begin with the same weights"), (_order_of, "read the same rows in one order")):
            by_told: dict[Hashable, list[LaneRecord]] = defaultdict(list)
            for lane in same:
                if (key := told(lane)) is not None:
                    by_told[key].append(lane)
            for mine in by_told.values():
                names = tuple(lane.name for lane in mine)
                if len({lane.seed for lane in mine}) > 1:
                    yield Finding(CHECKS["seeds"], names, float(len(mine)), 1, f"{' and '.join(names)} {what}")
    yield from _not_kept(lanes, "seeds", _start_of, "with which weights it began was not kept")


def _start_of(lane: LaneRecord) -> Hashable:
    return None if lane.reading is None else lane.reading.get("start")


def _order_of(lane: LaneRecord) -> Hashable:
    """Return the order of a lane's rows; None where they are so few that two orders are alike by chance."""
    if lane.reads is None or sum(found["ordered"] for found in lane.reads.values()) < 16:
        return None
    return tuple((name, found["order"]) for name, found in sorted(lane.reads.items()))


def _pairs(lanes: Sequence[LaneRecord]) -> Iterator[Outcome]:
    """Lanes of one seed must begin alike, and read what their mixtures share in one order."""
    for same in grouped(lanes, lambda lane: (lane.seed, lane.until, lane.tier.name)):
        first = same[0]
        for other in same[1:]:
            if None not in (_start_of(first), _start_of(other)) and _start_of(first) != _start_of(other):
                said = f"{first.name} and {other.name} have one seed and begin with different weights"
                yield Finding(CHECKS["pairs"], (first.name, other.name), 0, 1, said)
            for name in sorted((first.reads or {}).keys() & (other.reads or {}).keys()):
                mine, theirs = (dict((lane.reads or {})[name]) for lane in (first, other))
                alike = all(mine[key] == theirs[key] for key in ("of_rows", "ordered"))
                if alike and mine["order"] != theirs["order"]:
                    said = f"{first.name} and {other.name} read {name} in different orders"
                    yield Finding(CHECKS["pairs"], (first.name, other.name), 0, 1, said)


def _unequal(lanes: Sequence[LaneRecord]) -> Iterator[Outcome]:
    facts: Mapping[str, Callable[[LaneRecord], Any]] = {
        "tier": lambda lane: lane.tier.name,
        "tokens": lambda lane: lane.num_tokens,
        "fraction of the schedule": lambda lane: round(float(lane.account.get("schedule_done", lane.until)), 2),
        "device and precision": lambda lane: f"{lane.device}, {lane.precision}",
    }
    of_settings = _one_text_in_two_ways(lanes)
    for same in grouped(lanes, lambda lane: lane.until):
        for what, fact in facts.items():
            parts = grouped(same, lambda lane: lane.mixture) if of_settings and what in ("tier", "tokens") else [same]
            for groups in (sorted(grouped(part, fact), key=len) for part in parts):
                if len(groups) < 2:
                    continue
                odd = tuple(lane.name for group in groups[:-1] for lane in group)
                said = f"{what}: {fact(groups[0][0])} beside {fact(groups[-1][0])} of most lanes"
                yield Finding(CHECKS["unequal"], odd, float(len(groups)), 1, said)


def _one_text_in_two_ways(lanes: Sequence[LaneRecord]) -> bool:
    """Say whether all mixtures are one text, so that settings of proxies are what is compared."""
    return len({lane.mixture for lane in lanes}) > 1 and len({lane.draw for lane in lanes}) == 1 and bool(lanes[0].draw)


def _swapped(lanes: Sequence[LaneRecord]) -> Iterator[Outcome]:
    for lane in lanes:
        if lane.mixture_draw is not None and lane.draw and lane.draw != lane.mixture_draw:
            said = f"read {lane.draw[:12]}; its mixture {lane.mixture} gives {lane.mixture_draw[:12]}"
            yield Finding(CHECKS["swapped"], (lane.name,), 0, 1, said)


def _outliers(lanes: Sequence[LaneRecord]) -> Iterator[Outcome]:
    """Hold the end of each lane's loss against that of lanes which differ by seed alone."""
    ends = {lane.name: _end_of(lane) for lane in lanes}
    for same in grouped(lanes, lambda lane: (lane.mixture, lane.learning_rate, lane.until)):
        known = {lane.name: end for lane in same if (end := ends[lane.name]) is not None}
        if len(known) < LEAST_SIBLINGS:
            names = tuple(lane.name for lane in same)
            why = f"{len(known)} lanes with whole losses differ by seed alone; {LEAST_SIBLINGS} are needed"
            yield Unchecked(CHECKS["outlier"], names, why)
            continue
        x, y = tuple(float(number) for number in range(len(known))), tuple(known.values())
        limit = float(stdtrit(len(known) - 2, 1 - OUTLIER_CHANCE / 2 / len(known)))
        for name, end in known.items():
            others = np.array([other for lane, other in known.items() if lane != name])
            scale = float(others.std(ddof=1)) * math.sqrt(1 + 1 / len(others))
            off = abs(end - float(others.mean())) / max(scale, LEAST_DEVIATION)
            if off > limit:
                said = (
                    f"ends at {end:.3f} bits per token, {off:.0f} deviations from {others.mean():.3f} of its siblings"
                )
                drawn = Series("lane", "bits per token at the end", x, y)
                yield Finding(CHECKS["outlier"], (name,), off, limit, said, drawn)


def _end_of(lane: LaneRecord) -> float | None:
    bits_S = lane.losses
    if bits_S is None or len(bits_S) < LEAST_STEPS or not np.isfinite(bits_S).all():
        return None
    return float(bits_S[-max(2, len(bits_S) // 20) :].mean())


def _rate_edge(lanes: Sequence[LaneRecord]) -> Iterator[Outcome]:
    """Tell where the lowest held-out bits of a mixture are had at the lowest or highest rate that was tried."""
    for same in grouped([lane for lane in lanes if lane.until == 1], lambda lane: lane.mixture):
        scored = [(lane.learning_rate, sum(lane.scores.values()) / len(lane.scores)) for lane in same if lane.scores]
        rates = sorted({rate for rate, _ in scored})
        if len(rates) < LEAST_RATES:
            names = tuple(lane.name for lane in same)
            why = f"scores at {len(rates)} learning rates; {LEAST_RATES} are needed"
            yield Unchecked(CHECKS["rate_edge"], names, why)
            continue
        means = {rate: float(np.mean([value for at, value in scored if at == rate])) for rate in rates}
        best = min(means, key=lambda rate: means[rate])
        if best in (rates[0], rates[-1]):
            side = "highest" if best == rates[-1] else "lowest"
            said = f"{same[0].mixture}: best at x{best:g}, the {side} of {len(rates)} rates"
            drawn = Series("learning rate", "bits per byte", tuple(rates), tuple(means[rate] for rate in rates))
            yield Finding(CHECKS["rate_edge"], tuple(lane.name for lane in same), best, best, said, drawn)


def _not_kept(
    lanes: Sequence[LaneRecord], id: str, told: Callable[[LaneRecord], Hashable], why: str
) -> Iterator[Outcome]:
    missing = tuple(lane.name for lane in lanes if told(lane) is None)
    if missing:
        yield Unchecked(CHECKS[id], missing, why)
