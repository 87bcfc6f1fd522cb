"""A file and its reader's name -> its first documents, through the reader that a run would use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.core.document import SCHEMA
from pipeline.recipe.names import reader_class
from pipeline.sources.first_rows import FirstRows
from pipeline.sources.reader import Reader

SOURCE = "docs"


@dataclass(frozen=True, slots=True)
class FirstDocuments:
    """Documents (schema: `pipeline.core.document.SCHEMA`), the rows that they are of, and why others are none."""

    table: pa.Table
    rows_in: int
    reasons: Mapping[str, int]


def opened(read: str, path: Path, *, rows: int | None = None, **fields: Any) -> Reader:
    """Return the reader of one file, for its first rows where `rows` is given."""
    kind = reader_class(read)
    given = {key: value for key, value in fields.items() if key in kind.Params.model_fields and value is not None}
    limit = {} if rows is None else {"limit": rows}
    return kind(params=kind.Params.parse({"path": str(path), **limit, **given}), source=SOURCE, base=Path.cwd())


def documents_of(read: str, path: Path, *, rows: int, **fields: Any) -> FirstDocuments:
    """Return the documents of a file's first rows; none of a file that only a process of its own may read."""
    reader = opened(read, path, rows=rows, **fields)
    first = FirstRows(reader)
    tables, rows_in, reasons = [SCHEMA.empty_table()], 0, Counter[str]()
    for piece in first.slices():
        if read == "parquet" and first.may_break(piece):
            continue
        for chunk in first.read(piece):
            tables.append(chunk.table)
            rows_in += chunk.rows_in
            reasons.update(row.reason for row in chunk.quarantined)
    return FirstDocuments(pa.concat_tables(tables), rows_in, reasons)
