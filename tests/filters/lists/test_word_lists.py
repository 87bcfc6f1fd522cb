"""Lists as sorted hashes: what is listed, and one mapped file for all workers."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.lists import list_kernels
from filters.lists.list_kernels import HASH_VERSION
from filters.lists.word_lists import KEPT_SECONDS, HashedList, entries_of, hashes_of, hashes_of_array, sorted_once
from pipeline.core.errors import DataError

WORDS = st.lists(st.text(max_size=20), max_size=20)


def test_entries_are_stripped_lines_that_are_no_remarks(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# no\n one \n\n\ttwo\r\n")
    (tmp_path / "b.txt").write_text("three")

    assert list(entries_of([tmp_path / "a.txt", tmp_path / "b.txt"])) == ["one", "two", "three"]


@settings(deadline=None)
@given(WORDS, WORDS)
def test_a_list_holds_its_entries_and_no_others(listed: list[str], asked: list[str]) -> None:
    found = HashedList.of(listed, normalise=str)

    assert found.holds(hashes_of([*listed, *asked])).tolist() == [
        bool(entry) and entry in listed for entry in [*listed, *asked]
    ]


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100_000])
def test_hashes_are_found_wherever_they_stand(count: int) -> None:
    values = sorted_once(np.random.default_rng(count).integers(0, 2**64, count, np.uint64, endpoint=False))
    around = np.concatenate([values, values + np.uint64(1), values - np.uint64(1), np.array([0, 2**64 - 1], np.uint64)])

    assert HashedList.of_hashes(values).holds(around).tolist() == np.isin(around, values).tolist()


def test_hashes_that_are_not_spread_are_found_too() -> None:
    crowded = HashedList.of_hashes(np.arange(5000, dtype=np.uint64))

    assert crowded.holds(np.array([0, 4999, 5000, 2**63], np.uint64)).tolist() == [True, True, False, False]


def test_a_hash_depends_on_the_string_alone() -> None:
    texts = ["", "a", "12345678", "123456789", "12345678" * 5, "\u00e9", "a\0", "\0a", "\0" * 7, "\0" * 8, "\0" * 9]
    arrays = [pa.array(texts, kind) for kind in (pa.string(), pa.large_string())]

    hashes = hashes_of(texts)

    assert len(set(hashes.tolist())) == len(texts)
    assert all((hashes_of_array(array) == hashes).all() for array in arrays)
    assert (hashes_of_array(arrays[0][3:7]) == hashes[3:7]).all()
    assert hashes_of([text for text in texts if len(text) == 9])[0] == hashes[3]
    assert hashes_of_array(pa.array([None, "a"], pa.string())).tolist() == hashes[:2].tolist()


def test_the_definition_of_a_hash_is_pinned() -> None:
    """Stored lists are named by HASH_VERSION: bump it when these change."""
    assert HASH_VERSION == 1
    assert [
        hex(value) for value in hashes_of(["", "a", "12345678", "bad.org", "long.example.com/with/a"]).tolist()
    ] == ["0xe28f2b2061a2b984", "0x2151c7c16c116283", "0x9a7a308a3841a015", "0x1c1b982c3e979da1", "0x88dc7e53ba56835b"]


class Shared:
    """A list in a file, and how often it was built from it."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "list.txt"
        self.source.write_text("one\ntwo\n")
        self.folder = folder / "shared"
        self.calls = 0

    def build(self) -> HashedList:
        self.calls += 1
        return HashedList.of(entries_of([self.source]), normalise=str)

    def once(self, *, version: int = 1) -> HashedList:
        return HashedList.once(self.folder, kind="n", version=version, paths=[self.source], build=self.build)

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if path.suffix != ".lock")


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    return Shared(tmp_path)


def answers(found: HashedList) -> list[bool]:
    return found.holds(hashes_of(["one", "two", "three"])).tolist()


def test_a_shared_list_is_built_once_and_mapped(shared: Shared) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: shared.once(), range(8)))

    assert shared.calls == 1
    assert all(isinstance(one.hashes, np.memmap) and not one.hashes.flags.writeable for one in found)
    assert answers(found[0]) == [True, True, False]
    assert len(shared.files) == 1


