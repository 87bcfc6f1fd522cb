"""A lane's loss and account in, what is wrong with it out: a verdict on two mixtures needs sound proxies.

Limits of the loss are in bits per token, of single steps. All limits lie between lanes known to be sound and lanes
known to be damaged (`eval/LOG.md`): sound ones scatter by 0.2 to 0.4 bits from step to step; lanes that read a long
word list in one piece jumped by 4 to 11 bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from eval.proxies.account import Account

START_BITS = 0.5  # a fresh lane predicts every token alike: log2 of the vocabulary
SPIKE_BITS, SPIKE_SIGMAS = 1.0, 8.0
END_BITS, END_SIGMAS = 0.1, 4.0
PLATEAU_BITS = 0.02
LEAST_STEPS = 40  # fewer say nothing about a curve's shape
BURN_IN = 0.1  # share of the steps in which the loss falls too fast for a spike to show
NORM_BURN_IN = 0.25  # share of the points in which output projections are still near zero
GRADIENT_TIMES = 30.0  # its median over the lane
UPDATE_MOST = 0.5  # of the weights, in one step
UNMOVED_SHARE = 0.01  # of a group
TARGETS_SHARE = 0.98  # of the tokens that were to be trained
SHARE_OFF = 0.01  # of a dataset's share

Kind = Literal[
    "diverged", "start", "spike", "jump at the end", "plateau", "gradient", "update", "unmoved", "tokens", "shares"
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a lane, from the step where it shows."""

    kind: Kind
    step: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a lane was to train on: so many tokens, and this share of them from each dataset."""

    num_tokens: int
    shares: Mapping[str, float]


def account_findings(account: Account, *, plan: Plan, shares: Mapping[str, float]) -> tuple[Finding, ...]:
    """Return what is wrong with a lane's norms, and with what it read: `shares` by dataset, counted from its rows."""
    read = tuple(_read(account, plan=plan, shares=shares))
    begun = bool(account.norms) and account.norms[-1]["step"] >= LEAST_STEPS
    return (*_norms(account), *_unmoved(account), *read) if begun else read


def findings(nats_S: npt.NDArray[np.float64], *, vocab_size: int) -> tuple[Finding, ...]:
    """Return what is wrong with the loss of every step, float64[S] in nats per token; nothing where it is sound."""
    bits_S = nats_S / math.log(2)
    broken = np.flatnonzero(~np.isfinite(bits_S))
    if len(broken):
        step = int(broken[0])
        return (Finding("diverged", step, f"diverged at step {step:,}: its loss or gradient was not finite"),)
    found = [_start(bits_S, vocab_size=vocab_size)]
    if len(bits_S) >= LEAST_STEPS:
        noise = step_noise(bits_S)
        found += [_spike(bits_S, noise=noise), _end(bits_S, noise=noise), _plateau(bits_S)]
    return tuple(item for item in found if item is not None)


def step_noise(bits_S: npt.NDArray[np.float64]) -> float:
    """Return the deviation of one step's loss from the curve, robustly: from differences of neighbours."""
    steps = np.diff(bits_S[int(BURN_IN * len(bits_S)) :])
    return float(1.4826 * np.median(np.abs(steps - np.median(steps))) / math.sqrt(2))


def _start(bits_S: npt.NDArray[np.float64], *, vocab_size: int) -> Finding | None:
    expected = math.log2(vocab_size)
    if abs(bits_S[0] - expected) <= START_BITS:
        return None
    return Finding("start", 0, f"started at {bits_S[0]:.2f} bits per token; a fresh lane starts at {expected:.2f}")


