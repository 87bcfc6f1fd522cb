"""A lane's norms and probes -> is it set well: sizes of updates, epsilon, logits, silent units, the batch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from eval.doctor.checks import CHECKS
from eval.doctor.findings import Finding, Outcome, Series, Unchecked
from eval.doctor.invariants import LEAST_POINTS, points_drawn
from eval.doctor.record import LaneRecord
from eval.proxies.health import NORM_BURN_IN

UPDATE_LEAST, UPDATE_MOST = 1e-4, 0.1  # of a matrix, in one step; the median over the schedule's middle
EPSILONS = 10.0
LOGIT_CAPS, CAP = 4.0, 15.0
SILENT_SHARE = 0.10
BATCHES = 3.0  # of the critical one
UNREAD_SHARE = 0.20
SIGNS = 258  # tokens that are no words: single bytes, an unknown sign, the start of a document
TOKENS_OF_A_WORD = 32  # that a lane reads, for each word of its vocabulary; fewer cannot meet all
NOT_PROBED = "it was not probed"


def setting_outcomes(lane: LaneRecord) -> Iterator[Outcome]:
    """Yield what a lane's norms and probes show of its settings."""
    yield from _updates(lane)
    yield from _epsilon(lane)
    yield from _inside(lane)
    yield from _batch(lane)
    yield from _unread(lane)


def _unread(lane: LaneRecord) -> Iterator[Outcome]:
    """Tell how much of the tokenizer's words a lane never read, at least: single bytes and empty rows may all be so."""
    if lane.reading is None or not lane.words:
        yield Unchecked(CHECKS["unread"], (lane.name,), "how much of the vocabulary was read was not kept")
        return
    if lane.num_tokens < TOKENS_OF_A_WORD * lane.words:
        why = f"{lane.num_tokens:,} tokens are too few to meet a vocabulary of {lane.words:,}"
        yield Unchecked(CHECKS["unread"], (lane.name,), why)
        return
    others = lane.tier.vocab_size - lane.words
    if others > lane.tier.vocab_size // 2 + SIGNS:
        yield Unchecked(CHECKS["unread"], (lane.name,), f"its text has no more than {lane.words:,} words to learn")
        return
    unread = max(0.0, lane.reading["unread"] * lane.tier.vocab_size - others) / lane.words
    if unread > UNREAD_SHARE:
        said = f"{unread:.0%} of its vocabulary's words never came"
        yield Finding(CHECKS["unread"], (lane.name,), unread, UNREAD_SHARE, said)


def _updates(lane: LaneRecord) -> Iterator[Outcome]:
    updates_PM = lane.of_matrices("update")
    if lane.matrices is None or updates_PM is None or len(updates_PM) < LEAST_POINTS:
        yield Unchecked(CHECKS["update"], (lane.name,), "too few updates of its matrices were kept")
        return
    first = math.ceil(NORM_BURN_IN * len(updates_PM))
    usual_M = np.nanmedian(updates_PM[first:], axis=0)
    for column, limit in ((int(usual_M.argmax()), UPDATE_MOST), (int(usual_M.argmin()), UPDATE_LEAST)):
        usual = float(usual_M[column])
        if usual > UPDATE_MOST if limit == UPDATE_MOST else 0 < usual < UPDATE_LEAST:
            name = lane.matrices["names"][column]
            way = "above" if limit == UPDATE_MOST else "below"
            said = f"{name}: a step changes it by {usual:.2g} of its size, {way} {limit:g}"
            drawn = points_drawn(lane, updates_PM[:, column], f"update of {name}, of its size", limits=(limit,))
            yield Finding(CHECKS["update"], (lane.name,), usual, limit, said, drawn)


