"""Tokenised documents into one stream per lane, cut into rows of `context` tokens; nothing is dropped.

Every document is preceded by BOS and follows the one before; rows are windows on that stream, so a long document
continues in the next row. Best-fit packing would discard about 35 % of the tokens, all of them tails of long documents
(nanochat, `dev/LOG.md`), and so change the mixture. Row r reads stream[r * context : (r + 1) * context + 1]: its
inputs are the first `context` tokens, its targets the last, so every token is a target exactly once. Only the
last row is padded, with IGNORE.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IGNORE = 65_535  # not a token: vocabularies end below it

Stream = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of many documents: document i is flat[offsets[i] : offsets[i + 1]], without BOS; may be a memory map."""

    flat: Stream
    offsets: npt.NDArray[np.int64]


def num_rows(stream: Stream, *, context: int) -> int:
    """Return how many whole rows the stream holds."""
    return max(len(stream) - 1, 0) // context


def read_rows(stream: Stream, rows: npt.NDArray[np.int64], *, context: int) -> npt.NDArray[np.int64]:
    """Return the rows with these numbers, (len(rows), context + 1) int64; padding becomes -1."""
    positions = rows[:, None] * context + np.arange(context + 1)
    ids = stream[positions].astype(np.int64)
    ids[ids == IGNORE] = -1
    return ids
