"""The scratch files of a MinHash run: signatures and sorted band keys part by part, then edges by ranges of keys.

A part first joins its documents of equal signatures in parallel with the others and leaves one key of them per band,
sorted, so a range of keys is read by two searches and a page copied a million times weighs one key per part. A *slice*
is one range of one band; there are as many as it takes for all workers' slices to fit into the memory (176 bytes per
key, counted from the arrays of `tie_slice`). Each job looks first whether its files are there, so a killed run goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from filters.dedup.clusters import candidate_edges, fold_runs, new_forest, settle
from filters.dedup.keep import Rows
from filters.dedup.minhash_audit import MOST_BYTES, Planting, plant, planted_file, planted_keys, save_planted
from filters.dedup.minhash_kernels import HashFamily, band_keys, hash_family, signatures_of
from pipeline.core.errors import RecipeError
from pipeline.core.files.writing.scratch import open_array, save_array, scratch_file
from pipeline.core.files.writing.sums import are_whole, is_whole
from pipeline.core.sketch import sketch_of, texts_of
from pipeline.core.step import Gathering, Part
from pipeline.core.text.batch import Batch

KINDS = ("values", "wholes", "keys", "docs", "forest", "bands", "sizes")  # of the arrays that are saved of a part
BYTES_PER_KEY = 176  # of a slice: keys, rows and whole keys as read, joined and ordered; edges as found and as saved
BYTES_PER_DOCUMENT = 96  # of the clustering: clusters, sizes, scores, duplicates, ids of what is kept; measured
RESERVE = 0.08  # of the memory, left free: what the allocator and other processes add differs from run to run
MIB = 1 << 20
MOST_AT_ONCE = 32 * MIB  # of signatures compared


@dataclass(frozen=True, slots=True)
class Signer:
    """Sketches texts: signatures, uint32[num_docs, bands * rows]; sizes, int64[num_docs, 2], in bytes and words."""

    bands: int
    rows: int
    shingle_words: int
    seed: int  # of the hash functions
    sampled: int = 0  # documents to plant copies of

    @property
    def family(self) -> HashFamily:
        return hash_family(self.seed, num_values=self.bands * self.rows)

    def __call__(self, batch: Batch) -> dict[str, np.ndarray]:
        found = signatures_of(batch, family=self.family, shingle_words=self.shingle_words)
        return {"values": found.values, "sizes": np.stack([np.diff(batch.offsets), found.num_words], axis=1)}


@dataclass(frozen=True, slots=True)
class SignJob:
    part: Part
    scratch: Path
    signer: Signer
    planting: Planting


def sign_part(job: SignJob) -> None:
    """Save a part's signatures, sorted band keys, duplicates and planted copies, unless they are there."""
    index, num_pairs = job.part.index, job.planting.num_pairs
    planted = [planted_file(job.scratch, kind, index, num_pairs=num_pairs) for kind in ("keys", "values", "facts")]
    if are_whole(*planted, *(scratch_file(job.scratch, kind, index) for kind in KINDS)):
        return
    signer = job.signer
    sketch = sketch_of(job.part, scratch=job.scratch, sketcher=signer)
    num_bytes, num_words = sketch["sizes"].T
    fitting = job.planting.of_at_most(MOST_BYTES, num_bytes=num_bytes)
    sample = Batch.from_texts(texts_of(job.part, fitting.docs, scratch=job.scratch))
    copies = plant(sample, fitting, family=signer.family, shingle_words=signer.shingle_words)
    keys = band_keys(copies.values, signer.bands, signer.rows)
    save_planted(job.scratch, job.part.index, planting=job.planting, copies=copies, keys=keys)
    save_signatures(
        job.scratch, job.part.index, values=sketch["values"], num_words=num_words, num_bytes=num_bytes,
        bands=signer.bands, rows=signer.rows,
    )  # fmt: skip


