"""Documents -> the shards of an export, in two passes that hold one shard or one run a worker in memory.

The order of a mixture is none in which its documents can be read. So each documents file is first cut into runs, of
at most 64 MB of what the mixture takes from it, and each run is sorted by place and written to the scratch folder, a
row group for each shard; then each shard gathers its rows from the runs. A dataset keeps its order, and its shards
gather rows from its own files. Both passes write every file whole, and a shard's facts after it, so that a killed
export goes on with the next one.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import zstandard

from pipeline.core.document import SCHEMA
from pipeline.core.files.card import StoredFile
from pipeline.core.files.parquet.shards import read_rows, write_table, write_tables
from pipeline.core.files.writing.durable import write_atomically, write_text
from pipeline.core.files.writing.sums import is_whole
from pipeline.core.identity import hash_file
from pipeline.queries.export.columns import Column, with_columns
from pipeline.queries.export.counts import cut_texts
from pipeline.queries.export.order import Places
from pipeline.queries.export.token_files import SUFFIXES, write_tokens
from pipeline.queries.export.vocabulary import Vocabulary

PARQUET, JSONL = "parquet", "jsonl.zst"
FORMATS = (PARQUET, JSONL)
ZSTD_LEVEL = 3  # zstandard's own default
JSON_ROWS = 1000  # turned into Python values at a time
PLACE, TOKENS = "place", "tokens"
RUN = pa.schema(
    [
        *SCHEMA,
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("epoch", pa.int32(), nullable=False),
        pa.field("num_tokens", pa.int64(), nullable=False),
        pa.field(PLACE, pa.int64(), nullable=False),
    ]
)
ABOUT_TOKENS = pa.schema([RUN.field(name) for name in ("id", "source", "origin", "dataset", "epoch")])


@dataclass(frozen=True, slots=True)
class RowRange:
    """Some rows of a file, from `start` to before `stop`."""

    path: Path
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class RunTask:
    """Sort what a mixture takes of some rows of a documents file by its place."""

    label: str
    dataset: str
    documents: RowRange
    counts: Path
    longest: int  # tokens that a document gives at most
    tokenizer: Path
    first: int  # number, in its dataset, of the first of these documents
    places: Places
    shards: np.ndarray  # int64[num_shards + 1]
    run: Path


def write_run(task: RunTask) -> list[tuple[int, RowRange]]:
    """Write the run unless it is there; return the rows in it of each shard that has some."""
    rows = task.documents.stop - task.documents.start
    places = task.places.of(task.first, task.first + rows)
    epochs, documents = np.nonzero(places >= 0)
    here = places[epochs, documents]
    order = np.argsort(here)
    here, epochs, documents = here[order], epochs[order], documents[order]
    shard = np.searchsorted(task.shards, here, side="right") - 1
    numbers, starts = np.unique(shard, return_index=True)
    bounds = [*starts.tolist(), len(here)]
    if len(here) and not is_whole(task.run):
        write_tables(task.run, _tables(task, here, epochs, documents, bounds), schema=RUN, unfinished=True)
    pairs = zip(numbers.tolist(), bounds[:-1], bounds[1:], strict=True)
    return [(number, RowRange(task.run, start, stop)) for number, start, stop in pairs]


def _tables(
    task: RunTask, places: np.ndarray, epochs: np.ndarray, documents: np.ndarray, bounds: Sequence[int]
) -> Iterator[pa.Table]:
    """Yield the rows of each shard in the order of their places."""
    taken = np.unique(documents)
    table = read_rows(task.documents.path, taken + task.documents.start, columns=SCHEMA.names).combine_chunks()
    tokens = read_rows(task.counts, taken + task.documents.start, columns=["num_tokens"]).column(0).to_numpy()
    long = np.flatnonzero(tokens > task.longest)
    table = cut_texts(table, long, longest=task.longest, tokenizer=task.tokenizer)
    tokens = np.minimum(tokens, task.longest)
    row_of = np.searchsorted(taken, documents)
    for start, stop in pairwise(bounds):
        rows = pa.array(row_of[start:stop])
        columns = [
            *table.take(rows).columns,
            pa.array([task.dataset] * (stop - start), pa.string()),
            pa.array(epochs[start:stop].astype(np.int32)),
            pa.array(tokens[row_of[start:stop]]),
            pa.array(places[start:stop]),
        ]
        yield pa.Table.from_arrays(columns, schema=RUN)


@dataclass(frozen=True, slots=True)
class ShardTask:
    """Gather the rows of one shard, by place where they have one, and write it."""

    label: str
    out: Path  # the folder to be
    stem: str
    facts: Path
    pieces: tuple[RowRange, ...]
    columns: tuple[Column, ...] | None  # of the metadata
    format: str
    by_place: bool
    dataset: str  # which all rows are of, where they do not say it
    vocabulary: Vocabulary | None  # of tokens

    def files(self) -> list[str]:
        """Return the files of the shard, within the folder."""
        if self.vocabulary is None:
            return [f"data/{self.stem}.{self.format}"]
        return [*(f"data/{self.stem}.{suffix}" for suffix in SUFFIXES[self.format]), f"documents/{self.stem}.{PARQUET}"]


@dataclass(frozen=True, slots=True)
class Shard:
    """What a shard holds."""

    rows: int
    files: tuple[StoredFile, ...]  # in the order of `ShardTask.files`
    text_bytes: int
    by_source: dict[str, int]
    by_origin: dict[str, int]
    written_tokens: dict[str, int]  # by dataset


def write_shard(task: ShardTask) -> Shard:
    """Write a shard and then its facts, unless both are there; return the facts."""
    found = written(task)
    if found is not None:
        return found
    names = RUN.names if task.by_place else SCHEMA.names
    tables = [read_rows(piece.path, range(piece.start, piece.stop), columns=names) for piece in task.pieces]
    schema = RUN if task.by_place else SCHEMA
    table = pa.concat_tables([table.replace_schema_metadata().cast(schema) for table in tables])
    if task.by_place:
        table = table.take(pc.sort_indices(table, [(PLACE, "ascending")])).drop_columns([PLACE])
    facts = {
        "rows": table.num_rows,
        "text_bytes": pc.sum(pc.binary_length(table["text"])).as_py() or 0,
        "by_source": _counts(table["source"]),
        "by_origin": _counts(table["origin"]),
        "written_tokens": {},
    }
    if task.vocabulary is not None:
        facts["written_tokens"] = _write_tokens(task, table, task.vocabulary)
    else:
        _write_documents(task, with_columns(table, task.columns).combine_chunks())
    rows = facts["rows"]
    files = tuple(
        StoredFile(file, rows, size_bytes=(task.out / file).stat().st_size, blake3=hash_file(task.out / file))
        for file in task.files()
    )
    shard = Shard(files=files, **facts)
    write_text(task.facts, json.dumps(asdict(shard)) + "\n", unfinished=True)
    return shard


def _write_documents(task: ShardTask, table: pa.Table) -> None:
    path = task.out / task.files()[0]
    if task.format == PARQUET:
        write_table(path, table)
    else:
        write_atomically(path, lambda file: _write_lines(file, table))


def _write_tokens(task: ShardTask, table: pa.Table, vocabulary: Vocabulary) -> dict[str, int]:
    """Write tokens, and which documents they are; return how many there are by dataset."""
    lengths = write_tokens(table["text"], vocabulary, stem=task.out / "data" / task.stem, format=task.format)
    about = table.select([name for name in ABOUT_TOKENS.names if name in table.column_names])
    write_table(task.out / task.files()[-1], about.append_column(TOKENS, pa.array(lengths)))
    if not task.by_place:
        return {task.dataset: int(lengths.sum())}
    sums = pa.table([table["dataset"], lengths], ["dataset", "sum"]).group_by("dataset").aggregate([("sum", "sum")])
    return {row["dataset"]: row["sum_sum"] for row in sums.to_pylist()}


def written(task: ShardTask) -> Shard | None:
    """Return the facts of a shard that an earlier, killed export wrote, if all is as it was written."""
    if not is_whole(task.facts) or not all((task.out / file).exists() for file in task.files()):
        return None
    said = json.loads(task.facts.read_bytes())
    found = Shard(**said | {"files": tuple(StoredFile(**file) for file in said["files"])})
    return found if all(hash_file(task.out / file.file) == file.blake3 for file in found.files) else None


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {pair["values"]: pair["counts"] for pair in pc.value_counts(column).to_pylist()}


def _write_lines(file: BinaryIO, table: pa.Table) -> None:
    """Write a JSON object a row, every column in each, as one zstd frame with a checksum."""
    packer = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True)
    with packer.stream_writer(file, closefd=False) as packed:
        for batch in table.to_batches(max_chunksize=JSON_ROWS):
            lines = io.StringIO()
            for row in batch.to_pylist():
                lines.write(_line(row))
            packed.write(lines.getvalue().encode())


def _line(row: dict[str, Any]) -> str:
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
    except ValueError:  # JSON has no word for NaN and infinity
        return _line({key: _in_json(value) for key, value in row.items()})


def _in_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_in_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
