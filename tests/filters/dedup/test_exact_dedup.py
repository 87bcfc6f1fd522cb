"""Exact dedup: which copies are found under each normalisation, and which of them stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from filters.dedup.equal_keys import BYTES_PER_ROW, EqualKeys, Tally, group
from filters.dedup.exact_dedup import ExactDedup, ExactDedupParams
from tests.filters.gathering import gather, parts_of

TEXTS = ["one text", "another", "one text", "one  text\n", "One Text!", "", "another", "", "one text"]


def step(**parameters: object) -> ExactDedup:
    return ExactDedup(params=ExactDedupParams.parse(parameters))


def test_the_first_copy_stays_and_the_others_name_it(tmp_path: Path) -> None:
    found = gather(step(), parts_of(TEXTS, num_parts=3), scratch=tmp_path)

    assert found.column("duplicate_of") == [None, None, "d0", None, None, None, "d1", "d5", "d0"]
    assert found.column("copies") == [3, 2, 3, 1, 1, 2, 2, 2, 3]
    assert found.column("is_duplicate") == [0, 0, 1, 0, 0, 0, 1, 1, 1]
    assert found.details == {"documents": 9, "groups": 3, "duplicates": 4, "most_copies": 3}


@pytest.mark.parametrize(
    ("normalise", "expected"), [("whitespace", [4, 2, 4, 4, 1, 2, 2, 2, 4]), ("words", [5, 2, 5, 5, 5, 2, 2, 2, 5])]
)
def test_normalising_widens_what_is_the_same(tmp_path: Path, normalise: str, expected: list[int]) -> None:
    found = gather(step(normalise=normalise), parts_of(TEXTS), scratch=tmp_path)

    assert found.column("copies") == expected


def test_a_signal_can_choose_the_copy_that_stays(tmp_path: Path) -> None:
    parts = parts_of(TEXTS, num_parts=2, signals={"quality.score": [0.1, None, 0.7, 0, 0, 0, 0.2, 0, 0.3]})

    highest = gather(step(keep="quality.score"), parts, scratch=tmp_path / "a")
    lowest = gather(step(keep="-quality.score"), parts, scratch=tmp_path / "b")

    assert highest.column("duplicate_of") == ["d2", "d6", None, None, None, None, None, "d5", "d2"]
    assert lowest.column("duplicate_of") == [None, "d6", "d0", None, None, None, None, "d5", "d0"]


def test_parts_and_their_order_do_not_show(tmp_path: Path) -> None:
    one = gather(step(), parts_of(TEXTS), scratch=tmp_path / "1")
    many = gather(step(), parts_of(TEXTS, num_parts=5)[::-1], scratch=tmp_path / "5")

    assert one.signals.equals(many.signals)


def test_nothing_at_all_is_no_error(tmp_path: Path) -> None:
    assert gather(step(), parts_of([]), scratch=tmp_path / "b").signals.num_rows == 0


def test_little_memory_cuts_the_keys_into_partitions_and_nothing_shows_it(tmp_path: Path) -> None:
    texts = [f"text {number * number % 97}" for number in range(200)]  # 49 of them, also within a part
    scores = {"quality.score": [float(number * 37 % 50) if number % 9 else None for number in range(200)]}

    found = []
    for memory in (2 << 30, 5 * BYTES_PER_ROW):
        parts = parts_of(texts, num_parts=7, signals=scores)
        folder = tmp_path / str(memory)
        found.append(gather(step(keep="quality.score"), parts, scratch=folder, memory_bytes=memory))

    assert len(list((tmp_path / str(5 * BYTES_PER_ROW)).rglob("members-40-*.npy"))) == 40
    assert found[0].signals.equals(found[1].signals) and found[0].details == found[1].details
    assert found[0].details["duplicates"] == 151


def test_halves_of_a_hash_are_compared_together(tmp_path: Path) -> None:
    high, low = np.array([[1, 1, 2, 1, 2], [5, 6, 5, 5, 5]], np.uint64)
    keys = EqualKeys.of(tmp_path, np.array([0, 5]), memory_bytes=1 << 20)
    keys.save(0, high, low, scores=np.zeros(5))

    assert [group(each) for each in keys.all_partitions()] == [Tally(groups=2, duplicates=2, most_copies=2)]
    assert keys.members_of(0).tolist() == [[0, 2, 3, 4], [0, 2, 0, 2], [2, 2, 2, 2]]  # row, kept, copies


def test_a_text_that_most_documents_have_fills_no_partition(tmp_path: Path) -> None:
    keys = EqualKeys.of(tmp_path, np.array([0, 1000, 2000, 3000]), memory_bytes=100 * BYTES_PER_ROW)
    for position in range(3):
        high = np.where(np.arange(1000) % 10, np.uint64(7), np.arange(1000, dtype=np.uint64) << np.uint64(50))
        keys.save(position, high, high, scores=np.arange(1000) % 500 + (position == 1))

    told = [group(each) for each in keys.all_partitions()]
    held = [np.load(keys.keys_file(position)).shape[1] for position in range(3)]

    assert held == [101, 101, 101]
    assert (told[0].most_copies, sum(tally.duplicates for tally in told)) == (2700, 3 * 1000 - 101)
    row, kept, copies = keys.members_of(2)
    assert row.tolist() == list(range(2000, 3000)) and copies[1:10].tolist() == [2700] * 9
    assert set(kept[copies == 2700].tolist()) == {1499}  # the first of the highest score