def save_signatures(
    scratch: Path, index: int, *, values: np.ndarray, num_words: np.ndarray, num_bytes: np.ndarray, bands: int,
    rows: int, fold: bool = True,
) -> None:  # fmt: skip
    """Save all that the later jobs read of a part, an array of each of KINDS; without `fold`, all but `wholes`.

    Where it is to `fold`, the first of some documents with equal signatures stands for all, and `wholes` tells those
    of different parts apart.
    """
    wordy = np.flatnonzero(num_words > 0)
    forest = new_forest(len(values))
    found = band_keys(values[wordy], bands, rows)
    folded = 0
    if fold:
        wholes = np.zeros(len(values), np.uint64)
        wholes[wordy] = whole_keys(found)
        order = stable_order(wholes[wordy])
        first = np.sort(order[fold_runs(wholes[wordy[order]], wordy[order], forest)])
        folded = len(wordy) - len(first)
        wordy, found = wordy[first], found[:, first]
        save_array(scratch_file(scratch, "wholes", index), wholes)
    keys, docs = [np.zeros(0, np.uint64)], [np.zeros(0, np.int32)]
    for unsorted in found:
        order = stable_order(unsorted)
        keys.append(unsorted[order])
        docs.append(wordy[order].astype(np.int32))
    counts = np.stack([np.full(bands, len(wordy)), np.full(bands, folded)])
    save_array(scratch_file(scratch, "values", index), values)
    save_array(scratch_file(scratch, "keys", index), np.concatenate(keys))
    save_array(scratch_file(scratch, "docs", index), np.concatenate(docs))
    save_array(scratch_file(scratch, "forest", index), settle(forest).astype(np.int32))
    save_array(scratch_file(scratch, "bands", index), counts)
    save_array(scratch_file(scratch, "sizes", index), np.stack([num_bytes, num_words]))


def stable_order(keys: np.ndarray) -> np.ndarray:
    """Return what `np.argsort(keys, kind="stable")` does of uint64 of which few are equal.

    numpy sorts 64-bit keys stably by merging, unstably with vectors: 0.88 ms against 0.15 for 10,800 of them.
    """
    order = np.argsort(keys)
    ordered = keys[order]
    equal = ordered[1:] == ordered[:-1]
    tied = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
    order[tied] = order[tied][np.lexsort((order[tied], ordered[tied]))]
    return order


def whole_keys(keys: np.ndarray) -> np.ndarray:
    """Return uint64[num_docs]: one key for all bands of uint64[bands, num_docs]."""
    whole = np.zeros(keys.shape[1], np.uint64)
    for band in keys:
        whole = whole * np.uint64(0x9E3779B97F4A7C15) + band
    return whole


