"""Streams and seeds into trained proxies: all lanes in one run, token for token, resumable to the bit.

Every lane takes the same number of steps over rows of its own stream; a lane whose loss or gradient stops being finite
is frozen and named in the result, and never touches another. One persistent process with stacked lanes replaces a
process per proxy, whose start and compilation cost more than the training itself at 1-10 M parameters (survey: 40-90 s
against 2-15 s).
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from eval.checkpoint import fingerprint, load_checkpoint, save_checkpoint
from eval.machine import Precision, compute_dtype, lane_groups, spread
from eval.optimizer import LaneOptimizer
from eval.packing import IGNORE, Stream, num_rows, read_rows
from eval.proxy import init_lane, stack, total_nats
from eval.tiers import Tier
from pipeline.core.errors import DataError

TOKENS_IN_FLIGHT = {"cpu": 8_192, "cuda": 1 << 18}  # of one lane group, between a forward and its backward
CURVE_POINTS = 100


@dataclass(frozen=True, slots=True)
class Lane:
    """One proxy to train, on these `rows` of its stream, int64[num_rows], in their order; None: as they come."""

    name: str
    stream: Stream
    init_seed: int
    rows: npt.NDArray[np.int64] | None = None
    lr_scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands, told after every step."""

    step: int
    num_steps: int
    tokens_per_second: float


@dataclass(frozen=True, slots=True)
class Trained:
    """Weights, curves and accounts of a finished run; `quarantined` maps a lane's name to the step that broke it."""

    names: tuple[str, ...]
    tier: Tier
    params: dict[str, Tensor]
    curves: list[dict[str, Any]]
    nats_SK: npt.NDArray[np.float64]  # mean training loss of every step and lane
    quarantined: dict[str, int]
    num_steps: int
    tokens_per_lane: int
    precision: str
    device: str
    wall_seconds: float


