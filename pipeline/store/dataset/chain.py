"""A dataset on its way: base parts plus each step's signals, read as if documents had been rewritten every time.

No step copies documents. A step's file holds one row per base document (its signals, its edits, its errors); who is
still alive after some steps is computed from the stored signals whenever somebody asks. Text is written once, when the
dataset is published. Row i of every file belongs to row i of the base part; a digest of the ids is stored with each
file and checked, because joining by position without a check is how this field corrupts data silently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipeline.core.arrow import as_flags, as_numbers, from_zero
from pipeline.core.errors import DataError
from pipeline.core.files.card import read_card
from pipeline.core.files.parquet.in_place import Stamp, stamp_of
from pipeline.core.files.parquet.shards import iterate_tables, read_rows, read_table, schema_of, write_table
from pipeline.core.step import ENGINE_COLUMNS, Part, Rule, Signal
from pipeline.core.text.cut import cut, sizes_left
from pipeline.store.dataset.decide import failures
from pipeline.store.dataset.spool import Spool, spooled

# TEXT: column of an editing step's signals file, the new text, null where unchanged. KEPT: the same of a step that
# cuts, the byte ranges of the old text that stay. ERROR: of every file, why a document broke the step, else null.
_, TEXT, KEPT, ERROR = ENGINE_COLUMNS
EDITS = (TEXT, KEPT)
EDIT = Signal(TEXT, pa.large_string(), "text", "The new text; null where it stays as it is.")
_DIGEST = b"tamis.ids"


@dataclass(frozen=True, slots=True)
class BasePart:
    """One file of documents that a chain starts from."""

    index: int
    path: Path
    num_rows: int


@dataclass(frozen=True, slots=True)
class Link:
    """One finished step of a chain."""

    label: str
    folder: Path
    rules: tuple[Rule, ...]
    edits: bool

    def file(self, index: int) -> Path:
        return self.folder / part_name(index)


def part_name(index: int) -> str:
    """Return the file name of part `index`."""
    return f"part-{index:05d}.parquet"


def ids_digest(ids: pa.Array | pa.ChunkedArray) -> bytes:
    """Return a 16-byte digest of an id column, independent of chunking."""
    digest = xxhash.xxh3_128()
    flat = from_zero(ids)
    if len(flat):
        width = np.int64 if pa.types.is_large_string(flat.type) else np.int32
        lengths = np.diff(np.frombuffer(flat.buffers()[1], width)[: len(flat) + 1]).astype(np.int32)
        digest.update(lengths.tobytes())
        digest.update(memoryview(flat.buffers()[2])[: int(lengths.sum())])
    return digest.digest()


def write_signals(path: Path, columns: dict[str, pa.Array], *, ids: pa.Array | pa.ChunkedArray) -> None:
    """Write one step's signals for one part, bound to the ids that they belong to."""
    table = pa.table(columns).replace_schema_metadata({_DIGEST: ids_digest(ids).hex().encode()})
    write_table(path, table, unfinished=True)


def check_ids(path: Path, ids: pa.ChunkedArray) -> None:
    """Raise DataError if a signals file was made for other documents."""
    _refuse_others(path, schema_of(path), ids_digest(ids))


def _refuse_others(path: Path, schema: pa.Schema, digest: bytes) -> None:
    if (schema.metadata or {}).get(_DIGEST, b"") != digest.hex().encode():
        raise DataError(
            f"{path}: belongs to other documents than those it lies beside. Delete its folder and run again."
        )


@dataclass(frozen=True, slots=True)
class _Judged:
    """One step's rules on one part, in memory: a bit for each document."""

    schema: pa.Schema
    bits: np.ndarray  # uint8[1 + num_rules, base rows / 8]: who broke the step, and who fails each rule


def _judged(link: Link, part: BasePart) -> _Judged:
    return _judged_once(link, part, stamp_of(link.file(part.index)))


