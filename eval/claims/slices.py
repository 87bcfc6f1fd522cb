"""Documents in named slices -> how much worse each slice is predicted than the other documents, with an interval.

Bits per byte of the slice minus those of all others, all bytes counting alike; the interval comes from resampling
groups of documents, and is as wide as lets those of all slices hold at once. Nobody is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from eval.claims.associations import LEVEL
from pipeline.core.rng import generator

LEAST_DOCUMENTS = 25  # of a slice that is named (assumption: enough that it names nobody)
REPLICATES, CHUNK = 1_000, 250  # resamplings, and so many at once


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice beside all other documents, in bits per byte; positive is worse."""

    name: str
    documents: int
    groups: int
    effect: float
    low: float
    high: float

    @property
    def settled(self) -> bool:
        return self.low > 0 or self.high < 0


def slice_effects(
    members: Mapping[str, np.ndarray], *, bits_D: np.ndarray, bytes_D: np.ndarray, cluster_D: np.ndarray, seed: int
) -> list[Slice]:
    """Return every slice (bool[D]) of enough documents, the largest effect first; `bits_D` is what was lost."""
    named = {
        name: mine for name, mine in members.items() if LEAST_DOCUMENTS <= mine.sum() <= len(mine) - LEAST_DOCUMENTS
    }
    if not named:
        return []
    group_D = np.unique(cluster_D, return_inverse=True)[1]
    member_DS = np.column_stack(list(named.values())).astype(float)
    values_DX = np.concatenate(
        [member_DS * bits_D[:, None], member_DS * bytes_D[:, None], bits_D[:, None], bytes_D[:, None]], axis=1
    )
    sums_CX = np.zeros((int(group_D.max()) + 1, values_DX.shape[1]))
    np.add.at(sums_CX, group_D, values_DX)
    effect_S = _effects(sums_CX.sum(axis=0)[None], len(named))[0]
    draw, found = generator(seed, "claims", "slices"), []
    for start in range(0, REPLICATES, CHUNK):
        rows, cells = min(CHUNK, REPLICATES - start), len(sums_CX)
        chosen = draw.integers(0, cells, size=(rows, cells)) + np.arange(rows)[:, None] * cells
        weight_RC = np.bincount(chosen.ravel(), minlength=rows * cells).reshape(rows, cells)
        found.append(_effects(weight_RC @ sums_CX, len(named)))
    deviation_S = np.concatenate(found).std(axis=0)
    reach = NormalDist().inv_cdf(1 - LEVEL / len(named) / 2)
    slices = [
        Slice(
            name, int(mine.sum()), len(np.unique(group_D[mine])), float(effect),
            low=float(effect - reach * deviation), high=float(effect + reach * deviation),
        )
        for (name, mine), effect, deviation in zip(named.items(), effect_S, deviation_S, strict=True)
    ]  # fmt: skip
    return sorted(slices, key=lambda each: (-abs(each.effect), each.name))


def _effects(sums_RX: np.ndarray, num_slices: int) -> np.ndarray:
    bits_RS, bytes_RS = sums_RX[:, :num_slices], sums_RX[:, num_slices : 2 * num_slices]
    rest_bits, rest_bytes = sums_RX[:, -2:-1] - bits_RS, sums_RX[:, -1:] - bytes_RS
    difference: np.ndarray = bits_RS / np.maximum(bytes_RS, 1) - rest_bits / np.maximum(rest_bytes, 1)
    return difference