def _epsilon(lane: LaneRecord) -> Iterator[Outcome]:
    gradients_PM = lane.of_matrices("gradient")
    if lane.matrices is None or gradients_PM is None or lane.probes is None:
        yield Unchecked(CHECKS["epsilon"], (lane.name,), "norms of its matrices were not kept")
        return
    epsilon = float(lane.probes["adam_epsilon"])
    for name in ("embedding", "head"):
        column = lane.matrices["names"].index(name)
        rms_P = gradients_PM[:, column] / math.sqrt(lane.matrices["sizes"][column])
        usual = float(np.nanmedian(rms_P)) if np.isfinite(rms_P).any() else math.nan
        if usual < EPSILONS * epsilon:
            said = f"{name}: its gradient is {usual:.1e}, Adam's epsilon {epsilon:.1e}"
            drawn = points_drawn(lane, rms_P, f"gradient of the {name}, root mean square", limits=(epsilon,))
            yield Finding(CHECKS["epsilon"], (lane.name,), usual / epsilon, EPSILONS, said, drawn)


def _inside(lane: LaneRecord) -> Iterator[Outcome]:
    if lane.probes is None:
        yield from (Unchecked(CHECKS[id], (lane.name,), NOT_PROBED) for id in ("logits", "silent_units"))
        return
    end = lane.probes["end"]
    largest, most = end["largest_logit"], LOGIT_CAPS * CAP
    if largest is not None and largest > most:
        said = f"its largest logit is {largest:.3g} before the cap of {CAP:g}"
        drawn = _places_drawn(lane, "largest_logit", "largest logit", limits=(CAP,))
        yield Finding(CHECKS["logits"], (lane.name,), largest, most, said, drawn)
    silent = end["silent_units"]
    if silent is not None and silent > SILENT_SHARE:
        said = f"{silent:.0%} of its units answer to no token"
        drawn = _places_drawn(lane, "silent_units", "share of silent units", limits=(SILENT_SHARE,))
        yield Finding(CHECKS["silent_units"], (lane.name,), silent, SILENT_SHARE, said, drawn)


def _places_drawn(lane: LaneRecord, kind: str, text: str, *, limits: tuple[float, ...]) -> Series:
    assert lane.probes is not None
    seen = [*lane.probes["places"], lane.probes["end"]]
    x = tuple(float(place["step"] * lane.step_tokens) for place in seen)
    return Series("tokens", text, x, tuple(place[kind] for place in seen), limits)


@dataclass(frozen=True, slots=True)
class CriticalBatch:
    """B_simple in tokens, from gradients of a step's rows and of a part of them; None where noise hides the signal."""

    tokens: float | None
    steps: tuple[int, ...]
    each: tuple[float | None, ...]


def critical_batch(lane: LaneRecord) -> CriticalBatch | None:
    """Return McCandlish's tr(S) / |G|^2 at the places that were probed; as ratio of means over the last half."""
    if lane.probes is None:
        return None
    places = [each for each in lane.probes["places"] if each["part_gradient"] and each["gradient"]]
    if len(places) < 2:
        return None
    signal, noise = [], []
    for place in places:
        whole, part = place["rows"] * lane.tier.context, place["part_rows"] * lane.tier.context
        whole2, part2 = place["gradient"] ** 2, place["part_gradient"] ** 2
        signal.append((whole * whole2 - part * part2) / (whole - part))
        noise.append((part2 - whole2) / (1 / part - 1 / whole))
    half = len(places) // 2
    total, trace = sum(signal[half:]), sum(noise[half:])
    each = tuple(s / g if g > 0 else None for g, s in zip(signal, noise, strict=True))
    return CriticalBatch(
        trace / total if total > 0 and trace > 0 else None, tuple(place["step"] for place in places), each
    )


def _batch(lane: LaneRecord) -> Iterator[Outcome]:
    found = critical_batch(lane)
    if found is None:
        yield Unchecked(CHECKS["batch"], (lane.name,), "gradients of parts of a step were not kept")
        return
    if found.tokens is None:
        yield Unchecked(CHECKS["batch"], (lane.name,), "of its gradients noise is all that a step shows")
        return
    times = lane.step_tokens / found.tokens
    if times > BATCHES:
        said = f"a step of {lane.step_tokens:,} tokens is {times:.1f} times the critical {found.tokens:,.0f}"
        x = tuple(float(step * lane.step_tokens) for step in found.steps)
        drawn = Series("tokens", "critical batch, tokens", x, found.each, (float(lane.step_tokens),))
        yield Finding(CHECKS["batch"], (lane.name,), times, BATCHES, said, drawn)
