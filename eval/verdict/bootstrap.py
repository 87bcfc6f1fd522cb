"""Cells of bits and bytes in, percentile bounds of the gain out: the two-level bootstrap over seeds, then clusters.

It assumes no distribution, but with 3 seeds its 95 % interval covers only 75 to 95 of 100 truths (the 3 seeds are all
it can draw from), so it stands beside the interval that decides and never in its place. Counts of how often each
cluster was drawn make a replicate one row of a matrix product: 2,000 of them over 5 seeds and 5,000 documents in 0.3 s.
"""

from __future__ import annotations

import numpy as np

from pipeline.core.rng import generator

CHUNK_CELLS = 4_000_000  # weights held in memory at once: 32 MB


def bootstrap_bounds(
    *,
    gain_SP: np.ndarray,
    bytes_P: np.ndarray,
    domain_P: np.ndarray,
    share_G: np.ndarray,
    confidence: float,
    replicates: int,
    seed: int,
) -> np.ndarray:
    """Return float64[1 + G, 2]: lower and upper bound, of the domains weighted by `share_G` first, then of each.

    S seeds, P cells (one cluster in one domain), G domains. One draw of seeds serves all domains. The sums run without
    BLAS, whose last bit can depend on the number of threads.
    """
    num_seeds = len(gain_SP)
    draw = generator(seed, "paired", "bootstrap")
    weight_RS = draw.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), size=replicates) / num_seeds
    gain_RG = np.empty((replicates, len(share_G)))
    for domain in range(len(share_G)):
        chosen_P = domain_P == domain
        sums_PX = np.column_stack([gain_SP[:, chosen_P].T, bytes_P[chosen_P]])
        rows = max(1, CHUNK_CELLS // len(sums_PX))
        for start in range(0, replicates, rows):
            stop = min(start + rows, replicates)
            weight_RP = _draws(draw, num_rows=stop - start, num_cells=len(sums_PX))
            total_RX = np.einsum("rp,px->rx", weight_RP, sums_PX)
            gain_RG[start:stop, domain] = (total_RX[:, :-1] / total_RX[:, -1:] * weight_RS[start:stop]).sum(axis=1)
    values = np.column_stack([(gain_RG * share_G).sum(axis=1), gain_RG])
    bounds: np.ndarray = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0).T
    return bounds


def _draws(draw: np.random.Generator, *, num_rows: int, num_cells: int) -> np.ndarray:
    """Return float64[num_rows, num_cells]: how often each cell is drawn when `num_cells` are drawn with replacement."""
    chosen = draw.integers(0, num_cells, size=(num_rows, num_cells)) + np.arange(num_rows)[:, None] * num_cells
    counts = np.bincount(chosen.ravel(), minlength=num_rows * num_cells)
    return counts.reshape(num_rows, num_cells).astype(np.float64)
