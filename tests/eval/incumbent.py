"""What an incumbent's lucky proxies do to whoever challenges it: `python -m tests.eval.incumbent` prints the table.

A mixture was promoted by some proxies and is the baseline now. Judged against the same proxies, the next candidate has
their luck against it; judged against fresh ones of the same mixture, it has not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eval.verdict.interval import Chance, half_width
from pipeline.core.rng import generator


@dataclass(frozen=True, slots=True)
class Challenged:
    """`luck` in deviations of one lane; shares of promoted incumbents whose challenger is promoted or rejected."""

    luck: float
    promoted_same: float
    promoted_fresh: float
    rejected_same: float
    rejected_fresh: float


def challenged(*, gain: float, of_next: float, seeds: int, runs: int = 40_000) -> Challenged:
    """Promote mixtures that gain `gain` deviations of a lane, then judge one that gains `of_next` over each."""
    draw = generator(seeds, "incumbent", int(100 * gain), int(100 * of_next))
    base, incumbent, fresh, challenger = draw.normal(size=(4, runs, seeds))
    was_promoted = _gain(gain + incumbent, base)[0] > 0
    low_same, high_same = _gain(of_next + challenger, incumbent)
    low_fresh, high_fresh = _gain(of_next + challenger, fresh)
    return Challenged(
        luck=float(incumbent[was_promoted].mean()),
        promoted_same=float((low_same > 0)[was_promoted].mean()),
        promoted_fresh=float((low_fresh > 0)[was_promoted].mean()),
        rejected_same=float((high_same < 0)[was_promoted].mean()),
        rejected_fresh=float((high_fresh < 0)[was_promoted].mean()),
    )


def _gain(candidate_RS: np.ndarray, baseline_RS: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both bounds of each gain, with no earlier lanes and no chance from documents."""
    seeds = candidate_RS.shape[1]
    variance = (candidate_RS.var(axis=1, ddof=1) + baseline_RS.var(axis=1, ddof=1)) / 2
    width = half_width(Chance(2 * variance / seeds, 2.0 * (seeds - 1), 0.0, 50.0), level=0.975)
    gain = candidate_RS.mean(axis=1) - baseline_RS.mean(axis=1)
    return gain - width, gain + width


def main() -> None:
    """Print luck, and shares in percent."""
    print("seeds  gain of incumbent, of challenger  luck  promoted by same / fresh proxies  rejected by same / fresh")
    for seeds in (3, 5):
        for gain in (0.5, 1.0, 2.0):
            for of_next in (0.0, 1.0, 2.0):
                found = challenged(gain=gain, of_next=of_next, seeds=seeds)
                promoted = f"{100 * found.promoted_same:.1f} / {100 * found.promoted_fresh:.1f}"
                rejected = f"{100 * found.rejected_same:.1f} / {100 * found.rejected_fresh:.1f}"
                print(f"{seeds:5}  {gain:g}, {of_next:g}  {found.luck:.2f}  {promoted}  {rejected}")


if __name__ == "__main__":
    main()