def _spike(bits_S: npt.NDArray[np.float64], *, noise: float) -> Finding | None:
    """Compare every step with the median of the steps before it."""
    width = max(5, len(bits_S) // 20)
    first = max(width, int(BURN_IN * len(bits_S)))
    before = np.median(np.lib.stride_tricks.sliding_window_view(bits_S, width), axis=1)[first - width : -1]
    over = bits_S[first:] - before
    if over.max() <= max(SPIKE_BITS, SPIKE_SIGMAS * noise):
        return None
    step = first + int(over.argmax())
    return Finding("spike", step, f"its loss jumped by {over.max():.1f} bits per token at step {step:,}")


def end_rise(bits_S: npt.NDArray[np.float64]) -> float:
    """Return by how many bits the last twentieth lies above the tenth before it."""
    size = _twentieth(bits_S)
    return float(bits_S[-size:].mean() - bits_S[-3 * size : -size].mean())


def end_limit(bits_S: npt.NDArray[np.float64], *, noise: float) -> float:
    """Return what a sound lane's end stays below."""
    return max(END_BITS, END_SIGMAS * noise * math.sqrt(1.5 / _twentieth(bits_S)))


def late_gain(bits_S: npt.NDArray[np.float64]) -> float:
    """Return by how many bits the last fifth lies below the fifth before the middle."""
    size, middle = len(bits_S) // 5, len(bits_S) // 2
    return float(bits_S[middle - size : middle].mean() - bits_S[-size:].mean())


def _twentieth(bits_S: npt.NDArray[np.float64]) -> int:
    return max(2, len(bits_S) // 20)


def _end(bits_S: npt.NDArray[np.float64], *, noise: float) -> Finding | None:
    rise = end_rise(bits_S)
    if rise <= end_limit(bits_S, noise=noise):
        return None
    step = len(bits_S) - _twentieth(bits_S)
    return Finding("jump at the end", step, f"its loss rose by {rise:.2f} bits per token at the end")


def _plateau(bits_S: npt.NDArray[np.float64]) -> Finding | None:
    gain = late_gain(bits_S)
    if gain >= PLATEAU_BITS:
        return None
    return Finding(
        "plateau",
        len(bits_S) // 2,
        f"learnt nothing in its second half: {gain:+.3f} bits per token, at least {PLATEAU_BITS:g} due",
    )


def _norms(account: Account) -> Iterator[Finding]:
    """Compare gradients of each group with their median, and updates with the weights, once the lane has begun."""
    points = account.norms[math.ceil(NORM_BURN_IN * len(account.norms)) :]
    for group in points[0]["gradient"]:
        gradients = [(point["step"], point["gradient"][group]) for point in points]
        if missing := [step for step, norm in gradients if not norm]:
            yield Finding("gradient", missing[0], f"{group}: no finite gradient reached it at step {missing[0]:,}")
            continue
        usual = median(norm for _, norm in gradients)
        step, largest = max(gradients, key=lambda pair: float(pair[1]))
        if largest > GRADIENT_TIMES * usual:
            times = largest / usual
            yield Finding("gradient", step, f"{group}: its gradient was {times:.0f} times the usual at step {step:,}")
        step, update = max(
            ((point["step"], point["update"][group] or 0.0) for point in points), key=lambda pair: float(pair[1])
        )
        if update > UPDATE_MOST:
            yield Finding("update", step, f"{group}: step {step:,} changed it by {update:.2f} of its size")


def _unmoved(account: Account) -> Iterator[Finding]:
    for group, share in account.unmoved.items():
        if share > UNMOVED_SHARE:
            yield Finding("unmoved", 0, f"{group}: {share:.1%} of its parameters never moved")


def _read(account: Account, *, plan: Plan, shares: Mapping[str, float]) -> Iterator[Finding]:
    if account.num_targets < TARGETS_SHARE * plan.num_tokens:
        yield Finding("tokens", 0, f"trained on {account.num_targets:,} tokens; {plan.num_tokens:,} were planned")
    for name, planned in plan.shares.items():
        if abs(shares.get(name, 0.0) - planned) > SHARE_OFF:
            read = shares.get(name, 0.0)
            yield Finding("shares", 0, f"read {read:.1%} of its tokens from {name}; {planned:.1%} were planned")
