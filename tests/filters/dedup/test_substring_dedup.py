"""Repeated spans of words: exactly those go, what is left reads well, and neither parts nor memory show."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, groupby
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filters.dedup import substring_dedup, substring_merge
from filters.dedup.substring_dedup import SubstringDedup
from filters.dedup.substring_dedup_kernels import find_reaches
from pipeline.core.text.batch import Batch
from tests.filters.gathering import gather, parts_of
from tests.pipeline.house import House
from tests.timing import slowness

SPAN = "one two three four five six"
Window = tuple[str, ...]


def substrings(**params: object) -> SubstringDedup:
    return SubstringDedup(params=SubstringDedup.Params.parse({"min_tokens": 6, **params}))


def test_a_span_goes_where_it_stands_again_whatever_its_spacing(tmp_path: Path) -> None:
    texts = [
        f"before {SPAN} after",
        "one  two\nthree four\tfive\u2003six seven",
        "One two three four five six",
        "other",
    ]

    found = gather(substrings(), parts_of(texts, num_parts=2), scratch=tmp_path)

    assert found.column("text") == [None, "seven", None, None]
    assert found.column("num_removed") == [0, 6, 0, 0]
    assert found.column("removed_fraction") == pytest.approx([0, 6 / 7, 0, 0])
    assert found.column("num_spans") == [0, 1, 0, 0]
    assert found.column("duplicate_of") == [None, "d0", None, None]
    assert found.details == {"repeated_windows": 1, "removed_spans": 1, "removed_words": 6, "edited": 1}


def test_a_shorter_span_stays(tmp_path: Path) -> None:
    found = gather(substrings(min_tokens=7), parts_of([f"a {SPAN} b", f"c {SPAN} d"]), scratch=tmp_path)

    assert found.column("num_removed") == [0, 0]


def test_all_occurrences_go_when_asked_and_name_one_another(tmp_path: Path) -> None:
    texts = [f"a {SPAN} b", f"c {SPAN} d", f"{SPAN} e {SPAN}"]

    found = gather(substrings(keep="none"), parts_of(texts), scratch=tmp_path)

    assert found.column("text") == ["a b", "c d", "e"]
    assert found.column("num_spans") == [1, 1, 2]
    assert found.column("duplicate_of") == ["d1", "d0", "d0"]


def test_an_overlapping_repetition_leaves_what_no_later_window_holds(tmp_path: Path) -> None:
    """Of `a` ten times, the first window of six is kept as an occurrence, but all its words but one are in the next."""
    texts = ["a " * 10, "x y " * 6, "x y"]

    found = gather(substrings(), parts_of(texts), scratch=tmp_path)

    assert found.column("text") == ["a", "x y", None]
    assert found.column("duplicate_of") == ["d0", "d1", None]
    assert found.details["repeated_windows"] == 3


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"Left {SPAN} right.", "Left right."),
        (f"Left.\n\n{SPAN}\n\nRight.", "Left.\n\nRight."),
        (f"Left.\n\n{SPAN} right.", "Left.\n\nright."),
        (f"Left {SPAN}\nRight.", "Left\nRight."),
        (f"if left:\n    {SPAN}\n        right", "if left:\n        right"),
        (f" {SPAN} right. ", "right. "),
        (f" Left {SPAN}\n", " Left"),
        (SPAN, ""),
        (f"\u4f60\u597d\r\n{SPAN} \u00e9", "\u4f60\u597d\r\n\u00e9"),
    ],
)
def test_what_is_left_has_its_words_apart_and_its_paragraphs(tmp_path: Path, text: str, left: str) -> None:
    found = gather(substrings(), parts_of([SPAN, text]), scratch=tmp_path)

    assert found.column("text") == [None, left]


def test_documents_of_which_too_little_is_left_are_dropped(tmp_path: Path) -> None:
    """Through the engine: with a step before that drops, and one behind that reads the edited text."""
    house = House(tmp_path)
    house.lines("docs.jsonl", ["word", f"alpha beta gamma {SPAN}", f"{SPAN} delta", f"eins zwei {SPAN} drei vier"])
    house.clean(["length: {min_words: 2}", "substring_dedup: {min_tokens: 6}", "length: {max_words: 4}"])

    house.run()

    assert [row["text"] for row in house.documents()] == ["eins zwei drei vier"]
    assert house.card().dropped["substring_dedup.mostly_repeated"] == 1
    rows = house.signals("substring_dedup")
    assert [row["num_removed"] for row in rows] == [None, 0, 6, 6]
    assert [row["duplicate_of"] is None for row in rows] == [True, True, False, False]


RUNS = st.lists(st.sampled_from("aab"), max_size=30).map(" ".join)
PERIODS = st.builds(
    lambda words, times: f"{words} " * times, st.text("abc ", min_size=1, max_size=7), st.integers(1, 9)
)
TEXTS = st.lists(st.lists(RUNS | PERIODS, max_size=3).map(" ".join), max_size=7)


@given(texts=TEXTS, span=st.integers(2, 9), keep=st.sampled_from(["first", "none"]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_exactly_the_repeated_windows_go(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], span: int, keep: str
) -> None:
    places = _places([text.split() for text in texts], span=span)
    step = substrings(min_tokens=span, keep=keep)

    found = gather(step, parts_of(texts), scratch=tmp_path_factory.mktemp("all"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(substring_merge, "MIN_SLICE_RECORDS", 12)
        patch.setattr(substring_merge, "BYTES_PER_RECORD", 1 << 60)
        patch.setattr(substring_dedup, "BATCH_BYTES", 30)
        cut_up = gather(step, parts_of(texts, num_parts=3)[::-1], scratch=tmp_path_factory.mktemp("parts"))

    assert cut_up.signals.equals(found.signals) and cut_up.details == found.details
    assert found.details["repeated_windows"] == sum(len(where) > 1 for where in places.values())
    for doc, text in enumerate(texts):
        words = text.split()
        goes = [
            (doc, begin) != where[0] if keep == "first" else len(where) > 1
            for begin in range(len(words) - span + 1)
            for where in [places[tuple(words[begin : begin + span])]]
        ]
        gone = [any(goes[max(word - span + 1, 0) : word + 1]) for word in range(len(words))]
        assert found.column("num_removed")[doc] == sum(gone)
        assert found.column("num_spans")[doc] == sum(is_gone for is_gone, _ in groupby(gone))
        if not any(gone):
            assert found.column("text")[doc] is found.column("duplicate_of")[doc] is None
            continue
        assert found.column("text")[doc].split() == [word for word, cut in zip(words, gone, strict=True) if not cut]
        begin = _middle_of_the_longest(goes, gone, span=span)
        source = int(found.column("duplicate_of")[doc][1:])
        others = [where for where in places[tuple(words[begin : begin + span])] if where != (doc, begin)]
        assert source in [other for other, _ in others]
        assert keep == "none" or source <= doc


def _places(words: Sequence[Sequence[str]], *, span: int) -> dict[Window, list[tuple[int, int]]]:
    """Return where each window stands, in the order of the corpus: the definition, word by word."""
    places: dict[Window, list[tuple[int, int]]] = {}
    for doc, text in enumerate(words):
        for begin in range(len(text) - span + 1):
            places.setdefault(tuple(text[begin : begin + span]), []).append((doc, begin))
    return places


def _middle_of_the_longest(goes: list[bool], gone: list[bool], *, span: int) -> int:
    """Return the last removed window at or before the middle of the longest span."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], gone, [False]]).astype(int))).reshape(-1, 2)
    first, past = edges[np.argmax(edges[:, 1] - edges[:, 0])].tolist()
    return max(begin for begin in range(first, (first + past - span) // 2 + 1) if goes[begin])


def test_equal_windows_have_equal_anchors() -> None:
    """The promise that everything rests on, at the default length: 50 words in other surroundings, 2,000 times."""
    shared = " ".join(f"w{number * number % 31}" for number in range(50))
    texts = [f"{'x ' * (number % 7)}{shared} y{number} z" for number in range(2000)]
    words = Batch.from_texts(texts).words

    anchors, _, places = find_reaches(words.hashes, words.doc_offsets, 50, 25)

    begins = words.doc_offsets[:-1] + np.arange(2000) % 7
    assert len(np.unique(anchors[np.searchsorted(places // 2, begins, side="right") - 1])) == 1


def test_little_memory_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = [" ".join(f"w{number * (17 + text)}" for number in range(60)) for text in range(40)]
    texts = [f"begin {number} {shared[number % 40]} and {shared[number * 7 % 40]} end" for number in range(900)]
    parts = parts_of(texts, num_parts=4)

    large = gather(substrings(min_tokens=50), parts, scratch=tmp_path / "large")
    monkeypatch.setattr(substring_merge, "BYTES_PER_RECORD", 1 << 40)
    small = gather(substrings(min_tokens=50), parts, scratch=tmp_path / "small")

    assert small.signals.equals(large.signals) and small.details == large.details
    assert len(list((tmp_path / "small").glob("repeated-*.npy"))) > len(list((tmp_path / "large").glob("repeated-*")))


def test_what_is_found_again_is_not_done_again(tmp_path: Path) -> None:
    parts = parts_of([f"a {SPAN} b", f"c {SPAN} d"], num_parts=2)
    first = gather(substrings(), parts, scratch=tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}

    again = gather(substrings(), parts, scratch=tmp_path)

    assert again.signals.equals(first.signals)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_nothing_at_all_is_no_error(tmp_path: Path) -> None:
    assert gather(substrings(), parts_of([]), scratch=tmp_path / "a").signals.num_rows == 0
    found = gather(substrings(), parts_of(["", "\n \n", "a b"], num_parts=3), scratch=tmp_path / "b")
    assert found.column("num_removed") == [0, 0, 0]


@pytest.mark.parametrize("piece", ["x ", "x y z\n", "\n", "x", "a b c d e f g h i j k l m "])
def test_time_grows_with_the_text_whatever_it_says(tmp_path: Path, piece: str) -> None:
    step = SubstringDedup(params=SubstringDedup.Params())
    gather(step, parts_of(["a b " * 60, "b a " * 60]), scratch=tmp_path / "warm")
    scratch = (tmp_path / str(number) for number in count())

    assert not slowness(lambda size: gather(step, parts_of([piece * (size // len(piece)), "b"]), scratch=next(scratch)))


def test_boilerplate_in_very_many_texts_takes_linear_time(tmp_path: Path) -> None:
    footer = " ".join(f"footer{number}" for number in range(60))
    step = SubstringDedup(params=SubstringDedup.Params())
    scratch = (tmp_path / str(number) for number in count())

    def removed(texts: int) -> dict[str, object]:
        found = gather(step, parts_of([f"{n} {footer} {n}" for n in range(texts)]), scratch=next(scratch))
        return {name: found.details[name] for name in ("removed_spans", "repeated_windows")}

    assert removed(20_000) == {"removed_spans": 19_999, "repeated_windows": 11}
    assert not slowness(removed, size=20_000, loops=5_000)