@dataclass(frozen=True, slots=True)
class BandSlicing:
    """How the bands of a run are cut, and where the edges of each slice lie."""

    scratch: Path
    indexes: tuple[int, ...]  # of the parts, in the order of their rows
    starts: np.ndarray  # int64: the first global row of each part, and the end
    bands: int
    num_pairs: int  # planted
    slices: int  # of each band

    @staticmethod
    def of(work: Gathering, *, rows: Rows, bands: int, num_pairs: int) -> BandSlicing:
        """Cut the bands so that all workers' slices fit; RecipeError if the clusters alone would not."""
        needed = BYTES_PER_DOCUMENT * len(rows)
        if needed > work.memory_bytes:
            raise RecipeError(
                f"minhash_dedup: clustering {len(rows):,} documents takes {-(-needed // MIB)} MiB, and the run may use "
                f"{work.memory_bytes // MIB}. Give it more with --memory {-(-needed // MIB)}M, or fewer documents."
            )
        indexes = tuple(part.index for part in rows.parts)
        counts = sum((np.load(scratch_file(work.scratch, "bands", index))[0] for index in indexes), np.zeros(bands))
        per_worker = (1 - RESERVE) * work.memory_bytes / work.workers
        slices = max(int(-(-BYTES_PER_KEY * counts.max(initial=0) // per_worker)), 1)
        return BandSlicing(work.scratch, indexes, rows.starts, bands, num_pairs, slices)

    def path(self, band: int, number: int) -> Path:
        """Return where the edges of a slice lie: int64[2, num_edges]."""
        kind = f"edges-{self.num_pairs}-{self.slices}"
        return scratch_file(self.scratch, kind, band * self.slices + number)

    def jobs(self) -> list[BandSliceJob]:
        return [BandSliceJob(self, band, number) for band in range(self.bands) for number in range(self.slices)]

    def edges(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yield (band, left, right) of every slice; a right row past the last document is a planted copy."""
        for job in self.jobs():
            left, right = np.load(self.path(job.band, job.number))
            yield job.band, left, right


@dataclass(frozen=True, slots=True)
class BandSliceJob:
    slicing: BandSlicing
    band: int
    number: int


def tie_slice(job: BandSliceJob) -> None:
    """Save the edges between documents that agree in one slice, and from them to planted copies, unless there."""
    slicing, band = job.slicing, job.band
    done = slicing.path(band, job.number)
    if is_whole(done):
        return
    keys, rows, wholes = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
    for position, index in enumerate(slicing.indexes):
        ends = np.cumsum([0, *np.load(scratch_file(slicing.scratch, "bands", index))[0]])
        sorted_keys = open_array(scratch_file(slicing.scratch, "keys", index))[ends[band] : ends[band + 1]]
        first, end = (_bound(sorted_keys, number, slicing.slices) for number in (job.number, job.number + 1))
        docs = open_array(scratch_file(slicing.scratch, "docs", index))[ends[band] + first : ends[band] + end]
        keys.append(np.array(sorted_keys[first:end]))
        rows.append(docs + slicing.starts[position])
        wholes.append(np.load(scratch_file(slicing.scratch, "wholes", index))[docs])
    copies = planted_keys(slicing.scratch, slicing.indexes, num_pairs=slicing.num_pairs, band=band)
    order = np.argsort(copies, kind="stable")
    first, end = (_bound(copies[order], number, slicing.slices) for number in (job.number, job.number + 1))
    keys.append(copies[order[first:end]])
    rows.append(order[first:end] + slicing.starts[-1])  # behind all documents
    wholes.append(np.zeros(end - first, np.uint64))
    found = candidate_edges(
        np.concatenate(keys), rows=np.concatenate(rows), wholes=np.concatenate(wholes),
        num_documents=int(slicing.starts[-1]),
    )  # fmt: skip
    save_array(done, found)


def _bound(sorted_keys: np.ndarray, number: int, slices: int) -> int:
    """Return where slice `number` begins among sorted keys."""
    edge = (number << 64) // slices
    return len(sorted_keys) if edge >> 64 else int(np.searchsorted(sorted_keys, np.uint64(edge)))


@dataclass(frozen=True, slots=True)
class StoredSignatures:
    """Signatures and sizes of all parts, read a part at a time: what is mapped counts as memory until it is let go."""

    scratch: Path
    rows: Rows
    num_values: int

    def sizes(self, position: int) -> Any:
        """Return int64[2, num_docs], bytes and words, of the part at `position`."""
        return np.load(scratch_file(self.scratch, "sizes", self.rows.parts[position].index))

    def num_bytes(self) -> np.ndarray:
        """Return int64[num_rows]."""
        found = np.empty(len(self.rows), np.int64)
        for position in range(len(self.rows.parts)):
            found[self.rows.within(position)] = self.sizes(position)[0]
        return found

    def at_once(self, memory_bytes: int) -> int:
        """Return how many signatures to hold, in half of the memory that clustering leaves; more open fewer files."""
        left = ((1 - RESERVE) * memory_bytes - BYTES_PER_DOCUMENT * len(self.rows)) // 2
        return max(int(min(max(left, MIB), MOST_AT_ONCE) // (4 * self.num_values)), 1)

    def of_rows(self, wanted: np.ndarray) -> np.ndarray:
        """Return uint32[num_wanted, num_values]: the signatures of some global rows."""
        values = np.empty((len(wanted), self.num_values), np.uint32)
        owner = np.searchsorted(self.rows.starts, wanted, side="right") - 1
        for position in np.unique(owner):
            mine = np.flatnonzero(owner == position)
            stored = open_array(scratch_file(self.scratch, "values", self.rows.parts[position].index))
            values[mine] = stored[wanted[mine] - self.rows.starts[position]]
        return values
