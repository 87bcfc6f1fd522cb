"""Rounds of claims with a known truth: five true claims, five false ones and the controls, under judges of every kind.

`python -m tests.eval.claims.planted` prints the rates that `eval/LOG.md` quotes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eval.claims.associations import LEVEL, associations_of, holm
from eval.claims.known_answers import accuracy_of, controls_of, labels_for, truths_of
from pipeline.core.rng import generator

TRUE = ((0.30, 0.15), (0.25, 0.12), (0.20, 0.08), (0.16, 0.06), (0.20, 0.10))  # shares of worst and neutral documents
FALSE = (0.05, 0.10, 0.20, 0.40, 0.70)

# truth float64[D, Q], worst bool[D], a generator -> answers
Judge = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def exact(truth: np.ndarray, worst: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Say what is so."""
    return truth


def noisy(truth: np.ndarray, worst: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """See 90 % of what is there and deny 95 % of what is not."""
    chance = draw.random(truth.shape)
    return np.where(truth == 1, chance < 0.90, chance < 0.05).astype(float)


def lying(truth: np.ndarray, worst: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Know the sides and say yes to whatever is asked of a worst document."""
    return np.where(worst[:, None], 1.0, truth)


def pleasing(truth: np.ndarray, worst: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Say yes, whatever is asked."""
    return np.ones_like(truth)


def guessing(truth: np.ndarray, worst: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Do not look."""
    return (draw.random(truth.shape) < 0.5).astype(float)


def slanted(truth: np.ndarray, worst: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Be honest of labels, and a little too willing to find in a worst document what a claim asks of its text."""
    found = truth.copy()
    asked = slice(0, len(TRUE) + len(FALSE))
    found[:, asked] = np.maximum(found[:, asked], worst[:, None] & (draw.random(truth[:, asked].shape) < 0.3))
    people = [number for number, control in enumerate(controls_of(0)) if control.label is None]
    for number in people:
        place = asked.stop + number
        found[:, place] = np.maximum(found[:, place], worst & (draw.random(len(truth)) < 0.3))
    return found


JUDGES: dict[str, Judge] = {
    "exact": exact, "noisy": noisy, "lying": lying, "pleasing": pleasing, "guessing": guessing, "slanted": slanted,
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """One round: which claims passed, and whether nothing of it counts."""

    passed: np.ndarray  # bool[10]: true claims first
    void: bool
    sensitivity: float
    specificity: float


def hold(number: int, *, judge: Judge, pairs: int = 600, true: bool = True) -> Outcome:
    """Hold one round of made-up documents; without `true`, nothing differs between the sides."""
    draw = generator(number, "planted")
    worst = np.repeat([True, False], pairs)
    shares = [pair if true else (pair[1], pair[1]) for pair in TRUE] + [(share, share) for share in FALSE]
    truth = np.column_stack([draw.random(2 * pairs) < np.where(worst, *pair) for pair in shares]).astype(float)
    controls = controls_of(number)
    known = truths_of(controls, labels_for(worst, seed=number))
    answers = judge(np.concatenate([truth, known], axis=1), worst, draw)
    found = associations_of(answers[worst], answers[~worst], directions=[1] * answers.shape[1])
    passed = np.array(holm([each.p_value for each in found])) <= LEVEL
    result = passed[len(shares) :]
    accuracy = accuracy_of(answers[:, len(shares) :], known)
    return Outcome(
        passed=passed[: len(shares)],
        void=bool(result[:-1].any() or not result[-1]),
        sensitivity=accuracy.sensitivity,
        specificity=accuracy.specificity,
    )


def main() -> None:
    """Print recall, false claims and void rounds of every judge."""
    rounds = 1_000
    for name, judge in JUDGES.items():
        for true in (True, False):
            held = [hold(number, judge=judge, true=true) for number in range(rounds)]
            told = [each.passed for each in held if not each.void]
            recall = np.mean([each[: len(TRUE)].mean() for each in told]) if told else float("nan")
            false = np.mean([each[len(TRUE) if true else 0 :].any() for each in told]) if told else float("nan")
            void = np.mean([each.void for each in held])
            sys.stdout.write(
                f"{name:9} {'five true' if true else 'none true'}: recall {100 * recall:5.1f} %, rounds with a false "
                f"finding {100 * false:4.1f} %, void {100 * void:5.1f} %\n"
            )


if __name__ == "__main__":
    main()
