"""How often a search among mixtures that are all alike ends in a promotion: `python -m tests.eval.searches`.

Search and gate are the product's own, at the sizes of `recipes/sweep.yaml`; only proxies are drawn here. Each search
sees chance alone, takes it for a landscape and proposes its best place; the gate then judges that by fresh proxies,
asks for more where it is undecided, and gets them.
"""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np

from eval.search.optimum import Goal, propose
from eval.search.simplex import Limits, design
from eval.search.study import study_runs
from eval.search.surrogates import fit_ensemble
from eval.verdict.gate import GateRule, decide
from eval.verdict.paired import compare
from eval.verdict.sequential import Looks
from pipeline.core.rng import generator

DATASETS = ("numeric", "tables", "tasks")
ANCHORS, ROUNDS = 3, (12, 6, 6)
SEEDS = (5, 10, 20, 40)  # of the first look, and of every later one
LANE_SD, DOCUMENTS, DOCUMENT_SD = 0.009, 60, 0.02  # bits per byte; of the gain on one document, as in eval/LOG.md


def found_in_chance(number: int) -> tuple[float, float]:
    """Return by how much a search of noise thinks its best mixture better, and how far that is from the prior."""
    draw, prior_D = generator(number, "searches"), np.full(len(DATASETS), 1 / len(DATASETS))
    limits, goal = Limits.of(DATASETS), Goal({"loss": 1.0})
    rest = design(ROUNDS[0] + 1, limits=limits, prior_D=prior_D, rng=generator(number, "design"))[1:]
    weights_ND = np.concatenate([np.tile(prior_D, (ANCHORS, 1)), rest])
    values_N = 2.2 + draw.normal(0, LANE_SD, len(weights_ND))
    for size in ROUNDS[1:]:
        new_ND = propose(
            {"loss": fit_ensemble(weights_ND, values_N)}, goal, limits=limits, prior_D=prior_D, weights_ND=weights_ND,
            tried_TD=weights_ND, count=size, seed=number,
        )  # fmt: skip
        weights_ND = np.concatenate([weights_ND, new_ND])
        values_N = np.concatenate([values_N, 2.2 + draw.normal(0, LANE_SD, size)])
    found = study_runs(weights_ND, {"loss": values_N}, goal=goal, limits=limits, prior_D=prior_D, seed=number)
    return found.of_prior[0] - found.of_chosen[0], float(np.abs(found.chosen_D - prior_D).sum())


def judged(number: int) -> tuple[str, int]:
    """Return what the gate says in the end of a candidate that gains nothing, and at which look."""
    draw = generator(number, "judged")
    lanes = draw.normal(2.2, LANE_SD, (2, SEEDS[-1], 1))
    documents = draw.normal(0, DOCUMENT_SD, (2, 1, DOCUMENTS))
    documents[1] = documents[0] + draw.normal(0, DOCUMENT_SD, DOCUMENTS)  # what the mixtures differ by on each
    num_bytes = np.full(DOCUMENTS, 1000)
    bits = (lanes + documents) * num_bytes
    rule = GateRule(metric="bits_per_byte", min_gain=0.0, confidence=0.95, guards={}, min_tokens=0)
    for look, seeds in enumerate(SEEDS, start=1):
        told = compare(
            bits_candidate=bits[0, :seeds], bits_baseline=bits[1, :seeds], num_bytes=num_bytes,
            domain=["science"] * DOCUMENTS, cluster=np.arange(DOCUMENTS), replicates=0,
        )  # fmt: skip
        verdict = decide([told], rule=rule, num_tokens=1, looks=Looks(number=look, openings=look))
        if verdict.outcome != "undecided":
            return verdict.outcome, look
    return "undecided", len(SEEDS)


def main(count: int = 400) -> None:
    """Print what became of the searches."""
    outcomes, promised = Counter[str](), []
    for number in range(count):
        gain, apart = found_in_chance(number)
        promised.append((gain, apart))
        outcomes[judged(number)[0]] += 1
    gain_N, apart_N = np.array(promised).T
    shares = ", ".join(f"{outcome} {100 * times / count:.1f} %" for outcome, times in sorted(outcomes.items()))
    print(f"{count} searches among mixtures that are all alike, judged with up to {SEEDS[-1]} seeds: {shares}")
    told = [f"{value / LANE_SD:.2f}" for value in np.quantile(gain_N, (0.5, 0.9))]
    print(f"promised, in deviations of a proxy: {told[0]} (median), nine of ten under {told[1]}")
    print(f"weights that differ from the prior's, summed: {np.median(apart_N):.2f} (median)")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
