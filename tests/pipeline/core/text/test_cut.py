"""Ranges of a text that stay: joined they are the new text, and ranges of another text are refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import DataError
from pipeline.core.text.cut import FEW_DOCUMENTS, RANGES, cut, masked, ranges_array

BYTES = st.text(alphabet="ab\n", max_size=12)
FILLED = [None] * FEW_DOCUMENTS  # enough whole documents beside them that kernels do the work


@st.composite
def texts_and_ranges(draw: st.DrawFn) -> tuple[list[str], list[list[int] | None]]:
    texts = draw(st.lists(BYTES, max_size=6))
    bounds = [draw(st.none() | st.lists(st.integers(0, len(text)), max_size=6, unique=True)) for text in texts]
    kept = [
        None if found is None else [len(text), *sorted(found)[: len(found) & ~1]]
        for text, found in zip(texts, bounds, strict=True)
    ]
    return texts, kept


@given(texts_and_ranges(), st.booleans())
@settings(deadline=None)  # the first call compiles
def test_what_is_left_is_the_ranges_in_a_row_and_all_of_a_text_without_any(
    made: tuple[list[str], list[list[int] | None]], many: bool
) -> None:
    texts, kept = made
    more = FILLED if many else []

    found = cut(pa.array([*texts, *("x" for _ in more)], pa.large_string()), pa.array([*kept, *more], RANGES))

    found.validate(full=True)
    assert found.to_pylist()[: len(texts)] == [
        text if ranges is None else "".join(text[a:b] for a, b in zip(ranges[1::2], ranges[2::2], strict=True))
        for text, ranges in zip(texts, kept, strict=True)
    ]


@pytest.mark.parametrize(
    "ranges", [[], [2, 0, 1], [3, 0, 4], [3, 0], [3, 2, 1], [3, 0, 2, 1, 3], [3, -1, 2], [3, 0, 1 << 30], [4, 0, 3]]
)
@pytest.mark.parametrize("more", [[], FILLED], ids=["few", "many"])
def test_ranges_of_another_text_are_refused(ranges: list[int], more: list[None]) -> None:
    texts = pa.array(["neighbour", "abc", *("x" for _ in more)], pa.large_string())

    with pytest.raises(DataError, match=r"document 1 .* fit another one"):
        cut(texts, pa.array([None, ranges, *more], RANGES))


def test_a_slice_is_cut_by_its_own_ranges() -> None:
    texts = pa.array(["first", "second", "third", *FILLED], pa.large_string()).fill_null("x")
    kept = pa.array([[5, 0, 1], [6, 0, 3], None, *FILLED], RANGES)

    assert cut(texts[1:], kept[1:]).to_pylist()[:2] == ["sec", "third"]
    assert cut(texts[1:3], kept[1:3]).to_pylist() == ["sec", "third"]


def test_lists_of_kernels_become_a_column_and_a_mask_copies_no_text() -> None:
    ends, values = np.array([0, 3, 3, 8], np.int32), np.arange(8, dtype=np.int32)
    text = pa.array(["one", "two", "three"], pa.large_string())

    kept = ranges_array(ends, values, present=np.array([1, 0, 1], bool))
    shown = masked(text, present=np.array([True, False, True]))

    assert kept.to_pylist() == [[0, 1, 2], None, [3, 4, 5, 6, 7]]
    assert shown.to_pylist() == ["one", None, "three"]
    assert shown.buffers()[2].address == text.buffers()[2].address
