"""A lane's losses -> did it start fresh, stay finite, keep calm, and learn more than to count?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from eval.doctor.checks import CHECKS
from eval.doctor.findings import Finding, Outcome, Series, Unchecked
from eval.doctor.record import Floats, LaneRecord
from eval.proxies.health import LEAST_STEPS, PLATEAU_BITS, end_limit, end_rise, late_gain, step_noise

START_NATS = 0.05
WINDOW, SIGMAS, LEAST_BEFORE = 128, 6.0, 32
SPIKE_SHARE = 0.001
FUTURE_NATS = 1e-3
COUNTING_BITS = 0.05
DRAWN = 400  # points of a series

NOT_KEPT = "only a curve of windows was kept of its loss"


def curve_outcomes(lane: LaneRecord) -> Iterator[Outcome]:
    """Yield what a lane's loss shows."""
    bits_S = lane.losses
    yield from _future(lane)
    if bits_S is None:
        yield from (Unchecked(CHECKS[id], (lane.name,), NOT_KEPT) for id in ("diverged", "start", "spikes", "end"))
        yield from (Unchecked(CHECKS[id], (lane.name,), NOT_KEPT) for id in ("plateau", "counting"))
        return
    broken = np.flatnonzero(~np.isfinite(bits_S))
    if len(broken):
        step = int(broken[0])
        yield _found(lane, "diverged", step, 0, f"not finite from step {step + 1:,} on", bits_S)
        return
    yield from _start(lane, bits_S)
    if len(bits_S) < LEAST_STEPS:
        why = f"it has {len(bits_S)} steps; a curve's shape shows from {LEAST_STEPS} on"
        yield from (Unchecked(CHECKS[id], (lane.name,), why) for id in ("spikes", "end", "plateau", "counting"))
        return
    yield from _spikes(lane, bits_S)
    rise, most = end_rise(bits_S), end_limit(bits_S, noise=step_noise(bits_S))
    if rise > most:
        yield _found(lane, "end", rise, most, f"rose by {rise:.2f} bits per token at the end", bits_S)
    gain = late_gain(bits_S)
    if lane.until == 1 and gain < PLATEAU_BITS:
        yield _found(lane, "plateau", gain, PLATEAU_BITS, f"{gain:+.3f} bits per token in its second half", bits_S)
    yield from _counting(lane, bits_S)


def _start(lane: LaneRecord, bits_S: Floats) -> Iterator[Outcome]:
    expected, most = math.log2(lane.tier.vocab_size), START_NATS / math.log(2)
    off = float(bits_S[0]) - expected
    if abs(off) > most:
        said = f"started at {bits_S[0]:.2f} bits per token; guessing costs {expected:.2f}"
        yield _found(lane, "start", abs(off), most, said, bits_S, limits=(expected,))


def spikes_of(bits_S: Floats) -> np.ndarray:
    """Return the steps whose loss is above the mean plus six deviations of the 128 before, as far as there are 32."""
    steps = []
    for step in range(LEAST_BEFORE, len(bits_S)):
        before = bits_S[max(0, step - WINDOW) : step]
        if bits_S[step] > before.mean() + SIGMAS * before.std():
            steps.append(step)
    return np.array(steps, np.int64)


def _spikes(lane: LaneRecord, bits_S: Floats) -> Iterator[Outcome]:
    steps = spikes_of(bits_S)
    share = len(steps) / len(bits_S)
    if share > SPIKE_SHARE:
        first = int(steps[0])
        said = (
            f"{len(steps)} of {len(bits_S):,} steps jumped, the first at step {first + 1:,} to {bits_S[first]:.1f} bits"
        )
        yield _found(lane, "spikes", share, SPIKE_SHARE, said, bits_S)


def _counting(lane: LaneRecord, bits_S: Floats) -> Iterator[Outcome]:
    if lane.reading is None:
        yield Unchecked(CHECKS["counting"], (lane.name,), "how often tokens were read was not kept")
        return
    by_count, size = float(lane.reading["bits_by_count"]), max(2, len(bits_S) // 20)
    reached = float(bits_S[-size:].mean())
    if reached > by_count - COUNTING_BITS:
        said = f"ended at {reached:.2f} bits per token; the frequency of tokens alone gives {by_count:.2f}"
        yield _found(lane, "counting", reached, by_count - COUNTING_BITS, said, bits_S, limits=(by_count,))


def _future(lane: LaneRecord) -> Iterator[Outcome]:
    if lane.probes is None:
        yield Unchecked(CHECKS["future"], (lane.name,), "it was not probed")
        return
    changed = lane.probes["end"]["future"]
    if changed is not None and changed > FUTURE_NATS:
        said = f"a prediction changed by {changed:.2g} nats with the tokens after it"
        yield Finding(CHECKS["future"], (lane.name,), changed, FUTURE_NATS, said)


def _found(
    lane: LaneRecord, id: str, value: float, limit: float, said: str, bits_S: Floats, *, limits: tuple[float, ...] = ()
) -> Finding:
    return Finding(CHECKS[id], (lane.name,), value, limit, said, losses_drawn(lane, bits_S, limits=limits))


def losses_drawn(lane: LaneRecord, bits_S: Floats, *, limits: tuple[float, ...] = ()) -> Series:
    """Return a lane's losses for a plot: every step of a short lane, the largest of each window of a long one."""
    edges = np.unique(np.linspace(0, len(bits_S), min(len(bits_S), DRAWN) + 1).astype(int))
    most = [
        float(np.nanmax(window)) if np.isfinite(window).any() else None
        for window in (bits_S[first:last] for first, last in pairwise(edges))
    ]
    x = tuple(float(edge * lane.step_tokens) for edge in edges[1:])
    return Series("tokens", "bits per token", x, tuple(most), limits)
