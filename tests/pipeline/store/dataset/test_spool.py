"""Texts spooled by the measuring pass: the same documents, and the long way where a row or a byte is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.core.files.parquet.shards import write_table
from pipeline.core.files.writing.scratch import until_reboot
from pipeline.core.step import Rule
from pipeline.store.dataset import spool as spools
from pipeline.store.dataset.chain import ERROR, TEXT, BasePart, ChainReader, Link, write_signals
from pipeline.store.dataset.spool import Spool, Spooling, spooled

TEXTS = ["zero", "one", "two", "three"]
IDS = pa.array(["a", "b", "c", "d"])


@pytest.fixture
def part(tmp_path: Path) -> BasePart:
    path = tmp_path / "part-00000.parquet"
    write_table(path, pa.table({"id": IDS, "text": pa.array(TEXTS, pa.large_string()), "source": ["s"] * 4}))
    return BasePart(index=0, path=path, num_rows=4)


def spool_of(folder: Path, rows: list[int], texts: list[str], *, links: int = 0, parts: int = 1) -> Spool:
    spool, spooling = Spool(until_reboot(folder / "scratch"), links=links), Spooling()
    for first in range(0, len(rows), 2):  # in batches, as a pass has them
        here = slice(first, first + 2)
        spooling.add(pa.array(texts[here], pa.large_string()), rows=np.array(rows[here]), sizes=np.zeros(0, np.int64))
    spooling.sizes.append(np.array([len(text) for text in TEXTS]))
    spooling.save(spool, 0, parts=parts)
    return spool


def link(folder: Path, label: str, *, new: list[str | None], signal: list[float]) -> Link:
    made = Link(label=label, folder=folder / label, rules=(Rule("low", "x", ">=", 1.0),), edits=True)
    made.folder.mkdir()
    columns = {"x": pa.array(signal), TEXT: pa.array(new, pa.large_string()), ERROR: pa.nulls(4, pa.string())}
    write_signals(made.file(0), columns, ids=IDS)
    return made


def test_texts_come_from_the_spool_with_the_edits_of_later_steps(part: BasePart, tmp_path: Path) -> None:
    later = link(tmp_path, "later", new=[None, None, "TWO", None], signal=[1, 0, 1, 1])
    spool = spool_of(tmp_path, [0, 2, 3], ["spooled 0", "spooled 2", "spooled 3"])

    reader = ChainReader(base=part, links=(later,), spool=spool)

    assert reader.load(("text", "id")).to_pydict() == {"text": ["spooled 0", "TWO", "spooled 3"], "id": ["a", "c", "d"]}
    assert reader.load_rows(("id", "text"), [0, 3]).column("text").to_pylist() == ["spooled 0", "spooled 3"]
    ((table, sizes),) = reader.some(("id", "text"), rows=np.array([False, False, True, True]))
    assert table.column("text").to_pylist() == ["TWO", "spooled 3"]
    assert sizes.tolist() == [4, 3, 3, 5]  # of all rows


def test_a_row_that_is_not_spooled_is_read_from_the_documents(part: BasePart, tmp_path: Path) -> None:
    reader = ChainReader(base=part, links=(), spool=spool_of(tmp_path, [0, 2, 3], ["spooled"] * 3))

    assert reader.load(("text",)).column("text").to_pylist() == TEXTS
    assert reader.load_rows(("text",), [1, 2]).column("text").to_pylist() == ["one", "two"]


def test_a_damaged_spool_is_not_read(part: BasePart, tmp_path: Path) -> None:
    spool = spool_of(tmp_path, [0, 1, 2, 3], ["spooled"] * 4)
    data = bytearray(spool.file(0).read_bytes())
    data[data.index(b"spooled")] ^= 1
    spool.file(0).write_bytes(data)

    assert spooled(spool, 0) is None
    assert ChainReader(base=part, links=(), spool=spool).load(("text",)).column("text").to_pylist() == TEXTS


def test_nothing_is_spooled_where_the_disk_might_not_hold_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools, "SPARE", 1 << 60)

    spool = spool_of(tmp_path, [0, 1], ["some text", "more"])

    assert not spool.file(0).exists() and spooled(spool, 0) is None


def test_a_part_without_a_living_document_has_an_empty_spool(part: BasePart, tmp_path: Path) -> None:
    reader = ChainReader(base=part, links=(), spool=spool_of(tmp_path, [], []))

    ((table, sizes),) = reader.some(("id", "text"), rows=np.zeros(4, bool))

    assert table.num_rows == 0 and sizes.tolist() == [4, 3, 3, 5]