@lru_cache(maxsize=512)  # every later step of the chain asks again
def _judged_once(link: Link, part: BasePart, _: Stamp) -> _Judged:
    wanted = sorted({rule.signal for rule in link.rules} | {ERROR})
    table = read_table(link.file(part.index), columns=wanted)
    failed = np.empty((1 + len(link.rules), part.num_rows), bool)
    failed[0] = as_flags(table.column(ERROR).is_valid())
    failed[1:] = failures(link.rules, table)
    return _Judged(table.schema, np.packbits(failed, axis=1))


def faults(link: Link, part: BasePart, *, digest: bytes) -> np.ndarray:
    """Return bool[1 + num_rules, base rows]: who of a part broke one step, and who fails each of its rules.

    DataError if the step's file was made for other documents than those whose ids have this digest.
    """
    found = _judged(link, part)
    _refuse_others(link.file(part.index), found.schema, digest)
    return np.unpackbits(found.bits, axis=1, count=part.num_rows).view(np.bool_)


def passing(link: Link, part: BasePart) -> np.ndarray:
    """Return bool[base rows]: who of a part did not break one step and passed all of its rules."""
    some = np.bitwise_or.reduce(_judged(link, part).bits, axis=0)
    return np.unpackbits(~some, count=part.num_rows).view(np.bool_)


def unbroken(link: Link, index: int) -> np.ndarray:
    """Return bool[base rows] of part `index`: who did not break one step."""
    return as_flags(read_table(link.file(index), columns=[ERROR]).column(ERROR).is_null())


