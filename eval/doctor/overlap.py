"""Tokens of documents in, which of them stand elsewhere word for word out: by hashes of 32 tokens at three places.

Hashes of all runs of a stream are made by doubling: of 2, 4, 8, 16 and then 32 tokens, five passes over it. A document
counts as met where the run in its middle and the one at its end are both found, so that a licence at its head does not
make it known; documents of less than 32 tokens are not looked for.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eval.proxies.packing import Stream, Tokens

RUN = 32  # tokens; a power of two
BASE, WORD = 0x9E3779B97F4A7C15, 1 << 64
AT_ONCE = 1 << 22  # tokens
SHIFT = np.uint64(64 - 24)
RUNS_AT_ONCE = AT_ONCE // RUN


def run_hashes(stream: Stream) -> npt.NDArray[np.uint64]:
    """Return a hash of the `RUN` tokens from every place on, uint64[len(stream) - RUN + 1]."""
    hashes, factor, length = stream.astype(np.uint64) + np.uint64(1), BASE, 1
    while length < RUN and len(hashes) > length:
        hashes = hashes[:-length] * np.uint64(factor) + hashes[length:]
        factor, length = factor * factor % WORD, 2 * length
    return hashes if length == RUN else np.zeros(0, np.uint64)


def documents_met(held_out: Tokens, stream: Stream) -> npt.NDArray[np.bool_]:
    """Return bool[D]: whose text stands in a stream; of documents that are too short, False."""
    long_D = _long_enough(held_out)
    wanted_DW = np.stack([_hashes_at(held_out, long_D, place) for place in (0.5, 1.0)], axis=1)
    found_DW = np.zeros(wanted_DW.shape, bool)
    maybe = np.zeros(1 << 24, bool)  # by the first bits of a hash, so that few of a long stream are sorted
    maybe[wanted_DW >> SHIFT] = True
    for start in range(0, len(stream), AT_ONCE):
        here = run_hashes(stream[start : start + AT_ONCE + RUN - 1])
        found_DW |= np.isin(wanted_DW, here[maybe[here >> SHIFT]])
    met_D = np.zeros(len(long_D), bool)
    met_D[long_D] = found_DW.all(axis=1)
    return met_D


def share_met(held_out: Tokens, met_D: npt.NDArray[np.bool_]) -> float:
    """Return which share of the documents that were looked for was met."""
    long_D = _long_enough(held_out)
    return float(met_D[long_D].mean()) if long_D.any() else 0.0


def repeated_share(tokens: Tokens) -> float:
    """Return the share of tokens in documents that stand there more than once, by length and three runs."""
    long_D = _long_enough(tokens)
    if not long_D.any():
        return 0.0
    size_D = np.diff(tokens.offsets)[long_D]
    runs = [_hashes_at(tokens, long_D, place) for place in (0.0, 0.5, 1.0)]
    _, which_D, count = np.unique(
        np.stack([size_D.astype(np.uint64), *runs], axis=1), axis=0, return_inverse=True, return_counts=True
    )
    return float(size_D[count[which_D.ravel()] > 1].sum() / max(1, len(tokens.flat)))


def _long_enough(tokens: Tokens) -> npt.NDArray[np.bool_]:
    return np.asarray(np.diff(tokens.offsets) >= RUN)


def _hashes_at(tokens: Tokens, long_D: npt.NDArray[np.bool_], place: float) -> npt.NDArray[np.uint64]:
    """Return the hash of one run of every long document: at its head, in its middle, or at its end."""
    first_D, size_D = tokens.offsets[:-1][long_D], np.diff(tokens.offsets)[long_D]
    start_D = first_D + ((size_D - RUN) * place).astype(np.int64)
    pieces = [_hashes_from(tokens.flat, start_D[at : at + RUNS_AT_ONCE]) for at in range(0, len(start_D), RUNS_AT_ONCE)]
    return np.concatenate([np.zeros(0, np.uint64), *pieces])


def _hashes_from(flat: Stream, start_D: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    runs_DR = flat[start_D[:, None] + np.arange(RUN)].astype(np.uint64) + np.uint64(1)
    factor = BASE
    while runs_DR.shape[1] > 1:
        runs_DR = runs_DR[:, 0::2] * np.uint64(factor) + runs_DR[:, 1::2]
        factor = factor * factor % WORD
    return runs_DR[:, 0]
