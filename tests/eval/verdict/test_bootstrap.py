"""The bootstrap is fast, centred, and known to be too sure of itself with few seeds."""

from __future__ import annotations

import numpy as np
import pytest

from eval.verdict.bootstrap import bootstrap_bounds
from pipeline.core.rng import generator
from tests.timing import MEGABYTE, loop_seconds, seconds_of

TRUE_GAIN = 0.02


def bounds(*, seeds: int, cells: int, seed_sd: float, cell_sd: float, replicates: int, draw: int = 0) -> np.ndarray:
    """Bounds for two domains of equally many cells whose true gain is TRUE_GAIN."""
    random = generator(draw, "bootstrap test")
    bytes_P = random.integers(200, 3000, size=cells).astype(np.float64)
    per_byte_SP = TRUE_GAIN + random.normal(size=(seeds, 1)) * seed_sd + random.normal(size=cells) * cell_sd
    return bootstrap_bounds(
        gain_SP=per_byte_SP * bytes_P,
        bytes_P=bytes_P,
        domain_P=np.arange(cells) % 2,
        share_G=np.array([0.5, 0.5]),
        confidence=0.95,
        replicates=replicates,
        seed=0,
    )


def test_over_many_cells_and_no_seed_noise_the_width_is_that_of_the_normal_distribution() -> None:
    low, high = bounds(seeds=3, cells=2000, seed_sd=0, cell_sd=0.1, replicates=2000)[0]

    # Bytes are uniform on 200..3000, so E[b^2] / E[b]^2 = 1.255.
    assert (high - low) / 2 == pytest.approx(1.96 * 0.1 * (1.255 / 2000) ** 0.5, rel=0.1)


def test_over_three_seeds_it_covers_too_little() -> None:
    """Why the bootstrap does not decide."""
    covered = []

    for draw in range(200):
        low, high = bounds(seeds=3, cells=100, seed_sd=0.01, cell_sd=0.01, replicates=300, draw=draw)[0]
        covered.append(low <= TRUE_GAIN <= high)

    assert np.mean(covered) < 0.9


def test_two_thousand_replicates_over_five_seeds_and_5000_documents_take_a_moment() -> None:
    """0.2 s; plain Python needs as long as for a hundred million characters."""
    seconds = seconds_of(lambda: bounds(seeds=5, cells=5000, seed_sd=0.01, cell_sd=0.1, replicates=2000))

    assert seconds < 60 * loop_seconds(MEGABYTE)
