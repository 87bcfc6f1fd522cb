"""What the vector instructions say is what plain loops say, to the last bit, in the order of the docstrings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit

from filters.language import vectors as v
from pipeline.core.rng import generator
from pipeline.core.text.bits import address_of

ROWS = 60


@njit
def summed(weights: Any, rows: Any, total: Any) -> None:
    v.sum_rows(address_of(total), address_of(weights), address_of(rows), len(rows))


@njit
def weighted(weights: Any, rows: Any, factors: Any, total: Any) -> None:
    v.add_weighted(address_of(total), address_of(weights), address_of(rows), address_of(factors), len(rows))


@njit
def powers(values: Any, highest: Any, unit: Any, lowest: Any, out: Any) -> Any:
    return v.exponentials(address_of(values), highest, unit, lowest, address_of(out))


@njit
def top(values: Any) -> Any:
    highest = v.highest_of(address_of(values))
    return highest, v.place_of(address_of(values), highest)


@njit
def kept(states: Any, num_states: Any, out: Any) -> Any:
    return v.keep_marked(address_of(states), num_states, address_of(out))


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    draw = generator(1, "weights")
    return draw.integers(-v.LARGEST, v.LARGEST + 1, (ROWS, v.WIDTH)).astype(np.int16)


@pytest.mark.parametrize("num_rows", [0, 4, 8, 12, 20, 44])
def test_rows_are_summed(weights: np.ndarray, num_rows: int) -> None:
    rows = generator(2, "rows").integers(0, ROWS, num_rows).astype(np.uint64)
    total = np.full(v.WIDTH, 7, np.float32)

    summed(weights, rows, total)

    assert np.array_equal(total, weights[rows].sum(axis=0, dtype=np.int64))


@pytest.mark.parametrize("num_rows", [0, 4, 12])
def test_rows_times_factors_are_added_by_fours(weights: np.ndarray, num_rows: int) -> None:
    draw = generator(3, "factors")
    rows, factors = draw.integers(0, ROWS, num_rows).astype(np.uint64), draw.random(num_rows, np.float32)
    total = draw.random(v.WIDTH, np.float32)
    expected = total.copy()
    for at in range(0, num_rows, 4):
        r0, r1, r2, r3 = factors[at : at + 4, None] * weights[rows[at : at + 4]].astype(np.float32)
        expected = expected + ((r0 + r1) + (r2 + r3))

    weighted(weights, rows, factors, total)

    assert np.array_equal(total, expected)


def test_exponentials_are_close_and_their_sum_is_by_eight_running_sums() -> None:
    values = generator(4, "values").random(v.WIDTH, np.float32) * np.float32(300)
    unit, lowest = np.float32(0.1 / 16), np.float32(-24 / 16)
    out = np.empty(v.WIDTH, np.float32)

    mass = powers(values, values.max(), unit, lowest, out)

    exact = np.exp(np.maximum((values - values.max()).astype(np.float64) * 0.1, -24))
    likely = exact > np.exp(-8)  # what is less likely is less exact
    assert out[likely] == pytest.approx(exact[likely], rel=1e-5)
    s0, s1, s2, s3, s4, s5, s6, s7 = np.add.accumulate(out.reshape(-1, 8), axis=0)[-1]
    assert mass == ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))


@pytest.mark.parametrize("place", [0, 15, 16, 100, v.WIDTH - 1])
def test_the_first_of_the_highest_is_found(place: int) -> None:
    values = -generator(5, "values").random(v.WIDTH, np.float32)
    values[place:] = np.minimum(values[place:], -0.5)
    values[place] = values[-1] = 1

    assert top(values) == (1, place)


@pytest.mark.parametrize("num_states", [0, 1, 15, 16, 17, 40])
def test_marked_states_are_kept_in_their_order(num_states: int) -> None:
    states = generator(6, "states").integers(0, 1 << 32, num_states + 16).astype(np.uint32)
    out = np.zeros(num_states + 16, np.uint32)

    found = kept(states, num_states, out)

    wanted = states[:num_states][states[:num_states] >> 31 == 1]
    assert np.array_equal(out[:found], wanted)
