"""Streams and seeds into trained proxies, one after the other as they finish, token for token, resumable to the bit.

Every lane takes the same number of steps over rows of its own stream; a lane whose loss or gradient stops being finite
is frozen and named in its result, and never touches another. One persistent process with stacked lanes replaces a
process per proxy, whose start and compilation cost more than the training itself at 1-10 M parameters (survey: 40-90 s
against 2-15 s). On a CPU every lane is a stack of its own, so its bits depend on no other, and the lanes that run at
once are as many as there are threads: a killed run keeps what was finished. Each lane has its own checkpoint too.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from eval.proxies.account import Account, Norms, reading_of, tally, unmoved
from eval.proxies.checkpoint import fingerprint, hash_of, load_checkpoint, save_checkpoint
from eval.proxies.machine import Precision, compute_dtype, lane_groups, spread
from eval.proxies.on_device import DeviceSteps, Stepping, stepping_on
from eval.proxies.optimizer import LaneOptimizer, rates_at
from eval.proxies.packing import IGNORE, Stream, num_rows, read_rows
from eval.proxies.probe import Probes
from eval.proxies.proxy import init_lane, stack
from eval.proxies.schedule import USUAL
from eval.proxies.step import take_step
from eval.proxies.tiers import Tier
from pipeline.core.errors import DataError

CURVE_POINTS = 100


@dataclass(frozen=True, slots=True)
class Lane:
    """One proxy to train, on these `rows` of its stream, int64[num_rows], in their order; None: as they come.

    Where `checkpoint` is set, a training that was cut off goes on where that file stands. A lane with a `tier` or
    `num_tokens` of its own is trained by these, and not as the others.
    """

    name: str
    stream: Stream
    init_seed: int
    rows: npt.NDArray[np.int64] | None = None
    lr_scale: float = 1.0
    checkpoint: Path | None = None
    tier: Tier | None = None
    num_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """Weights, curve and account of one lane that is finished, or stopped where it was asked to."""

    name: str
    params: dict[str, Tensor]  # each with a lane axis of 1
    nats_S: npt.NDArray[np.float64]  # mean training loss of every step that was taken
    points: list[dict[str, Any]]  # the same as a curve of at most CURVE_POINTS
    account: Account  # what else it says of its health
    broken_at: int | None  # the step that broke it
    num_steps: int
    num_tokens: int
    precision: str
    device: str
    seconds: float  # its share of the time that the run took
    waited: float  # share of that in which its steps waited for rows


class _Stack:
    """Lanes that run as one: weights, optimiser, and the rows still to read."""

    def __init__(
        self, lanes: Sequence[Lane], *, tier: Tier, num_steps: int, last: int, device: str, dtype: torch.dtype,
        stepping: Stepping,
    ) -> None:  # fmt: skip
        self.lanes, self.tier, self.device, self.dtype = lanes, tier, device, dtype
        self.num_steps, self.last = num_steps, last  # of the schedule, and the step to stop after
        self.orders = [_row_order(lane, tier=tier, num_steps=num_steps) for lane in lanes]
        start = stack([init_lane(tier, seed=lane.init_seed) for lane in lanes])
        self.params = {name: param.to(device).requires_grad_() for name, param in start.items()}
        lr_scale_K = torch.tensor([lane.lr_scale for lane in lanes], device=device)
        self.optimizer = LaneOptimizer(self.params, tier=tier, lr_scale_K=lr_scale_K)
        self.alive_K = torch.ones(len(lanes), dtype=torch.bool, device=device)
        self.nats_KS = np.full((len(lanes), num_steps), math.nan)
        self.norms = Norms(self.params, num_lanes=len(lanes), num_steps=num_steps)
        self.probes = Probes(num_lanes=len(lanes), norms=self.norms)
        self.step, self.seconds, self.waited = 0, 0.0, 0.0
        self.on_device = None
        if stepping != "host":
            self.on_device = DeviceSteps(
                self.params, self.optimizer, self.alive_K, streams=[lane.stream for lane in lanes], orders=self.orders,
                tier=tier, num_steps=num_steps, dtype=dtype, stepping=stepping,
            )  # fmt: skip

    def advance(self) -> None:
        """Take one step; a lane whose loss or gradient is not finite is broken from here on, its loss nan."""
        self.probes.look(self.params, self._read, step=self.step, tier=self.tier, dtype=self.dtype)
        with self.norms.watching(self.params, step=self.step) as watched:
            if self.on_device is not None:
                self.on_device.advance()
                watched.gradient_KM = self.on_device.gradient_KM
            else:
                taken = take_step(
                    self.params, self._next_rows(), update=self.optimizer.update, alive_K=self.alive_K,
                    rates=rates_at(self.step, num_steps=self.num_steps, course=self.tier.course), tier=self.tier,
                    dtype=self.dtype, norms=watched.wanted,
                )  # fmt: skip
                watched.gradient_KM = taken.gradient_KM
                self.nats_KS[:, self.step] = taken.nats_K.cpu().numpy()
        self.step += 1

    def _next_rows(self) -> Tensor:
        started = time.monotonic()
        rows_KBS = self._read(slice(self.step * self.tier.batch_rows, (self.step + 1) * self.tier.batch_rows))
        self.waited += time.monotonic() - started
        return rows_KBS

    def _read(self, rows: slice) -> Tensor:
        ids = [
            read_rows(lane.stream, order[rows], context=self.tier.context)
            for lane, order in zip(self.lanes, self.orders, strict=True)
        ]
        return torch.from_numpy(np.stack(ids)).to(self.device)

    def fetch(self) -> None:
        """Bring the losses here, where the device kept them."""
        if self.on_device is not None:
            self.nats_KS[:] = self.on_device.nats_KS.cpu().numpy()

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that changes from step to step, each with the lane axis first."""
        weights = {f"param.{name}": param.detach() for name, param in self.params.items()}
        return {**weights, **self.optimizer.state, "alive_K": self.alive_K}

    def save(self, names: dict[str, str]) -> None:
        """Write the checkpoint of every lane that has one."""
        self.fetch()
        stacked = {name: tensor.cpu().numpy() for name, tensor in self.tensors().items()}
        for k, lane in enumerate(self.lanes):
            if lane.checkpoint is not None:
                mine = {name: array[k : k + 1] for name, array in stacked.items()}
                stand = {"step": np.array(self.step), "nats_S": self.nats_KS[k]}
                times = {"seconds": np.array(self.seconds), "waited": np.array(self.waited)}
                watched = self.norms.of_lane(k) | self.probes.of_lane(k)
                save_checkpoint(lane.checkpoint, mine | stand | times | watched, run=names[lane.name])

    @torch.no_grad()
    def restore(self, names: dict[str, str]) -> None:
        """Go on from the checkpoints; all lanes stand at one step."""
        found = [load_checkpoint(lane.checkpoint, run=names[lane.name]) for lane in self.lanes]
        loaded = [arrays for arrays in found if arrays is not None]
        if len(loaded) < len(found):
            return
        if any(int(arrays["step"]) > self.last for arrays in loaded):
            return  # it stands beyond where it should stop
        for k, arrays in enumerate(loaded):
            self.step, self.seconds = int(arrays["step"]), float(arrays["seconds"])
            self.waited = float(arrays.get("waited", 0.0))
            self.nats_KS[k] = arrays["nats_S"]
            self.norms.restore(k, arrays)
            self.probes.restore(k, arrays)
            for name, tensor in self.tensors().items():
                tensor[k : k + 1].copy_(torch.from_numpy(arrays[name]))
        if self.on_device is not None:
            self.on_device.stand_at(self.step, self.nats_KS)

    def results(self, *, at_once: int) -> list[Trained]:
        """Return every lane, now that all its steps are taken; `at_once` stacks shared the machine."""
        self.fetch()
        self.probes.look_last(self.params, self._read, tier=self.tier, dtype=self.dtype)
        step_tokens = self.tier.batch_rows * self.tier.context
        nats_KS = self.nats_KS[:, : self.last]
        broken = ~np.isfinite(nats_KS)
        return [
            Trained(
                name=lane.name,
                params={name: param.detach()[k : k + 1].cpu() for name, param in self.params.items()},
                nats_S=nats_KS[k],
                points=_curve(nats_KS[k], step_tokens=step_tokens),
                account=self._account(k),
                broken_at=int(broken[k].argmax()) if broken[k].any() else None,
                num_steps=self.last,
                num_tokens=self.last * step_tokens,
                precision=str(self.dtype).removeprefix("torch."),
                device=self.device,
                seconds=self.seconds / (len(self.lanes) * at_once),
                waited=self.waited / max(self.seconds, 1e-9),
            )
            for k, lane in enumerate(self.lanes)
        ]

    def _account(self, k: int) -> Account:
        lane, params = self.lanes[k], {name: param.detach()[k : k + 1].cpu() for name, param in self.params.items()}
        rows = self.orders[k][: self.step * self.tier.batch_rows]
        read = tally(lane.stream, rows, context=self.tier.context, vocab_size=self.tier.vocab_size)
        start = init_lane(self.tier, seed=lane.init_seed)
        return Account(
            norms=self.norms.points(k, step_tokens=self.tier.batch_rows * self.tier.context),
            unmoved=unmoved(start, params, seen_V=read.inputs_V > 0),
            num_targets=read.num_targets,
            schedule_done=self.step / self.num_steps,
            matrices=self.norms.matrices(k),
            probes=self.probes.told(k, tier=self.tier, end=self.step),
            reading=reading_of(start, params, inputs_V=read.inputs_V),
        )


