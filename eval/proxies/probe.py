"""A stack between two steps in, what its proxies show from inside out: logits, silent units, the gradient's noise.

At four places of the schedule a few rows run through the proxies without a gradient, and an eighth of the next step's
rows with one: its norm beside that of all rows tells how much of a gradient is noise. Weights are read and never
changed, so no bit of a proxy depends on it. At the end the second half of a row is exchanged, and its first half must
cost what it did: a proxy that sees what is to come predicts nothing.

Shape letters: K lanes, B rows, b rows of a part, T context, S = T + 1 tokens of a row, P places, M matrices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from eval.proxies import optimizer
from eval.proxies.account import Norms, as_plain
from eval.proxies.packing import Stream, read_rows
from eval.proxies.proxy import hidden, token_nats
from eval.proxies.step import mean_gradients, norms_of
from eval.proxies.tiers import Tier

PLACES = 4
TOKENS = 512  # of each lane, at a place
PART = 8  # of a step's rows: one in so many
SEEN = ("largest_logit", "rms_logit", "silent_units")

Read = Callable[[slice], Tensor]  # rows of every lane's order -> (K, B, S)


class Probes:
    """What was seen of a stack: at places along its schedule (K, places, 4), and at its end (K, 4)."""

    def __init__(self, *, num_lanes: int, norms: Norms) -> None:
        self._norms = norms  # of the whole gradient at these places
        steps = norms.steps
        self._place_of = {steps[len(steps) * place // PLACES]: place for place in range(PLACES)}
        self._seen_KP4 = np.full((num_lanes, PLACES, len(SEEN) + 1), math.nan)
        self._end_K4 = np.full((num_lanes, len(SEEN) + 1), math.nan)

    def look(self, params: Mapping[str, Tensor], read: Read, *, step: int, tier: Tier, dtype: torch.dtype) -> None:
        """Note what is seen before a step, where it is wanted."""
        place = self._place_of.get(step)
        if place is None:
            return
        self._seen_KP4[:, place, : len(SEEN)] = _inside(params, read(_first(tier)), tier=tier, dtype=dtype)
        if tier.batch_rows >= PART:
            first = step * tier.batch_rows
            part_KbS = read(slice(first, first + tier.batch_rows // PART))
            grads = mean_gradients(params, part_KbS, tier=tier, dtype=dtype)
            self._seen_KP4[:, place, -1] = norms_of(grads).square().sum(1).sqrt().cpu().numpy()

    def look_last(self, params: Mapping[str, Tensor], read: Read, *, tier: Tier, dtype: torch.dtype) -> None:
        """Note what is seen after the last step."""
        rows_KBS = read(_first(tier))
        self._end_K4[:, : len(SEEN)] = _inside(params, rows_KBS, tier=tier, dtype=dtype)
        self._end_K4[:, -1] = _future(params, rows_KBS[:, :1], tier=tier, dtype=dtype)

    def of_lane(self, k: int) -> dict[str, npt.NDArray[np.float64]]:
        """Return what a lane's checkpoint keeps of it."""
        return {"seen_P4": self._seen_KP4[k]}

    def restore(self, k: int, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take what `of_lane` gave; a checkpoint from before there were probes has none."""
        if "seen_P4" in arrays:
            self._seen_KP4[k] = arrays["seen_P4"]

    def told(self, k: int, *, tier: Tier, end: int) -> dict[str, Any]:
        """Return what was seen of a lane as plain JSON, None where nothing was."""
        rows = {"rows": tier.batch_rows, "part_rows": tier.batch_rows // PART}
        seen = [
            {"step": step, **dict(zip((*SEEN, "part_gradient"), as_plain(self._seen_KP4[k, place]), strict=True)),
             "gradient": as_plain(np.array([self._norms.gradient_at(k, step)]))[0], **rows}
            for step, place in self._place_of.items() if not np.isnan(self._seen_KP4[k, place]).all()
        ]  # fmt: skip
        last = dict(zip((*SEEN, "future"), as_plain(self._end_K4[k]), strict=True))
        return {"places": seen, "end": {"step": end, **last}, "adam_epsilon": optimizer.ADAM_EPSILON}


def _first(tier: Tier) -> slice:
    return slice(0, max(1, TOKENS // tier.context))


@torch.no_grad()
def _inside(
    params: Mapping[str, Tensor], rows_KBS: Tensor, *, tier: Tier, dtype: torch.dtype
) -> npt.NDArray[np.float64]:
    """Return (K, 3): the largest logit before the cap, their root mean square, units that answer to no token."""
    silent: list[Tensor] = []
    ids_KBT = rows_KBS[..., :-1].clamp(min=0)
    hidden_KND = hidden(
        params, ids_KBT, tier=tier, dtype=dtype, watch=lambda up_KNF: silent.append((up_KNF <= 0).all(dim=1))
    )
    logits_KNV = torch.bmm(hidden_KND, params["head_KVD"].to(dtype).transpose(1, 2)).float()
    seen = [
        logits_KNV.abs().amax(dim=(1, 2)),
        logits_KNV.square().mean(dim=(1, 2)).sqrt(),
        torch.stack(silent, dim=1).float().mean(dim=(1, 2)),
    ]
    return torch.stack(seen, dim=1).cpu().numpy().astype(np.float64)


def _future(
    params: Mapping[str, Tensor], rows_K1S: Tensor, *, tier: Tier, dtype: torch.dtype
) -> npt.NDArray[np.float64]:
    """Return (K,): by how many nats a target of a row's first half changes with the second half."""
    ids_K1T, targets_K1T = rows_K1S[..., :-1].clamp(min=0), rows_K1S[..., 1:].contiguous()
    other_K1T, half = ids_K1T.clone(), tier.context // 2
    other_K1T[..., half:] = (other_K1T[..., half:] + 1) % tier.vocab_size
    nats = [token_nats(params, ids, targets_K1T, tier=tier, dtype=dtype) for ids in (ids_K1T, other_K1T)]
    changed_KT = (nats[0] - nats[1])[:, 0, :half].abs()
    return changed_KT.amax(dim=1).cpu().numpy().astype(np.float64)


def row_bits(
    params: Mapping[str, Tensor],
    stream: Stream,
    rows: npt.NDArray[np.int64],
    *,
    tier: Tier,
    device: str,
    precision: str,
) -> npt.NDArray[np.float64]:
    """Return one lane's bits per token of every row, float64[rows]; `precision` as a trained lane tells it."""
    on_device = {name: param.to(device) for name, param in params.items()}
    found = []
    for start in range(0, len(rows), max(1, TOKENS // tier.context)):
        ids = read_rows(stream, rows[start : start + max(1, TOKENS // tier.context)], context=tier.context)
        ids_1BS = torch.from_numpy(ids).unsqueeze(0).to(device)
        targets_1BT = ids_1BS[..., 1:].contiguous()
        nats_1BT = token_nats(
            on_device, ids_1BS[..., :-1].clamp(min=0), targets_1BT, tier=tier, dtype=getattr(torch, precision)
        )
        found.append((nats_1BT.sum(2) / (targets_1BT >= 0).sum(2).clamp(min=1))[0].cpu().numpy())
    return np.concatenate(found).astype(np.float64) / math.log(2)
