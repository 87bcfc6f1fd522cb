"""Weights of three datasets lie where a triangle says, and limits cut it to the part that they allow."""

from __future__ import annotations

import pytest

from pipeline.report.mixture.simplex import CORNERS, allowed, place


def test_a_dataset_alone_is_a_corner_and_even_weights_are_the_middle() -> None:
    assert [place(shares) for shares in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))] == list(CORNERS)
    middle = tuple(sum(corner[axis] for corner in CORNERS) / 3 for axis in (0, 1))
    assert place((1 / 3, 1 / 3, 1 / 3)) == pytest.approx(middle)
    assert place((0.5, 0.5, 0.0)) == pytest.approx(place((0.501, 0.501, 0.0)))  # a sum that is rounded moves nothing


@pytest.mark.parametrize(
    ("limits", "corners"),
    [
        ([(0.0, 1.0)] * 3, [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]),
        ([(0.5, 1.0), (0.0, 1.0), (0.0, 1.0)], [(1.0, 0.0, 0.0), (0.5, 0.5, 0.0), (0.5, 0.0, 0.5)]),
        ([(0.0, 1.0), (0.0, 1.0), (0.0, 0.0)], [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)]),
        ([(0.2, 0.4), (0.2, 0.4), (0.4, 0.4)], [(0.4, 0.2, 0.4), (0.2, 0.4, 0.4)]),
    ],
)
def test_limits_leave_the_part_of_the_triangle_that_keeps_them(
    limits: list[tuple[float, float]], corners: list[tuple[float, float, float]]
) -> None:
    found = {(round(x, 6), round(y, 6)) for x, y in allowed(limits)}

    assert found == {(round(x, 6), round(y, 6)) for x, y in map(place, corners)}
