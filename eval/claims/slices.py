"""Documents in named slices -> how much worse each slice is predicted than the other documents, with an interval.

Bits per byte of the slice minus those of all others, all bytes counting alike; the interval comes from resampling
groups of documents, and is as wide as lets those of all slices hold at once: Student's t with one degree of freedom
less than there are groups in the slice, or in what it stands beside, as few groups show less than their spread. Nobody
is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from eval.claims.associations import LEVEL
from pipeline.core.rng import generator

LEAST_DOCUMENTS = 25  # of a slice that is named (assumption: enough that it names nobody)
LEAST_GROUPS = (
    10  # of a slice, and of the others: of 3 and 5 groups normal intervals at 1.7 % fail in 11 and 9 % of 200 cases
)
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
    """Return every slice (bool[D]) of enough documents and groups, largest effect first; `bits_D` was lost."""
    group_D = np.unique(cluster_D, return_inverse=True)[1]
    groups = {name: (_groups(group_D[mine]), _groups(group_D[~mine])) for name, mine in members.items()}
    named = {
        name: mine
        for name, mine in members.items()
        if LEAST_DOCUMENTS <= mine.sum() <= len(mine) - LEAST_DOCUMENTS and min(groups[name]) >= LEAST_GROUPS
    }
    if not named:
        return []
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
    fewest_S = np.array([min(groups[name]) for name in named], float)
    deviation_S *= np.sqrt(fewest_S / (fewest_S - 1))  # a resampling of n spreads as if it were over all there are
    reach_S = deviation_S * stdtrit(fewest_S - 1, 1 - LEVEL / len(named) / 2)
    slices = [
        Slice(
            name, int(mine.sum()), groups[name][0], float(effect), low=float(effect - reach), high=float(effect + reach)
        )
        for (name, mine), effect, reach in zip(named.items(), effect_S, reach_S, strict=True)
    ]  # fmt: skip
    return sorted(slices, key=lambda each: (-abs(each.effect), each.name))


def _groups(group_D: np.ndarray) -> int:
    return len(np.unique(group_D))


def _effects(sums_RX: np.ndarray, num_slices: int) -> np.ndarray:
    bits_RS, bytes_RS = sums_RX[:, :num_slices], sums_RX[:, num_slices : 2 * num_slices]
    rest_bits, rest_bytes = sums_RX[:, -2:-1] - bits_RS, sums_RX[:, -1:] - bytes_RS
    difference: np.ndarray = bits_RS / np.maximum(bytes_RS, 1) - rest_bits / np.maximum(rest_bytes, 1)
    return difference
