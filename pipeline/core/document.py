"""The row that travels from source to mixture: who it is, what it says, where it came from.

A documents table always has these columns and no others, whatever was read, so no shard can disagree with the next.
What a source knows besides (url, package, language of the site) is one JSON object in `metadata`. Signals and
verdicts never travel in this table; they are stored beside it, row for row.
"""

from __future__ import annotations

from typing import Literal

import pyarrow as pa

Origin = Literal["human", "claude", "open_model", "procedural"]

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("lineage", pa.string(), nullable=False),  # JSON list of parent ids and makers; "[]" for raw text
        pa.field("metadata", pa.string(), nullable=False),  # JSON object
    ]
)
