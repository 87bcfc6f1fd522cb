"""Texts and their metadata -> groups of documents that say much the same: near-duplicates, and equal metadata."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from pipeline.core.errors import DataError
from pipeline.core.text.batch import Batch


def group_documents(
    texts: Sequence[str], metadata: Sequence[str], *, names: Sequence[str], group_by: str | None
) -> np.ndarray:
    """Return int64[D]: the group of every document, named by the number of its first member.

    `metadata` is JSON text or empty; `names` tells apart what may have equal metadata by chance: documents of two
    held-out sets that name one site are grouped by their text alone.
    """
    from filters.dedup.minhash import cluster_documents

    near = cluster_documents(Batch.from_texts(list(texts)))
    if group_by is None:
        return near
    values = [json.loads(text or "{}").get(group_by) for text in metadata]
    if all(value is None for value in values):
        raise DataError(
            f"gate.group_by is {group_by}; no held-out document has it in its metadata. Name a key that they have, or "
            "remove the line."
        )
    named = [
        f"{name}\n{value}" if value is not None else str(number)
        for number, (name, value) in enumerate(zip(names, values, strict=True))
    ]
    return _united(near, np.unique(named, return_inverse=True)[1])


def _united(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the groups of what is linked by either grouping, named by the smallest number in `first`."""
    label = first.astype(np.int64)
    while True:
        before = label.copy()
        for group in (first, second):
            least = np.full(int(group.max()) + 1, np.iinfo(np.int64).max)
            np.minimum.at(least, group, label)
            label = least[group]
        if (label == before).all():
            return label
