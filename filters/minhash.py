"""`minhash_dedup`: documents whose sets of word shingles overlap, found by MinHash and banding; one of each is kept.

Two documents of Jaccard similarity s meet in some band with probability 1 - (1 - s^rows)^bands: 14 bands of 8 rows
find 92 % of pairs at 0.8 and 21 % at 0.6 (FineWeb's setting; arXiv 2406.17557, section 3.4). A document shorter than
a shingle has one shingle, all its words, so short copies are caught. Signatures lie in scratch files, one set per
part; bands are sorted one at a time, so memory holds one key per document and band, not the signatures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from filters.clusters import Edges, best_rows, cluster_names, cluster_sizes, equal_key_edges, new_forest, unite
from filters.minhash_check import PairChecker
from filters.minhash_kernels import agreement, band_keys, hash_family, signatures_of
from filters.scratch import open_array, save_array, scratch_file
from filters.twins import KEEP_MEANING, KEEP_PATTERN, KeptIds, Rows, keep_scores
from pipeline.core.step import Gathering, GatheringStep, Params, Part, Quantile, Rule, Signal
from pipeline.core.text import Batch

GIANT_FRACTION = 0.01  # assumption, not measured: a cluster above this share of the documents deserves a look
GIANT_DOCUMENTS = 1000
CURVE = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)  # similarities at which the card gives the theory


class MinHashParams(Params):
    bands: int = Field(default=14, ge=1, le=256, description="Bands, count; twins agree in one at least (FineWeb).")
    rows: int = Field(default=8, ge=1, le=64, description="Hash values per band, count (FineWeb).")
    shingle_words: int = Field(default=5, ge=1, le=64, description="Consecutive words per shingle, count (FineWeb).")
    seed: int = Field(default=0, ge=0, description="Seed of the hash functions.")
    keep: str = Field(default="longest", pattern=KEEP_PATTERN, description=KEEP_MEANING)
    min_jaccard: float = Field(
        default=0.0, ge=0, le=1,
        description="Join candidates only from this true Jaccard similarity of shingle sets on; 0 trusts the bands.",
    )  # fmt: skip


class MinHashDedup(GatheringStep):
    """Drop near-duplicate documents, keeping the best of each cluster."""

    name: ClassVar[str] = "minhash_dedup"
    version: ClassVar[int] = 1
    Params: ClassVar[type[Params]] = MinHashParams
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("cluster", pa.int64(), "row", "Smallest row of the document's cluster; its own if it has no twin."),
        Signal("cluster_size", pa.int64(), "documents", "Documents in the cluster."),
        Signal("duplicate_of", pa.string(), "id", "The kept twin; null for a kept document."),
        Signal("jaccard_estimate", pa.float32(), "fraction", "Share of values equal to the kept twin's; null if kept."),
        Signal("is_duplicate", pa.int8(), "0 or 1", "1 if another document of the cluster is kept instead."),
    )
    params: MinHashParams

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        return (Rule("near_duplicate", "is_duplicate", "<=", 0),)

    def gather(self, work: Gathering) -> None:
        rows = Rows.of(work.parts)
        jobs = [_SignJob(part=part, scratch=work.scratch, params=self.params) for part in rows.parts]
        work.map(_sign_part, jobs, label="signatures")
        stored = _Stored.open(work.scratch, parts=rows.parts)
        tie = partial(
            _BandJob,
            scratch=work.scratch,
            indexes=tuple(part.index for part in rows.parts),
            starts=rows.starts,
            chains=self.params.min_jaccard > 0,
        )
        work.map(_tie_band, [tie(band=band) for band in range(self.params.bands)], label="bands")
        clusters, edges_per_band = self._cluster(work, rows=rows)
        num_bytes = stored.num_bytes()
        kept = best_rows(clusters, keep_scores(rows, keep=self.params.keep, num_bytes=num_bytes))
        sizes = cluster_sizes(clusters)
        work.details.update(self._describe(clusters, sizes=sizes, edges_per_band=edges_per_band, stored=stored))
        if "warning" in work.details:
            work.say(work.details["warning"])
        self._write(work, rows=rows, clusters=clusters, sizes=sizes, kept=kept, stored=stored)

    def _cluster(self, work: Gathering, *, rows: Rows) -> tuple[np.ndarray, list[int]]:
        """Unite the edges of all bands; return (int64[num_rows] clusters, edges found in each band)."""
        parents = new_forest(len(rows))
        paths = [scratch_file(work.scratch, "edges", band) for band in range(self.params.bands)]
        checker = None
        if self.params.min_jaccard > 0:
            checker = PairChecker.open(work, rows=rows, paths=paths, shingle_words=self.params.shingle_words)
        counts = []
        for path in paths:
            left, right = np.load(path)
            counts.append(len(np.unique(right)))
            if checker is not None:
                left, right = checker.confirmed(
                    parents, Edges(left=left, right=right), min_jaccard=self.params.min_jaccard
                )
            unite(parents, left, right)
        if checker is not None:
            work.details.update(pairs_checked=checker.num_checked, pairs_refused=checker.num_refused)
        return cluster_names(parents), counts

    def _write(
        self, work: Gathering, *, rows: Rows, clusters: np.ndarray, sizes: np.ndarray, kept: np.ndarray, stored: _Stored
    ) -> None:
        """Write the signals of every part."""
        ids = KeptIds.of(rows, kept=kept)
        for position, part in enumerate(rows.parts):
            here = rows.within(position)
            is_duplicate = kept[here] != np.arange(here.start, here.stop)
            work.write(
                part,
                {
                    "cluster": clusters[here],
                    "cluster_size": sizes[here],
                    "duplicate_of": ids.twin_of(kept[here], is_duplicate=is_duplicate),
                    "jaccard_estimate": stored.estimates(
                        rows, position=position, twins=kept[here], masked=~is_duplicate
                    ),
                    "is_duplicate": is_duplicate.astype(np.int8),
                },
            )

    def _chance(self, similarity: float) -> float:
        return meeting_chance(similarity, bands=self.params.bands, rows=self.params.rows)

    def _describe(
        self, clusters: np.ndarray, *, sizes: np.ndarray, edges_per_band: list[int], stored: _Stored
    ) -> dict[str, Any]:
        named = clusters == np.arange(len(clusters))
        largest = int(sizes.max(initial=0))
        num_words = stored.num_words()
        details: dict[str, Any] = {
            "documents": len(clusters),
            "clusters": int((named & (sizes > 1)).sum()),
            "duplicates": int((~named).sum()),
            "largest_cluster": largest,
            "documents_per_band_with_an_earlier_twin": edges_per_band,
            "documents_without_words": int((num_words == 0).sum()),
            "documents_shorter_than_a_shingle": int(((num_words > 0) & (num_words < self.params.shingle_words)).sum()),
            "longest_document_words": int(num_words.max(initial=0)),
            "chance_to_meet_by_jaccard": {f"{share:.2f}": round(self._chance(share), 4) for share in CURVE},
        }
        if largest > max(GIANT_DOCUMENTS, GIANT_FRACTION * len(clusters)):
            details["warning"] = (
                f"minhash_dedup: one cluster holds {largest} of {len(clusters)} documents. Boilerplate may chain "
                f"unlike documents together; look at cluster {int(clusters[sizes.argmax()])}, or set min_jaccard."
            )
        return details


def meeting_chance(similarity: float, *, bands: int, rows: int) -> float:
    """Return the probability that two documents of this Jaccard similarity share a band."""
    return 1.0 - (1.0 - similarity**rows) ** bands


def cluster_documents(batch: Batch, *, seed: int = 0) -> np.ndarray:
    """Return int64[num_docs]: the near-duplicate cluster of each document (14 x 8 values, 5-word shingles).

    A cluster is named by its smallest document number; a document without twins, or without words, stands alone.
    """
    params = MinHashParams(seed=seed)
    family = hash_family(seed, num_values=params.bands * params.rows)
    signatures = signatures_of(batch, family=family, shingle_words=params.shingle_words)
    wordy = np.flatnonzero(signatures.num_words > 0)
    parents = new_forest(len(batch))
    for keys in band_keys(signatures.values[wordy], params.bands, params.rows):
        edges = equal_key_edges(keys, rows=wordy)
        unite(parents, edges.left, edges.right)
    return cluster_names(parents)


@dataclass(frozen=True, slots=True)
class _SignJob:
    part: Part
    scratch: Path
    params: MinHashParams


def _sign_part(job: _SignJob) -> None:
    """Save a part's signatures, band keys and sizes, unless they are there; sizes are written last."""
    done = scratch_file(job.scratch, "sizes", job.part.index)
    if done.exists():
        return
    batch = job.part.batch()
    family = hash_family(job.params.seed, num_values=job.params.bands * job.params.rows)
    signatures = signatures_of(batch, family=family, shingle_words=job.params.shingle_words)
    keys = band_keys(signatures.values, job.params.bands, job.params.rows)
    save_array(scratch_file(job.scratch, "values", job.part.index), signatures.values)
    save_array(scratch_file(job.scratch, "keys", job.part.index), keys)
    save_array(done, np.stack([np.diff(batch.offsets), signatures.num_words]))


