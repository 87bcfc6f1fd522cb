"""Evaluation sets on disk to items with a text and an id, for decontamination.

`.parquet` gives one item per row of its `text` column; `.jsonl` one per line, its `text` if it has one, else all its
strings but `id` in the order in which they stand (question, choices, answer); `.txt` one per line that is not blank.
Both may be compressed, .gz or .zst. An item without an `id` is called `file name:row`, counted from 1, so it does not
depend on folders.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import DataError
from pipeline.core.files.parquet.shards import read_table, schema_of
from pipeline.core.files.reading.json_lines import read_objects, read_texts


@dataclass(frozen=True, slots=True)
class Item:
    """One evaluation item."""

    id: str
    text: str


def read_items(paths: Sequence[Path]) -> list[Item]:
    """Return the items of all files in order; DataError if a file is of no known kind or cannot be read."""
    return [item for path in paths for item in _items(path)]


def _items(path: Path) -> Iterator[Item]:
    name = path.name.removesuffix(".gz").removesuffix(".zst")
    if name.endswith(".parquet"):
        yield from _parquet(path)
    elif name.endswith(".jsonl"):
        yield from (_item(path, number=number, record=record) for number, record in read_objects(path))
    elif name.endswith(".txt"):
        yield from (Item(id=f"{path.name}:{number}", text=line) for number, line in read_texts(path))
    else:
        raise DataError(
            f"{path}: is not an evaluation set that Tamis reads. Give .parquet, or .jsonl or .txt (also .gz or .zst)."
        )


def _parquet(path: Path) -> Iterator[Item]:
    names = schema_of(path).names
    if "text" not in names:
        raise DataError(f"{path}: has no column `text` (it has {', '.join(names)}). Rename one, or give .jsonl.")
    table = read_table(path, columns=["id", "text"] if "id" in names else ["text"])
    texts = table.column("text").to_pylist()
    ids = table.column("id").to_pylist() if "id" in names else [None] * len(texts)
    for number, (item_id, text) in enumerate(zip(ids, texts, strict=True), start=1):
        if text is not None:
            yield Item(id=f"{path.name}:{number}" if item_id is None else str(item_id), text=text)


def _item(path: Path, *, number: int, record: dict[str, Any]) -> Item:
    item_id, text = record.pop("id", None), record.get("text")
    return Item(
        id=f"{path.name}:{number}" if item_id is None else str(item_id),
        text=text if isinstance(text, str) else "\n".join(_strings(record)),
    )


def _strings(value: object) -> Iterator[str]:
    """Yield every string inside a JSON value, in the order in which they stand."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
