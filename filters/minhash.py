"""`minhash_dedup`: documents whose sets of word shingles overlap, found by MinHash and banding; one of each is kept.

Two documents of Jaccard similarity s meet in some band with probability 1 - (1 - s^rows)^bands: 14 bands of 8 rows
find 92 % of pairs at 0.8 and 21 % at 0.6 (FineWeb's setting; arXiv 2406.17557, section 3.4). A document shorter than
a shingle has one shingle, all its words, so short copies are caught. Signatures lie in scratch files, one set per
part; bands are sorted in slices that fit the memory (`filters/minhash_bands.py`), and 96 bytes per document are kept
for clustering. Every run measures its own recall and precision (`filters/minhash_audit.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from filters.clusters import Edges, best_rows, cluster_sizes, equal_key_edges, new_forest, settle, unite
from filters.dedup_store import SETTINGS, UNKNOWN, Earlier, Version, read_version, require_same_settings, require_sound
from filters.minhash_audit import (
    Copies,
    joined_pairs,
    plantings,
    precision_account,
    recall_account,
    true_similarities,
)
from filters.minhash_bands import Signer, SignJob, Slicing, Stored, sign_part, tie_slice
from filters.minhash_check import PairChecker
from filters.minhash_kernels import band_keys, hash_family, signatures_of
from filters.twins import KEEP_MEANING, KEEP_PATTERN, KeptIds, Rows, check_keep, keep_scores
from pipeline.core.scratch import scratch_file, until_reboot
from pipeline.core.step import Gathering, GatheringStep, Params, Quantile, Rule, Signal, Step
from pipeline.core.text import Batch

GIANT_FRACTION = 0.01  # assumption, not measured: a cluster above this share of the documents deserves a look
GIANT_DOCUMENTS = 1000
MEGA_WORDS = 100_000  # about the 500,000 characters at which others cut documents short
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
    against_store: str = Field(
        default="", json_schema_extra={"role": "store"},
        description="Dedup store of earlier datasets (`tamis remember`): what has a twin there is a duplicate of it.",
    )  # fmt: skip
    audit_pairs: int = Field(
        default=200, ge=0, le=1_000_000, json_schema_extra={"role": "alarm"},
        description="Near-duplicates planted, and joined pairs compared, to measure recall and precision; 0 for none.",
    )  # fmt: skip


class MinHashDedup(GatheringStep):
    """Drop near-duplicate documents, keeping the best of each cluster."""

    name: ClassVar[str] = "minhash_dedup"
    version: ClassVar[int] = 2
    Params: ClassVar[type[Params]] = MinHashParams
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("cluster", pa.int64(), "row", "Smallest row of the document's cluster; its own if it has no twin."),
        Signal("cluster_size", pa.int64(), "documents", "Documents in the cluster."),
        Signal("duplicate_of", pa.string(), "id", "The kept twin, or the earlier one; null for a kept document."),
        Signal("earlier", pa.string(), "dataset/version", "Dataset of the twin found in `against_store`; else null."),
        Signal("jaccard_estimate", pa.float32(), "fraction", "Share of values equal to the kept twin's; null if kept."),
        Signal(
            "is_duplicate", pa.int8(), "0 or 1", "1 if a document of the cluster, or an earlier one, is kept instead."
        ),
    )
    params: MinHashParams

    def check(self, earlier: Mapping[str, Step]) -> None:
        check_keep(self.params.keep, earlier=earlier)

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        return (Rule("near_duplicate", "is_duplicate", "<=", 0),)

    def sketcher(self) -> Signer:
        params = self.params
        return Signer(
            bands=params.bands, rows=params.rows, shingle_words=params.shingle_words, seed=params.seed,
            sampled=params.audit_pairs,
        )  # fmt: skip

    def gather(self, work: Gathering) -> None:
        work = replace(work, scratch=until_reboot(work.scratch))  # all of it can be computed again
        params, rows = self.params, Rows.of(work.parts)
        store = self._store(work)
        chains = params.min_jaccard > 0
        sign = partial(SignJob, scratch=work.scratch, signer=self.sketcher(), chains=chains)
        planned = plantings(rows, num_pairs=params.audit_pairs, seed=work.seed)
        jobs = [sign(part=part, planting=planting) for part, planting in zip(rows.parts, planned, strict=True)]
        work.map(sign_part, jobs, label="signatures")
        slicing = Slicing.of(work, rows=rows, bands=params.bands, num_pairs=params.audit_pairs, chains=chains)
        work.map(tie_slice, slicing.jobs(), label="bands")
        clusters, repeats = self._cluster(work, rows=rows, slicing=slicing)
        stored = Stored(scratch=work.scratch, rows=rows, num_values=params.bands * params.rows)
        num_bytes = stored.num_bytes() if params.keep == "longest" else np.zeros(0, np.int64)
        kept = best_rows(clusters, keep_scores(rows, keep=params.keep, num_bytes=num_bytes))
        sizes = cluster_sizes(clusters)
        work.details.update(self._describe(clusters, sizes=sizes, repeats=repeats, stored=stored))
        if params.audit_pairs > 0:
            work.details["audit"] = self._audit(work, clusters=clusters, kept=kept, stored=stored, slicing=slicing)
        work.details["chance_to_meet_by_jaccard"] = {f"{share:.2f}": round(self._chance(share), 4) for share in CURVE}
        if "warning" in work.details:
            work.say(work.details["warning"])
        earlier = None
        if store is not None:
            earlier = Earlier.find(work, rows=rows, clusters=clusters, version=store)
            work.details["store"] = {
                "name": params.against_store, "version": work.inputs["against_store"][0].stem,
                "documents_met": int((earlier.store_rows != UNKNOWN).sum()),
            }  # fmt: skip
        self._write(work, clusters=clusters, sizes=sizes, kept=kept, stored=stored, earlier=earlier)

    def _store(self, work: Gathering) -> Version | None:
        """Return what of the store to compare with, if any; RecipeError if it does not fit, DataError if damaged."""
        params = self.params
        if not params.against_store:
            return None
        path, *own = work.inputs["against_store"]
        version = read_version(path).without({folder.name for folder in own})
        settings = {name: getattr(params, name) for name in SETTINGS}
        require_same_settings(version, name=params.against_store, settings=settings, min_jaccard=params.min_jaccard)
        require_sound(version)
        return version

    def _cluster(self, work: Gathering, *, rows: Rows, slicing: Slicing) -> tuple[np.ndarray, list[int]]:
        """Unite the edges of all slices; return (int64[num_rows] clusters, rows with an earlier twin in each band)."""
        parents = new_forest(len(rows))
        repeats = np.zeros(self.params.bands, np.int64)
        for position, part in enumerate(rows.parts):
            repeats += np.load(scratch_file(work.scratch, "bands", part.index))[1]
            here = rows.within(position)
            parents[here] = np.load(scratch_file(work.scratch, "forest", part.index))
            parents[here] += here.start
        checker = None
        if self.params.min_jaccard > 0:
            checker = PairChecker.open(work, rows=rows, slicing=slicing, shingle_words=self.params.shingle_words)
        for band, left, right in slicing.edges():
            held = right < len(rows)
            edges = Edges(left=left[held], right=right[held])
            repeats[band] += len(np.unique(edges.right))
            if checker is not None:
                edges = checker.confirmed(parents, edges, min_jaccard=self.params.min_jaccard)
            unite(parents, edges.left, edges.right)
        if checker is not None:
            work.details.update(pairs_checked=checker.num_checked, pairs_refused=checker.num_refused)
        return settle(parents), repeats.tolist()

    def _audit(
        self, work: Gathering, *, clusters: np.ndarray, kept: np.ndarray, stored: Stored, slicing: Slicing
    ) -> dict[str, Any]:
        """Count the planted copies that the run would have joined, and measure a sample of the pairs that it did."""
        params, rows = self.params, stored.rows
        copies = Copies.of(work.scratch, rows=rows, num_pairs=params.audit_pairs)
        for _, left, right in slicing.edges():
            planted = right >= len(rows)
            copies.meet(clusters, left=left[planted], copies=right[planted] - len(rows))
        if params.min_jaccard > 0:  # the check of candidates is exact, so it need not be repeated for copies
            copies.found[copies.similarities < params.min_jaccard] = False
        account = recall_account(
            copies, num_pairs=params.audit_pairs,
            chance=lambda similarity: self._chance(similarity) if similarity >= params.min_jaccard else 0.0,
        )  # fmt: skip
        twins, direct = joined_pairs(
            clusters, kept, num_pairs=params.audit_pairs, seed=work.seed,
            keys_of=lambda wanted: band_keys(stored.of_rows(wanted), params.bands, params.rows),
        )  # fmt: skip
        wanted = max((1 / params.bands) ** (1 / params.rows), params.min_jaccard)  # where the curve is steepest
        pairs = np.concatenate([twins, direct])
        alike = true_similarities(work, rows=rows, pairs=pairs, shingle_words=params.shingle_words)
        return account | {
            "kept_twins": precision_account(alike[: len(twins)], wanted=wanted),
            "candidates": precision_account(alike[len(twins) :], wanted=wanted),
        }

    def _write(
        self, work: Gathering, *, clusters: np.ndarray, sizes: np.ndarray, kept: np.ndarray, stored: Stored,
        earlier: Earlier | None,
    ) -> None:  # fmt: skip
        """Write the signals of every part; a twin in the store goes before one in the run."""
        rows = stored.rows
        ids = KeptIds.of(rows, kept=kept)
        for position, part in enumerate(rows.parts):
            here = rows.within(position)
            is_duplicate = kept[here] != np.arange(here.start, here.stop)
            estimates = stored.estimates(position=position, twins=kept[here], masked=~is_duplicate)
            columns = {
                "cluster": clusters[here],
                "cluster_size": sizes[here],
                "duplicate_of": ids.twin_of(kept[here], is_duplicate=is_duplicate),
                "earlier": pa.nulls(part.num_rows, pa.string()),
                "jaccard_estimate": estimates,
            }
            if earlier is not None:
                matched, found = earlier.columns(stored, position=position)
                columns |= {name: pc.if_else(pa.array(matched), found[name], columns[name]) for name in found}
                is_duplicate |= matched
            work.write(part, columns | {"is_duplicate": is_duplicate.astype(np.int8)})

    def _chance(self, similarity: float) -> float:
        return meeting_chance(similarity, bands=self.params.bands, rows=self.params.rows)

    def _describe(
        self, clusters: np.ndarray, *, sizes: np.ndarray, repeats: list[int], stored: Stored
    ) -> dict[str, Any]:
        named = clusters == np.arange(len(clusters))
        largest = int(sizes.max(initial=0))
        lengths = Lengths.of(stored, shingle_words=self.params.shingle_words)
        details: dict[str, Any] = {
            "documents": len(clusters),
            "clusters": int((named & (sizes > 1)).sum()),
            "duplicates": int((~named).sum()),
            "largest_cluster": largest,
            "documents_per_band_with_an_earlier_twin": repeats,
            "documents_without_words": lengths.without_words,
            "documents_shorter_than_a_shingle": lengths.shorter_than_a_shingle,
            "longest_document_words": lengths.longest,
            "mega_documents": lengths.mega,
        }
        warnings = []
        if largest > max(GIANT_DOCUMENTS, GIANT_FRACTION * len(clusters)):
            warnings.append(
                f"one cluster holds {largest} of {len(clusters)} documents. Boilerplate may chain "
                f"unlike documents together; look at cluster {int(clusters[sizes.argmax()])}, or set min_jaccard."
            )
        if lengths.mega:
            warnings.append(
                f"{lengths.mega} documents have {MEGA_WORDS} words or more. What such a document quotes it does not "
                "resemble: its parts are found by no Jaccard similarity. Cut them up before, or drop them."
            )
        if warnings:
            details["warning"] = "minhash_dedup: " + " Also, ".join(warnings)
        return details


@dataclass(frozen=True, slots=True)
class Lengths:
    """What the card tells of the documents' lengths in words."""

    without_words: int
    shorter_than_a_shingle: int
    longest: int
    mega: int

    @staticmethod
    def of(stored: Stored, *, shingle_words: int) -> Lengths:
        counts = np.zeros(3, np.int64)
        longest = 0
        for position in range(len(stored.rows.parts)):
            num_words = stored.sizes(position)[1]
            few = (num_words > 0) & (num_words < shingle_words)
            counts += [(num_words == 0).sum(), few.sum(), (num_words >= MEGA_WORDS).sum()]
            longest = max(longest, int(num_words.max(initial=0)))
        return Lengths(int(counts[0]), int(counts[1]), longest, int(counts[2]))


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
    return settle(parents)
