"""How often the interval of a gain covers the truth, by simulation: `python -m tests.eval.coverage` prints the table.

The parts are the product's own (`eval/verdict`); only the lanes and documents are drawn here.
"""

from __future__ import annotations

import numpy as np

from eval.verdict.deviation import MOST_EARLIER_FREEDOM, NOISIER
from eval.verdict.interval import Chance, half_width
from pipeline.core.rng import generator


def covered(
    *,
    seeds: int,
    arm_ratio: float = 1.0,
    documents: float = 0.0,
    earlier_arms: int = 0,
    scatter: float = 1.0,
    runs: int = 100_000,
) -> float:
    """Return the share of 95 % intervals that hold the true gain.

    The candidate's lanes deviate `arm_ratio` times as much as the baseline's; `documents` is the variance through the
    choice of 50 documents, as a multiple of the lanes'; deviations of experiments scatter by the factor `scatter` (one
    sigma), this one's as well as those of the earlier arms.
    """
    draw = generator(seeds, "coverage", int(100 * arm_ratio), int(100 * documents), earlier_arms, int(100 * scatter))
    size = np.exp(draw.normal(size=runs) * np.log(scatter))
    lanes = draw.normal(size=(2, seeds, runs)) * size * np.array([arm_ratio, 1.0])[:, None, None]
    own, own_freedom = lanes.var(axis=1, ddof=1).mean(axis=0), 2.0 * (seeds - 1)
    variance, freedom = own, np.full(runs, own_freedom)
    if earlier_arms:
        sizes = np.exp(draw.normal(size=(earlier_arms, runs)) * np.log(scatter))
        found = (sizes**2 * draw.chisquare(seeds - 1, size=(earlier_arms, runs)) / (seeds - 1)).mean(axis=0)
        lent = min(earlier_arms * (seeds - 1.0), MOST_EARLIER_FREEDOM)
        usable = _not_noisier(own, found, own_freedom, earlier_arms * (seeds - 1.0))
        variance = np.where(usable, (own * own_freedom + found * lent) / (own_freedom + lent), own)
        freedom = np.where(usable, own_freedom + lent, own_freedom)
    of_documents = documents * size**2 * (arm_ratio**2 + 1) / seeds
    error = (lanes[0] - lanes[1]).mean(axis=0) + draw.normal(size=runs) * np.sqrt(of_documents)
    seen = of_documents * draw.chisquare(50, size=runs) / 50
    width = half_width(Chance(2 * variance / seeds, freedom, seen, 50.0), level=0.975)
    return float((np.abs(error) <= width).mean())


def _not_noisier(own: np.ndarray, found: np.ndarray, own_freedom: float, freedom: float) -> np.ndarray:
    from scipy.special import fdtrc

    usable: np.ndarray = fdtrc(own_freedom, freedom, own / found) >= NOISIER
    return usable


def main() -> None:
    """Print coverage in percent."""
    print("seeds  arm ratio  documents 0 / 0.1 / 1 / 5 times the lanes")
    for seeds in (3, 5):
        for ratio in (1.0, 1.5, 2.0, 3.0):
            row = [covered(seeds=seeds, arm_ratio=ratio, documents=share) for share in (0.0, 0.1, 1.0, 5.0)]
            print(f"{seeds:5}  {ratio:9g}  " + " / ".join(f"{100 * value:.1f}" for value in row))
    print("seeds  scatter  earlier arms 0 / 2 / 4 / 8 / 20")
    for seeds in (3, 5):
        for scatter in (1.0, 1.35, 1.5):
            row = [covered(seeds=seeds, scatter=scatter, earlier_arms=arms) for arms in (0, 2, 4, 8, 20)]
            print(f"{seeds:5}  {scatter:7g}  " + " / ".join(f"{100 * value:.1f}" for value in row))


if __name__ == "__main__":
    main()
