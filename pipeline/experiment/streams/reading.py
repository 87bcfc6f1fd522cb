"""A pool and the rows that a lane read of it -> how often each dataset's were read, in which order, and their twins.

Twins are as many rows of a dataset that were read as ones that were not, drawn with a seed: what a lane predicts better
of the first than of the second it has by heart. Of a dataset that is read whole there are none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.core.rng import generator
from pipeline.experiment.streams.pool import PoolPart

ORDERED = 64  # rows of a dataset by which two lanes tell whether they read it in one order
TWIN_TOKENS, TWIN_SHARE = 8_192, 1 / 96  # on each side: so many, and no more than that share of what was read
LEAST_TWINS = 8  # rows on each side; fewer say nothing


@dataclass(frozen=True, slots=True)
class Twins:
    """Rows of a pool, as many of each dataset on both sides."""

    read: np.ndarray  # int64[num]
    unread: np.ndarray


def reads_of(parts: Sequence[PoolPart], rows: np.ndarray) -> dict[str, dict[str, Any]]:
    """Return of each dataset how many of its rows were read, how many different ones, and the first ones' hash."""
    found = {}
    for part in parts:
        mine = _of_part(part, rows)
        count_R = np.bincount(mine, minlength=part.num_rows)
        first = np.ascontiguousarray(mine[:ORDERED], np.int64)
        found[part.name] = {
            "rows": len(mine),
            "of_rows": part.num_rows,
            "distinct": int((count_R > 0).sum()),
            "most": int(count_R.max()),
            "least": int(count_R.min()),
            "ordered": len(first),
            "order": hashlib.sha256(first.tobytes()).hexdigest()[:16],
        }
    return found


def twins_of(parts: Sequence[PoolPart], rows: np.ndarray, *, context: int, seed: int) -> Twins | None:
    """Return rows that were read and their twins; None where too few are left unread."""
    sides: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    most = int(min(TWIN_TOKENS // context, TWIN_SHARE * len(rows)))
    for part in parts:
        mine = _of_part(part, rows)
        was_read_R = np.bincount(mine, minlength=part.num_rows) > 0
        wanted = round(most * len(mine) / max(1, len(rows)))
        number = min(wanted, int(was_read_R.sum()), int((~was_read_R).sum()))
        draw = generator(seed, "twins", part.name)
        for side, chosen_R in zip(sides, (was_read_R, ~was_read_R), strict=True):
            side.append(part.first_row + draw.permutation(np.flatnonzero(chosen_R))[:number])
    found = Twins(*(np.concatenate(side).astype(np.int64) for side in sides))
    return found if len(found.read) >= LEAST_TWINS else None


def _of_part(part: PoolPart, rows: np.ndarray) -> np.ndarray:
    return rows[(rows >= part.first_row) & (rows < part.first_row + part.num_rows)] - part.first_row
