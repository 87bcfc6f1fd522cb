"""Trained lanes and whole documents into bits per document; bits per byte is their sum over the bytes of raw text.

Every token of a document is scored exactly once, after BOS, which itself is never scored. A document longer than the
context is read in windows; each window keeps `overlap` tokens of what came before. Half a context of overlap costs up
to 2 x on long documents; none costs the cut tokens their past, for all lanes alike. Bytes are those of the raw UTF-8
text: counting decoded tokens instead deflates the measure (nanochat fixed this in `scripts/tok_train.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from eval.proxies.machine import Precision, compute_dtype, lane_groups, spread
from eval.proxies.packing import Tokens
from eval.proxies.proxy import token_nats
from eval.proxies.tiers import Tier
from pipeline.core.errors import DataError

BATCH_TOKENS = {"cpu": 8_192, "cuda": 1 << 18}  # of one lane group in one forward
LENGTH_STEP = 16  # windows are padded to a multiple of this, so that few shapes occur


@dataclass(frozen=True, slots=True)
class _Batch:
    """Windows of similar length: ids and targets (B, T), the document of each window (B,)."""

    ids_BT: npt.NDArray[np.int64]
    targets_BT: npt.NDArray[np.int64]
    docs_B: npt.NDArray[np.int64]


def document_bits(
    params: Mapping[str, Tensor],
    tokens: Tokens,
    *,
    tier: Tier,
    bos: int,
    first: npt.NDArray[np.int64] | None = None,
    overlap: int = 0,
    device: str = "cpu",
    precision: Precision = "auto",
    threads: int = 1,
    lanes_at_once: int | None = None,
    say: Callable[[int, int], None] = lambda done, total: None,
) -> npt.NDArray[np.float64]:
    """Return the bits of every document under every lane, (K, num_docs) float64; `params` are stacked lanes.

    Where `first` is given, int64[num_docs], only a document's tokens from that one on count; those before are read.
    On a CPU the result does not depend on `threads`. `say` hears how many of all batches are done.
    """
    if not 0 <= overlap < tier.context:
        raise DataError(
            f"bits per byte: overlap is {overlap}; it must lie in 0..{tier.context - 1}, below the context."
        )
    num_lanes, num_docs = len(params["head_KVD"]), len(tokens.offsets) - 1
    dtype = compute_dtype(precision, device=device)
    slices = lane_groups(num_lanes, device=device, lanes_at_once=lanes_at_once)
    lanes_in_group = slices[0].stop if slices else 1
    size = max(1, BATCH_TOKENS[torch.device(device).type] // lanes_in_group)
    windows = _windows(np.diff(tokens.offsets), context=tier.context, overlap=overlap, first=first)
    batches = _batches(tokens, windows, bos=bos, context=tier.context, batch_tokens=size)
    bits = np.zeros((num_lanes, num_docs))
    done: list[int] = []

    def score(part: slice) -> None:
        group = {name: param[part].to(device) for name, param in params.items()}
        for batch in batches:
            nats_KB = _window_nats(group, batch, tier=tier, device=device, dtype=dtype)
            for lane, nats_B in zip(range(part.start, part.stop), nats_KB, strict=True):
                bits[lane] += np.bincount(batch.docs_B, weights=nats_B / math.log(2), minlength=num_docs)
            done.append(1)
            say(len(done), len(batches) * len(slices))

    with spread(threads) as pool:
        list(pool.map(score, slices))
    return bits


def bits_per_byte(bits: npt.NDArray[np.float64], num_bytes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return each lane's bits per byte, (K,): all bits over all bytes of raw text."""
    if bits.shape[-1] != len(num_bytes):
        raise DataError(
            f"bits per byte: {bits.shape[-1]} documents were scored, {len(num_bytes)} measured; both must match."
        )
    total = int(num_bytes.sum())
    if total == 0:
        raise DataError(
            "bits per byte: the held-out documents have 0 bytes; at least one is needed. Choose another set."
        )
    return bits.sum(-1) / total


def _window_nats(
    group: Mapping[str, Tensor], batch: _Batch, *, tier: Tier, device: str, dtype: torch.dtype
) -> npt.NDArray[np.float64]:
    K = len(group["head_KVD"])
    ids, targets = (torch.from_numpy(x).to(device).expand(K, *x.shape) for x in (batch.ids_BT, batch.targets_BT))
    nats_KBT = token_nats(group, ids, targets, tier=tier, dtype=dtype)
    return nats_KBT.double().sum(-1).cpu().numpy()


def _batches(
    tokens: Tokens, windows: npt.NDArray[np.int64], *, bos: int, context: int, batch_tokens: int
) -> list[_Batch]:
    """Batch windows of similar length; the same for every lane."""
    starts, ends, docs, begins = windows
    order = np.lexsort((starts, docs, ends - begins))
    lengths = (ends - begins)[order]
    batches, first = [], 0
    while first < len(order):
        width = min(-(-int(lengths[first]) // LENGTH_STEP) * LENGTH_STEP, context)
        last = int(np.searchsorted(lengths, width, side="right"))
        last = min(last, first + max(1, batch_tokens // width))
        batches.append(_fill(tokens, windows[:, order[first:last]], bos=bos, width=width))
        first = last
    return batches


def _windows(
    lengths: npt.NDArray[np.int64], *, context: int, overlap: int, first: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.int64]:
    """Return (4, windows): the window reads positions begin..end - 1 of document doc and scores start..end - 1."""
    rows: list[tuple[int, int, int, int]] = []
    counted = np.zeros_like(lengths) if first is None else first
    for doc, (length, least) in enumerate(zip(lengths.tolist(), counted.tolist(), strict=True)):
        start = 0
        while start < length:
            begin = max(start - overlap, 0)
            end = min(begin + context, length)
            if end > least:
                rows.append((max(start, least), end, doc, begin))
            start = end
    return np.array(rows, np.int64).reshape(-1, 4).T


def _fill(
    tokens: Tokens,
    windows: npt.NDArray[np.int64],
    *,
    bos: int,
    width: int,
) -> _Batch:
    """Lay windows (start, end, doc, begin) x B out as inputs and targets; position j of a document predicts token j."""
    starts, ends, docs, begins = windows[:, :, None]
    position = begins + np.arange(width)
    index = tokens.offsets[docs] + position
    last = max(len(tokens.flat) - 1, 0)
    ids = np.where(position == 0, bos, tokens.flat[np.clip(index - 1, 0, last)].astype(np.int64))
    counted = (position >= starts) & (position < ends)
    targets = np.where(counted, tokens.flat[np.clip(index, 0, last)].astype(np.int64), -1)
    return _Batch(ids_BT=ids, targets_BT=targets, docs_B=docs[:, 0])
