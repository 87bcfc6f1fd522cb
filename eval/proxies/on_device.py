"""A stack's steps without the host: pools, rows and rates lie on the device, and one CUDA graph replays the step.

A step of a small proxy is a few hundred kernels of microseconds, so a host that starts each of them, reads rows and
asks for the loss decides how fast it is (survey: 5 to 6 ms eager, 1.4 ms of work). Here a step is told nothing: it
counts itself, and looks up its rows, its rates and where its loss goes by that count. The first steps run as they are,
which warms what a graph may not begin with; then the step is captured and replayed. `compiled` lets torch.compile fuse
the passes over activations first. Pools stay uint16, pinned on the way to the device.

No card was at hand: the step is tested on a CPU, and on torch's device without data for values asked of a device; the
graph itself has not been run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from eval.proxies.optimizer import LaneOptimizer, Rates, rates_at
from eval.proxies.packing import IGNORE, Stream
from eval.proxies.proxy import total_nats
from eval.proxies.step import norms_of, take_step
from eval.proxies.tiers import Tier

Stepping = Literal["auto", "host", "device", "graph", "compiled"]

FIRST_STEPS = 3  # before a capture: kernels are chosen, workspaces made, torch.compile compiles
STEPS_IN_FLIGHT = 16  # then the host waits, so that it can tell how far the device is


def stepping_on(device: str, wanted: Stepping) -> Stepping:
    """Return how steps are taken; by default as a graph on a card, and from the host elsewhere."""
    if wanted != "auto":
        return wanted
    return "graph" if torch.device(device).type == "cuda" else "host"


class DeviceSteps:
    """The steps of one stack over the rows of each lane; changes weights, optimiser and `alive_K` in place."""

    def __init__(
        self,
        params: Mapping[str, Tensor],
        optimizer: LaneOptimizer,
        alive_K: Tensor,
        *,
        streams: Sequence[Stream],
        orders: Sequence[npt.NDArray[np.int64]],
        tier: Tier,
        num_steps: int,
        dtype: torch.dtype,
        stepping: Stepping,
    ) -> None:
        device = alive_K.device
        self._params, self._alive_K = params, alive_K
        self._tier, self._dtype = tier, dtype
        pools = {id(stream): stream for stream in streams}
        firsts = dict(zip(pools, np.cumsum([0, *(len(pool) for pool in pools.values())]), strict=False))
        self._pool = _moved(np.concatenate(list(pools.values())).view(np.int16), device)
        starts = np.stack(
            [order * tier.context + firsts[id(stream)] for stream, order in zip(streams, orders, strict=True)]
        )
        self._starts_KSB = _moved(starts.reshape(len(streams), num_steps, tier.batch_rows), device)
        self._places_S = torch.arange(tier.context + 1, device=device)
        rates = [rates_at(step, num_steps=num_steps, course=tier.course) for step in range(num_steps)]
        table = [[rate.schedule, rate.momentum, rate.mean_bias, rate.square_bias] for rate in rates]
        self._rates_S4 = torch.tensor(table, dtype=torch.float32, device=device)
        self._step_1 = torch.zeros(1, dtype=torch.int64, device=device)
        self.nats_KS = torch.full((len(streams), num_steps), torch.nan, device=device)
        self.gradient_KM = norms_of({name: torch.zeros_like(param) for name, param in params.items()})  # of the newest
        self._captures = stepping in ("graph", "compiled") and device.type == "cuda"
        self._graph: torch.cuda.CUDAGraph | None = None
        self._nats_of: Callable[..., Tensor] = total_nats
        self._update: Callable[..., None] = optimizer.update
        if stepping == "compiled":
            self._nats_of = torch.compile(total_nats, dynamic=False)
            self._update = torch.compile(optimizer.update, dynamic=False)
        self._taken = 0

    def stand_at(self, step: int, nats_KS: npt.NDArray[np.float64]) -> None:
        """Go on from a step that was taken elsewhere."""
        self._step_1.fill_(step)
        self.nats_KS.copy_(torch.from_numpy(nats_KS))

    def advance(self) -> None:
        """Take one step, the first few as they are, then by replay."""
        if self._captures:
            with torch.cuda.device(self._alive_K.device):
                self._replay()
        else:
            self.take()
        self._taken += 1
        if self._taken % STEPS_IN_FLIGHT == 0:
            self._step_1.item()

    def _replay(self) -> None:
        if self._taken < FIRST_STEPS:
            self._warm()
            return
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self.take()
        self._graph.replay()

    def take(self) -> None:
        """Take the step that the device stands at; reads and writes what lies there alone."""
        starts_KB = self._starts_KSB.index_select(1, self._step_1).squeeze(1)
        ids_KBS = self._pool[starts_KB.unsqueeze(-1) + self._places_S].to(torch.int64).bitwise_and_(0xFFFF)
        taken = take_step(
            self._params,
            ids_KBS.masked_fill_(ids_KBS == IGNORE, -1),
            rates=Rates(*self._rates_S4.index_select(0, self._step_1).squeeze(0).unbind()),
            alive_K=self._alive_K,
            tier=self._tier,
            dtype=self._dtype,
            norms=True,
            update=self._update,
            nats_of=self._nats_of,
        )
        self.nats_KS.index_copy_(1, self._step_1, taken.nats_K.unsqueeze(1))
        if taken.gradient_KM is not None:
            self.gradient_KM.copy_(taken.gradient_KM)
        self._step_1 += 1

    def _warm(self) -> None:
        """Take a step on a stream of its own, as a capture wants what went before."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            self.take()
        torch.cuda.current_stream().wait_stream(aside)


def _moved(array: npt.NDArray[np.int16 | np.int64], device: torch.device) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
