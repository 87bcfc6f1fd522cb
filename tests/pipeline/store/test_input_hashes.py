"""The memo of input hashes: what is untouched is not read again, and nothing that was touched passes for untouched."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pipeline.commands.run.run_recipe import run_recipe
from pipeline.core.files.parquet.in_place import SETTLED_NS
from pipeline.core.identity import hash_file
from pipeline.engine.progress import Silent
from pipeline.plan.make import make_plan
from pipeline.queries.what_if import what_if
from pipeline.recipe.load import load_recipe
from pipeline.store import input_hashes
from pipeline.store.input_hashes import MEMO, InputHashes
from tests.pipeline.house import House, texts


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the files that were read, in order."""
    seen: list[Path] = []
    monkeypatch.setattr(input_hashes, "hash_file", lambda path: seen.append(path) or hash_file(path))
    return seen


def settled(path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a file and let the clock stand three seconds later."""
    path.write_text(text)
    later = time.time_ns() + SETTLED_NS + 10**9
    monkeypatch.setattr(time, "time_ns", lambda: later)
    return path


def learnt(memo: Path, path: Path) -> str:
    hashes = InputHashes(memo)
    digest = hashes.of(path)
    hashes.save()
    return digest


def test_an_untouched_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: list[Path]):
    path = settled(tmp_path / "a.txt", "one", monkeypatch)

    first = learnt(tmp_path / MEMO, path)

    assert learnt(tmp_path / MEMO, path) == first == hash_file(path)
    assert read == [path]


def test_a_file_that_was_just_written_is_not_remembered(tmp_path: Path, read: list[Path]):
    """The next edit may fall into the same tick of the clock and leave size and times as they are."""
    path = tmp_path / "a.txt"
    path.write_text("one")

    learnt(tmp_path / MEMO, path)
    learnt(tmp_path / MEMO, path)

    assert read == [path, path]


@pytest.mark.parametrize("edit", ["in place", "times set back", "by renaming", "other size"])
def test_every_way_of_editing_a_file_is_noticed(edit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = settled(tmp_path / "a.txt", "one", monkeypatch)
    before = path.stat()
    learnt(tmp_path / MEMO, path)
    time.sleep(0.02)  # a tick of the clock

    if edit == "by renaming":
        (tmp_path / "b.txt").write_text("two")
        os.utime(tmp_path / "b.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
        (tmp_path / "b.txt").replace(path)
    else:
        path.write_text("other" if edit == "other size" else "two")
    if edit == "times set back":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert learnt(tmp_path / MEMO, path) == hash_file(path)


def test_a_file_that_changes_while_it_is_hashed_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = settled(tmp_path / "a.txt", "one", monkeypatch)

    def slow(path: Path) -> str:
        digest = hash_file(path)
        path.write_text("and more")
        return digest

    with monkeypatch.context() as patched:
        patched.setattr(input_hashes, "hash_file", slow)
        learnt(tmp_path / MEMO, path)

    assert learnt(tmp_path / MEMO, path) == hash_file(path)


@pytest.mark.parametrize("damage", [b"", b"nonsense\n", b"\xff\xfe", None])
def test_a_damaged_memo_is_no_memo(
    damage: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: list[Path]
):
    path = settled(tmp_path / "a.txt", "one", monkeypatch)
    digest = learnt(tmp_path / MEMO, path)
    memo = tmp_path / MEMO
    stored = memo.read_bytes()
    memo.write_bytes(stored.replace(digest[:8].encode(), b"00000000") if damage is None else damage)

    assert learnt(memo, path) == digest
    assert read == [path, path]


def test_files_that_are_gone_leave_the_memo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = settled(tmp_path / "a.txt", "one", monkeypatch)
    other = settled(tmp_path / "b.txt", "two", monkeypatch)
    learnt(tmp_path / MEMO, path)
    path.unlink()

    learnt(tmp_path / MEMO, other)

    assert str(path) not in (tmp_path / MEMO).read_text()


def test_a_question_after_a_run_reads_no_input_and_a_promotion_reads_all(
    house: House, monkeypatch: pytest.MonkeyPatch, read: list[Path]
):
    path = house.lines("a.jsonl", texts(20))
    settled(house.folder / "eval.txt", "nothing", monkeypatch)
    house.clean(["length: {against: [DIR/eval.txt]}"])
    run_recipe(house.recipe, workspace=house.workspace, workers=1, progress=Silent())
    assert sorted(read) == [path, house.folder / "eval.txt"]
    read.clear()

    what_if(house.workspace, house.recipe, settings={"datasets.clean.length.min_length": 80})

    assert read == []
    assert make_plan(load_recipe(house.recipe), house.workspace, read_all=True).to_build == []
    assert len(read) == 2
