"""A folder of text files: a document of each, under an id that its place gives it, whatever it is compressed with."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import zstandard

from pipeline.sources.files import PathParams
from pipeline.sources.texts.text import TextReader
from tests.pipeline.house import House, contents


def reader(folder: Path, pattern: str = "**/*", **params: int) -> TextReader:
    settings = {"path": str(folder / pattern), **params}
    return TextReader(params=PathParams.parse(settings), source="books", base=folder)


def test_each_file_is_one_document(house: House) -> None:
    (house.folder / "in" / "deep").mkdir(parents=True)
    (house.folder / "in" / "a.txt").write_bytes("\ufeffOne line.\r\n\r\nAnother \u00e9.\n".encode())
    (house.folder / "in" / "deep" / "b.txt.gz").write_bytes(gzip.compress(b"packed\n"))
    (house.folder / "in" / "deep" / "c.md.zst").write_bytes(zstandard.ZstdCompressor().compress(b"# packed too\n"))
    house.clean([], source="{read: text, path: DIR/in/**/*}")

    house.run()

    assert {row["id"]: row["text"] for row in house.documents()} == {
        "docs/a.txt": "One line.\r\n\r\nAnother \u00e9.\n",
        "docs/b.txt": "packed\n",
        "docs/c.md": "# packed too\n",
    }
    assert json.loads(house.documents()[0]["metadata"]) == {"file": "a.txt"}
    (house.folder / "in" / "a.txt").write_text("edited", encoding="utf-8")
    assert house.plan().sources["docs"].complete is False


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text(folder)

    (piece,) = reader(tmp_path).slices()
    (chunk,) = reader(tmp_path).read(piece)

    assert chunk.table["id"].to_pylist() == ["books/x/a.txt", "books/y/a.txt"]


def test_a_file_that_is_no_document_is_quarantined_whole(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    (tmp_path / "b.txt").write_bytes(b"")
    (tmp_path / "c.txt").write_bytes("\u00e9".encode() * 501)
    (tmp_path / "d.txt.gz").write_bytes(gzip.compress(b"x" * 50_000_000))
    (tmp_path / "e.txt").write_bytes(b"\xef\xbb\xbf" + b"y" * 1000)

    (piece,) = reader(tmp_path, max_document_bytes=1000).slices()
    (chunk,) = reader(tmp_path, max_document_bytes=1000).read(piece)

    assert chunk.table["id"].to_pylist() == ["books/e.txt"]
    assert [(row.id, row.reason) for row in chunk.quarantined] == [
        ("books/a.txt", "invalid_utf8"), ("books/b.txt", "empty_text"), ("books/c.txt", "too_large"),
        ("books/d.txt", "too_large"),
    ]  # fmt: skip


def test_many_small_files_share_a_slice(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("pipeline.sources.texts.text.PIECE_BYTES", 100)
    for number in range(40):
        (tmp_path / f"{number:02}.txt").write_text("x" * 10)

    slices = reader(tmp_path).slices()

    assert [len(piece.detail) for piece in slices] == [10, 10, 10, 10]
    assert slices[0].label == "00.txt to 09.txt"


def test_the_same_files_elsewhere_are_the_same_source(house: House, tmp_path: Path) -> None:
    (house.folder / "in").mkdir()
    (house.folder / "in" / "a.txt").write_text("one", encoding="utf-8")
    house.clean([], source="{read: text, path: DIR/in/*.txt}")
    house.run()
    before = contents(house.folder / "workspace")
    (house.folder / "in").rename(house.folder / "moved")
    house.clean([], source="{read: text, path: DIR/moved/*.txt}")

    plan = house.run()

    assert not plan.to_build
    assert contents(house.folder / "workspace") == before
