"""How often a gate promotes what gains nothing when its own advice on seeds is followed: `python -m tests.eval.looks`.

The parts are the product's own (`eval/verdict`); only lanes are drawn here.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.special import fdtrc

from eval.verdict.deviation import MOST_EARLIER_FREEDOM, NOISIER
from eval.verdict.interval import Chance, detectable, half_width
from eval.verdict.paired import MOST_SEEDS
from eval.verdict.sequential import Looks, gain_for_odds, wealth
from pipeline.core.rng import generator

Policy = Literal["forgets", "pays"]
MOST_LOOKS = 8


def promoted(
    *, seeds: int, gain: float = 0.0, underestimate: float = 1.0, documents: float = 0.0, policy: Policy = "pays",
    runs: int = 20_000,
) -> float:  # fmt: skip
    """Return the share of candidates that are promoted, at the first look or a later one.

    `gain` is in deviations of a lane beyond what is required. Earlier lanes tell a deviation that is too small by the
    factor `underestimate`; `documents` is the variance through the choice of 50 documents, in units of a lane's.
    `forgets` lets the interval decide at every look, `pays` asks for odds from the second on.
    """
    draw = generator(seeds, "looks", int(100 * underestimate), int(100 * documents))
    lanes = draw.normal(size=(2, MOST_SEEDS, runs))
    sums, squares = lanes.cumsum(axis=1), (lanes**2).cumsum(axis=1)
    moved = gain + draw.normal(size=runs) * np.sqrt(documents)
    seen = documents * draw.chisquare(50, size=runs) / 50
    count, alive, won = np.full(runs, seeds), np.ones(runs, bool), np.zeros(runs, bool)
    needed = Looks(number=2).odds_needed(confidence=0.95)
    for look in range(MOST_LOOKS):
        mean = sums[:, count - 1, np.arange(runs)] / count
        own = ((squares[:, count - 1, np.arange(runs)] - count * mean**2) / (count - 1)).mean(axis=0)
        variance, lent = _with_earlier(own, 2.0 * (count - 1), 1 / underestimate**2)
        found = moved + mean[0] - mean[1]

        def width(number: np.ndarray, variance: np.ndarray = variance, lent: np.ndarray = lent) -> np.ndarray:
            lanes = Chance(2 * variance / number, 2.0 * (number - 1) + lent, seen, 50.0)
            return np.asarray(half_width(lanes, level=0.975))

        now = width(count)
        enough = found > now
        if look > 0 and policy == "pays":
            enough &= wealth(found, variance, 2 * variance / count + seen) >= needed
        won |= alive & enough
        alive &= ~enough & (found > -now)
        advised = np.zeros(runs, int)
        for number in range(seeds + 1, MOST_SEEDS + 1):  # as the gate says what would settle it
            settles = np.abs(found) > width(np.full(runs, number))
            if policy == "pays":
                settles &= (found < 0) | (wealth(found, variance, 2 * variance / number + seen) >= needed)
            advised = np.where((advised == 0) & (number > count) & settles, number, advised)
        alive &= advised > 0
        count = np.where(alive, advised, count)
    return float(won.mean())


def found_of(*, seeds: int, looks: Looks, required: float = 0.0, runs: int = 20_000) -> float:
    """Return the share of candidates promoted at a look whose true gain is what the gate calls detectable there.

    The deviation is known from many lanes, and documents add nothing, as a plan assumes.
    """
    draw = generator(seeds, "found", looks.number, looks.candidate_number)
    needed = looks.odds_needed(confidence=0.95)
    chance = Chance(2 / seeds, 2.0 * (seeds - 1) + MOST_EARLIER_FREEDOM, 0.0, 1000.0)
    gain = required + detectable(chance, level=0.975, least=gain_for_odds(1.0, 2 / seeds, needed=needed))
    lanes = draw.normal(size=(2, runs, seeds))
    own = lanes.var(axis=2, ddof=1).mean(axis=0)
    earlier = draw.chisquare(MOST_EARLIER_FREEDOM, size=runs) / MOST_EARLIER_FREEDOM
    variance, lent = _with_earlier(own, np.full(runs, 2.0 * (seeds - 1)), earlier)
    found = gain + (lanes[0] - lanes[1]).mean(axis=1)
    width = half_width(Chance(2 * variance / seeds, 2.0 * (seeds - 1) + lent, 0.0, 1000.0), level=0.975)
    enough = found - width > required
    return float((enough & (wealth(found - required, variance, 2 * variance / seeds) >= needed)).mean())


def _with_earlier(own: np.ndarray, freedom: np.ndarray, found: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    usable = fdtrc(freedom, 4 * MOST_EARLIER_FREEDOM, own / found) >= NOISIER
    lent = np.where(usable, MOST_EARLIER_FREEDOM, 0.0)
    return (own * freedom + found * lent) / (freedom + lent), lent


def main() -> None:
    """Print the shares in percent."""
    print("true gain 0; share promoted by a gate that forgets looks / that pays for them")
    for seeds in (3, 5):
        for underestimate in (1.0, 1.25):
            for documents in (0.0, 0.1):
                shares = [
                    promoted(seeds=seeds, underestimate=underestimate, documents=documents, policy=policy)
                    for policy in ("forgets", "pays")
                ]
                told = f"deviation {100 * (underestimate - 1):.0f} % above the estimate, documents {documents:g}"
                print(f"{seeds} seeds, {told}: " + " / ".join(f"{100 * share:.1f}" for share in shares))
    print("share promoted by true gain in deviations of a lane, at one look / with later looks paid for")
    for seeds in (3, 5):
        for gain in (0.5, 1.0, 2.0, 3.0):
            print(f"{seeds} seeds, gain {gain:g}: {100 * promoted(seeds=seeds, gain=gain):.0f}")
    print("share promoted of candidates that gain what is told to be seen in 80 of 100 experiments")
    for seeds in (3, 5, 10):
        for number in (2, 4, 10):
            share = found_of(seeds=seeds, looks=Looks(candidate_number=number))
            print(f"{seeds} seeds, candidate {number} against one baseline: {100 * share:.0f}")


if __name__ == "__main__":
    main()
