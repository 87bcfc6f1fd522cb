"""The scratch files of a MinHash run: signatures and band keys part by part, then the edges of every band.

Each job looks first whether its files are there, so a run that was killed goes on where it stopped. Signatures are
mapped when they are read again; bands are sorted one at a time, so a worker holds one key per document, 16 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from filters.clusters import equal_key_edges
from filters.minhash_audit import Planting, plant, planted_file, planted_keys, save_planted
from filters.minhash_kernels import agreement, band_keys, hash_family, signatures_of
from filters.scratch import open_array, save_array, scratch_file
from filters.twins import Rows
from pipeline.core.step import Part


@dataclass(frozen=True, slots=True)
class SignJob:
    part: Part
    scratch: Path
    bands: int
    rows: int
    shingle_words: int
    seed: int  # of the hash functions
    planting: Planting


def sign_part(job: SignJob) -> None:
    """Save a part's signatures, band keys and sizes, unless they are there; sizes are written last."""
    done = scratch_file(job.scratch, "sizes", job.part.index)
    planted = planted_file(job.scratch, "facts", job.part.index, num_pairs=job.planting.num_pairs)
    if done.exists() and planted.exists():
        return
    batch = job.part.batch()
    family = hash_family(job.seed, num_values=job.bands * job.rows)
    signatures = signatures_of(batch, family=family, shingle_words=job.shingle_words)
    keys = band_keys(signatures.values, job.bands, job.rows)
    copies, facts = plant(
        batch, job.planting, family=family, bands=job.bands, rows=job.rows, shingle_words=job.shingle_words
    )
    save_planted(job.scratch, job.part.index, planting=job.planting, keys=copies, facts=facts)
    save_array(scratch_file(job.scratch, "values", job.part.index), signatures.values)
    save_array(scratch_file(job.scratch, "keys", job.part.index), keys)
    save_array(done, np.stack([np.diff(batch.offsets), signatures.num_words]))


def edge_file(scratch: Path, band: int, *, num_pairs: int) -> Path:
    """Return the path of the edges of one band: int64[2, num_edges]."""
    return scratch_file(scratch, f"edges-{num_pairs}", band)


@dataclass(frozen=True, slots=True)
class BandJob:
    band: int
    scratch: Path
    indexes: tuple[int, ...]  # of the parts, in the order of their rows
    starts: np.ndarray  # int64: the first global row of each part, and the end
    num_pairs: int  # planted
    chains: bool  # a pair may be refused, so give each document a second chance to be tied


def tie_band(job: BandJob) -> None:
    """Save the edges between documents that agree in one band, and from them to planted copies, unless there."""
    done = edge_file(job.scratch, job.band, num_pairs=job.num_pairs)
    if done.exists():
        return
    keys, rows = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for position, index in enumerate(job.indexes):
        num_words = np.load(scratch_file(job.scratch, "sizes", index))[1]
        wordy = np.flatnonzero(num_words > 0)
        keys.append(open_array(scratch_file(job.scratch, "keys", index))[job.band][wordy])
        rows.append(wordy + job.starts[position])
    copies = planted_keys(job.scratch, job.indexes, num_pairs=job.num_pairs, band=job.band)
    keys.append(copies)  # behind all documents, so they are never what two documents are tied by
    rows.append(np.arange(len(copies)) + job.starts[-1])
    edges = equal_key_edges(np.concatenate(keys), rows=np.concatenate(rows), chains=job.chains)
    save_array(done, np.stack([edges.left, edges.right]))


@dataclass(frozen=True, slots=True)
class Stored:
    """The scratch files of all parts, mapped, not read."""

    num_values: int
    values: Sequence[np.ndarray]  # uint32[num_docs, num_values] per part
    sizes: Sequence[np.ndarray]  # int64[2, num_docs] per part: bytes, words

    @staticmethod
    def open(scratch: Path, *, parts: Sequence[Part], num_values: int) -> Stored:
        return Stored(
            num_values=num_values,
            values=[open_array(scratch_file(scratch, "values", part.index)) for part in parts],
            sizes=[np.load(scratch_file(scratch, "sizes", part.index)) for part in parts],
        )

    def num_bytes(self) -> np.ndarray:
        return np.concatenate([np.zeros(0, np.int64), *(size[0] for size in self.sizes)])

    def num_words(self) -> np.ndarray:
        return np.concatenate([np.zeros(0, np.int64), *(size[1] for size in self.sizes)])

    def of_rows(self, rows: Rows, wanted: np.ndarray) -> np.ndarray:
        """Return uint32[num_wanted, num_values]: the signatures of some global rows."""
        values = np.empty((len(wanted), self.num_values), np.uint32)
        owner = np.searchsorted(rows.starts, wanted, side="right") - 1
        for part in np.unique(owner):
            mine = np.flatnonzero(owner == part)
            values[mine] = self.values[part][wanted[mine] - rows.starts[part]]
        return values

    def estimates(self, rows: Rows, *, position: int, twins: np.ndarray, masked: np.ndarray) -> pa.Array:
        """Return float32[num_docs]: the agreement of each signature with its twin's, null where masked."""
        local = np.flatnonzero(~masked)
        estimates = np.zeros(len(twins), np.float32)
        twin_values = self.of_rows(rows, twins[local])
        estimates[local] = agreement(np.ascontiguousarray(self.values[position][local]), twin_values)
        return pa.array(estimates, mask=masked)
