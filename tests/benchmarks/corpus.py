"""The text that is measured on: the documents of the quickstart, as the engine writes them, and a sample for the slow.

The source `docs` of recipes/quickstart.yaml and its held-out sources are read once through the engine's own reader.
A rival that makes under 1 MB/s is given a seeded sample of the documents, and ours the same sample, because seconds
per byte are what is compared and an hour of waiting would not sharpen them. The text is one part, as large as a slice
of real input may be: in the quickstart it comes as a dozen small ones, each made durable on its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core import document, rng
from pipeline.core.files.parquet.shards import read_table, windows, write_table
from pipeline.core.files.reading.strict_yaml import load
from pipeline.core.text.batch import Batch
from pipeline.sources.installed.installed_docs import InstalledDocsReader
from pipeline.store.dataset.chain import BasePart, part_name

QUICKSTART = Path(__file__).resolve().parents[2] / "recipes" / "quickstart.yaml"
SEED = 17


@dataclass(frozen=True, eq=False)  # one text is not another
class Text:
    """Documents as one parquet part, alone in its folder, and for work that reads no files in memory."""

    part: BasePart
    pieces: tuple[tuple[pa.Array, pa.Array], ...]  # ids and texts, of the size that the engine measures at once
    num_documents: int
    size_bytes: int

    def batches(self) -> Iterator[Batch]:
        """Yield fresh batches, nothing computed yet."""
        for ids, text in self.pieces:
            yield Batch(ids=ids, text=text)

    def strings(self) -> list[str]:
        return [string for _, text in self.pieces for string in text.to_pylist()]


def quickstart_text(folder: Path, *, max_bytes: int | None) -> Text:
    """Read the source `docs` of the quickstart into one part; with `max_bytes`, its first documents only."""
    tables: list[pa.Table] = []
    for table in documents_of("docs"):
        tables.append(table)
        if max_bytes is not None and sum(size_of(table) for table in tables) >= max_bytes:
            break
    return _opened(_write(folder, pa.concat_tables(tables)))


def size_of(table: pa.Table) -> int:
    """Return the bytes of text."""
    return int(pc.sum(pc.binary_length(table.column("text"))).as_py() or 0)


def held_out_file(path: Path) -> Path:
    """Write the documents of the quickstart's held-out sources as one evaluation set."""
    tables = [table for name in ("science_docs", "data_docs", "tools_docs") for table in documents_of(name)]
    write_table(path, pa.concat_tables(tables).combine_chunks())
    return path


def sample(text: Text, folder: Path, *, num_documents: int) -> Text:
    """Draw documents, the same ones every time, in their order."""
    table = read_table(text.part.path)
    draw = rng.generator(SEED, "benchmarks", "sample")
    rows = draw.choice(table.num_rows, size=min(num_documents, table.num_rows), replace=False)
    return _opened(_write(folder, table.take(pa.array(sorted(rows.tolist())))))


def documents_of(source: str) -> Iterator[pa.Table]:
    """Yield a quickstart source's documents, slice by slice."""
    spec = dict(load(QUICKSTART).data["sources"][source])
    assert spec.pop("read") == InstalledDocsReader.name
    params = InstalledDocsReader.Params.parse(spec)
    reader = InstalledDocsReader(params=params, source=source, base=QUICKSTART.parent)
    for piece in reader.slices():
        for chunk in reader.read(piece):
            yield chunk.table.cast(document.SCHEMA)


def _write(folder: Path, table: pa.Table) -> BasePart:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / part_name(0)
    write_table(path, table.combine_chunks())
    return BasePart(index=0, path=path, num_rows=table.num_rows)


def _opened(part: BasePart) -> Text:
    table = read_table(part.path, columns=["id", "text"])
    batches = [Batch.from_table(table.slice(start, stop - start)) for start, stop in windows(table)]
    return Text(
        part=part,
        pieces=tuple((batch.ids, batch.text) for batch in batches),
        num_documents=part.num_rows,
        size_bytes=size_of(table),
    )