@pytest.mark.parametrize("place", [0, 3, 8, 15, 16, 31])
def test_a_flipped_bit_in_a_shared_list_is_noticed_and_repaired(shared: Shared, place: int) -> None:
    shared.once()
    (stored,) = shared.files
    whole = stored.read_bytes()
    damaged = bytearray(whole)
    damaged[place] ^= 4
    stored.write_bytes(damaged)

    found = shared.once()

    assert answers(found) == [True, True, False]
    assert shared.calls == 2
    assert stored.read_bytes() == whole


@pytest.mark.parametrize("size", [0, 1, 8, 16, 24, 31])
def test_a_shared_list_that_was_cut_is_built_again(shared: Shared, size: int) -> None:
    shared.once()
    (stored,) = shared.files
    os.truncate(stored, size)

    assert answers(shared.once()) == [True, True, False]
    assert shared.calls == 2


def test_a_shared_list_that_got_longer_or_cannot_be_opened_is_built_again(shared: Shared) -> None:
    shared.once()
    (stored,) = shared.files
    stored.write_bytes(stored.read_bytes() + bytes(8))
    assert answers(shared.once()) == [True, True, False]
    stored.unlink()
    stored.symlink_to(stored.name)

    assert answers(shared.once()) == [True, True, False]
    assert shared.calls == 3


def test_a_damaged_list_is_mended_once_for_all_who_find_it(shared: Shared) -> None:
    shared.once()
    (stored,) = shared.files
    stored.write_bytes(bytes(64))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: shared.once(), range(8)))

    assert shared.calls == 2
    assert all(answers(one) == [True, True, False] for one in found)


def test_another_version_or_definition_of_a_hash_is_another_file(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.once(version=1)
    shared.once(version=2)
    monkeypatch.setattr(list_kernels, "HASH_VERSION", HASH_VERSION + 1)
    shared.once(version=2)

    assert shared.calls == len(shared.files) == 3


def test_a_file_that_changes_while_its_list_is_built_is_refused(shared: Shared) -> None:
    def slow() -> HashedList:
        shared.source.write_text("other\n")
        return shared.build()

    with pytest.raises(DataError, match=r"list\.txt: changed while it was read as a list\. Run again"):
        HashedList.once(shared.folder, kind="n", version=1, paths=[shared.source], build=slow)

    assert shared.files == []
    shared.source.write_text("one\ntwo\n")
    assert answers(shared.once()) == [True, True, False]


def test_a_file_that_is_gone_is_named(shared: Shared) -> None:
    shared.source.unlink()

    with pytest.raises(DataError, match=r"list\.txt: cannot be read as a list \(No such file"):
        shared.once()


def test_building_a_list_sweeps_those_that_nobody_mapped_for_two_weeks(shared: Shared) -> None:
    shared.once(version=1)
    shared.once(version=2)
    (shared.folder / "folder").mkdir()
    (shared.folder / "of-an-earlier-tamis.npy").write_bytes(b"x")
    long_ago = time.time() - KEPT_SECONDS - 60
    for path in shared.folder.iterdir():
        os.utime(path, (long_ago, long_ago))
    used = Path(str(shared.once(version=1).hashes.filename))  # mapped, so in use

    shared.once(version=3)

    assert used in shared.files
    assert len(list(shared.folder.glob("*.hashes"))) == 2
    assert sorted(path.name for path in shared.files if path.suffix != ".hashes") == ["folder"]
    assert len(list(shared.folder.glob(".*.lock"))) == 1
    assert (shared.calls, answers(shared.once(version=2))) == (3, [True, True, False])


def test_what_a_killed_worker_left_is_swept_and_built_again(shared: Shared) -> None:
    shared.once()
    (stored,) = shared.files
    (shared.folder / f".{stored.name}.123.tmp").write_bytes(b"half")
    stored.unlink()

    shared.once()

    assert shared.files == [stored]


def test_an_empty_list_is_shared_too(shared: Shared) -> None:
    shared.source.write_text("# nothing\n")

    found = [shared.once(), shared.once()]

    assert shared.calls == 1
    assert not any(one.holds(hashes_of(["one"])).any() for one in found)


def test_without_a_folder_a_list_stays_in_memory(shared: Shared) -> None:
    found = HashedList.once(None, kind="n", version=1, paths=[shared.source], build=shared.build)

    assert not isinstance(found.hashes, np.memmap)
