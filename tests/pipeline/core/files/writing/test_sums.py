"""Files of an unfinished result: used again only as they were written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.core.errors import ServiceError
from pipeline.core.files.parquet.shards import write_table
from pipeline.core.files.writing.durable import write_atomically, write_text
from pipeline.core.files.writing.sums import are_whole, is_whole, sum_path

TABLE = pa.table({"id": [str(row) for row in range(500)], "n": list(range(500))})


@pytest.fixture
def part(tmp_path: Path) -> Path:
    path = tmp_path / "part-00000.parquet"
    write_table(path, TABLE, unfinished=True)
    return path


def test_what_was_written_is_whole_until_a_byte_of_it_changes(part: Path):
    content = part.read_bytes()

    for place in range(0, len(content), 13):
        damaged = bytearray(content)
        damaged[place] ^= 1
        part.write_bytes(damaged)
        assert not is_whole(part) and not part.exists()

    part.write_bytes(content)
    assert is_whole(part)


@pytest.mark.parametrize("cut", [0, 1, 100])
def test_what_was_cut_short_or_goes_on_is_not_whole(part: Path, cut: int):
    content = part.read_bytes()

    part.write_bytes(content[:cut])
    assert not is_whole(part)

    part.write_bytes(content + b"x")
    assert not is_whole(part)


def test_what_has_no_sum_or_a_damaged_one_is_not_whole(part: Path):
    content = part.read_bytes()
    sum_path(part).write_text("12 abc\n")
    assert not is_whole(part)

    part.write_bytes(content)
    sum_path(part).unlink()
    assert not is_whole(part)


def test_every_file_of_a_group_is_looked_at(tmp_path: Path):
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        write_text(path, "words", unfinished=True)
    for path in paths[:2]:
        path.write_text("sword")

    assert not are_whole(*paths)
    assert [path.exists() for path in paths] == [False, False, True]


def test_a_kill_before_the_new_file_has_its_name_leaves_the_old_one_whole(tmp_path: Path, monkeypatch):
    path = tmp_path / "training.npz"
    write_text(path, "old", unfinished=True)
    replace = os.replace

    def killed(source: Path, to: Path) -> None:
        if to == path:
            raise KeyboardInterrupt
        replace(source, to)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_text(path, "new", unfinished=True)

    assert is_whole(path) and path.read_text() == "old"
    monkeypatch.undo()
    write_text(path, "new", unfinished=True)
    assert is_whole(path) and path.read_text() == "new"


def test_a_write_that_the_system_cut_is_an_error_and_leaves_no_name(tmp_path: Path, monkeypatch):
    """As `ndarray.tofile` of a real file does on a full disk: the last bytes are gone and nothing says so."""
    path = tmp_path / "array.npy"

    def cut(file) -> None:
        np.save(file, np.arange(1000))
        os.ftruncate(file.file.fileno(), 500)

    with pytest.raises(ServiceError, match=r"array\.npy: cannot be written \(500 of 8,128 bytes arrived\)"):
        write_atomically(path, cut)

    assert list(tmp_path.iterdir()) == []
