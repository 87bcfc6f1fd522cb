"""Fuzzy decontamination: how much of an evaluation item a document holds, in whatever order and wording between.

Each item is known by the SKETCH smallest hashes of its runs of a few words, which is MinHash's sample of them without
repeats; the share of these that a document has estimates the containment of the item in the document (Broder 1997),
within 0.12 (95 %, at 0.8 and 64 hashes; exactly, for an item of 64 runs or fewer). No embedding: a paraphrase in
other words stays unseen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from filters.words.shingles import WordHashes, shingle_hashes, words_of
from pipeline.core.process.kernels import njit
from pipeline.core.text.batch import Batch

SKETCH = 64


@dataclass(frozen=True, slots=True)
class Sketches:
    """The sampled shingles of all items, sorted, each with the items that have it."""

    words: int  # per shingle
    hashes: np.ndarray  # uint64[num_hashes], ascending
    starts: np.ndarray  # int64[num_hashes + 1]: hash h belongs to items[starts[h]:starts[h + 1]]
    items: np.ndarray  # int64
    sizes: np.ndarray  # int64[num_items]: hashes of each item, 0 for one that is too short


def sketch_items(texts: list[str], *, words: int, min_item_words: int) -> Sketches:
    """Sample every item of `min_item_words` words or more."""
    found = words_of(Batch.from_texts(texts))
    hashes, offsets = shingle_hashes(found.hashes, found.offsets, words)
    long = np.diff(found.offsets) >= max(min_item_words, words)
    samples = [
        np.unique(hashes[offsets[item] : offsets[item + 1]])[: SKETCH if long[item] else 0]
        for item in range(len(texts))
    ]
    sizes = np.array([len(sample) for sample in samples], np.int64)
    every = np.concatenate([np.zeros(0, np.uint64), *samples])
    order = np.argsort(every, kind="stable")
    distinct, first = np.unique(every[order], return_index=True)
    starts = np.append(first, len(every)).astype(np.int64)
    return Sketches(words, distinct, starts, np.repeat(np.arange(len(texts)), sizes)[order], sizes)


@dataclass(frozen=True, slots=True)
class Contained:
    """For every document the item that it holds most of, the first of equals."""

    shares: np.ndarray  # float32[num_docs]: estimated containment, 0 if nothing is shared
    items: np.ndarray  # int64[num_docs], -1 if nothing is shared
    spans: np.ndarray  # int64[num_docs, 2]: first word of what is shared and the end of the last, in the document


def contained_in(words: WordHashes, sketches: Sketches) -> Contained:
    """Estimate for each document how much of which item it holds."""
    hashes, offsets = shingle_hashes(words.hashes, words.offsets, sketches.words)
    shares, items, spans = _contained(hashes, offsets, sketches.hashes, sketches.starts, sketches.items, sketches.sizes)
    spans[:, 1] = np.where(items >= 0, spans[:, 1] + sketches.words, 0)
    return Contained(shares, items, spans)


@njit(cache=True, nogil=True)
def _contained(
    hashes: Any, offsets: Any, known: Any, starts: Any, owners: Any, sizes: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    num_docs, num_items = len(offsets) - 1, len(sizes)
    shares = np.zeros(num_docs, np.float32)
    best = np.full(num_docs, -1)
    spans = np.zeros((num_docs, 2), np.int64)
    seen = np.full(len(known), -1)  # the last document that had this hash, so that a repeat counts once
    counts = np.zeros(num_items, np.int64)
    first, last = np.zeros(num_items, np.int64), np.zeros(num_items, np.int64)
    touched = np.empty(num_items, np.int64)
    for doc in range(num_docs):
        num_touched = 0
        for index in range(offsets[doc], offsets[doc + 1]):
            place = np.searchsorted(known, hashes[index])
            if place == len(known) or known[place] != hashes[index]:
                continue
            for owner in owners[starts[place] : starts[place + 1]]:
                if counts[owner] == 0:
                    touched[num_touched] = owner
                    num_touched += 1
                    first[owner] = index - offsets[doc]
                counts[owner] += seen[place] != doc
                last[owner] = index - offsets[doc]
            seen[place] = doc
        for owner in touched[:num_touched]:
            share = np.float32(counts[owner] / sizes[owner])
            if share > shares[doc] or (share == shares[doc] and owner < best[doc]):
                shares[doc], best[doc] = share, owner
                spans[doc, 0], spans[doc, 1] = first[owner], last[owner]
            counts[owner] = 0
    return shares, best, spans
