"""Documents and how badly each is predicted -> three splits, and in each pairs of a worst and a neutral document.

Of every group of documents that say much the same one stands for all: a second would say the same and cost as much. A
document is held against those like it: same held-out set, similar length. From each such stratum as many neutral
documents are drawn as it has worst ones, each the partner of one, so nothing that differs between the sides is the set
or the length. A claim is stated on one split, tested on the second and measured on the third.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import xxhash

from pipeline.core.rng import generator

Split = Literal["propose", "verify", "report"]
SPLITS: dict[Split, float] = {"propose": 0.25, "verify": 0.5, "report": 0.25}  # shares of the groups
SPLIT_SEED = 20_261_201  # of the draw of a group's split from its least key
LENGTHS = 5  # strata of a held-out set by length, at most
LEAST_IN_STRATUM = 40  # documents, so that a worst quarter of a split is more than one or two
WORST = 0.25  # of a stratum, at most
MIDDLE = (0.25, 0.75)  # of a stratum, by rank: what is neutral


@dataclass(frozen=True, slots=True)
class Sides:
    """Documents of one split in pairs: worst[k] and neutral[k] are of one stratum, the worst of all first."""

    worst: np.ndarray  # int64[n]
    neutral: np.ndarray  # int64[n]

    def __len__(self) -> int:
        return len(self.worst)


def strata_of(domain_D: np.ndarray, size_D: np.ndarray) -> np.ndarray:
    """Return int64[D]: documents of one set and of similar length have one number."""
    found = np.zeros(len(domain_D), np.int64)
    first = 0
    for domain in np.unique(domain_D):
        rows = np.flatnonzero(domain_D == domain)
        bins = min(LENGTHS, max(1, len(rows) // LEAST_IN_STRATUM))
        rank = np.argsort(np.argsort(size_D[rows], kind="stable"), kind="stable")
        found[rows] = first + rank * bins // len(rows)
        first += bins
    return found


def split_by_group(key_D: np.ndarray, cluster_D: np.ndarray) -> dict[Split, np.ndarray]:
    """Return for every split its documents, one of each group: that with the least key (uint64).

    The split is drawn from that key once more: the least of many is small by itself, and would put nearly every group
    of many into the first split. So a group stays in its split whatever is asked and whoever asks: nothing is tested on
    what it was stated on.
    """
    order = np.argsort(key_D, kind="stable")
    first = order[np.unique(cluster_D[order], return_index=True)[1]]
    drawn = [xxhash.xxh64_intdigest(key.to_bytes(8, "little"), SPLIT_SEED) for key in key_D[first].tolist()]
    place = np.array(drawn, np.float64) / 2**64
    bounds = np.cumsum(list(SPLITS.values()))
    chosen = np.minimum(np.searchsorted(bounds, place, side="right"), len(SPLITS) - 1)
    return {name: np.sort(first[chosen == number]) for number, name in enumerate(SPLITS)}


def choose_sides(
    badness_D: np.ndarray, stratum_D: np.ndarray, rows: np.ndarray, *, most: int, seed: int, name: Split
) -> Sides:
    """Return the worst of some documents, about `most` where there are more, each with a neutral partner."""
    share = min(WORST, most / max(len(rows), 1))
    worst, neutral = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for stratum in np.unique(stratum_D[rows]):
        mine = rows[stratum_D[rows] == stratum]
        order = mine[np.argsort(-badness_D[mine], kind="stable")]
        count = round(share * len(order))
        middle = order[max(count, int(MIDDLE[0] * len(order))) : int(MIDDLE[1] * len(order))]
        count = min(count, len(middle))
        drawn = generator(seed, "claims", name, int(stratum)).permutation(len(middle))[:count]
        worst.append(order[:count])
        neutral.append(middle[drawn])
    all_worst, all_neutral = np.concatenate(worst), np.concatenate(neutral)
    first = np.argsort(-badness_D[all_worst], kind="stable")
    return Sides(all_worst[first], all_neutral[first])
