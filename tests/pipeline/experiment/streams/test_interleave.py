"""The schedule keeps every dataset within one document of its share, at every token."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.experiment.streams.interleave import exceeds, schedule


@settings(max_examples=300, deadline=None)
@given(sizes=st.lists(st.lists(st.integers(1, 60), min_size=5, max_size=60), min_size=1, max_size=8), data=st.data())
def test_every_prefix_is_within_one_document_of_every_share(sizes: list[list[int]], data: st.DataObject) -> None:
    targets = np.array([data.draw(st.integers(1, sum(mine))) for mine in sizes], np.int64)
    bounds = np.concatenate([[0], np.cumsum([len(mine) for mine in sizes])]).astype(np.int64)

    picks = schedule(np.concatenate(sizes).astype(np.int64), bounds, targets)

    total = int(targets.sum())
    taken = [0] * len(sizes)
    owner = []
    for pick in picks:
        owner += [pick] * sizes[pick][taken[pick]]
        taken[pick] += 1
    assert len(owner) >= total > len(owner) - sizes[picks[-1]][taken[picks[-1]] - 1]
    longest = max(max(mine) for mine in sizes)
    position = np.arange(1, total + 1)
    for index, mine in enumerate(sizes):
        ahead = np.cumsum(np.array(owner[:total]) == index) - targets[index] / total * position
        assert ahead.max() <= max(mine)
        assert -ahead.min() <= longest


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 2**62), min_size=4, max_size=4))
def test_products_are_compared_exactly_where_they_are_no_int64(numbers: list[int]) -> None:
    a, b, c, d = numbers

    assert exceeds(a, b, c, d) == (a * b > c * d)
    assert not exceeds(a, b, b, a)


def test_a_trillion_tokens_are_divided_as_truly_as_ten() -> None:
    few = schedule(np.ones(20, np.int64), np.array([0, 10, 20]), np.array([3, 7]))

    many = schedule(np.full(20, 10**11), np.array([0, 10, 20]), np.array([3 * 10**11, 7 * 10**11]))

    assert many.tolist() == few.tolist() and len(many) == 10
