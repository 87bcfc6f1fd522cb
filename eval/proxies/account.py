"""What a training shows beside its loss: how large gradients and updates were, what it read, what never moved.

Norms are taken of each matrix and each group of them at a few steps of the schedule, which are the same in every lane
of a run; 20 of the 244 of a t0 lane. They read weights and change none, so no bit of a proxy depends on them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
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
    """What one lane says of its training; what has a default was not always kept."""

    norms: list[dict[str, Any]]  # at a few steps, by group: norms of gradient and weights, the update's beside these
    unmoved: dict[str, float]  # share of each group's parameters that are what they were at the start
    num_targets: int  # tokens that counted
    schedule_done: float  # share of the schedule's steps
    matrices: dict[str, Any] = field(default_factory=dict)  # the same of every matrix
    probes: dict[str, Any] = field(default_factory=dict)  # what `eval/proxies/probe.py` saw on the way
    reading: dict[str, Any] = field(default_factory=dict)  # of the vocabulary: what was read, and what moved unread


@dataclass(slots=True)
class Watched:
    """One step under watch."""

    wanted: bool
    gradient_KM: Tensor | None = None


def matrices_of(params: Mapping[str, Tensor]) -> dict[str, tuple[str, int]]:
    """Return matrix -> its group and how many numbers it holds, in the order of `norms_of`."""
    found: dict[str, tuple[str, int]] = {}
    for name, param in params.items():
        size = math.prod(param.shape[-2:])
        layers = range(param.shape[1]) if param.ndim > 3 else ()
        parts = ("queries", "keys", "values") if param.ndim == 5 else (GROUPS[name],)
        names = [f"{part} of layer {layer + 1}" for layer in layers for part in parts] or [GROUPS[name]]
        found |= dict.fromkeys(names, (GROUPS[name], size))
    return found


class Norms:
    """Norms of a stack at a few of its steps, (K, points, 3, matrices): gradients, updates, weights."""

    def __init__(self, params: Mapping[str, Tensor], *, num_lanes: int, num_steps: int) -> None:
        self._matrices = matrices_of(params)
        groups = [group for group, _ in self._matrices.values()]
        self._of_group = {group: np.array([mine == group for mine in groups]) for group in dict.fromkeys(groups)}
        points = np.linspace(0, num_steps - 1, min(num_steps, NORM_POINTS)).round().astype(int).tolist()
        self._point_of = {step: point for point, step in enumerate(points)}
        self._found_KP3M = np.full((num_lanes, len(points), 3, len(groups)), math.nan)

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
        if watched.gradient_KM is not None:
            self._found_KP3M[:, point, 0] = watched.gradient_KM.cpu().numpy()
        self._found_KP3M[:, point, 1] = updates.cpu().numpy()
        self._found_KP3M[:, point, 2] = weights.cpu().numpy()

    def of_lane(self, k: int) -> dict[str, npt.NDArray[np.float64]]:
        """Return what a lane's checkpoint keeps of it."""
        return {"norms_P3M": self._found_KP3M[k]}

    def restore(self, k: int, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take what `of_lane` gave; a checkpoint from before there were norms of matrices has none."""
        if "norms_P3M" in arrays:
            self._found_KP3M[k] = arrays["norms_P3M"]

    @property
    def steps(self) -> list[int]:
        """The steps whose norms are noted."""
        return list(self._point_of)

    def gradient_at(self, k: int, step: int) -> float:
        """Return the norm of a lane's whole gradient at a step that was watched."""
        return float(np.sqrt(np.square(self._found_KP3M[k, self._point_of[step], 0]).sum()))

    def points(self, k: int, *, step_tokens: int) -> list[dict[str, Any]]:
        """Return the points of a lane that were taken as plain JSON, None where a number is not finite."""
        return [
            {"step": step + 1, "tokens": (step + 1) * step_tokens, **self._groups(self._found_KP3M[k, point])}
            for step, point in self._taken(k)
        ]

    def matrices(self, k: int) -> dict[str, Any]:
        """Return the same of every matrix: names, sizes, and a row of numbers for each point."""
        rows_P3M = [self._found_KP3M[k, point] for _, point in self._taken(k)]
        return {
            "names": list(self._matrices),
            "sizes": [size for _, size in self._matrices.values()],
            "gradient": [as_plain(gradient_M) for gradient_M, _, _ in rows_P3M],
            "update": [as_plain(_beside(update_M, weight_M)) for _, update_M, weight_M in rows_P3M],
            "weight": [as_plain(weight_M) for _, _, weight_M in rows_P3M],
        }

    def _taken(self, k: int) -> list[tuple[int, int]]:
        """Return step and number of the points that a lane has."""
        taken_P = ~np.isnan(self._found_KP3M[k, :, 1]).all(axis=-1)
        return [(step, point) for step, point in self._point_of.items() if taken_P[point]]

    def _groups(self, found_3M: npt.NDArray[np.float64]) -> dict[str, dict[str, float | None]]:
        of_groups_3G = np.stack(
            [np.sqrt(np.square(found_3M[:, mine]).sum(axis=1)) for mine in self._of_group.values()], axis=1
        )
        gradient_G, update_G, weight_G = of_groups_3G
        told = {"gradient": gradient_G, "update": _beside(update_G, weight_G), "weight": weight_G}
        return {kind: dict(zip(self._of_group, as_plain(values), strict=True)) for kind, values in told.items()}


def _beside(updates: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # a lane that broke may hold infinities
        return updates / np.maximum(weights, 1e-30)


def as_plain(values: npt.NDArray[np.float64]) -> list[float | None]:
    """Return numbers with four digits, as JSON can hold them: None where one is not finite."""
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values.tolist()]


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


def reading_of(
    start: Mapping[str, Tensor], params: Mapping[str, Tensor], *, inputs_V: npt.NDArray[np.int64]
) -> dict[str, Any]:
    """Return what a lane read of its vocabulary: how much never, what of that moved, and what guessing by count costs.

    A token that was not read has no gradient, so its row of the embedding is what it was; whatever moved it is no
    learning. `start` tells lanes apart by the weights that they began with; bits are those of a token by its frequency.
    """
    unread_V = inputs_V == 0
    (moved_VD,) = params["embed_KVD"] != start["embed_KVD"]
    moved_V = moved_VD.any(dim=-1).numpy()
    shares = inputs_V[~unread_V] / max(1, inputs_V.sum())
    return {
        "unread": float(unread_V.mean()),
        "moved_unread": float(moved_V[unread_V].mean()) if unread_V.any() else None,
        "start": hashlib.sha256(start["embed_KVD"][0, :8].contiguous().numpy().tobytes()).hexdigest()[:16],
        "bits_by_count": float(-(shares * np.log2(shares)).sum()),
    }
