"""The schedule keeps every dataset within one document of its share, at every token."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.interleave import schedule


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