def train(
    lanes: Sequence[Lane],
    *,
    tier: Tier,
    num_tokens: int | None = None,
    stop_at: int | None = None,
    device: str = "cpu",
    precision: Precision = "auto",
    threads: int = 1,
    lanes_at_once: int | None = None,
    stepping: Stepping = "auto",
    checkpoint_seconds: float = 60.0,
    say: Callable[[int], None] = lambda num_tokens: None,
) -> Generator[Trained, None, None]:
    """Train every lane on the first `num_tokens` (default: the tier's) of its rows; yield each that is finished.

    In whole steps. On a CPU a result depends neither on `threads`, nor on interruptions, nor on the other lanes; on any
    device it may depend on `lanes_at_once` in the last bits. `say` hears, one call at a time, of tokens that were
    trained. With `stop_at`, lanes stop after as many of their tokens with the schedule where it stands then; the same
    call without it goes on from their checkpoints, to the bits of lanes that never stopped. Raises DataError before the
    first step if a stream is too short, at the first if a checkpoint belongs to another training.
    """
    dtype = compute_dtype(precision, device=device)
    lanes = [_settled(lane, tier=tier, num_tokens=num_tokens) for lane in lanes]
    _check_lanes(lanes)
    names = _names_of_runs(lanes, device=device, dtype=dtype)
    stacks = _stacks(lanes, names=names, device=device, lanes_at_once=lanes_at_once)
    at_once = min(threads, len(stacks)) if torch.device(device).type == "cpu" else 1  # a card has one queue
    how = stepping_on(device, stepping)
    stop, told = threading.Event(), threading.Lock()

    def run(part: Sequence[Lane]) -> list[Trained]:
        own, num_steps = _tier_of(part[0]), _steps(part[0])
        last = num_steps if stop_at is None else min(num_steps, steps_of(stop_at, tier=own))
        group = _Stack(part, tier=own, num_steps=num_steps, last=last, device=device, dtype=dtype, stepping=how)
        group.restore(names)
        step_tokens = len(part) * own.batch_rows * own.context
        with told:
            say(group.step * step_tokens)
        started = saved = time.monotonic()
        before = group.seconds
        while group.step < last and not stop.is_set():
            group.advance()
            now = time.monotonic()
            group.seconds = before + now - started
            with told:
                say(step_tokens)
            if now - saved >= checkpoint_seconds:
                group.save(names)
                saved = now
        if group.step < last:
            return []
        if last < num_steps:
            group.save(names)  # from which the rest goes on
        return group.results(at_once=at_once)

    with spread(at_once) as pool:
        try:
            left = {pool.submit(run, part) for part in stacks}
            while left:
                done, left = wait(left, return_when=FIRST_COMPLETED)
                for future in done:
                    yield from future.result()
        finally:
            stop.set()  # whoever left early, or was cut off, waits for one step and not for all


