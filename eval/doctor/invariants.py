"""A lane's account -> what must be so in any training, whatever its mixture: TrainCheck's kind of check.

Structural checks find what curves do not: 18 of 20 silent errors within one iteration, against 2 (2506.14813).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from eval.doctor.checks import CHECKS
from eval.doctor.findings import Finding, Outcome, Series, Unchecked
from eval.doctor.record import Floats, LaneRecord
from eval.proxies.health import NORM_BURN_IN, SHARE_OFF, TARGETS_SHARE, UNMOVED_SHARE
from eval.proxies.schedule import schedule

RATE_OFF = 1.25  # of the rate that was planned, or its inverse
LEAST_POINTS = 8  # fewer tell nothing of matrices that begin at zero
NAMED = 3  # matrices that are spelled out


def invariant_outcomes(lane: LaneRecord) -> Iterator[Outcome]:
    """Yield what a lane's account shows."""
    yield from _matrices(lane)
    yield from _decay(lane)
    yield from _read(lane)


def _matrices(lane: LaneRecord) -> Iterator[Outcome]:
    gradients_PM, updates_PM, weights_PM = (lane.of_matrices(kind) for kind in ("gradient", "update", "weight"))
    if lane.matrices is None or gradients_PM is None or updates_PM is None or weights_PM is None:
        why = "norms of its matrices were not kept"
        yield from (Unchecked(CHECKS[id], (lane.name,), why) for id in ("rate", "frozen", "dead_gradient"))
        return
    names: Sequence[str] = lane.matrices["names"]
    yield from _rate(lane, names, updates_PM, weights_PM)
    if len(updates_PM) < LEAST_POINTS:
        why = f"{len(updates_PM)} of its steps were watched; {LEAST_POINTS} are needed"
        yield from (Unchecked(CHECKS[id], (lane.name,), why) for id in ("frozen", "dead_gradient"))
        return
    first = math.ceil(NORM_BURN_IN * len(updates_PM))
    yield from _frozen(lane, names, updates_PM[first:])
    dead_M = (np.nan_to_num(gradients_PM[first:]) == 0).any(axis=0)
    if dead_M.any():
        said = f"no gradient reached {_listed(names, dead_M)}"
        column = int(np.flatnonzero(dead_M)[0])
        drawn = points_drawn(lane, gradients_PM[:, column], f"gradient of {names[column]}")
        yield Finding(CHECKS["dead_gradient"], (lane.name,), float(dead_M.sum()), 0, said, drawn)


