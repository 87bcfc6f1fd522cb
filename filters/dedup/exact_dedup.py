"""`exact_dedup`: documents with the very same text, found by a 128-bit hash; one of each is kept.

XXH3-128 reads text at memory speed, and among 10^12 documents the chance of one false match is below 10^-14.
`normalise` widens what counts as the same: runs of white space as one space, or the same words in the same order
whatever their case, accents and punctuation (the words of `filters/words/shingles.py`). Hashes are grouped by partition
(`filters/dedup/equal_keys.py`), so memory follows the partition and not the corpus.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import xxhash
from pydantic import Field

from filters.dedup.equal_keys import EqualKeys, group, name
from filters.dedup.keep import KEEP_MEANING, KEEP_PATTERN, Rows, check_keep, part_scores
from filters.words.shingles import words_of
from pipeline.core.files.writing.scratch import until_reboot
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
        keys = EqualKeys.of(scratch, rows.starts, memory_bytes=work.memory_bytes // work.workers)
        jobs = [_Job(part, place, keys, self.sketcher(), self.params.keep) for place, part in enumerate(rows.parts)]
        work.map(_save_keys, jobs, label="text hashes")
        found = work.map(group, keys.all_partitions(), label="equal texts")
        work.map(_save_ids, jobs, label="ids of kept documents")
        work.map(name, keys.all_partitions(), label="names of kept documents")
        work.write_by(_columns, jobs, label="duplicates")
        work.details.update(
            documents=len(rows), groups=sum(tally.groups for tally in found),
            duplicates=sum(tally.duplicates for tally in found),
            most_copies=max([min(len(rows), 1), *(tally.most_copies for tally in found)]),
        )  # fmt: skip


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
class _Job:
    part: Part
    place: int  # in the order of parts
    keys: EqualKeys
    hashes: TextHashes
    keep: str


def _save_keys(job: _Job) -> None:
    """Save a part's text hashes, and what speaks for keeping each document, unless they are there."""
    if not job.keys.is_saved(job.place):
        low, high, num_bytes = sketch_of(job.part, scratch=job.keys.scratch, sketcher=job.hashes)["hashes"].T
        scores = part_scores(job.part, keep=job.keep, num_bytes=num_bytes)
        job.keys.save(job.place, high, low, scores=scores)


def _save_ids(job: _Job) -> None:
    job.keys.save_ids(job.place, job.part)


def _columns(job: _Job) -> dict[str, Any]:
    """Return the signals of a part."""
    row, kept, num_copies = job.keys.members_of(job.place)
    docs = row - job.keys.starts[job.place]
    copies, is_duplicate = np.ones(job.part.num_rows, np.int32), np.zeros(job.part.num_rows, np.int8)
    copies[docs], is_duplicate[docs] = num_copies, kept != row
    return {"duplicate_of": job.keys.kept_ids(job.place), "copies": copies, "is_duplicate": is_duplicate}
