"""A recipe with two mixtures and no gate, so that nothing is trained; what an export of it holds, read back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from pipeline.core.files.parquet.shards import read_table
from tests.pipeline.house import House

WORDS = ("water", "rain", "stone", "river", "cloud", "the", "of", "falls", "grows", "lake", "under", "over")
RECIPE = """name: mixing
seed: 11
sources:
  pages: {read: jsonl, path: DIR/pages-*.jsonl, id: id, metadata: [url, n, mixed, tags, ID]}
  notes: {read: jsonl, path: DIR/notes.jsonl, id: id, metadata: [n, score]}
datasets:
  web: {from: pages}
  raw: {from: notes}
mixtures:
  both: {weights: {web: 3, raw: 1}, max_epochs: 2.5}
  raw: {weights: {raw: 1}}
proxy: {tokens: 4k, held_out_bytes: 1k}
"""


def text_of(number: int, length: int) -> str:
    draw = np.random.Generator(np.random.PCG64(number))
    return " ".join(WORDS[int(index)] for index in draw.integers(len(WORDS), size=length))


def furnish(house: House, *, pages: int = 240, notes: int = 40) -> House:
    """Write the inputs and build everything up to the mixtures."""
    rows: list[dict[str, Any]] = [
        {
            "id": f"p{number}", "text": text_of(number, 5 + number * 37 % 160), "url": f"https://a.b/{number}",
            "n": number, "mixed": number if number % 2 else "odd", "tags": ["a", "b"] if number % 3 else [], "ID": True,
        }
        for number in range(pages)
    ]  # fmt: skip
    for part in range(3):
        house.lines(f"pages-{part}.jsonl", rows[part::3])
    lines: list[dict[str, Any]] = [
        {"id": f"n{number}", "text": text_of(1000 + number, 20 + number), "n": number / 2, "score": None}
        for number in range(notes)
    ]
    house.lines("notes.jsonl", lines)
    house.write(RECIPE)
    house.run()
    return house


def dataset(house: House, rows: Iterable[str | Mapping[str, Any]], *, metadata: Sequence[str] = ()) -> House:
    """Build a dataset `clean` of some rows, which keeps them as they are."""
    house.lines("rows.jsonl", rows)
    known = f", metadata: [{', '.join(metadata)}]" if metadata else ""
    house.clean([], source=f"{{read: jsonl, path: DIR/rows.jsonl, id: id{known}}}")
    house.run()
    return house


def shards_of(folder: Path) -> list[Path]:
    return sorted((folder / "data").glob("train-*"))


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of an export in their order."""
    return [row for path in shards_of(folder) for row in _rows_in(path)]


def _rows_in(path: Path) -> Iterator[dict[str, Any]]:
    if path.name.endswith(".parquet"):
        yield from read_table(path).to_pylist()
        return
    with path.open("rb") as file:
        for line in zstandard.ZstdDecompressor().stream_reader(file).read().decode().splitlines():
            yield json.loads(line)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
