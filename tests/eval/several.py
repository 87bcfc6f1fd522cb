"""How often all intervals of several mixtures hold at once, by simulation: `python -m tests.eval.several`.

The parts are the product's own (`eval/verdict`); only lanes and documents are drawn here. All mixtures are held against
the same one, so their gains share its chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eval.verdict.interval import Chance, confidence_of_each, half_width
from pipeline.core.rng import generator

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class AtOnce:
    """Shares of simulated comparisons, and the width at which exactly 95 % of them would hold."""

    widened: float  # in which all intervals hold, each as wide as several ask for
    alone: float  # in which all hold, each as wide as if it were the only one
    exact: float  # width that would do, of the widened one


def held_at_once(*, others: int, seeds: int, documents: float = 0.0, runs: int = 50_000) -> AtOnce:
    """Return how often all of `others` intervals hold; `documents` is their variance as a multiple of the lanes'."""
    draw = generator(seeds, "several", others, int(100 * documents))
    lanes = draw.normal(size=(others + 1, seeds, runs))
    moved = draw.normal(size=(others + 1, runs)) * np.sqrt(documents / seeds)
    mean, variance = lanes.mean(axis=1) + moved, lanes.var(axis=1, ddof=1)
    error = np.abs(mean[1:] - mean[0])
    pooled = (variance[1:] + variance[0]) / 2
    seen = 2 * documents / seeds * draw.chisquare(50, size=(others, runs)) / 50
    chance = Chance(2 * pooled / seeds, 2.0 * (seeds - 1), seen, 50.0)

    def width(number: int) -> np.ndarray:
        each = confidence_of_each(CONFIDENCE, number=number)
        return np.asarray(half_width(chance, level=(1 + each) / 2))

    widened = width(others)
    return AtOnce(
        widened=float((error <= widened).all(axis=0).mean()),
        alone=float((error <= width(1)).all(axis=0).mean()),
        exact=float(np.quantile((error / widened).max(axis=0), CONFIDENCE)),
    )


def main() -> None:
    """Print percent of comparisons in which all intervals hold."""
    print("others  seeds  documents  all hold: widened / each as if alone; width that would do exactly")
    for others in (1, 2, 4, 8):
        for seeds in (3, 5):
            for documents in (0.0, 1.0):
                found = held_at_once(others=others, seeds=seeds, documents=documents)
                shares = f"{100 * found.widened:.1f} / {100 * found.alone:.1f}"
                print(f"{others:6}  {seeds:5}  {documents:9g}  {shares}; {found.exact:.2f}")


if __name__ == "__main__":
    main()
