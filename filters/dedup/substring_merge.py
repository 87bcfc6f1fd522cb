"""Hashes of reaches or windows, sorted in every part -> which of them stand somewhere else too, a slice at a time.

A slice is a range of hashes of all parts, as wide as the memory allows, and knows nothing of the others. Two records
are equal if both of their 64-bit hashes are; the first of them is the one that stands first in the corpus.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core.files.writing.scratch import open_array, save_array, scratch_file
from pipeline.core.files.writing.sums import is_whole
from pipeline.core.step import Gathering

BYTES_PER_RECORD = 200  # while a slice is sorted, when all of it is repeated; 104 when a third is
MIN_SLICE_RECORDS = 1024  # however little memory there is, so that files stay few
RUN = np.uint64(
    1
)  # lowest bit of a place: a reach whose windows are all the same, or a window of a reach that has copies
PART_SHIFT = np.uint64(40)  # a place stays below 2^40
LATER, FIRST, CONTESTED = 1, 2, 4  # an equal record stands before; only behind; a record of the same anchor differs


@dataclass(frozen=True, slots=True)
class Slicing:
    """The slices of one kind of record, which all parts have saved sorted by their first row, uint64[3, n]."""

    kind: str
    slices: int
    starts: tuple[int, ...]  # the first global row of each part, and the end
    scratch: Path
    reaches: bool  # places carry RUN, and records of one anchor that differ are contested

    @staticmethod
    def of(work: Gathering, *, kind: str, num_records: int, starts: np.ndarray, reaches: bool) -> Slicing:
        """Cut so that the slices of all workers fit into the memory."""
        per_worker = max(work.memory_bytes // work.workers // BYTES_PER_RECORD, MIN_SLICE_RECORDS)
        return Slicing(kind, max(1, -(-num_records // per_worker)), tuple(starts.tolist()), work.scratch, reaches)

    @property
    def num_parts(self) -> int:
        return len(self.starts) - 1

    def path(self, number: int) -> Path:
        return scratch_file(self.scratch, f"repeated-{self.kind}-{self.slices}", number)

    def jobs(self) -> list[SliceJob]:
        return [SliceJob(self, number) for number in range(self.slices)]

    def repeated(self, place: int) -> np.ndarray:
        """Return int64[3, n]: windows, verdicts and sources of the repeated records of one part, in its order."""
        found = [np.zeros((3, 0), np.int64)]
        for number in range(self.slices):
            every = open_array(self.path(number))
            found.append(np.array(every[1:, slice(*np.searchsorted(every[0], (place, place + 1)))]))
        joined = np.concatenate(found, axis=1)
        return joined[:, np.argsort(joined[0], kind="stable")]


@dataclass(frozen=True, slots=True)
class SliceJob:
    slicing: Slicing
    number: int


def merge_slice(job: SliceJob) -> int:
    """Save int64[4, 1 + n]: part, first window, verdict and source of repeated records; return how many different ones.

    The source is the global row of another document that holds the same: the first, or for the first the second. The
    first column is of no part and holds the number that is returned.
    """
    slicing = job.slicing
    done = slicing.path(job.number)
    if not is_whole(done):
        records = _records(slicing, job.number)
        order = np.argsort(records[0])
        hashes = records[0, order]
        equal = np.concatenate([[False], hashes[1:] == hashes[:-1], [False]])
        several = (equal[: len(order)] | equal[1 : len(order) + 1]) | (records[2, order] & RUN > 0)
        records = records[:, order[several]]  # most stand alone and need no second look
        position = records[3] << PART_SHIFT | records[2]
        save_array(done, _verdicts(records[:, np.lexsort((position, records[1], records[0]))], slicing=slicing))
    return int(open_array(done)[1, 0])


def _records(slicing: Slicing, number: int) -> np.ndarray:
    """Return uint64[4, n]: both hashes, place and part of a slice's records."""
    low, high = ((1 << 64) * edge // slicing.slices for edge in (number, number + 1))
    pieces = [np.zeros((4, 0), np.uint64)]
    for place in range(slicing.num_parts):
        stored = open_array(scratch_file(slicing.scratch, slicing.kind, place))
        first = np.searchsorted(stored[0], np.uint64(low))
        past = np.searchsorted(stored[0], np.uint64(high - 1), side="right")
        pieces.append(np.concatenate([stored[:, first:past], np.full((1, past - first), place, np.uint64)]))
    return np.concatenate(pieces, axis=1)


def _verdicts(records: np.ndarray, *, slicing: Slicing) -> np.ndarray:
    """Judge records sorted by both hashes, then by where they stand; return the repeated ones by part, as saved.

    What is counted are different records that stand in several places or, for windows, in a repeated reach.
    """
    hashes, others, places, parts = records
    size = len(hashes)
    new_hash = np.concatenate([[True], hashes[1:] != hashes[:-1]])[:size]
    new = new_hash | np.concatenate([[True], others[1:] != others[:-1]])[:size]
    opens = np.flatnonzero(new)
    copies = np.diff(np.append(opens, size))
    again = copies > 1
    marked = places & RUN > 0
    verdicts = np.where(new, 0, LATER)
    verdicts[opens[again | (marked[opens] & slicing.reaches)]] = FIRST
    if slicing.reaches:
        group = np.cumsum(new_hash) - 1
        differing = np.bincount(group, weights=new) > 1
        verdicts += CONTESTED * (new & differing[group])
    source = np.repeat(opens, copies)
    source[opens[again]] += 1
    windows, parts = (places >> 1).view(np.int64), parts.view(np.int64)
    told = np.flatnonzero(verdicts)
    told = told[np.argsort(parts[told], kind="stable")]
    rows = _rows(slicing, parts, windows)
    found = np.stack([parts[told], windows[told], verdicts[told], rows[source[told]]])
    num_distinct = (np.maximum.reduceat(marked, opens) | again).sum() if size else 0
    return np.concatenate([[[-1], [num_distinct], [0], [0]], found], axis=1)


def _rows(slicing: Slicing, parts: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Return int64[n]: the global rows of the documents that hold these words."""
    rows = np.empty(len(parts), np.int64)
    order = np.argsort(parts, kind="stable")
    bounds = np.searchsorted(parts[order], np.arange(slicing.num_parts + 1))
    for place in np.flatnonzero(np.diff(bounds)).tolist():
        here = order[bounds[place] : bounds[place + 1]]
        doc_words = open_array(scratch_file(slicing.scratch, "words", place))
        rows[here] = slicing.starts[place] + np.searchsorted(doc_words, windows[here], side="right") - 1
    return rows
