"""Hashes of reaches or windows, sorted in every part -> which of them stand somewhere else too, a slice at a time.

A slice is a range of hashes of all parts, as wide as the memory allows, and knows nothing of the others. Two records
are equal if both of their 64-bit hashes are; the first of them is the one that stands first in the corpus.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from filters.scratch import open_array, save_array, scratch_file
from pipeline.core.step import Gathering

BYTES_PER_RECORD = 160  # while a slice is sorted, when all of it is repeated
MIN_SLICE_RECORDS = 1024  # however little memory there is, so that files stay few
RUN = 1  # lowest bit of a place: a reach whose windows are all the same, or a window of a reach that has copies
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
    """Save int64[4, n]: part, first window, verdict and source of repeated records; return how many different ones.

    The source is the global row of another document that holds the same: the first, or for the first the second.
    """
    slicing, number = job.slicing, job.number
    done, counted = (
        slicing.path(number),
        scratch_file(slicing.scratch, f"distinct-{slicing.kind}-{slicing.slices}", number),
    )
    if not done.exists():
        hashes, others, places, parts = _records(slicing, number)
        order = np.argsort(hashes, kind="stable")  # among equals the first in the corpus stays first
        hashes = hashes[order]
        equal = np.concatenate([[False], hashes[1:] == hashes[:-1], [False]])[: len(hashes) + 1]
        several = equal[:-1] | equal[1:]
        several |= (places[order] & RUN).astype(np.bool_)
        order, hashes = order[several], hashes[several]
        order = order[np.lexsort((others[order], hashes))]
        found, num_distinct = _verdicts(hashes, others[order], places[order], parts[order], slicing=slicing)
        save_array(counted, np.array([num_distinct]))
        save_array(done, found)
    return int(open_array(counted)[0])


def _records(slicing: Slicing, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return both hashes, the places and the parts of a slice's records, in the order of the corpus among equals."""
    low, high = ((1 << 64) * edge // slicing.slices for edge in (number, number + 1))
    pieces, sizes = [np.zeros((3, 0), np.uint64)], [0]
    for place in range(slicing.num_parts):
        stored = open_array(scratch_file(slicing.scratch, slicing.kind, place))
        first = np.searchsorted(stored[0], np.uint64(low))
        past = np.searchsorted(stored[0], np.uint64(high - 1), side="right")
        pieces.append(np.array(stored[:, first:past]))
        sizes.append(int(past - first))
    joined = np.concatenate(pieces, axis=1)
    parts = np.repeat(np.arange(-1, slicing.num_parts, dtype=np.int32), sizes)
    return joined[0], joined[1], joined[2].view(np.int64), parts


def _verdicts(
    hashes: np.ndarray, others: np.ndarray, places: np.ndarray, parts: np.ndarray, *, slicing: Slicing
) -> tuple[np.ndarray, int]:
    """Judge records sorted by both hashes, then by where they stand; return the repeated ones by part, and a count.

    What is counted are different records that stand in several places or, for windows, in a repeated reach.
    """
    size = len(hashes)
    new_hash = np.concatenate([[True], hashes[1:] != hashes[:-1]])[:size]
    new = new_hash | np.concatenate([[True], others[1:] != others[:-1]])[:size]
    opens = np.flatnonzero(new)
    copies = np.diff(np.append(opens, size))
    marked = (places & RUN).astype(np.bool_)  # a run of windows, or a window of a reach that has copies
    verdicts = np.where(new, 0, LATER)
    again = copies > 1
    verdicts[opens[again | (marked[opens] & slicing.reaches)]] = FIRST
    if slicing.reaches:
        group = np.cumsum(new_hash) - 1
        differing = np.bincount(group, weights=new) > 1 if size else np.zeros(0, np.bool_)
        verdicts += CONTESTED * (new & differing[group])
    windows = places >> 1
    source_of = np.repeat(opens, copies)
    source_of[opens[again]] += 1
    rows = _rows(slicing, parts, windows)
    told = np.flatnonzero(verdicts)
    found = np.stack([parts[told].astype(np.int64), windows[told], verdicts[told], rows[source_of[told]]])
    num_distinct = int((np.maximum.reduceat(marked, opens) | again).sum()) if size else 0
    return found[:, np.argsort(found[0], kind="stable")], num_distinct


def _rows(slicing: Slicing, parts: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Return int64[n]: the global rows of the documents that hold these words."""
    rows = np.empty(len(parts), np.int64)
    for place in np.unique(parts).tolist():
        here = parts == place
        doc_words = open_array(scratch_file(slicing.scratch, "words", place))
        rows[here] = slicing.starts[place] + np.searchsorted(doc_words, windows[here], side="right") - 1
    return rows
