"""Lists as sorted hashes: what is listed, and one mapped file for all workers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.word_lists import HashedList, entries_of, hashes_of, hashes_of_array, sorted_once

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


def test_a_shared_list_is_built_once_and_mapped(tmp_path: Path) -> None:
    calls: list[int] = []

    def build() -> HashedList:
        calls.append(1)
        return HashedList.of(["one", "two"], normalise=str)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: HashedList.once(tmp_path / "x", name="n", build=build), range(8)))

    assert len(calls) == 1
    assert all(isinstance(one.hashes, np.memmap) and not one.hashes.flags.writeable for one in found)
    assert found[0].holds(hashes_of(["two", "three"])).tolist() == [True, False]
    assert [path.name for path in (tmp_path / "x").iterdir() if path.suffix != ".lock"] == ["n.npy"]


def test_what_a_killed_worker_left_is_swept_and_built_again(tmp_path: Path) -> None:
    (tmp_path / ".n.npy.123.tmp").write_bytes(b"half")

    found = HashedList.once(tmp_path, name="n", build=lambda: HashedList.of([], normalise=str))

    assert not len(found.hashes) and not found.holds(hashes_of(["one"])).any()
    assert not list(tmp_path.glob(".*.tmp"))


def test_without_a_folder_a_list_stays_in_memory() -> None:
    found = HashedList.once(None, name="n", build=lambda: HashedList.of(["one"], normalise=str))

    assert not isinstance(found.hashes, np.memmap)
