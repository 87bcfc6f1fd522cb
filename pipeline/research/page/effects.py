"""Values of few proxies -> what each edit is worth, what chance does, with intervals that few proxies allow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.recipe.edits import Edit, edit_of, key_of
from pipeline.report.research.told import EffectTold, Part, Range
from pipeline.research.page.telling import mean


def effect_of(
    edits: tuple[Edit, ...], told: Mapping[str, Any], scored: Mapping[tuple[tuple[str, ...], int], Mapping[str, float]]
) -> EffectTold:
    """Return an edit's worth with its intervals; the mean is the one that the ledger tells."""
    left = edit_of(told["edit"])
    without, whole = key_of(edit for edit in edits if edit != left), key_of(edits)
    seeds = [seed for seed in told.get("seeds", ()) if (without, seed) in scored and (whole, seed) in scored]
    domains = sorted({name for seed in seeds for name in scored[whole, seed]})
    paired = {name: [scored[without, seed][name] - scored[whole, seed][name] for seed in seeds] for name in domains}
    by_domain = {name: found for name, each in paired.items() if (found := interval_of(each)) is not None}
    overall, worth, pairs = None, told["worth"], int(told["pairs"])
    if worth is not None and told["sd"] is not None:
        side = t_side(pairs) * told["sd"]
        overall = Range(worth, worth - side, worth + side)
    return EffectTold(left.words, pairs, overall, worth, by_domain)


def interval_of(values: Sequence[float]) -> Range | None:
    """Return a mean with its 95 % interval by Student's t; None of fewer than two values."""
    if len(values) < 2:
        return None
    middle = mean(values)
    error = math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1) / len(values))
    side = t_side(len(values)) * error
    return Range(middle, middle - side, middle + side)


def t_side(pairs: int) -> float:
    """Return the half-width of a 95 % interval of a mean, in standard errors."""
    from scipy.special import stdtrit

    return float(stdtrit(pairs - 1, 0.975))


def deviation_of(values: Sequence[float]) -> Range | None:
    """Return a standard deviation with its 90 % interval; None of fewer than two values."""
    if len(values) < 2:
        return None
    from scipy.special import gammaincinv

    middle, freedom = mean(values), len(values) - 1
    squares = math.fsum((value - middle) ** 2 for value in values)
    low, high = (math.sqrt(squares / (2 * float(gammaincinv(freedom / 2, level)))) for level in (0.95, 0.05))
    return Range(math.sqrt(squares / freedom), low, high)


def worth_of(good: float, count: float) -> Part:
    """Return how good a proposer's next mixture is likely to be, by the distribution that shares are drawn from."""
    from scipy.special import betaincinv

    low, high = (float(betaincinv(1 + good, 1 + count - good, level)) for level in (0.05, 0.95))
    return Part((1 + good) / (2 + count), low, high, int(count))


def part_of(share: Any) -> Part:
    """Return a share of the policy's as the record tells it."""
    return Part(share.share, share.low, share.high, share.count)
