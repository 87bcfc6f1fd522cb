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
from pipeline.core.files.durable import write_atomically, write_text
from pipeline.core.files.shards import read_rows, write_table, write_tables
from pipeline.core.files.sums import is_whole
from pipeline.core.identity import hash_file
from pipeline.queries.export.columns import Column, with_columns
from pipeline.queries.export.counts import tokenizer_at
from pipeline.queries.export.order import Places

PARQUET, JSONL = "parquet", "jsonl.zst"
FORMATS = (PARQUET, JSONL)
ZSTD_LEVEL = 3  # zstandard's own default
JSON_ROWS = 1000  # turned into Python values at a time
PLACE = "place"
RUN = pa.schema(
    [
        *SCHEMA,
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("epoch", pa.int32(), nullable=False),
        pa.field("num_tokens", pa.int64(), nullable=False),
        pa.field(PLACE, pa.int64(), nullable=False),
    ]
)


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
    table = _cut(table, np.flatnonzero(tokens > task.longest), task)
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


def _cut(table: pa.Table, rows: np.ndarray, task: RunTask) -> pa.Table:
    """Return a table in which some texts end with the last token that a document may give, its BOS counted."""
    if not len(rows):
        return table
    tokenizer = tokenizer_at(task.tokenizer)
    texts = table.column("text").to_pylist()
    for row in rows.tolist():
        tokens = tokenizer.encode([texts[row]]).flat[: task.longest - 1]
        size = int(tokenizer.num_bytes[tokens].sum())
        texts[row] = texts[row].encode()[:size].decode(errors="ignore")  # a token may end within a character
    return table.set_column(table.column_names.index("text"), SCHEMA.field("text"), pa.array(texts, pa.large_string()))


@dataclass(frozen=True, slots=True)
class ShardTask:
    """Gather the rows of one shard, by place where they have one, and write it."""

    label: str
    path: Path
    facts: Path
    pieces: tuple[RowRange, ...]
    columns: tuple[Column, ...] | None  # of the metadata
    format: str
    by_place: bool


@dataclass(frozen=True, slots=True)
class Shard:
    """What a shard holds."""

    rows: int
    size_bytes: int
    blake3: str
    text_bytes: int
    by_source: dict[str, int]
    by_origin: dict[str, int]


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
    }
    table = with_columns(table, task.columns).combine_chunks()
    if task.format == PARQUET:
        write_table(task.path, table)
    else:
        write_atomically(task.path, lambda file: _write_lines(file, table))
    shard = Shard(size_bytes=task.path.stat().st_size, blake3=hash_file(task.path), **facts)
    write_text(task.facts, json.dumps(asdict(shard)) + "\n", unfinished=True)
    return shard


def written(task: ShardTask) -> Shard | None:
    """Return the facts of a shard that an earlier, killed export wrote, if both are as they were written."""
    if not is_whole(task.facts) or not task.path.exists():
        return None
    found = Shard(**json.loads(task.facts.read_bytes()))
    return found if hash_file(task.path) == found.blake3 else None


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
