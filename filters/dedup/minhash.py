"""`minhash_dedup`: documents whose sets of word shingles overlap, found by MinHash and banding; one of each is kept.

Two documents of Jaccard similarity s meet in some band with probability 1 - (1 - s^rows)^bands: 14 bands of 8 rows find
92 % of pairs at 0.8 and 21 % at 0.6 (FineWeb's setting; arXiv 2406.17557, section 3.4). Who meets is compared by
signature, and nothing is dropped that is not as alike as `min_jaccard` to the document that is kept instead
(`filters/dedup/minhash_verify.py`). A document shorter than a shingle has one shingle, all its words, so short copies
are caught. Signatures lie in scratch files, one set per part; bands are sorted in slices that fit the memory
(`filters/dedup/minhash_bands.py`), and 96 bytes per document are kept for clustering. Every run measures its own recall
and precision (`filters/dedup/minhash_audit.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from filters.dedup.clusters import cluster_sizes, equal_key_edges, new_forest, settle, smallest_rows, unite
from filters.dedup.keep import KEEP_MEANING, KEEP_PATTERN, KeptIds, Rows, check_keep, keep_scores
from filters.dedup.minhash_audit import (
    Copies,
    joined_pairs,
    plantings,
    precision_account,
    recall_account,
    true_similarities,
)
from filters.dedup.minhash_bands import BandSlicing, Signer, SignJob, StoredSignatures, sign_part, tie_slice
from filters.dedup.minhash_kernels import band_keys, hash_family, signatures_of
from filters.dedup.minhash_verify import AlikeFrom, Checker, Chosen, choose_kept
from filters.dedup.remembered import (
    SETTINGS,
    UNKNOWN,
    Earlier,
    StoreVersion,
    read_version,
    require_same_settings,
    require_sound,
)
from pipeline.core.files.writing.scratch import scratch_file, until_reboot
from pipeline.core.step import Gathering, GatheringStep, Params, Quantile, Rule, Signal, Step
from pipeline.core.text.batch import Batch

GIANT_FRACTION = 0.01  # assumption, not measured: a cluster above this share of the documents deserves a look
GIANT_DOCUMENTS = 1000
MEGA_WORDS = 100_000  # about the 500,000 characters at which others cut documents short
LOW_PRECISION = 0.9  # below which a run warns, if even the upper end of the interval is
CURVE = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)  # similarities at which the card gives the theory


class MinHashParams(Params):
    bands: int = Field(
        default=14, ge=1, le=256, description="Bands, count; duplicates agree in at least one (FineWeb)."
    )
    rows: int = Field(default=8, ge=1, le=64, description="Hash values per band, count (FineWeb).")
    shingle_words: int = Field(default=5, ge=1, le=64, description="Consecutive words per shingle, count (FineWeb).")
    seed: int = Field(default=0, ge=0, description="Seed of the hash functions.")
    keep: str = Field(default="longest", pattern=KEEP_PATTERN, description=KEEP_MEANING)
    min_jaccard: float = Field(
        default=0.75, ge=0, le=1,
        description="Least Jaccard similarity to the kept document, estimated by signatures; 0 trusts the bands.",
    )  # fmt: skip
    against_store: str = Field(
        default="", json_schema_extra={"role": "store"},
        description="Dedup store of earlier datasets (`tamis remember`); near-duplicates of what it holds are dropped.",
    )  # fmt: skip
    audit_pairs: int = Field(
        default=200, ge=0, le=1_000_000, json_schema_extra={"role": "how"},
        description="Near-duplicates planted, and joined pairs compared, to measure recall and precision; 0 for none.",
    )  # fmt: skip


class MinHashDedup(GatheringStep):
    """Drop near-duplicate documents, keeping the best of each cluster."""

    name: ClassVar[str] = "minhash_dedup"
    version: ClassVar[int] = 3
    Params: ClassVar[type[Params]] = MinHashParams
    signals = (
        Signal(
            "cluster",
            pa.int64(),
            "row",
            "Smallest row of the cluster, a kept document and its duplicates; its own if it has none.",
        ),
        Signal("cluster_size", pa.int64(), "documents", "Documents in the cluster."),
        Signal("duplicate_of", pa.string(), "id", "The document kept instead, or the earlier one; null if kept."),
        Signal(
            "earlier",
            pa.string(),
            "dataset/version",
            "Dataset of the document found in `against_store`; else null.",
        ),
        Signal("jaccard_estimate", pa.float32(), "fraction", "Share of values equal to that document's; null if kept."),
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
        sign = partial(SignJob, scratch=work.scratch, signer=self.sketcher())
        planned = plantings(work, rows, num_pairs=params.audit_pairs)
        jobs = [sign(part=part, planting=planting) for part, planting in zip(rows.parts, planned, strict=True)]
        work.map(sign_part, jobs, label="signatures")
        slicing = BandSlicing.of(work, rows=rows, bands=params.bands, num_pairs=params.audit_pairs)
        work.map(tie_slice, slicing.jobs(), label="bands")
        line = AlikeFrom(params.min_jaccard, params.bands, params.rows)
        stored = StoredSignatures(scratch=work.scratch, rows=rows, num_values=line.num_values)
        checker = Checker(stored, line, at_once=stored.at_once(work.memory_bytes))
        groups, repeats = self._group(work, rows=rows, slicing=slicing, checker=checker)
        earlier = None
        taken = np.zeros(len(rows), np.bool_)
        if store is not None:
            earlier = Earlier.find(work, stored=stored, groups=groups, version=store, least_equal=line.least_equal)
            taken = earlier.store_rows != UNKNOWN
        num_bytes = stored.num_bytes() if params.keep == "longest" else np.zeros(0, np.int64)
        chosen = choose_kept(
            groups, scores=keep_scores(rows, keep=params.keep, num_bytes=num_bytes), taken=taken, checker=checker
        )
        clusters = smallest_rows(chosen.kept if earlier is None else earlier.labels(chosen.kept))
        sizes = cluster_sizes(clusters)
        audit = {}
        if params.audit_pairs > 0:
            audit = self._audit(work, groups=groups, kept=chosen.kept, checker=checker, slicing=slicing)
        work.details.update(
            self._describe(clusters, sizes=sizes, repeats=repeats, audit=audit, checker=checker, chosen=chosen)
        )
        for warning in work.details["warnings"]:
            work.say(f"minhash_dedup: {warning}")
        if earlier is not None:
            work.details["store"] = {
                "name": params.against_store, "version": work.inputs["against_store"][0].stem,
                "documents_met": int(taken.sum()),
            }  # fmt: skip
        self._write(work, clusters=clusters, sizes=sizes, chosen=chosen, stored=stored, earlier=earlier)

    def _store(self, work: Gathering) -> StoreVersion | None:
        """Return what of the store to compare with, if any; RecipeError if it does not fit, DataError if damaged."""
        params = self.params
        if not params.against_store:
            return None
        path, *own = work.inputs["against_store"]
        version = read_version(path).without({folder.name for folder in own})
        settings = {name: getattr(params, name) for name in SETTINGS}
        require_same_settings(version, name=params.against_store, settings=settings)
        require_sound(version)
        return version

    def _group(
        self, work: Gathering, *, rows: Rows, slicing: BandSlicing, checker: Checker
    ) -> tuple[np.ndarray, list[int]]:
        """Tie candidates that are alike; return (int64[num_rows] groups, rows with an earlier one in each band)."""
        parents = new_forest(len(rows))
        repeats = np.zeros(self.params.bands, np.int64)
        for position, part in enumerate(rows.parts):
            repeats += np.load(scratch_file(work.scratch, "bands", part.index))[1]
            here = rows.within(position)
            parents[here] = np.load(scratch_file(work.scratch, "forest", part.index))
            parents[here] += here.start
        frozen, at = parents.copy(), 0
        for band, left, right in slicing.edges():
            if band > at:
                frozen[:], at = parents, band
            held = right < len(rows)  # the others are planted copies
            repeats[band] += len(np.unique(right[held]))
            checker.join(parents, frozen, left=left[held], right=right[held])
        return settle(parents), repeats.tolist()

    def _audit(
        self, work: Gathering, *, groups: np.ndarray, kept: np.ndarray, checker: Checker, slicing: BandSlicing
    ) -> dict[str, Any]:
        """Count the planted copies that the run would have found, and measure a sample of what it dropped."""
        params, rows, line = self.params, checker.stored.rows, checker.line
        copies = Copies.of(work.scratch, rows=rows, num_pairs=params.audit_pairs, num_values=line.num_values)
        for _, left, right in slicing.edges():
            planted = right >= len(rows)
            copies.meet(groups, left=left[planted], copies=right[planted] - len(rows), alike=checker.alike)
        copies.confirm(checker.alike)
        account = recall_account(copies, num_pairs=params.audit_pairs, chance=line.chance_to_join)
        pairs = joined_pairs(kept, num_pairs=params.audit_pairs, seed=work.seed)
        alike = true_similarities(work, rows=rows, pairs=pairs, shingle_words=params.shingle_words)
        return account | {"kept_twins": precision_account(alike, wanted=line.wanted)}

    def _write(
        self, work: Gathering, *, clusters: np.ndarray, sizes: np.ndarray, chosen: Chosen, stored: StoredSignatures,
        earlier: Earlier | None,
    ) -> None:  # fmt: skip
        """Write the signals of every part; a document that the store knows has none in the run."""
        import pyarrow.compute as pc  # 0.04 s, which steps that are only planned need not

        rows, kept = stored.rows, chosen.kept
        ids = KeptIds.of(rows, kept=kept)
        for position, part in enumerate(rows.parts):
            here = rows.within(position)
            is_duplicate = kept[here] != np.arange(here.start, here.stop)
            columns = {
                "cluster": clusters[here],
                "cluster_size": sizes[here],
                "duplicate_of": ids.kept_for(kept[here], is_duplicate=is_duplicate),
                "earlier": pa.nulls(part.num_rows, pa.string()),
                "jaccard_estimate": pa.array(chosen.estimates[here], mask=~is_duplicate),
            }
            if earlier is not None:
                matched, found = earlier.columns(stored, position=position)
                columns |= {name: pc.if_else(pa.array(matched), found[name], columns[name]) for name in found}
                is_duplicate |= matched
            work.write(part, columns | {"is_duplicate": is_duplicate.astype(np.int8)})

    def _describe(
        self, clusters: np.ndarray, *, sizes: np.ndarray, repeats: list[int], audit: dict[str, Any], checker: Checker,
        chosen: Chosen,
    ) -> dict[str, Any]:  # fmt: skip
        """Return what the card says: how good the run was, what it found, and what deserves a look."""
        named = clusters == np.arange(len(clusters))
        largest = int(sizes.max(initial=0))
        line = checker.line
        lengths = Lengths.of(checker.stored, shingle_words=self.params.shingle_words)
        details: dict[str, Any] = {"audit": audit} if audit else {}
        details |= {
            "documents": len(clusters),
            "clusters": int((named & (sizes > 1)).sum()),
            "duplicates": int((~named).sum()),
            "largest_cluster": largest,
            "pairs_checked": checker.num_checked,
            "pairs_refused": checker.num_refused,
            "kept_though_chained": chosen.num_chained,
            "least_equal_values": line.least_equal,
            "values": line.num_values,
            "standard_error": round(line.standard_error, 4),
            "documents_per_band_with_an_earlier_twin": repeats,
            "documents_without_words": lengths.without_words,
            "documents_shorter_than_a_shingle": lengths.shorter_than_a_shingle,
            "longest_document_words": lengths.longest,
            "mega_documents": lengths.mega,
            "chance_to_meet_by_jaccard": {f"{share:.2f}": round(line.chance_to_meet(share), 4) for share in CURVE},
            "chance_to_join_by_jaccard": {f"{share:.2f}": round(line.chance_to_join(share), 4) for share in CURVE},
        }
        warnings = []
        if audit and audit["kept_twins"]["precision"]["high"] < LOW_PRECISION:
            pairs = audit["kept_twins"]
            warnings.append(
                f"precision is low: {pairs['precision']['pairs']} dropped documents were compared with what was kept "
                f"instead by all shingles; {pairs['precision']['share']:.0%} are {pairs['wanted_jaccard']:g} alike "
                f"or more, and {pairs['precision_at_jaccard']['0.5']['share']:.0%} are half alike. "
                + ("Set min_jaccard." if line.least_equal == 0 else "Raise min_jaccard, or bands * rows.")
            )
        if largest > max(GIANT_DOCUMENTS, GIANT_FRACTION * len(clusters)):
            warnings.append(
                f"one cluster holds {largest} of {len(clusters)} documents; look at cluster "
                f"{int(clusters[sizes.argmax()])}." + ("" if line.least_equal else " Or set min_jaccard.")
            )
        if lengths.mega:
            warnings.append(
                f"{lengths.mega} documents have {MEGA_WORDS} words or more. What such a document quotes it does not "
                "resemble: its parts are found by no Jaccard similarity. Cut them up before, or drop them."
            )
        details["warnings"] = warnings
        return details


@dataclass(frozen=True, slots=True)
class Lengths:
    """What the card tells of the documents' lengths in words."""

    without_words: int
    shorter_than_a_shingle: int
    longest: int
    mega: int

    @staticmethod
    def of(stored: StoredSignatures, *, shingle_words: int) -> Lengths:
        counts = np.zeros(3, np.int64)
        longest = 0
        for position in range(len(stored.rows.parts)):
            num_words = stored.sizes(position)[1]
            few = (num_words > 0) & (num_words < shingle_words)
            counts += [(num_words == 0).sum(), few.sum(), (num_words >= MEGA_WORDS).sum()]
            longest = max(longest, int(num_words.max(initial=0)))
        return Lengths(int(counts[0]), int(counts[1]), longest, int(counts[2]))


def cluster_documents(batch: Batch, *, seed: int = 0) -> np.ndarray:
    """Return int64[num_docs]: the near-duplicate cluster of each document (14 x 8 values, 5-word shingles).

    A cluster is named by its smallest document number; a document without duplicates, or without words, stands alone.
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