class _Group:
    """The lanes that run as one stack: weights, optimiser, and the rows still to read."""

    def __init__(self, lanes: Sequence[Lane], *, tier: Tier, num_steps: int, device: str, dtype: torch.dtype) -> None:
        self.tier, self.device, self.dtype = tier, device, dtype
        self.streams = [lane.stream for lane in lanes]
        self.orders = [_row_order(lane, tier=tier, num_steps=num_steps) for lane in lanes]
        start = stack([init_lane(tier, seed=lane.init_seed) for lane in lanes])
        self.params = {name: param.to(device).requires_grad_() for name, param in start.items()}
        lr_scale_K = torch.tensor([lane.lr_scale for lane in lanes], device=device)
        self.optimizer = LaneOptimizer(self.params, tier=tier, lr_scale_K=lr_scale_K, num_steps=num_steps)
        self.alive_K = torch.ones(len(lanes), dtype=torch.bool, device=device)

    def advance(self, step: int) -> Tensor:
        """Take one step; return each lane's mean nats per target, (K,), not finite for a lane that just broke."""
        rows = slice(step * self.tier.batch_rows, (step + 1) * self.tier.batch_rows)
        ids = np.stack(
            [
                read_rows(stream, order[rows], context=self.tier.context)
                for stream, order in zip(self.streams, self.orders, strict=True)
            ]
        )
        ids_KBS = torch.from_numpy(ids).to(self.device, non_blocking=True)
        num_targets_K = (ids_KBS[..., 1:] >= 0).sum((1, 2)).clamp(min=1)
        total_K = torch.zeros(len(self.streams), device=self.device)
        size = max(1, TOKENS_IN_FLIGHT[torch.device(self.device).type] // (len(self.streams) * self.tier.context))
        for part_KbS in ids_KBS.split(size, dim=1):
            inputs, targets = part_KbS[..., :-1].clamp(min=0), part_KbS[..., 1:].contiguous()
            nats_K = total_nats(self.params, inputs, targets, tier=self.tier, dtype=self.dtype)
            (nats_K / num_targets_K).sum().backward()
            total_K += nats_K.detach()
        grads = {name: param.grad for name, param in self.params.items() if param.grad is not None}
        mean_K = total_K / num_targets_K
        self.alive_K &= mean_K.isfinite()
        for grad in grads.values():
            self.alive_K &= grad.flatten(1).sum(1).isfinite()
        self.optimizer.update(self.params, grads, step=step, alive_K=self.alive_K, dtype=self.dtype)
        for param in self.params.values():
            param.grad = None
        return torch.where(self.alive_K, mean_K, math.nan)

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that changes from step to step, each with the lane axis first."""
        weights = {f"param.{name}": param.detach() for name, param in self.params.items()}
        return {**weights, **self.optimizer.state, "alive_K": self.alive_K}


def train(
    lanes: Sequence[Lane],
    *,
    tier: Tier,
    num_tokens: int | None = None,
    device: str = "cpu",
    precision: Precision = "auto",
    threads: int = 1,
    lanes_at_once: int | None = None,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 60.0,
    say: Callable[[Progress], None] = lambda progress: None,
) -> Trained:
    """Train every lane on the first `num_tokens` (default: the tier's) of its rows, in whole steps.

    With `checkpoint`, a run that was cut off goes on where the file stands, and a finished one is read back. On a CPU
    the result depends on neither `threads` nor the interruptions; on any device it may depend on `lanes_at_once` in
    the last bits. Raises DataError if a stream is too short or the checkpoint belongs to another run.
    """
    dtype = compute_dtype(precision, device=device)
    wanted = tier.num_tokens if num_tokens is None else num_tokens
    num_steps = max(1, wanted // (tier.batch_rows * tier.context))
    _check_lanes(lanes, tier=tier, num_steps=num_steps)
    slices = lane_groups(len(lanes), device=device, lanes_at_once=lanes_at_once)
    groups = [_Group(lanes[part], tier=tier, num_steps=num_steps, device=device, dtype=dtype) for part in slices]
    run = _Run(groups, nats_SK=np.full((num_steps, len(lanes)), math.nan), seconds_S=np.zeros(num_steps))
    name_of_run = _name_of_run(lanes, tier=tier, num_steps=num_steps, device=device, dtype=dtype)
    if checkpoint is not None and (arrays := load_checkpoint(checkpoint, run=name_of_run)) is not None:
        run.restore(arrays)

    started = saved = time.monotonic()
    first_step, seconds_before = run.step, run.seconds_S[run.step - 1] if run.step else 0.0
    with spread(threads) as each:
        while run.step < num_steps:
            run.advance(each)
            now = time.monotonic()
            run.seconds_S[run.step - 1] = seconds_before + now - started
            steps_per_second = (run.step - first_step) / max(now - started, 1e-9)
            tokens_per_second = steps_per_second * len(lanes) * tier.batch_rows * tier.context
            say(Progress(run.step, num_steps, tokens_per_second))
            if checkpoint is not None and (run.step == num_steps or now - saved >= checkpoint_seconds):
                save_checkpoint(checkpoint, run.arrays(), run=name_of_run)
                saved = time.monotonic()
    return _finish(run, lanes=lanes, tier=tier, device=device, dtype=dtype)


class _Run:
    """All groups and what they have reported so far: S steps x K lanes."""

    def __init__(
        self, groups: list[_Group], *, nats_SK: npt.NDArray[np.float64], seconds_S: npt.NDArray[np.float64]
    ) -> None:
        self.groups, self.nats_SK, self.seconds_S = groups, nats_SK, seconds_S
        self.step = 0

    def advance(self, each: Callable[..., list[Tensor]]) -> None:
        nats = each(lambda group: group.advance(self.step), self.groups)
        self.nats_SK[self.step] = torch.cat(nats).cpu().numpy()
        self.step += 1

    def tensors(self) -> dict[str, Tensor]:
        parts = [group.tensors() for group in self.groups]
        return {name: torch.cat([part[name].cpu() for part in parts]) for name in parts[0]}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        stacked = {name: tensor.numpy() for name, tensor in self.tensors().items()}
        return {**stacked, "step": np.array(self.step), "nats_SK": self.nats_SK, "seconds_S": self.seconds_S}

    @torch.no_grad()
    def restore(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        self.step = int(arrays["step"])
        self.nats_SK[:], self.seconds_S[:] = arrays["nats_SK"], arrays["seconds_S"]
        first = 0
        for group in self.groups:
            last = first + len(group.streams)
            for name, tensor in group.tensors().items():
                tensor.copy_(torch.from_numpy(arrays[name][first:last]))
            first = last


def _row_order(lane: Lane, *, tier: Tier, num_steps: int) -> npt.NDArray[np.int64]:
    rows = np.arange(num_rows(lane.stream, context=tier.context)) if lane.rows is None else lane.rows
    return rows[: num_steps * tier.batch_rows]


def _check_lanes(lanes: Sequence[Lane], *, tier: Tier, num_steps: int) -> None:
    needed = num_steps * tier.batch_rows
    if not lanes or len({lane.name for lane in lanes}) < len(lanes):
        raise DataError(
            f"lanes: {[lane.name for lane in lanes]}; there must be one or more, with different names. Rename them."
        )
    for lane in lanes:
        available = num_rows(lane.stream, context=tier.context)
        given = available if lane.rows is None else len(lane.rows)
        if given < needed:
            raise DataError(
                f"lane {lane.name}: its stream holds {given} rows of {tier.context} tokens; the run reads "
                f"{needed}. "
                "Draw more rows (repeat some, within the epoch cap) or train on fewer tokens."
            )
        if lane.rows is not None and not 0 <= lane.rows.min() <= lane.rows.max() < available:
            raise DataError(
                f"lane {lane.name}: reads row {lane.rows.max()}; its stream ends with row {available - 1}. Draw again."
            )
        largest = int(np.where(lane.stream == IGNORE, 0, lane.stream).max())
        if largest >= tier.vocab_size:
            raise DataError(
                f"lane {lane.name}: its stream holds token {largest}; tier {tier.name} has {tier.vocab_size} tokens. "
                "Train the tokenizer for this tier and encode again."
            )


def _name_of_run(lanes: Sequence[Lane], *, tier: Tier, num_steps: int, device: str, dtype: torch.dtype) -> str:
    settings = [[lane.name, lane.init_seed, lane.lr_scale] for lane in lanes]
    what = {"version": 2, "tier": asdict(tier), "steps": num_steps, "lanes": settings}
    what |= {"device": torch.device(device).type, "dtype": str(dtype)}
    read = [_row_order(lane, tier=tier, num_steps=num_steps) for lane in lanes]
    return fingerprint(what, streams=[*(lane.stream for lane in lanes), *read])


def _finish(run: _Run, *, lanes: Sequence[Lane], tier: Tier, device: str, dtype: torch.dtype) -> Trained:
    broken = ~np.isfinite(run.nats_SK)
    names = tuple(lane.name for lane in lanes)
    return Trained(
        names=names,
        tier=tier,
        params={name[6:]: tensor for name, tensor in run.tensors().items() if name.startswith("param.")},
        curves=_curves(run, names=names, step_tokens=tier.batch_rows * tier.context),
        nats_SK=run.nats_SK,
        quarantined={name: int(broken[:, k].argmax()) for k, name in enumerate(names) if broken[:, k].any()},
        num_steps=run.step,
        tokens_per_lane=run.step * tier.batch_rows * tier.context,
        precision=str(dtype).removeprefix("torch."),
        device=device,
        wall_seconds=float(run.seconds_S[-1]),
    )


def _curves(run: _Run, *, names: tuple[str, ...], step_tokens: int) -> list[dict[str, Any]]:
    """Return each lane's points: the mean over a window of steps in bits per token, None once the lane is broken."""
    edges = np.unique(np.linspace(0, run.step, min(run.step, CURVE_POINTS) + 1).astype(int)).tolist()
    windows = list(itertools.pairwise(edges))
    curves = []
    for lane, name in enumerate(names):
        means = [float(run.nats_SK[first:last, lane].mean()) / math.log(2) for first, last in windows]
        points = [
            {
                "step": last,
                "tokens": last * step_tokens,
                "seconds": round(float(run.seconds_S[last - 1]), 3),
                "bits_per_token": bits if math.isfinite(bits) else None,
            }
            for (_, last), bits in zip(windows, means, strict=True)
        ]
        curves.append({"lane": name, "points": points})
    return curves
