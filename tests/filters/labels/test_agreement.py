"""Two raters of the same documents: how far they agree, how far one grades higher, and what that does to shares."""

from __future__ import annotations

import numpy as np
import pytest

from filters.labels.agreement import Rated, agreement, corrected_share, kappa, share, shift

BAD, GOOD = Rated(0.0), Rated(5.0)


def test_kappa_is_what_the_table_of_two_readings_gives() -> None:
    draw = np.random.default_rng(1)
    pairs = np.stack([draw.integers(0, 6, 200), draw.integers(0, 6, 200)], axis=1)
    pairs[50:, 1] = pairs[50:, 0]

    counts = np.zeros((6, 6))
    np.add.at(counts, (pairs[:, 0], pairs[:, 1]), 1)
    weights = np.subtract.outer(np.arange(6), np.arange(6)) ** 2
    by_chance = np.outer(counts.sum(1), counts.sum(0)) / 200

    assert kappa(pairs.astype(float)) == pytest.approx(1 - (weights * counts).sum() / (weights * by_chance).sum())


def test_agreement_is_told_by_every_question_that_both_raters_answered() -> None:
    pairs = [
        (Rated(n % 4, {"explains": n % 2, "coherent": 1.0}), Rated(n % 4, {"explains": n % 2, "coherent": n % 3 > 0}))
        for n in range(40)
    ]

    found = agreement([*pairs, (Rated(1.0, {"explains": 1.0}), Rated(1.0, {"explains": 1.0, "coherent": 1.0}))], seed=1)

    assert found["documents"] == 41 and set(found) == {"documents", "grade", "explains"}
    assert found["grade"] == {"kappa": 1.0, "low": 1.0, "high": 1.0}
    assert agreement([], seed=1) == {}


def test_a_shift_has_the_interval_of_a_paired_t_test() -> None:
    gaps = [0, 0, 1, 0, -1, 2, 0, 1, 0, 0, 1]

    found = shift([(Rated(2.0), Rated(2.0 + gap)) for gap in gaps])

    mean, deviation = np.mean(gaps), np.std(gaps, ddof=1) / np.sqrt(len(gaps))
    assert (found["documents"], found["changed"]) == (11, 5)
    assert found["shift"] == pytest.approx(mean, abs=1e-4)
    assert found["high"] - found["shift"] == pytest.approx(2.228139 * deviation, abs=0.002)


def test_a_share_of_none_or_all_still_has_an_interval() -> None:
    assert share(0, 20) == {"documents": 20, "share": 0.0, "low": 0.0, "high": 0.1611}
    assert share(0, 0)["share"] is None


@pytest.mark.parametrize(("good", "sensitivity", "specificity"), [(0.3, 0.85, 0.9), (0.05, 0.8, 0.95), (0.5, 0.7, 0.7)])
def test_the_corrected_share_covers_the_truth_as_often_as_it_says(
    good: float, sensitivity: float, specificity: float
) -> None:
    """The teacher's own share is off by up to 0.08 here, and its interval would hardly ever cover the truth."""
    draw = np.random.default_rng(2)

    def drawn(count: int) -> tuple[np.ndarray, np.ndarray]:
        people = draw.random(count) < good
        return people, np.where(people, draw.random(count) < sensitivity, draw.random(count) > specificity)

    covered = []
    for _ in range(400):
        seen, (people, teacher) = drawn(2000)[1], drawn(150)
        pairs = [(GOOD if one else BAD, GOOD if other else BAD) for one, other in zip(people, teacher, strict=True)]
        found = corrected_share(int(seen.sum()), 2000, pairs)["corrected"]
        if found["share"] is not None:
            covered.append(found["low"] <= good <= found["high"])

    assert len(covered) > 390
    assert 0.92 < np.mean(covered) < 0.995


def test_a_teacher_no_better_than_chance_corrects_nothing() -> None:
    pairs = [(one, other) for one in (BAD, GOOD) for other in (BAD, GOOD)] * 10

    assert corrected_share(50, 100, pairs)["corrected"]["share"] is None
    assert corrected_share(50, 100, [(GOOD, GOOD)] * 5)["corrected"]["share"] is None
