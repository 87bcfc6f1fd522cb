"""`minhash_dedup@datatrove-0.10`: the signatures, the clusters and the choice of datatrove 0.10's four MinHash steps.

Simplified text (`normalise.py`), spaCy's words, 5-grams, 14 bands of 8 values: FineWeb's setting. Documents that agree
in a band are tied one to the next in the order of their values and rows; the root of the union by size is the
document kept, as there: arbitrary, and no matter of quality. A document of fewer words than a shingle has no signature
and no duplicate. Rows count through the parts in order, which is what one rank per part, or one rank for all, gives.
There is no index of earlier dumps (datatrove's misses some) and no 32-bit precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from filters.dedup.clusters import cluster_sizes, new_forest, root
from filters.dedup.keep import Rows, write_duplicates
from pipeline.core.files.writing.scratch import open_array, save_array, scratch_file
from pipeline.core.files.writing.sums import are_whole
from pipeline.core.process.kernels import njit
from pipeline.core.step import Gathering, GatheringStep, Params, Part, Quantile, Rule, Signal
from pipeline.core.text.batch import Batch

PLACE = "datatrove 0.10, minhash.py."
PRIME = (1 << 61) - 1


class MinHashParams(Params):
    bands: int = Field(default=14, ge=1, le=256, description=f"Bands, count; duplicates agree in at least one. {PLACE}")
    rows: int = Field(default=8, ge=1, le=64, description=f"Hash values per band, count. {PLACE}")
    shingle_words: int = Field(default=5, ge=1, le=64, description=f"Consecutive words per shingle, count. {PLACE}")
    seed: int = Field(default=1, ge=0, lt=2**32, description=f"Seed of the hash functions. {PLACE}")
    hash: Literal["xxhash", "sha1"] = Field(
        default="xxhash", description=f"64-bit hash of a shingle; FineWeb used sha1. {PLACE}"
    )


class MinHashDedup(GatheringStep):
    """Drop near-duplicate documents as datatrove 0.10 does."""

    name: ClassVar[str] = "minhash_dedup@datatrove-0.10"
    version: ClassVar[int] = 1
    leans_on: ClassVar[tuple[str, ...]] = ("spacy",)
    Params: ClassVar[type[Params]] = MinHashParams
    signals = (
        Signal("cluster", pa.int64(), "row", "Row of the document that the cluster keeps; its own if alone."),
        Signal("cluster_size", pa.int64(), "documents", "Documents in the cluster."),
        Signal("num_shingles", pa.int64(), "shingles", "Runs of shingle_words words; with none it has no duplicate."),
        Signal("duplicate_of", pa.string(), "id", "The document kept instead; null if this one is kept."),
        Signal("is_duplicate", pa.int8(), "0 or 1", "1 if another document of the cluster is kept instead."),
    )
    params: MinHashParams

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        return (Rule("near_duplicate", "is_duplicate", "<=", 0),)

    def gather(self, work: Gathering) -> None:
        rows = Rows.of(work.parts)
        jobs = [_SignJob(part=part, scratch=work.scratch, params=self.params) for part in rows.parts]
        work.map(_sign_part, jobs, label="signatures")
        counts = [np.load(scratch_file(work.scratch, "shingles", part.index)) for part in rows.parts]
        num_shingles = np.concatenate([np.zeros(0, np.int64), *counts])
        kept = self._clusters(work, rows=rows, signed=np.flatnonzero(num_shingles))
        sizes = cluster_sizes(kept)
        columns = {"cluster": kept, "cluster_size": sizes, "num_shingles": num_shingles}
        write_duplicates(work, rows, kept=kept, columns=columns)
        work.details.update(
            documents=len(rows), duplicates=int((kept != np.arange(len(kept))).sum()),
            without_signature=int((num_shingles == 0).sum()), largest_cluster=int(sizes.max(initial=0)),
        )  # fmt: skip

    def _clusters(self, work: Gathering, *, rows: Rows, signed: np.ndarray) -> np.ndarray:
        """Return int64[num_rows]: the kept row of each row's cluster."""
        parents, sizes = new_forest(len(rows)), np.ones(len(rows), np.int64)
        stored = [open_array(scratch_file(work.scratch, "values", part.index)) for part in rows.parts]
        for band in range(self.params.bands):
            columns = slice(band * self.params.rows, (band + 1) * self.params.rows)
            values = np.concatenate(
                [np.zeros((0, self.params.rows), np.uint64), *(part[:, columns] for part in stored)]
            )
            left, right = band_edges(values[signed], rows=signed)
            unite_by_size(parents, sizes, left, right)
        return roots(parents)


def hash_family(params: MinHashParams) -> tuple[np.ndarray, np.ndarray]:
    """Draw datatrove's hash functions: (factors, addends), each uint64[bands * rows]."""
    draw = np.random.RandomState(params.seed)  # as datatrove draws its family
    shape = params.bands * params.rows
    factors = draw.randint(1, PRIME, dtype=np.uint64, size=shape)
    return factors, draw.randint(0, PRIME, dtype=np.uint64, size=shape)


def signatures_of(batch: Batch, *, params: MinHashParams) -> tuple[np.ndarray, np.ndarray]:
    """Return (uint64[num_docs, bands * rows] values, int64[num_docs] shingles); without shingles all bits are set."""
    from filters.conformance.normalise import normalised
    from filters.conformance.shingle_kernels import signatures
    from filters.conformance.spacy.words import words_of

    data, offsets = normalised(batch.data[: int(batch.offsets[-1])], batch.offsets)
    words = words_of(data, offsets)
    values = np.empty((len(batch), params.bands * params.rows), np.uint64)
    spans = words.starts, words.ends, words.doc_offsets
    counts = signatures(data, spans, params.shingle_words, hash_family(params), params.hash == "sha1", values)
    return values, counts


@dataclass(frozen=True, slots=True)
class _SignJob:
    part: Part
    scratch: Path
    params: MinHashParams


def _sign_part(job: _SignJob) -> None:
    """Save a part's signatures and how many shingles they are of, unless they are there."""
    stored, done = (scratch_file(job.scratch, kind, job.part.index) for kind in ("values", "shingles"))
    if are_whole(stored, done):
        return
    values, counts = signatures_of(job.part.batch(), params=job.params)
    save_array(stored, values)
    save_array(done, counts)


def band_edges(values: np.ndarray, *, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of neighbours with equal values, in the order of (values, row)."""
    order = np.argsort(values[:, 0], kind="stable")
    first = values[order, 0]
    same = np.zeros(len(order) + 1, np.bool_)
    same[1:-1] = first[1:] == first[:-1]
    some = order[same[1:] | same[:-1]]  # the others agree with nobody
    some = some[np.lexsort((some, *values[some].T[::-1]))]
    equal = (values[some[1:]] == values[some[:-1]]).all(axis=1)
    return rows[some[:-1][equal]], rows[some[1:][equal]]


@njit(cache=True, nogil=True)
def unite_by_size(parents: Any, sizes: Any, left: Any, right: Any) -> None:
    """Join the trees of each pair, in order: the smaller under the larger, the second under the first on a tie."""
    for edge in range(len(left)):
        one, other = root(parents, left[edge]), root(parents, right[edge])
        if one == other:
            continue
        if sizes[one] < sizes[other]:
            one, other = other, one
        parents[other] = one
        sizes[one] += sizes[other]


@njit(cache=True, nogil=True)
def roots(parents: Any) -> Any:
    """Return int64[num_rows]: the root of every row."""
    found = np.empty_like(parents)
    for row in range(len(parents)):
        found[row] = root(parents, row)
    return found
