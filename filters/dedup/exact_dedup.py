"""`exact_dedup`: documents with the very same text, found by a 128-bit hash; one of each is kept.

XXH3-128 reads text at memory speed, and among 10^12 documents the chance of one false match is below 10^-14.
`normalise` widens what counts as the same: runs of white space as one space, or the same words in the same order
whatever their case, accents and punctuation (the words of `filters/words/shingles.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import xxhash
from pydantic import Field

from filters.dedup.clusters import best_rows, cluster_sizes
from filters.dedup.keep import KEEP_MEANING, KEEP_PATTERN, Rows, check_keep, keep_scores, write_duplicates
from filters.words.shingles import words_of
from pipeline.core.files.scratch import save_array, scratch_file, until_reboot
from pipeline.core.files.sums import is_whole
from pipeline.core.sketch import sketch_of
from pipeline.core.step import Gathering, GatheringStep, Params, Part, Quantile, Rule, Signal, Step
from pipeline.core.text.batch import Batch

Normalise = Literal["none", "whitespace", "words"]


class ExactDedupParams(Params):
    normalise: Normalise = Field(
        default="none",
        description="What counts as the same text: the same bytes, bytes up to white space, or the same folded words.",
    )
    keep: str = Field(default="first", pattern=KEEP_PATTERN, description=KEEP_MEANING)


class ExactDedup(GatheringStep):
    """Drop documents whose text occurs already, keeping one of each group."""

    name: ClassVar[str] = "exact_dedup"
    version: ClassVar[int] = 1
    Params: ClassVar[type[Params]] = ExactDedupParams
    signals = (
        Signal("duplicate_of", pa.string(), "id", "The document kept instead; null if this one is kept."),
        Signal("copies", pa.int32(), "documents", "Documents with this text, itself included."),
        Signal("is_duplicate", pa.int8(), "0 or 1", "1 if another document with this text is kept instead."),
    )
    params: ExactDedupParams

    def check(self, earlier: Mapping[str, Step]) -> None:
        check_keep(self.params.keep, earlier=earlier)

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        return (Rule("exact_duplicate", "is_duplicate", "<=", 0),)

    def sketcher(self) -> TextHashes:
        return TextHashes(self.params.normalise)

    def gather(self, work: Gathering) -> None:
        rows, scratch = Rows.of(work.parts), until_reboot(work.scratch)
        jobs = [_HashJob(part=part, scratch=scratch, hashes=self.sketcher()) for part in rows.parts]
        work.map(_hash_part, jobs, label="text hashes")
        columns = [np.load(scratch_file(scratch, "hashes", part.index)) for part in rows.parts]
        low, high, num_bytes = np.concatenate([np.zeros((0, 3), np.uint64), *columns]).T
        groups = same_hash(low, high)
        kept = best_rows(groups, keep_scores(rows, keep=self.params.keep, num_bytes=num_bytes))
        sizes = cluster_sizes(groups)
        write_duplicates(work, rows, kept=kept, columns={"copies": sizes.astype(np.int32)})
        first = groups == np.arange(len(rows))
        work.details.update(
            documents=len(rows), groups=int((first & (sizes > 1)).sum()), duplicates=int((~first).sum()),
            most_copies=int(sizes.max(initial=0)),
        )  # fmt: skip


def same_hash(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return int64[num_rows]: the first row with the same (low, high) hash."""
    order = np.lexsort((high, low))  # stable, so rows ascend among equals
    opens = np.ones(len(order), np.bool_)
    opens[1:] = (low[order[1:]] != low[order[:-1]]) | (high[order[1:]] != high[order[:-1]])
    groups = np.empty(len(order), np.int64)
    groups[order] = order[opens][np.cumsum(opens) - 1]
    return groups


def text_hashes(batch: Batch, *, normalise: Normalise) -> np.ndarray:
    """Return uint64[2, num_docs]: the lower and upper half of each text's XXH3-128."""
    pieces: Iterable[bytes | memoryview]
    if normalise == "words":
        words = words_of(batch)
        pieces = _slices(words.hashes.view(np.uint8), words.offsets * 8)
    elif normalise == "whitespace":
        pieces = (" ".join(text.split()).encode() for text in batch.strings())
    else:
        pieces = _slices(batch.data, batch.offsets)
    digests = b"".join(map(xxhash.xxh3_128_digest, pieces))
    return np.frombuffer(digests, ">u8").astype(np.uint64).reshape(-1, 2).T[::-1]


def _slices(data: np.ndarray, offsets: np.ndarray) -> Iterable[memoryview]:
    view, ends = data.data, offsets.tolist()  # the buffer, not a copy
    return map(view.__getitem__, map(slice, ends, ends[1:]))


@dataclass(frozen=True, slots=True)
class TextHashes:
    """Sketches texts by the two halves of their hash and their sizes in bytes: uint64[num_docs, 3]."""

    normalise: Normalise
    sampled: ClassVar[int] = 0

    def __call__(self, batch: Batch) -> dict[str, np.ndarray]:
        sizes = np.diff(batch.offsets).astype(np.uint64)
        return {"hashes": np.concatenate([text_hashes(batch, normalise=self.normalise), sizes[None]]).T}


@dataclass(frozen=True, slots=True)
class _HashJob:
    part: Part
    scratch: Path
    hashes: TextHashes


def _hash_part(job: _HashJob) -> None:
    """Save a part's text hashes and sizes in bytes, unless they are there."""
    done = scratch_file(job.scratch, "hashes", job.part.index)
    if not is_whole(done):
        save_array(done, sketch_of(job.part, scratch=job.scratch, sketcher=job.hashes)["hashes"])
