"""`line_dedup`, `paragraph_dedup`: text without the lines or paragraphs that many documents share.

Menus, licences and cookie banners repeat across a site and across dumps. A line that stands in more than 6 documents
goes, as in Llama 3 (arXiv 2407.21783, section 3.1.1, there per 30 million documents). Lines are the same when their
words are, whatever the spacing; short ones are left alone, since `} else {` repeats too. Every distinct line costs 24
bytes on disk once; frequencies are added up in partitions by hash, so memory follows the partition, not the corpus.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.core.files.parquet.shards import read_table, write_table
from pipeline.core.files.writing.scratch import open_array, save_array, scratch_file
from pipeline.core.files.writing.sums import is_whole
from pipeline.core.step import Gathering, GatheringStep, Part, Quantile, Rule, Signal, as_column, decides
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch, text_array

BATCH_BYTES = 8 << 20  # of text whose lines are in memory at once
PARTITION_ROWS = 1 << 22  # distinct lines of all parts in one partition, about: 200 MB while they are added up


class LineDedupParams(BaseParams):
    min_documents: int = Field(
        default=7, ge=2, description="Documents from which on a line is repeated, count (Llama 3)."
    )
    min_words: int = Field(default=3, ge=1, description="Shorter lines stay, words. Assumption, not measured.")
    keep: Literal["none", "first"] = Field(
        default="none", description="Whether the first occurrence, in part order, of what is repeated stays."
    )
    max_removed_fraction: float = decides(
        0.8, ge=0, le=1, description="Most of a kept document's words that may be removed, fraction. Not measured."
    )


class ParagraphDedupParams(LineDedupParams):
    min_documents: int = Field(default=2, ge=2, description="Documents from which on a paragraph is repeated, count.")
    min_words: int = Field(default=10, ge=1, description="Shorter paragraphs stay, words. Assumption, not measured.")


class LineDedup(GatheringStep):
    """Remove the lines that many documents share, and drop documents of which too little is left."""

    name: ClassVar[str] = "line_dedup"
    version: ClassVar[int] = 1
    edits = True
    Params: ClassVar[type[BaseParams]] = LineDedupParams
    signals = (
        Signal("num_removed", pa.int64(), "lines", "Lines removed."),
        Signal("removed_fraction", pa.float64(), "fraction", "Share of the document's words that was removed."),
    )
    paragraphs: ClassVar[bool] = False
    params: LineDedupParams

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        limit = self.params.max_removed_fraction
        return (Rule("mostly_repeated", "removed_fraction", "<=", limit, "max_removed_fraction"),)

    def gather(self, work: Gathering) -> None:
        parts = sorted(work.parts, key=lambda part: part.index)
        jobs = [_Job(part, place, work.scratch, self.params, self.paragraphs) for place, part in enumerate(parts)]
        num_rows = sum(work.map(count_units, jobs, label="distinct lines"))
        bounds = _bounds(num_rows)
        merges = [
            _Merge(number, bounds[number], bounds[number + 1], len(parts), work.scratch, self.params.min_documents)
            for number in range(len(bounds) - 1)
        ]
        found = work.map(merge_partition, merges, label="repeated lines")
        jobs = [replace(job, bounds=tuple(bounds)) for job in jobs]
        totals = np.array(work.map(edit_part, jobs, label="removing them"), np.int64).reshape(-1, 2)
        work.write_by(edited_columns, jobs, label="what is left")
        unit = "paragraphs" if self.paragraphs else "lines"
        work.details.update(
            {
                f"repeated_{unit}": sum(found),
                f"removed_{unit}": int(totals[:, 0].sum()),
                "edited": int(totals[:, 1].sum()),
            }
        )


class ParagraphDedup(LineDedup):
    """Remove the paragraphs, runs of lines between blank ones, that several documents share."""

    name: ClassVar[str] = "paragraph_dedup"
    Params: ClassVar[type[BaseParams]] = ParagraphDedupParams
    signals = (
        Signal("num_removed", pa.int64(), "paragraphs", "Paragraphs removed."),
        Signal("removed_fraction", pa.float64(), "fraction", "Share of the document's words that was removed."),
    )
    paragraphs: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class _Job:
    part: Part
    place: int  # in the order of parts
    scratch: Path
    params: LineDedupParams
    paragraphs: bool
    bounds: tuple[int, ...] = ()  # of the partitions of repeated units


@dataclass(frozen=True, slots=True)
class _Units:
    """The lines or paragraphs of a batch."""

    unit_of: np.ndarray  # int64[num_lines], -1 for a blank line
    hashes: np.ndarray  # uint64[num_units]
    words: np.ndarray  # int64[num_units]
    doc_units: np.ndarray  # int64[num_docs + 1]

    @staticmethod
    def of(batch: Batch, *, paragraphs: bool) -> _Units:
        from filters.dedup.line_dedup_kernels import find_units

        lines = batch.lines
        return _Units(*find_units(lines.doc_offsets, lines.word_offsets, lines.hashes, paragraphs))

    def rows(self, start: int) -> np.ndarray:
        """Return uint64[num_units]: the document of each unit, counted from `start`."""
        sizes = np.diff(self.doc_units)
        return np.repeat(np.arange(start, start + len(sizes)), sizes).astype(np.uint64)


def count_units(job: _Job) -> int:
    """Save uint64[3, n]: a part's distinct units by hash, in how many documents, in which row first; return n."""
    done = scratch_file(job.scratch, "counts", job.place)
    if not is_whole(done):
        hashes, rows = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
        for start, batch in _batches(job.part):
            units = _Units.of(batch, paragraphs=job.paragraphs)
            long = units.words >= job.params.min_words
            hashes.append(units.hashes[long])
            rows.append(units.rows(start)[long])
        save_array(done, _counted(np.concatenate(hashes), np.concatenate(rows)))
    return int(open_array(done).shape[1])


