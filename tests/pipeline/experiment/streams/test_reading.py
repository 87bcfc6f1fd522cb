"""What a lane read of its pool, and rows that it did not read beside those that it did."""

from __future__ import annotations

import numpy as np

from pipeline.experiment.streams.pool import PoolPart, draw_rows
from pipeline.experiment.streams.reading import reads_of, twins_of

ABOUT = {
    "max_epochs": 4.0, "capped": False, "num_documents": 9, "longest": 9, "cut_documents": 0, "cut_tokens": 0,
    "largest_document": 0, "largest_before": 0.1, "largest_after": 0.1,
}  # fmt: skip
PARTS = (
    PoolPart(name="web", weight=0.8, first_row=0, num_rows=5_000, drawn_rows=3_200, **ABOUT),
    PoolPart(name="code", weight=0.2, first_row=5_001, num_rows=400, drawn_rows=800, **ABOUT),
)


def test_each_dataset_says_how_often_its_rows_were_read_and_in_which_order():
    rows = draw_rows(PARTS, seed=3)

    found = reads_of(PARTS, rows)

    counts = {name: [told[key] for key in ("rows", "of_rows", "distinct", "most")] for name, told in found.items()}
    assert counts == {"web": [3_200, 5_000, 3_200, 1], "code": [800, 400, 400, 2]}
    other = reads_of(PARTS, draw_rows(PARTS, seed=4))
    assert all(found[name]["order"] != other[name]["order"] for name in found)
    less = (PARTS[0], PoolPart(name="code", weight=0.1, first_row=5_001, num_rows=400, drawn_rows=200, **ABOUT))
    again = reads_of(less, draw_rows(less, seed=3))
    assert all(found[name]["order"] == again[name]["order"] for name in found)  # of a pair that shares a dataset


def test_twins_are_as_many_rows_unread_as_read_of_each_dataset():
    rows = draw_rows(PARTS, seed=3)

    twins = twins_of(PARTS, rows, context=32, seed=1)

    assert twins is not None and len(twins.read) == len(twins.unread) == 33  # web's share of a 96th of what was read
    assert set(twins.read.tolist()) <= set(rows.tolist()) and not set(twins.unread.tolist()) & set(rows.tolist())
    assert twins.unread.max() < 5_000  # code was read whole
    assert twins_of(PARTS[1:], rows, context=32, seed=1) is None
    again = twins_of(PARTS, rows, context=32, seed=1)
    assert again is not None and np.array_equal(twins.read, again.read)