def _rate(lane: LaneRecord, names: Sequence[str], updates_PM: Floats, weights_PM: Floats) -> Iterator[Outcome]:
    """Hold the first update of the head, which is Adam's rate in every element, against the plan."""
    told = lane.matrices
    assert told is not None
    if not lane.norms or lane.norms[0]["step"] != 1:
        yield Unchecked(CHECKS["rate"], (lane.name,), "its first step was not watched")
        return
    head = names.index("head")
    moved = float(updates_PM[0, head] * weights_PM[0, head]) / math.sqrt(told["sizes"][head])
    steps = max(1, (lane.account.get("planned_tokens") or lane.num_tokens) // lane.step_tokens)
    planned = lane.tier.head_lr * lane.learning_rate * schedule(0, num_steps=steps, course=lane.tier.course)
    times = moved / planned
    if not 1 / RATE_OFF <= times <= RATE_OFF:
        said = f"its first update was {times:.3g} times what its learning rate makes it"
        drawn = points_drawn(lane, updates_PM[:, head], "update of the head, of its weights")
        yield Finding(CHECKS["rate"], (lane.name,), times, RATE_OFF, said, drawn)


def _frozen(lane: LaneRecord, names: Sequence[str], updates_PM: Floats) -> Iterator[Outcome]:
    still_M = (np.nan_to_num(updates_PM) == 0).all(axis=0)
    if still_M.any():
        said = f"{_listed(names, still_M)} never moved"
        yield Finding(CHECKS["frozen"], (lane.name,), float(still_M.mean()), 0, said)
        return
    group, share = max(lane.account["unmoved"].items(), key=lambda pair: float(pair[1]))
    if share > UNMOVED_SHARE:
        said = f"{group}: {share:.1%} of its parameters never moved"
        yield Finding(CHECKS["frozen"], (lane.name,), float(share), UNMOVED_SHARE, said)


def _decay(lane: LaneRecord) -> Iterator[Outcome]:
    if not lane.norms or lane.reading is None:
        yield Unchecked(CHECKS["decay"], (lane.name,), "what moved unread was not kept")
        return
    moved = lane.reading["moved_unread"]
    if moved:
        said = f"{moved:.1%} of the embedding's rows that no token read moved"
        yield Finding(CHECKS["decay"], (lane.name,), moved, 0, said)
        return
    first = lane.norms[0]
    unasked = [group for group, norm in first["gradient"].items() if norm == 0 and first["update"][group]]
    if unasked:
        said = f"{unasked[0]} moved at step {first['step']} without a gradient"
        yield Finding(CHECKS["decay"], (lane.name,), float(first["update"][unasked[0]]), 0, said)


def _read(lane: LaneRecord) -> Iterator[Outcome]:
    account, planned = lane.account, lane.planned_tokens
    if planned is None:
        why = "what it was to read was not kept"
        yield from (Unchecked(CHECKS[id], (lane.name,), why) for id in ("tokens", "schedule", "shares", "reads"))
        return
    whole = planned // lane.step_tokens * lane.step_tokens or lane.step_tokens
    share = account["num_targets"] / whole
    if share < TARGETS_SHARE:
        said = f"trained on {account['num_targets']:,} tokens of {whole:,}"
        yield Finding(CHECKS["tokens"], (lane.name,), share, TARGETS_SHARE, said)
    done, step = float(account["schedule_done"]), 1 / lane.num_steps
    if abs(done - lane.until) > step:
        said = f"did {done:.0%} of its schedule, not {lane.until:.0%}"
        yield Finding(CHECKS["schedule"], (lane.name,), done, lane.until, said)
    most = max(SHARE_OFF, 1.5 * lane.tier.context / lane.num_tokens)
    if lane.until == 1:
        for name, wanted in account["planned_shares"].items():
            read = float(account["shares"].get(name, 0.0))
            if abs(read - wanted) > most:
                said = f"read {read:.1%} of its tokens from {name}; {wanted:.1%} were planned"
                yield Finding(CHECKS["shares"], (lane.name,), abs(read - wanted), most, said)
    yield from _reads(lane)


def _reads(lane: LaneRecord) -> Iterator[Outcome]:
    if lane.reads is None:
        yield Unchecked(CHECKS["reads"], (lane.name,), "which rows it read was not kept")
        return
    for name, found in lane.reads.items():
        most = math.ceil(found["rows"] / max(1, found["of_rows"]))
        if found["most"] > most:
            said = (
                f"read a row of {name} {found['most']} times where {most} would do; "
                f"{found['distinct']:,} of {found['of_rows']:,} rows in all"
            )
            yield Finding(CHECKS["reads"], (lane.name,), float(found["most"]), float(most), said)


def points_drawn(lane: LaneRecord, values_P: Floats, text: str, *, limits: tuple[float, ...] = ()) -> Series:
    """Return what was watched at a few steps for a plot."""
    x = tuple(float(point["tokens"]) for point in lane.norms)
    return Series(
        "tokens", text, x, tuple(value if math.isfinite(value) else None for value in values_P.tolist()), limits
    )


def _listed(names: Sequence[str], chosen_M: np.ndarray) -> str:
    chosen = [name for name, wanted in zip(names, chosen_M, strict=True) if wanted]
    more = f" and {len(chosen) - NAMED} more" if len(chosen) > NAMED else ""
    return ", ".join(chosen[:NAMED]) + more
