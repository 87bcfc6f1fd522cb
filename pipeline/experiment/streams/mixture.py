"""Datasets and weights in, how many tokens each gives out: by weight, under a cap on repetition.

Shares are counted in tokens after packing, BOS included, not in documents or lines. A dataset may be repeated at most
`max_epochs` times; what a capped dataset cannot give is spread over the others in proportion to their weights. Proxies
draw rows by these shares (`pipeline/experiment/streams/pool.py`), an export writes documents by them
(`pipeline/queries/export/order.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.proxies.packing import Tokens
from pipeline.core.errors import DataError, RecipeError, nearest_names

MOST_TOKENS = 2**31 - 1  # of one stream: 4 GB of uint16, held in memory


@dataclass(frozen=True, slots=True)
class Share:
    """What one dataset gives to a mixture. All token counts include one BOS per document."""

    name: str
    weight: float  # as written, normalised to sum 1
    share: float  # after caps
    num_tokens: int
    available_tokens: int
    num_documents: int
    epochs: float
    max_epochs: float
    capped: bool  # gives all that its max_epochs allow


@dataclass(frozen=True, slots=True)
class MixturePlan:
    """How a token budget is spent, by dataset in name order."""

    total_tokens: int
    shares: tuple[Share, ...]


def plan_mixture(
    datasets: Mapping[str, Tokens],
    *,
    weights: Mapping[str, float],
    total_tokens: int,
    max_epochs: float = 1.0,
) -> MixturePlan:
    """Divide `total_tokens` by weight under a cap on the repetition of each dataset.

    Raises RecipeError for an unknown dataset, a weight that is not positive, or a budget that no repetition within the
    caps can fill; DataError for a dataset without tokens.
    """
    _check(datasets, weights=weights, max_epochs=max_epochs, total_tokens=total_tokens)
    names = sorted(weights)
    sizes = [_document_sizes(datasets[name]) for name in names]
    available = [int(size.sum()) for size in sizes]
    for name, count in zip(names, available, strict=True):
        if count == 0:
            raise DataError(
                f"mixture: dataset '{name}' has no tokens; a weight needs text. Take it out of the mixture."
            )
    # A cap is never more than the budget, which keeps an absurd max_epochs within int64.
    limits = [math.floor(min(max_epochs * count, total_tokens)) for count in available]
    if sum(limits) < total_tokens:
        raise RecipeError(
            f"mixture: {total_tokens} tokens are asked for, but its datasets give {sum(limits)} within their "
            f"max_epochs. Lower the tokens to {sum(limits)} or raise max_epochs."
        )
    total_weight = math.fsum(weights.values())
    asked = [weights[name] / total_weight for name in names]
    counts = divide(total_tokens, weights=asked, limits=limits)
    return MixturePlan(
        total_tokens=total_tokens,
        shares=tuple(
            Share(
                name=name,
                weight=asked[index],
                share=counts[index] / total_tokens,
                num_tokens=counts[index],
                available_tokens=available[index],
                num_documents=int((sizes[index] > 0).sum()),
                epochs=counts[index] / available[index],
                max_epochs=float(max_epochs),
                capped=counts[index] + 1 > max_epochs * available[index],
            )
            for index, name in enumerate(names)
        ),
    )


def _check(
    datasets: Mapping[str, Tokens], *, weights: Mapping[str, float], max_epochs: float, total_tokens: int
) -> None:
    """Raise RecipeError naming the first thing that a mixture cannot mean."""
    if not weights:
        raise RecipeError("mixture: has no weights; it needs at least one dataset. Add one under weights.")
    if not max_epochs > 0:
        raise RecipeError(f"mixture: max_epochs is {max_epochs}; it must be above 0. Remove the line to allow 1.")
    for name in sorted(weights):
        if name not in datasets:
            nearest = nearest_names(name, datasets)
            raise RecipeError(f"mixture: '{name}' is not a dataset; a weight must name one. Use {nearest}.")
        if not (math.isfinite(weights[name]) and weights[name] > 0):
            raise RecipeError(
                f"mixture: weight of '{name}' is {weights[name]}; it must be above 0. Remove the line to leave it out."
            )
        if datasets[name].flat.dtype != np.uint16:
            raise DataError(
                f"mixture: tokens of '{name}' are {datasets[name].flat.dtype}; they must be uint16. Tokenize again."
            )
    if total_tokens < 1:
        raise RecipeError(
            f"mixture: {total_tokens} tokens are asked for; it must be at least 1. Change the number of tokens."
        )


def _document_sizes(source: Tokens) -> np.ndarray:
    """Return int64[num_docs]: tokens with BOS, 0 for an empty document, which is left out."""
    lengths = np.diff(source.offsets)
    return np.where(lengths > 0, lengths + 1, 0)


def divide(total: int, *, weights: Sequence[float], limits: Sequence[int]) -> list[int]:
    """Divide `total` in proportion to `weights`, no part above its limit, to the last token.

    Whoever would exceed its limit gets the limit; the rest is divided anew among the others, until nobody exceeds.
    Fractions of a token go to the largest remainders.
    """
    counts = [0] * len(weights)
    open_ones = list(range(len(weights)))
    rest = total
    while open_ones:
        weight = math.fsum(weights[index] for index in open_ones)
        full = [index for index in open_ones if rest * (weights[index] / weight) >= limits[index]]
        if not full:
            break
        for index in full:
            counts[index] = limits[index]
        rest -= sum(limits[index] for index in full)
        open_ones = [index for index in open_ones if index not in full]
    weight = math.fsum(weights[index] for index in open_ones)
    exact = {index: rest * (weights[index] / weight) for index in open_ones}
    for index in open_ones:
        counts[index] = math.floor(exact[index])
    by_remainder = sorted(open_ones, key=lambda index: (counts[index] - exact[index], index))
    for index in by_remainder[: total - sum(counts)]:
        counts[index] += 1
    return counts
