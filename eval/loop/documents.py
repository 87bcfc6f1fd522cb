"""Bits per document of a few lanes of two mixtures in, how much their gain depends on which documents were held out.

A search sees the documents that its cards are scored on, a claim is judged by others, so how many of those there are
bounds what it can show, however many seeds it has. What one document's gain differs from the next one's is taken from
the cards' documents, and held to be alike in the claim's. Shapes: S lanes, D documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from eval.verdict.deviation import Deviation, pooled


@dataclass(frozen=True, slots=True)
class Scored:
    """Lanes of two mixtures on the documents of one held-out set.

    `head_SD` and `incumbent_SD` are float64[S, D] bits of each document, of one lane or more; `num_bytes_D` its bytes,
    `cluster_D` its group of documents that say much the same.
    """

    head_SD: np.ndarray
    incumbent_SD: np.ndarray
    num_bytes_D: np.ndarray
    cluster_D: np.ndarray


def of_a_group(scored: Scored) -> Deviation | None:
    """Return the variance of the gain, in bits per byte, as one group of documents has it; None of fewer than two.

    The variance of a set's gain through its documents, times its groups. By how much lanes disagree about a group is
    taken off, as far as it is seen: with one lane of a mixture the other's stands for it.
    """
    names, cluster_D = np.unique(scored.cluster_D, return_inverse=True)
    count = len(names)
    if count < 2:
        return None
    bytes_C = np.bincount(cluster_D, weights=scored.num_bytes_D, minlength=count)
    head_SC, base_SC = (_influences(arm, cluster_D, bytes_C) for arm in (scored.head_SD, scored.incumbent_SD))
    shared_C = (base_SC.mean(axis=0) - head_SC.mean(axis=0)) ** 2
    seen = [float(arm.var(axis=0, ddof=1).sum()) for arm in (head_SC, base_SC) if len(arm) > 1]
    disagreement = (float(np.mean(seen)) if seen else 0.0) * (1 / len(head_SC) + 1 / len(base_SC))
    variance = max(float(shared_C.sum()) - disagreement, 0.0) * count**2 / (count - 1)
    spread = float((shared_C**2).sum()) - float(shared_C.sum()) ** 2 / count
    freedom = 2 * float(shared_C.sum()) ** 2 / spread if spread > 0 else count - 1.0
    return Deviation(variance, float(np.clip(freedom, 1, count - 1)))


def of_a_claim(known: Mapping[str, Deviation], groups: Mapping[str, int]) -> Deviation | None:
    """Return the variance of the mean gain over the claim's sets, through the choice of their documents.

    `known` is `of_a_group` of each set that cards are scored on, `groups` how many groups of documents each set of the
    claim has; a set that is not among the former is held to be like all of them together. None where nothing is known.
    """
    if not known or not groups or min(groups.values()) < 1:
        return None
    usual = pooled(list(known.values()))
    each = {name: known.get(name, usual) for name in groups}
    variance = sum(deviation.variance / groups[name] for name, deviation in each.items()) / len(groups) ** 2
    return Deviation(variance, min(deviation.freedom for deviation in each.values()))


def _influences(bits_SD: np.ndarray, cluster_D: np.ndarray, bytes_C: np.ndarray) -> np.ndarray:
    """Return float64[S, C]: by how much each group moves a lane's bits per byte."""
    bits_SC = np.stack([np.bincount(cluster_D, weights=row, minlength=len(bytes_C)) for row in bits_SD])
    rate_S1 = bits_SC.sum(axis=1, keepdims=True) / bytes_C.sum()
    found: np.ndarray = (bits_SC - rate_S1 * bytes_C) / bytes_C.sum()
    return found
