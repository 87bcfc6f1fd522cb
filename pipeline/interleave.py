"""The kernels of a mixture: which dataset's document comes next, and the copying of documents into the stream.

All comparisons are between integers, so the schedule is the same on every machine: 5 million tokens of 300-token
documents from 10 datasets are scheduled in a few milliseconds.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def schedule(sizes, bounds, targets):  # type: ignore[no-untyped-def]
    """Return int64[num_picks]: the dataset of each document of the stream.

    `sizes` int64 holds the documents of dataset j, in their order, at `bounds[j]:bounds[j + 1]`; `targets` int64 the
    tokens that each dataset is to give. Dataset j owns the share targets[j] / total. It is eligible while it is not
    ahead of its share; the eligible one whose next document would end earliest in an ideal fluid division goes next.
    """
    num_datasets = len(targets)
    total = targets.sum()
    given = np.zeros(num_datasets, np.int64)
    cursor = bounds[:-1].copy()
    picks = np.empty(len(sizes), np.int64)
    num_picks = 0
    emitted = np.int64(0)
    while emitted < total:
        best = -1
        for j in range(num_datasets):
            if cursor[j] >= bounds[j + 1] or given[j] * total > targets[j] * emitted:
                continue
            if best < 0:
                best = j
                continue
            # ends earlier: (given + size) / target, compared across without division
            mine = (given[j] + sizes[cursor[j]]) * targets[best]
            if mine < (given[best] + sizes[cursor[best]]) * targets[j]:
                best = j
        if best < 0:  # cannot be: shares sum to one, so somebody is not ahead, and orders last until the target
            raise ValueError("no dataset is eligible")
        picks[num_picks] = best
        num_picks += 1
        given[best] += sizes[cursor[best]]
        emitted += sizes[cursor[best]]
        cursor[best] += 1
    return picks[:num_picks].copy()


@njit(cache=True, nogil=True)
def copy_documents(tokens, offsets, documents, starts, lengths, stream, bos):  # type: ignore[no-untyped-def]
    """Write each document, BOS first, to `stream[start:start + length]`; a length below the document's cuts it."""
    for d in range(len(documents)):
        begin = offsets[documents[d]]
        stream[starts[d]] = bos
        for k in range(lengths[d] - 1):
            stream[starts[d] + 1 + k] = tokens[begin + k]
