"""`substring_dedup`: text without the spans of 50 words or more that stand somewhere before, word for word.

Spans as in Lee et al. (arXiv 2107.06499), decided exactly and for each *window*, 50 consecutive words of a document: it
goes if the same words stand earlier in the corpus, by part, row and place, and what is cut is every word in a window
that goes. So where a text overlaps its own repetition, as in `a a a a`, an occurrence that stays is cut by the next.
Words are those of the shared segmentation, compared by their bytes: case counts, spacing does not. No suffix array is
built: equal windows share their anchor (`filters/dedup/substring_dedup_kernels.py`), one word in 13 is one, and only
windows of one anchor are compared, by 64 bits of hash besides the 64 of the anchor: among 10^6 different surroundings
of one anchor a false match has a chance below 10^-7. Scratch files take 24 bytes per anchor and as much again for what
is repeated, and are sorted in slices that fit the memory (`filters/dedup/substring_merge.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from filters.dedup.keep import KeptIds, Rows
from filters.dedup.substring_merge import CONTESTED, FIRST, LATER, RUN, Slicing, merge_slice
from pipeline.core.files.parquet.shards import read_table, write_table
from pipeline.core.files.writing.scratch import open_array, save_array, scratch_file
from pipeline.core.files.writing.sums import are_whole, is_whole
from pipeline.core.step import Gathering, GatheringStep, Part, Quantile, Rule, Signal, as_column, decides
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch, text_array

BATCH_BYTES = 8 << 20  # of text whose words are in memory at once


class SubstringDedupParams(BaseParams):
    min_tokens: int = Field(
        default=50, ge=2, le=10_000, description="Shortest span that is cut, words (Lee et al., section 4.1)."
    )
    keep: Literal["first", "none"] = Field(
        default="first", description="Whether the first occurrence, in part order, of what is repeated stays."
    )
    max_removed_fraction: float = decides(
        0.8, ge=0, le=1, description="Most of a kept document's words that may be removed, fraction. Not measured."
    )


class SubstringDedup(GatheringStep):
    """Cut the long spans that stand elsewhere word for word, and drop documents of which too little is left."""

    name: ClassVar[str] = "substring_dedup"
    version: ClassVar[int] = 1
    edits = True
    Params: ClassVar[type[BaseParams]] = SubstringDedupParams
    signals = (
        Signal("num_removed", pa.int64(), "words", "Words removed."),
        Signal("removed_fraction", pa.float64(), "fraction", "Share of the document's words that was removed."),
        Signal("num_spans", pa.int64(), "spans", "Stretches of words removed."),
        Signal(
            "duplicate_of", pa.string(), "id",
            "A document, earlier if there is one, that holds the middle of the longest span; null if none was removed.",
        ),
    )  # fmt: skip
    params: SubstringDedupParams

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        limit = self.params.max_removed_fraction
        return (Rule("mostly_repeated", "removed_fraction", "<=", limit, "max_removed_fraction"),)

    def gather(self, work: Gathering) -> None:
        rows = Rows.of(work.parts)
        jobs = [
            _Job(part, place, int(rows.starts[place]), work.scratch, self.params)
            for place, part in enumerate(rows.parts)
        ]
        num_reaches = sum(work.map(find_part, jobs, label="anchors"))
        reaches = Slicing.of(work, kind="reaches", num_records=num_reaches, starts=rows.starts, reaches=True)
        work.map(merge_slice, reaches.jobs(), label="shared anchors")
        num_windows = sum(work.map(look_closer, [_Look(job, reaches) for job in jobs], label="windows"))
        windows = Slicing.of(work, kind="windows", num_records=num_windows, starts=rows.starts, reaches=False)
        repeated = sum(work.map(merge_slice, windows.jobs(), label="shared windows"))
        repeated += sum(work.map(cut_part, [_Cut(job, windows) for job in jobs], label="removing them"))
        totals = self._write(work, jobs=jobs, rows=rows)
        work.details.update({"repeated_windows": repeated} | totals)

    def _write(self, work: Gathering, *, jobs: list[_Job], rows: Rows) -> dict[str, int]:
        """Write every part, with the ids of the documents that were matched; return what was cut in all."""
        totals = {"removed_spans": 0, "removed_words": 0, "edited": 0}
        wanted = [np.zeros(0, np.int64)]
        for job in jobs:
            wanted.append(np.unique(read_table(job.cut_file, columns=["source"]).column("source").to_numpy()))
        ids = KeptIds.at(rows, wanted=np.setdiff1d(np.concatenate(wanted), [-1]))
        for job in jobs:
            table = read_table(job.cut_file)
            sources = table.column("source").to_numpy()
            columns = {name: table.column(name) for name in table.column_names if name != "source"}
            work.write(job.part, columns | {"duplicate_of": ids.kept_for(sources, is_duplicate=sources >= 0)})
            num_spans, num_removed = (table.column(name).to_numpy() for name in ("num_spans", "num_removed"))
            totals["removed_spans"] += int(num_spans.sum())
            totals["removed_words"] += int(num_removed.sum())
            totals["edited"] += int((num_removed > 0).sum())
        return totals


@dataclass(frozen=True, slots=True)
class _Job:
    part: Part
    place: int  # in the order of parts
    start: int  # the global row of its first document
    scratch: Path
    params: SubstringDedupParams

    def file(self, kind: str) -> Path:
        return scratch_file(self.scratch, kind, self.place)

    @property
    def cut_file(self) -> Path:
        return self.scratch / f"cut-{self.place:05d}.parquet"


def find_part(job: _Job) -> int:
    """Save uint64[3, n]: anchors, contents and places of a part's reaches, sorted by anchor; return n."""
    from filters.dedup.substring_dedup_kernels import find_reaches

    done, ends, span = job.file("reaches"), job.file("words"), job.params.min_tokens
    if not are_whole(done, ends):
        found = [np.zeros((3, 0), np.uint64)]
        counts = [np.zeros(1, np.int64)]
        num_words = 0
        for _, batch in _batches(job.part):
            words = batch.words
            anchors, contents, places = find_reaches(words.hashes, words.doc_offsets, span, max(span // 2, 1))
            found.append(np.stack([anchors, contents, (places + 2 * num_words).view(np.uint64)]))
            counts.append(np.diff(words.doc_offsets))
            num_words += int(words.doc_offsets[-1])
        joined = np.concatenate(found, axis=1)
        save_array(ends, np.cumsum(np.concatenate(counts)))
        save_array(done, joined[:, np.argsort(joined[0])])
    return int(open_array(done).shape[1])


@dataclass(frozen=True, slots=True)
class _Look:
    job: _Job
    slicing: Slicing


def look_closer(look: _Look) -> int:
    """Save a part's repeated reaches, and the windows of those whose anchor stands in other words too; return how many.

    Saved are int64[5, n]: first window, last window + 1, verdict, source, 1 for a run; and uint64[3, n]: hashes,
    anchors and places of windows, sorted by hash.
    """
    job = look.job
    done, repeats = job.file("windows"), job.file("repeats")
    if not are_whole(done, repeats):
        stored, doc_words = np.array(open_array(job.file("reaches"))), open_array(job.file("words"))
        stored = stored[:, np.argsort(stored[2])]  # in the order of the text
        starts, span = (stored[2] >> np.uint64(1)).view(np.int64), job.params.min_tokens
        begins, verdicts, sources = look.slicing.repeated(job.place)
        position = np.searchsorted(starts, begins)
        past = doc_words[np.searchsorted(doc_words, begins, side="right")] - span + 1  # the document's last window
        ends = np.minimum(past, np.append(starts, doc_words[-1])[position + 1])
        is_run = (stored[2, position] & RUN).view(np.int64)
        save_array(repeats, np.stack([begins, ends, verdicts, sources, is_run]))
        counts = np.where(is_run, 1, ends - begins)
        is_open, copied = verdicts & CONTESTED > 0, verdicts & FIRST > 0
        windows = _windows(job, begins[is_open], counts[is_open], stored[0, position[is_open]], copied[is_open])
        save_array(done, windows[:, np.argsort(windows[0])])
    return int(open_array(done).shape[1])


def _windows(job: _Job, begins: np.ndarray, counts: np.ndarray, anchors: np.ndarray, copied: np.ndarray) -> np.ndarray:
    """Return uint64[3, n]: hashes, anchors and places of `counts[i]` windows from word `begins[i]` of the part on."""
    from filters.dedup.substring_dedup_kernels import window_hashes

    doc_words = open_array(job.file("words"))
    found = [np.zeros((3, 0), np.uint64)]
    for docs, batch in _batches(job.part, docs=_documents(doc_words, begins)):
        first, past = np.searchsorted(begins, (doc_words[docs[0]], doc_words[docs[-1] + 1]))
        here, sizes = begins[first:past], counts[first:past]
        local = np.searchsorted(docs, np.searchsorted(doc_words, here, side="right") - 1)
        shift = batch.words.doc_offsets[local] - doc_words[docs[local]]
        hashes = window_hashes(batch.words.hashes, here + shift, sizes, job.params.min_tokens)
        nth = np.arange(len(hashes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        places = (2 * (np.repeat(here, sizes) + nth)).view(np.uint64) + RUN * np.repeat(copied[first:past], sizes)
        found.append(np.stack([hashes, np.repeat(anchors[first:past], sizes), places]))
    return np.concatenate(found, axis=1)


@dataclass(frozen=True, slots=True)
class _Cut:
    job: _Job
    slicing: Slicing


def cut_part(cut: _Cut) -> int:
    """Save a part's signals and new texts; the source of each document is a global row, -1 for none.

    Return how many different repeated windows are known from the part's reaches alone.
    """
    job = cut.job
    if not is_whole(job.cut_file):
        write_table(job.cut_file, _cut_table(job, cut.slicing), unfinished=True)
    begins, ends, verdicts, _, is_run = open_array(job.file("repeats"))
    return int(np.where(is_run, 1, ends - begins)[verdicts & (FIRST | CONTESTED) == FIRST].sum())


def _cut_table(job: _Job, slicing: Slicing) -> pa.Table:
    """Return a part's signals, sources and new texts."""
    from filters.dedup.substring_dedup_kernels import join_pieces

    doc_words, span = np.array(open_array(job.file("words"))), job.params.min_tokens
    begins, ends, sources = _pieces(job, slicing, doc_words)
    docs, firsts, pasts, source = join_pieces(begins, ends, sources, doc_words, span)
    num_docs, num_words = len(doc_words) - 1, np.diff(doc_words)
    removed = np.bincount(docs, weights=pasts - firsts, minlength=num_docs).astype(np.int64)
    columns = {
        "num_removed": removed,
        "removed_fraction": removed / np.maximum(num_words, 1),
        "num_spans": np.bincount(docs, minlength=num_docs),
    }
    found = {signal.name: as_column(columns[signal.name], signal=signal) for signal in SubstringDedup.signals[:3]}
    texts = _new_texts(job, docs, firsts, pasts, doc_words)
    return pa.table({**found, "source": source, "text": texts})


def _pieces(job: _Job, slicing: Slicing, doc_words: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where runs of removed windows begin and end, by where they begin, and the source of each."""
    keep_first = job.params.keep == "first"
    begins, ends, verdicts, sources, is_run = np.array(open_array(job.file("repeats")))
    whole = (verdicts & (LATER if keep_first else LATER | FIRST)) > 0
    rest = (is_run == 1) & (verdicts & FIRST > 0) & keep_first  # the first window of a run stays, the others go
    own = job.start + np.searchsorted(doc_words, begins[rest], side="right") - 1
    windows, of_windows, their_sources = slicing.repeated(job.place)
    goes = (of_windows == LATER) | (not keep_first)
    windows = windows[goes]
    begins = np.concatenate([begins[whole], begins[rest] + 1, windows])
    ends = np.concatenate([ends[whole], ends[rest], windows + 1])
    sources = np.concatenate([sources[whole], own, their_sources[goes]])
    order = np.argsort(begins, kind="stable")
    return begins[order], ends[order], sources[order]


def _new_texts(job: _Job, docs: np.ndarray, firsts: np.ndarray, pasts: np.ndarray, doc_words: np.ndarray) -> pa.Array:
    """Return large_string[num_docs]: the texts without these spans of words, null where there is none."""
    from filters.dedup.substring_dedup_kernels import cut_words

    edited = np.unique(docs)
    texts = [pa.array([], pa.large_string())]
    for chosen, batch in _batches(job.part, docs=edited):
        first, past = np.searchsorted(docs, (chosen[0], chosen[-1] + 1))
        local = np.searchsorted(chosen, docs[first:past])
        shift = batch.words.doc_offsets[local] - doc_words[docs[first:past]]
        words = (batch.words.doc_offsets, batch.words.starts, batch.words.num_bytes)
        spans = (local, firsts[first:past] + shift, pasts[first:past] + shift)
        data, offsets = cut_words(batch.data, batch.offsets, words, spans)
        texts.append(text_array(data, offsets, present=np.ones(len(chosen), np.bool_)))
    places = np.full(len(doc_words) - 1, -1, np.int64)
    places[edited] = np.arange(len(edited))
    return pa.concat_arrays(texts).take(pa.array(places, mask=places < 0))


def _documents(doc_words: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Return int64[n]: the documents that hold these words, each once."""
    return np.unique(np.searchsorted(doc_words, begins, side="right") - 1)


def _batches(part: Part, *, docs: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, Batch]]:
    """Yield (documents, batch) of about BATCH_BYTES of text, of all documents of the part or of some."""
    import pyarrow.compute as pc  # 0.04 s, which steps that are only planned need not

    if docs is not None and not len(docs):
        return
    table = part.load(("id", "text"))
    if docs is None:
        docs = np.arange(table.num_rows)
    elif len(docs) < table.num_rows:
        table = table.take(docs)
    ends = np.cumsum(pc.binary_length(table.column("text")).to_numpy().astype(np.int64))
    start = 0
    while start < len(ends):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + BATCH_BYTES, side="right")))
        yield docs[start:stop], Batch.from_table(table.slice(start, stop - start))
        start = stop