@dataclass(frozen=True, slots=True)
class _BandJob:
    band: int
    scratch: Path
    indexes: tuple[int, ...]  # of the parts, in the order of their rows
    starts: np.ndarray  # int64: the first global row of each part
    chains: bool  # a pair may be refused, so give each document a second chance to be tied


def _tie_band(job: _BandJob) -> None:
    """Save the edges between documents that agree in one band, unless they are there."""
    done = scratch_file(job.scratch, "edges", job.band)
    if done.exists():
        return
    keys, rows = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for position, index in enumerate(job.indexes):
        num_words = np.load(scratch_file(job.scratch, "sizes", index))[1]
        wordy = np.flatnonzero(num_words > 0)
        keys.append(open_array(scratch_file(job.scratch, "keys", index))[job.band][wordy])
        rows.append(wordy + job.starts[position])
    edges = equal_key_edges(np.concatenate(keys), rows=np.concatenate(rows), chains=job.chains)
    save_array(done, np.stack([edges.left, edges.right]))


@dataclass(frozen=True, slots=True)
class _Stored:
    """The scratch files of all parts, mapped, not read."""

    values: Sequence[np.ndarray]  # uint32[num_docs, num_values] per part
    sizes: Sequence[np.ndarray]  # int64[2, num_docs] per part: bytes, words

    @staticmethod
    def open(scratch: Path, *, parts: Sequence[Part]) -> _Stored:
        return _Stored(
            values=[open_array(scratch_file(scratch, "values", part.index)) for part in parts],
            sizes=[np.load(scratch_file(scratch, "sizes", part.index)) for part in parts],
        )

    def num_bytes(self) -> np.ndarray:
        return np.concatenate([np.zeros(0, np.int64), *(size[0] for size in self.sizes)])

    def num_words(self) -> np.ndarray:
        return np.concatenate([np.zeros(0, np.int64), *(size[1] for size in self.sizes)])

    def estimates(self, rows: Rows, *, position: int, twins: np.ndarray, masked: np.ndarray) -> pa.Array:
        """Return float32[num_docs]: the agreement of each signature with its twin's, null where masked."""
        local = np.flatnonzero(~masked)
        estimates = np.zeros(len(twins), np.float32)
        twins = twins[local]
        twin_values = np.empty((len(twins), self.values[position].shape[1]), np.uint32)
        owner = np.searchsorted(rows.starts, twins, side="right") - 1
        for part in np.unique(owner):
            mine = np.flatnonzero(owner == part)
            twin_values[mine] = self.values[part][twins[mine] - rows.starts[part]]
        estimates[local] = agreement(np.ascontiguousarray(self.values[position][local]), twin_values)
        return pa.array(estimates, mask=masked)