def steps_of(num_tokens: int, *, tier: Tier) -> int:
    """Return in how many whole steps a lane reads at most so many tokens; at least one."""
    return max(1, num_tokens // (tier.batch_rows * tier.context))


def _settled(lane: Lane, *, tier: Tier, num_tokens: int | None) -> Lane:
    """Return a lane that says itself how it is trained."""
    own = lane.tier or tier
    usual = own.num_tokens if num_tokens is None else num_tokens
    return replace(lane, tier=own, num_tokens=usual if lane.num_tokens is None else lane.num_tokens)


def _tier_of(lane: Lane) -> Tier:
    assert lane.tier is not None
    return lane.tier


def _steps(lane: Lane) -> int:
    assert lane.num_tokens is not None
    return steps_of(lane.num_tokens, tier=_tier_of(lane))


def _stacks(
    lanes: Sequence[Lane], *, names: dict[str, str], device: str, lanes_at_once: int | None
) -> list[Sequence[Lane]]:
    """Return the lanes that run as one: of one tier, as long, at the same step; the most advanced first."""
    alike: dict[tuple[int, Tier, int], list[Lane]] = {}
    for lane in lanes:
        arrays = load_checkpoint(lane.checkpoint, run=names[lane.name], only=("step",))
        step = int(arrays["step"]) if arrays is not None else 0
        alike.setdefault((step, _tier_of(lane), _steps(lane)), []).append(lane)
    return [
        mine[part]
        for _, mine in sorted(alike.items(), key=lambda each: -each[0][0])
        for part in lane_groups(len(mine), device=device, lanes_at_once=lanes_at_once)
    ]


def _row_order(lane: Lane, *, tier: Tier, num_steps: int) -> npt.NDArray[np.int64]:
    rows = np.arange(num_rows(lane.stream, context=tier.context)) if lane.rows is None else lane.rows
    return rows[: num_steps * tier.batch_rows]


def _check_lanes(lanes: Sequence[Lane]) -> None:
    if not lanes or len({lane.name for lane in lanes}) < len(lanes):
        raise DataError(
            f"lanes: {[lane.name for lane in lanes]}; there must be one or more, with different names. Rename them."
        )
    largest = {id(lane.stream): int(np.where(lane.stream == IGNORE, 0, lane.stream).max()) for lane in _readers(lanes)}
    for lane in lanes:
        tier = _tier_of(lane)
        needed = _steps(lane) * tier.batch_rows
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
        if largest[id(lane.stream)] >= tier.vocab_size:
            raise DataError(
                f"lane {lane.name}: its stream holds token {largest[id(lane.stream)]}; tier {tier.name} has "
                f"{tier.vocab_size} tokens. Train the tokenizer for this tier and encode again."
            )


def _readers(lanes: Sequence[Lane]) -> list[Lane]:
    """Return one lane of each stream."""
    return list({id(lane.stream): lane for lane in lanes}.values())


def _names_of_runs(lanes: Sequence[Lane], *, device: str, dtype: torch.dtype) -> dict[str, str]:
    """Return lane -> hash of all that decides its result, under which its checkpoint is found again."""
    if not any(lane.checkpoint for lane in lanes):
        return dict.fromkeys((lane.name for lane in lanes), "")
    streams = {id(lane.stream): hash_of(lane.stream) for lane in _readers(lanes)}
    return {
        lane.name: fingerprint(
            {
                "version": 3,
                "tier": _told(_tier_of(lane)),
                "steps": _steps(lane),
                "device": torch.device(device).type,
                "dtype": str(dtype),
                "init_seed": lane.init_seed,
                "lr_scale": lane.lr_scale,
            },
            streams=[streams[id(lane.stream)], hash_of(_row_order(lane, tier=_tier_of(lane), num_steps=_steps(lane)))],
        )
        for lane in lanes
    }


def _told(tier: Tier) -> dict[str, Any]:
    """Return a tier as JSON; the usual course of rates is told by its absence, as it was before there were others."""
    return {key: value for key, value in asdict(tier).items() if key != "course" or tier.course != USUAL}


def _curve(nats_S: npt.NDArray[np.float64], *, step_tokens: int) -> list[dict[str, Any]]:
    """Return a lane's points: the mean over a window of steps in bits per token, None once the lane is broken."""
    edges = np.unique(np.linspace(0, len(nats_S), min(len(nats_S), CURVE_POINTS) + 1).astype(int)).tolist()
    windows = list(itertools.pairwise(edges))
    means = [float(nats_S[first:last].mean()) / math.log(2) for first, last in windows]
    return [
        {"step": last, "tokens": last * step_tokens, "bits_per_token": bits if math.isfinite(bits) else None}
        for (_, last), bits in zip(windows, means, strict=True)
    ]
