"""Candidate pairs of MinHash checked by the true Jaccard similarity of their shingle sets, when a recipe asks for it.

The sorted shingles of every document in some candidate pair lie in scratch files and are mapped, about 8 bytes per
word. A pair that is already united through others needs no check, so a cluster of n copies costs about n comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from filters.clusters import Edges, apart
from filters.minhash_bands import Slicing
from filters.minhash_kernels import jaccard
from filters.shingles import shingle_hashes, words_of
from filters.twins import Rows
from pipeline.core.scratch import open_array, save_array, scratch_file
from pipeline.core.step import Gathering, Part
from pipeline.core.sums import are_whole
from pipeline.core.text import Batch


@dataclass(frozen=True, slots=True)
class _ShingleJob:
    part: Part
    scratch: Path
    candidates: np.ndarray  # int64, positions in the part
    shingle_words: int


def _shingle_part(job: _ShingleJob) -> None:
    """Save the sorted distinct shingles of a part's candidates and where each set begins, unless they are there."""
    found, begins = (scratch_file(job.scratch, kind, job.part.index) for kind in ("shingles", "shingle-offsets"))
    if are_whole(found, begins):
        return
    table = job.part.load_some(("id", "text"), job.candidates)
    words = words_of(Batch.from_table(table))
    hashes, offsets = shingle_hashes(words.hashes, words.offsets, job.shingle_words)
    sets = [np.unique(hashes[first:end]) for first, end in pairwise(offsets)]
    save_array(found, np.concatenate([np.zeros(0, np.uint64), *sets]))
    save_array(begins, np.cumsum([0, *map(len, sets)], dtype=np.int64))


@dataclass(slots=True)
class PairChecker:
    """Confirms candidate pairs by the true Jaccard similarity of their shingle sets."""

    rows: np.ndarray  # int64[num_candidates], ascending global rows
    sets: list[np.ndarray]  # the sorted shingles of each candidate, mapped
    num_checked: int = 0
    num_refused: int = 0

    @staticmethod
    def open(work: Gathering, *, rows: Rows, slicing: Slicing, shingle_words: int) -> PairChecker:
        """Shingle every document that stands in some edge."""
        wanted = np.zeros(len(rows), np.bool_)
        for _, left, right in slicing.edges():
            held = right < len(rows)  # the others are planted copies
            wanted[left[held]] = wanted[right[held]] = True
        jobs = [
            _ShingleJob(
                part=part, scratch=work.scratch, shingle_words=shingle_words,
                candidates=np.flatnonzero(wanted[rows.within(position)]),
            )
            for position, part in enumerate(rows.parts)
        ]  # fmt: skip
        work.map(_shingle_part, jobs, label="shingles of candidates")
        sets: list[np.ndarray] = []
        for part in rows.parts:
            hashes = open_array(scratch_file(work.scratch, "shingles", part.index))
            offsets = np.load(scratch_file(work.scratch, "shingle-offsets", part.index))
            sets.extend(np.asarray(hashes[first:end]) for first, end in pairwise(offsets))
        return PairChecker(rows=np.flatnonzero(wanted), sets=sets)

    def confirmed(self, parents: np.ndarray, edges: Edges, *, min_jaccard: float) -> Edges:
        """Return the edges that hold; a pair already united needs no check."""
        open_edges = apart(parents, edges.left, edges.right)
        left, right = edges.left[open_edges], edges.right[open_edges]
        pairs = zip(np.searchsorted(self.rows, left), np.searchsorted(self.rows, right), strict=True)
        found = np.array([jaccard(self.sets[one], self.sets[other]) for one, other in pairs], np.float64)
        holds = found >= min_jaccard
        self.num_checked += len(holds)
        self.num_refused += int((~holds).sum())
        return Edges(left=left[holds], right=right[holds])
