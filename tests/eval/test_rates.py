"""What a grid of rates says of a cell: its loss over a tier's own rates, seed by seed, with an interval."""

from __future__ import annotations

import pytest

from tests.eval.rates import compared


def test_a_cell_is_compared_with_the_rates_of_the_tier_seed_by_seed() -> None:
    """Lanes differ by 1.0 from seed to seed, and by 0.1 from cell to cell: only the differences count."""
    found = {(0.5, 1.0): [2.2, 3.2, 4.2], (1.0, 1.0): [2.0, 3.0, 4.0], (2.0, 1.0): [2.0, 3.1, 3.9]}

    own, slower, faster = compared(found)

    assert (own["own"], own["lane_sd"]) == (3.0, 1.0)
    assert own["sd_of_differences"] == pytest.approx((0.02 / 4) ** 0.5)
    assert (slower["blocks"], slower["loss"], faster["loss"]) == (0.5, pytest.approx(0.2), pytest.approx(0.0, abs=1e-9))
    assert slower["half_width"] == faster["half_width"] == pytest.approx(2.776 * 0.005**0.5 / 3**0.5, rel=1e-3)