def _counted(hashes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return uint64[3, n]: each hash once, in how many rows it stands, and the first of them."""
    order = np.lexsort((rows, hashes))
    hashes, rows = hashes[order], rows[order]
    new = np.ones(len(hashes), np.uint64)  # a unit that a document says twice counts once
    new[1:] = (hashes[1:] != hashes[:-1]) | (rows[1:] != rows[:-1])
    return _grouped(hashes, new, rows[None])


def _grouped(hashes: np.ndarray, counts: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return uint64[2 + len(first), n]: equal neighbouring hashes once, counts added, the first of each of the rest."""
    opens = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]])[: len(hashes)])
    if not len(opens):
        return np.zeros((2 + len(first), 0), np.uint64)
    return np.concatenate([hashes[opens][None], np.add.reduceat(counts, opens)[None], first[:, opens]])


@dataclass(frozen=True, slots=True)
class _Merge:
    number: int
    low: int  # the hashes of this partition
    high: int
    num_parts: int
    scratch: Path
    min_documents: int


def _bounds(num_rows: int) -> list[int]:
    """Return where partitions of equal width begin, and where the last one ends; hashes are spread evenly."""
    number = max(1, -(-num_rows // PARTITION_ROWS))
    return [(1 << 64) * index // number for index in range(number + 1)]


def merge_partition(merge: _Merge) -> int:
    """Save uint64[4, n]: repeated units by hash, documents, first part and first row; return n."""
    done = scratch_file(merge.scratch, "merged", merge.number)
    if not is_whole(done):
        pieces = [np.zeros((4, 0), np.uint64)]
        for place in range(merge.num_parts):
            counts = open_array(scratch_file(merge.scratch, "counts", place))
            first = np.searchsorted(counts[0], np.uint64(merge.low))
            past = np.searchsorted(counts[0], np.uint64(merge.high - 1), side="right")
            here = counts[:, first:past]
            pieces.append(np.stack([here[0], here[1], np.full(past - first, place, np.uint64), here[2]]))
        joined = np.concatenate(pieces, axis=1)
        joined = joined[:, np.argsort(joined[0], kind="stable")]  # among equals the first part stays first
        merged = _grouped(joined[0], joined[1], joined[2:])
        save_array(done, np.ascontiguousarray(merged[:, merged[1] >= merge.min_documents]))
    return int(open_array(done).shape[1])


def edit_part(job: _Job) -> tuple[int, int]:
    """Save a part's signals and new texts; return (units removed, documents edited)."""
    import pyarrow.compute as pc  # 0.04 s, which steps that are only planned need not

    done = _edited_file(job)
    if not is_whole(done):
        partitions = range(len(job.bounds) - 1)
        repeated = [open_array(scratch_file(job.scratch, "merged", number)) for number in partitions]
        tables = [_edit_batch(job, batch, start, repeated) for start, batch in _batches(job.part)]
        write_table(done, pa.concat_tables(tables), unfinished=True)
    table = read_table(done)
    removed = pc.sum(table.column("num_removed")).as_py()
    return removed if removed is not None else 0, table.num_rows - table.column("text").null_count


def edited_columns(job: _Job) -> dict[str, pa.ChunkedArray]:
    """Return a part's signals and new texts, as `edit_part` saved them."""
    table = read_table(_edited_file(job))
    return {name: table.column(name) for name in table.column_names}


def _edit_batch(job: _Job, batch: Batch, start: int, repeated: Sequence[np.ndarray]) -> pa.Table:
    from filters.words.without_lines import without_lines

    units, lines = _Units.of(batch, paragraphs=job.paragraphs), batch.lines
    goes = np.zeros(len(units.hashes), np.bool_)
    owners = np.searchsorted(np.array(job.bounds[1:-1], np.uint64), units.hashes, side="right")
    rows = units.rows(start)
    for number, partition in enumerate(repeated):
        mine = owners == number
        keep_first = job.params.keep == "first"
        goes[mine] = _goes(units.hashes[mine], rows[mine], job.place, partition, keep_first=keep_first)
    goes &= units.words >= job.params.min_words
    dropped = np.concatenate([goes, [False]])[units.unit_of]
    removed = _per_document(goes, units.doc_units)
    num_words = _per_document(units.words, units.doc_units)
    edited = removed > 0
    shape = (lines.doc_offsets, lines.starts, lines.ends, lines.word_offsets)
    data, offsets = without_lines(batch.data, batch.offsets, shape, dropped, edited)
    columns: dict[str, Any] = {
        "num_removed": removed,
        "removed_fraction": _per_document(units.words * goes, units.doc_units) / np.maximum(num_words, 1),
    }
    found = {signal.name: as_column(columns[signal.name], signal=signal) for signal in LineDedup.signals}
    return pa.table({**found, "text": text_array(data, offsets, present=edited)})


def _goes(hashes: np.ndarray, rows: np.ndarray, place: int, repeated: np.ndarray, *, keep_first: bool) -> np.ndarray:
    """Return bool[num_units]: which are repeated, the very first occurrence aside where that stays."""
    if not repeated.shape[1]:
        return np.zeros(len(hashes), np.bool_)
    found = np.minimum(np.searchsorted(repeated[0], hashes), repeated.shape[1] - 1)
    goes: np.ndarray = repeated[0][found] == hashes
    if keep_first:
        first = goes & (repeated[2][found] == place) & (repeated[3][found] == rows)
        _, kept = np.unique(hashes[first], return_index=True)
        goes[np.flatnonzero(first)[kept]] = False
    return goes


def _per_document(values: np.ndarray, doc_units: np.ndarray) -> np.ndarray:
    """Return int64[num_docs]: the sum over each document's units."""
    totals = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    sums: np.ndarray = totals[doc_units[1:]] - totals[doc_units[:-1]]
    return sums


def _edited_file(job: _Job) -> Path:
    return job.scratch / f"edited-{job.place:05d}.parquet"


def _batches(part: Part) -> Iterator[tuple[int, Batch]]:
    """Yield (first row, batch) of about BATCH_BYTES of text; an empty part gives one empty batch."""
    import pyarrow.compute as pc

    table = part.load(("id", "text"))
    ends = np.cumsum(pc.binary_length(table.column("text")).to_numpy().astype(np.int64))
    start = 0
    while start < len(ends) or start == 0:
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + BATCH_BYTES, side="right")))
        yield start, Batch.from_table(table.slice(start, stop - start))
        start = stop
