"""Work whose time grows with the square of its size is told from work whose time grows with it."""

from __future__ import annotations

from tests.timing import slowness


def test_time_that_grows_with_the_square_is_found() -> None:
    assert "for a quarter" in slowness(lambda size: sum(range(size * size // 4_000)))


def test_time_that_grows_with_the_size_is_linear_unless_it_is_far_above_that_of_plain_python() -> None:
    assert not slowness(lambda size: sum(range(40 * size)))
    assert "at most" in slowness(lambda size: sum(range(80 * size)), loops=4)
