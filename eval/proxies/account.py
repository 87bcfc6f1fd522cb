"""What a training shows beside its loss: how large gradients and updates were, what it read, what never moved.

Norms are taken of each group of parameters at a few steps of the schedule, which are the same in every lane of a run;
20 of the 244 of a t0 lane. They read weights and change none, so no bit of a proxy depends on them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from eval.proxies.packing import Stream, read_rows
from eval.proxies.step import norms_of

NORM_POINTS = 20
ROWS_AT_ONCE = 4_096
GROUPS = {
    "embed_KVD": "embedding",
    "head_KVD": "head",
    "qkv_KL3DD": "queries, keys and values",
    "up_KLFD": "mlp up",
    "out_KLDD": "attention out",
    "down_KLDF": "mlp down",
}


@dataclass(frozen=True, slots=True)
class Account:
    """What one lane says of its training."""

    norms: list[dict[str, Any]]  # at a few steps: gradient's norm, and that of the update beside the weights', by group
    unmoved: dict[str, float]  # share of each group's parameters that are what they were at the start
    num_targets: int  # tokens that counted
    schedule_done: float  # share of the schedule's steps


@dataclass(slots=True)
class Watched:
    """One step under watch."""

    wanted: bool
    gradient_KG: Tensor | None = None


class Norms:
    """Norms of a stack at a few of its steps, (K, points, 2, groups): gradients, then updates over weights."""

    def __init__(self, params: Mapping[str, Tensor], *, num_lanes: int, num_steps: int) -> None:
        self._groups = [GROUPS[name] for name in params]
        points = np.linspace(0, num_steps - 1, min(num_steps, NORM_POINTS)).round().astype(int).tolist()
        self._point_of = {step: point for point, step in enumerate(points)}
        self._found_KP2G = np.full((num_lanes, len(points), 2, len(params)), math.nan)

    @contextmanager
    def watching(self, params: Mapping[str, Tensor], *, step: int) -> Iterator[Watched]:
        """Note the norms of the step that is taken inside, where they are wanted."""
        point = self._point_of.get(step)
        watched = Watched(wanted=point is not None)
        if point is None:
            yield watched
            return
        before = {name: param.detach().clone() for name, param in params.items()}
        yield watched
        with torch.no_grad():
            weights = norms_of({name: param.detach() for name, param in params.items()})
            updates = norms_of({name: param.detach() - before[name] for name, param in params.items()})
        if watched.gradient_KG is not None:
            self._found_KP2G[:, point, 0] = watched.gradient_KG.cpu().numpy()
        self._found_KP2G[:, point, 1] = (updates / weights.clamp(min=1e-30)).cpu().numpy()

    def of_lane(self, k: int) -> dict[str, npt.NDArray[np.float64]]:
        """Return what a lane's checkpoint keeps of it."""
        return {"norms_P2G": self._found_KP2G[k]}

    def restore(self, k: int, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take what `of_lane` gave; a checkpoint from before there were norms has none."""
        if "norms_P2G" in arrays:
            self._found_KP2G[k] = arrays["norms_P2G"]

    def points(self, k: int, *, step_tokens: int) -> list[dict[str, Any]]:
        """Return the points of a lane that were taken as plain JSON, None where a number is not finite."""
        return [
            {
                "step": step + 1,
                "tokens": (step + 1) * step_tokens,
                "gradient": self._plain(self._found_KP2G[k, point, 0]),
                "update": self._plain(self._found_KP2G[k, point, 1]),
            }
            for step, point in self._point_of.items()
            if not np.isnan(self._found_KP2G[k, point, 1]).all()
        ]

    def _plain(self, values_G: npt.NDArray[np.float64]) -> dict[str, float | None]:
        values = [float(f"{value:.4g}") if math.isfinite(value) else None for value in values_G.tolist()]
        return dict(zip(self._groups, values, strict=True))


@dataclass(frozen=True, slots=True)
class Tally:
    """What rows hold."""

    inputs_V: npt.NDArray[np.int64]  # how often each token is read
    num_targets: int


def tally(stream: Stream, rows: npt.NDArray[np.int64], *, context: int, vocab_size: int) -> Tally:
    """Count the tokens of some rows of a stream."""
    inputs_V, num_targets = np.zeros(vocab_size, np.int64), 0
    for start in range(0, len(rows), ROWS_AT_ONCE):
        ids = read_rows(stream, rows[start : start + ROWS_AT_ONCE], context=context)
        inputs = ids[:, :-1]
        inputs_V += np.bincount(inputs[inputs >= 0], minlength=vocab_size)
        num_targets += int((ids[:, 1:] >= 0).sum())
    return Tally(inputs_V=inputs_V, num_targets=num_targets)


def unmoved(
    start: Mapping[str, Tensor], params: Mapping[str, Tensor], *, seen_V: npt.NDArray[np.bool_]
) -> dict[str, float]:
    """Return the share of each group's parameters that a training left as they were; of tokens that were read."""
    found = {}
    for name, param in params.items():
        (same,) = param == start[name]
        if name == "embed_KVD":
            same = same[torch.from_numpy(seen_V)]
        found[GROUPS[name]] = float(same.float().mean())
    return found