@dataclass(frozen=True, slots=True)
class ChainReader:
    """Reads one part of a chain as it stands after `links`: edits applied, dropped documents left out. Picklable.

    Texts come from the spool of an earlier pass where they are all in it.
    """

    base: BasePart
    links: tuple[Link, ...]
    spool: Spool | None = None
    living: bytes | None = None  # what `alive` returns, a bit for each row, where it is known

    def alive(self) -> np.ndarray:
        """Return bool[base rows]: who broke no step and passed every rule so far."""
        if self.living is not None:
            bits = np.frombuffer(self.living, np.uint8)
            return np.unpackbits(bits, count=self.base.num_rows).view(np.bool_)
        alive = np.ones(self.base.num_rows, dtype=bool)
        for link in self.links:
            alive &= passing(link, self.base)
        return alive

    def load(self, columns: Sequence[str]) -> pa.Table:
        """Return live documents with the given columns."""
        alive = self.alive()
        texts = self._spooled(np.flatnonzero(alive), columns)
        if texts is None:
            return self.load_all(columns).filter(pa.array(alive))
        return self._beside(texts, columns, alive)

    def _spooled(self, rows: np.ndarray, columns: Sequence[str]) -> pa.ChunkedArray | None:
        """Return the texts of int64 base rows as all links left them; None if they are not asked for or not spooled."""
        found = spooled(self.spool, self.base.index) if self.spool is not None and "text" in columns else None
        texts = None if found is None else found.texts_of(rows)
        if self.spool is None or texts is None:
            return None
        for link in self.links[self.spool.links :]:
            if link.edits:
                texts = edited_text(texts, self.edit_by(link).take(pa.array(rows)))
        return texts

    def _beside(self, texts: pa.ChunkedArray, columns: Sequence[str], chosen: np.ndarray) -> pa.Table:
        """Return the documents of bool base rows, their texts being given."""
        others = [name for name in columns if name != "text"]
        table = read_table(self.base.path, columns=others or ["id"]).filter(pa.array(chosen))
        return table.append_column(pa.field("text", pa.large_string()), texts).select(columns)

    def load_all(self, columns: Sequence[str]) -> pa.Table:
        """Return every base document, alive or not, with the edits of all links applied."""
        edits = [self.edit_by(link) for link in self.links if link.edits and "text" in columns]
        table = read_table(self.base.path, columns=columns)
        for edited in edits:
            table = _with_text(table, edited)
        return table

    def pieces(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield what `load_all` returns a few megabytes at a time; `columns` must name id and text."""
        edits = [self.edit_by(link) for link in self.links if link.edits]
        start = 0
        for table in iterate_tables(self.base.path, columns=columns):
            for edited in edits:
                table = _with_text(table, edited.slice(start, table.num_rows))
            start += table.num_rows
            yield table

    def some(self, columns: Sequence[str], *, rows: np.ndarray) -> Iterator[tuple[pa.Table, np.ndarray]]:
        """Yield the base documents of bool `rows` with the edits of all links applied, a few megabytes at a time.

        Beside each table comes int64 of all documents that it was chosen from: the bytes of their final texts.
        """
        texts = self._spooled(np.flatnonzero(rows), columns)
        if texts is not None:
            yield self._beside(texts, columns, rows), self._spooled_sizes()
            return
        edits = [self.edit_by(link) for link in self.links if link.edits]
        start = 0
        for table in iterate_tables(self.base.path, columns=columns):
            chosen = pa.array(rows[start : start + table.num_rows])
            sizes = lengths(table.column("text"))
            found = table.filter(chosen)
            for edited in edits:
                here = edited.slice(start, table.num_rows)
                _resize(sizes, here)
                found = _with_text(found, here.filter(chosen))
            start += table.num_rows
            yield found, sizes

    def sizes(self) -> np.ndarray:
        """Return int64[base rows]: the bytes of all documents' texts as all links left them."""
        if self.spool is not None and spooled(self.spool, self.base.index) is not None:
            return self._spooled_sizes()
        pieces = [lengths(table.column("text")) for table in iterate_tables(self.base.path, columns=["text"])]
        sizes = np.concatenate([np.zeros(0, np.int64), *pieces])
        for link in self.links:
            if link.edits:
                _resize(sizes, self.edit_by(link))
        return sizes

    def _spooled_sizes(self) -> np.ndarray:
        """Return int64[base rows]: the bytes of all final texts, by the spool, which is there."""
        assert self.spool is not None
        found = spooled(self.spool, self.base.index)
        assert found is not None
        sizes = found.sizes.copy()
        for link in self.links[self.spool.links :]:
            if link.edits:
                _resize(sizes, self.edit_by(link))
        return sizes

    def load_rows(self, columns: Sequence[str], rows: Sequence[int]) -> pa.Table:
        """Return some base documents in ascending order, alive or not, with the edits of all links applied."""
        texts = self._spooled(np.array(rows, np.int64), columns)
        if texts is not None:
            chosen = np.zeros(self.base.num_rows, bool)
            chosen[rows] = True
            return self._beside(texts, columns, chosen)
        edits = [link for link in self.links if link.edits and "text" in columns]
        table = read_rows(self.base.path, rows, columns=columns)
        for link in edits:
            self._check(link)
            table = _with_text(
                table, read_rows(link.file(self.base.index), rows, columns=[edit_in(link, self.base)])[0]
            )
        return table

    def edit_by(self, link: Link) -> pa.ChunkedArray:
        """Return the new text of every base document, or the ranges that stay of it, null where it stays whole."""
        self._check(link)
        return read_table(link.file(self.base.index), columns=[edit_in(link, self.base)])[0]

    def _check(self, link: Link) -> None:
        check_ids(link.file(self.base.index), read_table(self.base.path, columns=["id"]).column("id"))

    def load_signals(self, names: Sequence[str]) -> pa.Table:
        """Return signals `label.signal` of earlier links for the live documents."""
        return self.load_all_signals(names).filter(pa.array(self.alive()))

    def load_all_signals(self, names: Sequence[str]) -> pa.Table:
        """Return signals `label.signal` of earlier links for every base document."""
        columns: dict[str, Any] = {}
        for name in names:
            label, _, signal = name.partition(".")
            link = next((link for link in self.links if link.label == label), None)
            if link is None:
                have = ", ".join(link.label for link in self.links)
                raise DataError(
                    f"signal `{name}`: no earlier step `{label}` in this dataset "
                    f"(earlier: {have or 'none'}). Add it before."
                )
            columns[name] = read_table(link.file(self.base.index), columns=[signal]).column(signal)
        return pa.table(columns)


def lengths(texts: pa.ChunkedArray) -> np.ndarray:
    """Return int64[num_texts], writable: the bytes of each."""
    return as_numbers(pc.binary_length(texts)).astype(np.int64)


def _resize(sizes: np.ndarray, edited: pa.ChunkedArray) -> None:
    """Put the sizes of new texts, or of the ranges that stay of the old ones, where `edited` is not null."""
    present = as_flags(edited.is_valid())
    sizes[present] = (sizes_left if pa.types.is_list(edited.type) else lengths)(edited.drop_null())


def edit_in(link: Link, part: BasePart) -> str:
    """Return the column of an editing step's file that holds its edits."""
    return KEPT if KEPT in schema_of(link.file(part.index)).names else TEXT


def _with_text(table: pa.Table, edited: pa.ChunkedArray) -> pa.Table:
    """Return the table with its texts as `edited_text` changes them."""
    text = edited_text(table.column("text"), edited)
    return table.set_column(table.schema.get_field_index("text"), table.schema.field("text"), text)


def edited_text(old: pa.ChunkedArray, edited: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the new text where `edited`, texts or ranges of the old ones, is not null, else the old."""
    if pa.types.is_list(edited.type):
        return pa.chunked_array([cut(from_zero(old), from_zero(edited))])
    return pc.coalesce(edited, old)


def _living(reader: ChainReader) -> tuple[int, bytes]:
    """Return how many documents of a part are alive, and which, a bit for each."""
    alive = reader.alive()
    return int(np.count_nonzero(alive)), np.packbits(alive).tobytes()


@dataclass(frozen=True, slots=True)
class Chain:
    """All parts of a dataset after some steps."""

    base: tuple[BasePart, ...]
    links: tuple[Link, ...] = ()
    spool: Spool | None = None

    def with_link(self, link: Link) -> Chain:
        return replace(self, links=(*self.links, link))

    def reader(self, part: BasePart) -> ChainReader:
        return ChainReader(base=part, links=self.links, spool=self.spool)

    def parts(self, *, map: Callable[..., Iterable[Any]] = map) -> list[Part]:
        """Return the parts as a gathering step sees them; `map` may look who is alive in worker processes."""
        readers = [self.reader(part) for part in self.base]
        found = zip(readers, map(_living, readers), strict=True)
        return [Part(reader.base.index, count, replace(reader, living=bits)) for reader, (count, bits) in found]

    def quantile_of(self, folder: Path) -> Quantiles:
        """Return the quantile function over a new step's signals, among documents alive before it."""
        return Quantiles(
            folder=folder,
            alive=lambda: ((part.index, self.reader(part).alive()) for part in self.base),
            sizes=lambda: (self.reader(part).sizes() for part in self.base),
        )


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Answers `quantile(signal, fraction)` for rules whose threshold is a target share."""

    folder: Path
    alive: Callable[[], Iterable[tuple[int, np.ndarray]]]  # of every part: its index, bool[base rows]
    sizes: Callable[[], Iterable[np.ndarray]]  # of every part: int64[base rows], bytes

    def holding(self, signal: str, num_bytes: float) -> float:
        """Return the least value from which on the live documents hold at most so many bytes; the greatest, if none."""
        values = self._values(signal)
        alive = [living for _, living in self.alive()]
        sizes = [size[living] for size, living in zip(self.sizes(), alive, strict=True)]
        known = ~np.isnan(values)
        if not known.any():
            return float("-inf")
        found, place = np.unique(values[known], return_inverse=True)
        held = np.bincount(place, weights=np.concatenate(sizes)[known], minlength=len(found))
        from_here = np.cumsum(held[::-1])[::-1]  # in the documents with each value or a higher one
        first = int(np.count_nonzero(from_here > num_bytes))
        return float(found[min(first, len(found) - 1)])

    def details(self) -> Mapping[str, Any]:
        """Return what the step noted in its card."""
        return read_card(self.folder).details

    def _values(self, signal: str) -> np.ndarray:
        values = [np.zeros(0)]
        for index, alive in self.alive():
            column = as_numbers(read_table(self.folder / part_name(index), columns=[signal]).column(signal))
            values.append(column[alive])
        return np.concatenate(values)

    def __call__(self, signal: str, fraction: float) -> float:
        known = self._values(signal)
        known = known[~np.isnan(known)]
        return float(np.quantile(known, fraction, method="higher")) if len(known) else float("-inf")
