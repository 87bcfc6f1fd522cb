"""Ranges of a text that stay: joined they are the new text, and a step that cuts is stored as ranges alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.cut import RANGES, cut, masked, ranges_array

BYTES = st.text(alphabet="ab\n", max_size=12)


@st.composite
def texts_and_ranges(draw: st.DrawFn) -> tuple[list[str], list[list[int] | None]]:
    texts = draw(st.lists(BYTES, max_size=6))
    ranges = [
        draw(
            st.none()
            | st.lists(st.integers(0, len(text)), max_size=6, unique=True).map(
                lambda found: sorted(found)[: len(found) & ~1]
            )
        )
        for text in texts
    ]
    return texts, ranges


@given(texts_and_ranges())
@settings(deadline=None)  # the first call compiles
def test_what_is_left_is_the_ranges_in_a_row_and_all_of_a_text_without_any(
    made: tuple[list[str], list[list[int] | None]],
) -> None:
    texts, ranges = made

    found = cut(pa.array(texts, pa.large_string()), pa.array(ranges, RANGES))

    found.validate(full=True)
    assert found.to_pylist() == [
        text if kept is None else "".join(text[a:b] for a, b in zip(kept[::2], kept[1::2], strict=True))
        for text, kept in zip(texts, ranges, strict=True)
    ]


def test_a_slice_is_cut_by_its_own_ranges() -> None:
    texts = pa.array(["first", "second", "third"], pa.large_string())
    kept = pa.array([[0, 1], [0, 3], None], RANGES)

    assert cut(texts[1:], kept[1:]).to_pylist() == ["sec", "third"]


def test_kernels_ranges_become_a_column_and_a_mask_copies_no_text() -> None:
    kept = ranges_array(
        np.array([0, 2, 2, 6], np.int32), np.arange(6, dtype=np.int32), present=np.array([1, 0, 1], bool)
    )
    text = pa.array(["one", "two", "three"], pa.large_string())

    shown = masked(text, present=np.array([True, False, True]))

    assert kept.to_pylist() == [[0, 1], None, [2, 3, 4, 5]]
    assert shown.to_pylist() == ["one", None, "three"]
    assert shown.buffers()[2].address == text.buffers()[2].address
