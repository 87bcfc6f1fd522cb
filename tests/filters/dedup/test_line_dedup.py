"""Repeated lines and paragraphs: what counts as the same, what goes, what stays, and that parts do not show."""

from __future__ import annotations

from collections import Counter
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filters.dedup import line_dedup
from filters.dedup.line_dedup import LineDedup, ParagraphDedup
from tests.filters.gathering import gather, parts_of
from tests.pipeline.house import House
from tests.timing import slowness

BANNER = "We use cookies on this site"
PAGES = [f"{BANNER}\n\nPage {name} has a line of its own.\n  {BANNER} \n}}\n" for name in ("one", "two", "three")]


def lines(**params: object) -> LineDedup:
    return LineDedup(params=LineDedup.Params.parse({"min_documents": 3, **params}))


def paragraphs(**params: object) -> ParagraphDedup:
    return ParagraphDedup(params=ParagraphDedup.Params.parse({"min_words": 3, **params}))


def test_lines_of_many_documents_go_whatever_their_spacing_and_short_ones_stay(tmp_path: Path) -> None:
    found = gather(lines(), parts_of([*PAGES, "Nothing is repeated here."], num_parts=2), scratch=tmp_path)

    assert found.column("text") == [f"Page {n} has a line of its own.\n}}" for n in ("one", "two", "three")] + [None]
    assert found.column("num_removed") == [2, 2, 2, 0]
    assert found.column("removed_fraction") == pytest.approx([12 / 21] * 3 + [0])
    assert found.details == {"repeated_lines": 1, "removed_lines": 6, "edited": 3}


def test_a_line_said_often_in_one_document_is_not_repeated(tmp_path: Path) -> None:
    found = gather(lines(), parts_of([f"{BANNER}\n" * 9, BANNER]), scratch=tmp_path)

    assert found.column("text") == [None, None]


def test_the_first_occurrence_stays_when_asked(tmp_path: Path) -> None:
    found = gather(lines(keep="first"), parts_of(PAGES, num_parts=3), scratch=tmp_path)

    assert found.column("num_removed") == [1, 2, 2]
    assert found.column("text")[0] == f"{BANNER}\n\nPage one has a line of its own.\n}}"


def test_paragraphs_go_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    first = "\n\nThe same three lines\nstand in both texts\nin this order.\r\n\r\n"
    texts = [f"One.{first}End one.", f"Two.{first}End two.", "The same three lines\nstand alone here."]

    found = gather(paragraphs(), parts_of(texts), scratch=tmp_path)

    assert found.column("text") == ["One.\n\nEnd one.".replace("\n\n", "\n\r\n"), "Two.\n\r\nEnd two.", None]
    assert found.column("num_removed") == [1, 1, 0]
    assert found.details["repeated_paragraphs"] == 1


def test_documents_of_which_too_little_is_left_are_dropped_and_texts_published_without_lines(tmp_path: Path) -> None:
    """Through the engine: with a step before that drops, and one behind that reads the edited text."""
    house = House(tmp_path)
    house.lines("docs.jsonl", [*PAGES, BANNER, "word", "Kept as it is, all of it."])
    house.clean(["length: {min_words: 2}", "line_dedup: {min_documents: 3}", "length: {max_lines: 1}"])

    house.run()

    assert [row["text"] for row in house.documents()] == ["Kept as it is, all of it."]
    dropped = house.card().dropped
    assert dropped["length.too_few_words"] == 1 and dropped["line_dedup.mostly_repeated"] == 1
    assert sum(dropped.values()) == 5
    assert [row["num_removed"] for row in house.signals("line_dedup")] == [2, 2, 2, 1, None, 0]


def test_parts_and_partitions_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"line number {n % 7} of them\n\nand number {n % 11} too\n\nalone {n}, it is" for n in range(60)]
    one = gather(lines(keep="first"), parts_of(texts), scratch=tmp_path / "1")
    monkeypatch.setattr(line_dedup, "PARTITION_ROWS", 5)
    monkeypatch.setattr(line_dedup, "BATCH_BYTES", 100)

    many = gather(lines(keep="first"), parts_of(texts, num_parts=9)[::-1], scratch=tmp_path / "9")

    assert one.signals.equals(many.signals) and one.details == many.details
    assert one.details["repeated_lines"] == 18


def test_what_is_found_again_is_not_done_again(tmp_path: Path) -> None:
    parts = parts_of(PAGES, num_parts=2)
    first = gather(lines(), parts, scratch=tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}

    again = gather(lines(), parts, scratch=tmp_path)

    assert again.signals.equals(first.signals)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_nothing_at_all_is_no_error(tmp_path: Path) -> None:
    assert gather(lines(), parts_of([]), scratch=tmp_path / "a").signals.num_rows == 0
    assert gather(lines(), parts_of(["", "\n \n"]), scratch=tmp_path / "b").column("num_removed") == [0, 0]


LINES = st.sampled_from(["a b c", " a  b c", "d e f g", "x", "", " ", "\u00e9 \u00e8 \u4f60 z"])
TEXTS = st.lists(st.lists(LINES, max_size=6).map("\n".join), min_size=1, max_size=8)


@given(TEXTS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_exactly_the_repeated_lines_go(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    words = [[tuple(line.split()) for line in text.split("\n")] for text in texts]
    documents = Counter(line for text in words for line in set(text) if len(line) >= 3)

    found = gather(lines(min_documents=2), parts_of(texts, num_parts=3), scratch=tmp_path_factory.mktemp("lines"))

    for text, split, new in zip(texts, words, found.column("text"), strict=True):
        stays = [line for line in split if line and documents[line] < 2]
        assert (new is None) == (len(stays) == sum(map(bool, split)))
        assert [tuple(line.split()) for line in (text if new is None else new).split("\n") if line.strip()] == stays


@pytest.mark.parametrize("piece", ["x y z\n", "\n", "x", "a b c "])
def test_time_grows_with_the_text_whatever_it_says(tmp_path: Path, piece: str) -> None:
    gather(paragraphs(), parts_of(PAGES), scratch=tmp_path / "warm")
    scratch = (tmp_path / str(number) for number in count())

    assert not slowness(
        lambda size: gather(lines(), parts_of([piece * (size // len(piece)), "b"]), scratch=next(scratch))
    )


def test_hashes_of_a_partition_lie_between_its_bounds() -> None:
    bounds = line_dedup._bounds(10 * line_dedup.PARTITION_ROWS)

    assert (bounds[0], bounds[-1], len(bounds)) == (0, 1 << 64, 11)
    assert np.diff(np.array(bounds[:-1], np.uint64)).min() > 0
