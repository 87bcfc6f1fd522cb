"""Two raters of the same documents: how far they agree, how far one grades higher, and what that does to shares."""

from __future__ import annotations

import numpy as np
import pytest

from filters.labels.teachers.agreement import Rated, agreement, corrected_share, kappa, share, share_with, shift

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
    assert found["grade"]["kappa"] == found["grade"]["high"] == 1.0
    assert agreement([], seed=1) == {}


def test_a_shift_has_the_interval_of_a_paired_t_test_that_saw_one_more_change_either_way() -> None:
    gaps = [0, 0, 1, 0, -1, 2, 0, 1, 0, 0, 1] * 3

    found = shift([(Rated(2.0), Rated(2.0 + gap)) for gap in gaps])

    mean = np.mean(gaps)
    deviation = np.sqrt((np.square(gaps - mean).sum() + 2) / 32 / 33)
    assert (found["documents"], found["changed"]) == (33, 15)
    assert found["shift"] == pytest.approx(mean, abs=1e-4)
    assert found["high"] - found["shift"] == pytest.approx(2.036933 * deviation, abs=2e-4)


def test_of_few_pairs_no_interval_is_told() -> None:
    alike = [(Rated(float(n % 6)), Rated(float(n % 6))) for n in range(29)]

    assert agreement(alike[:5], seed=1)["grade"] == {"kappa": 1.0, "low": None, "high": None}
    assert agreement(alike, seed=1)["grade"]["low"] is None
    assert (shift(alike)["shift"], shift(alike)["low"], shift(alike)["high"]) == (0.0, None, None)
    assert shift(alike[:1])["low"] is None


def test_readings_that_all_agree_leave_room_for_some_that_do_not() -> None:
    alike = [(Rated(float(n % 6)), Rated(float(n % 6))) for n in range(60)]

    found, moved = agreement(alike, seed=1)["grade"], shift(alike)

    assert found["low"] < 1.0 and found["high"] == 1.0
    assert moved["low"] < 0 < moved["high"]


@pytest.mark.parametrize(("changed", "up"), [(0.02, 1.0), (0.05, 0.75), (0.3, 0.5)])
def test_the_interval_of_a_shift_covers_it_where_few_grades_change(changed: float, up: float) -> None:
    """Without one more change either way, 40 pairs of which 2 % rise have 0 as their interval in 45 of 100 cases."""
    draw = np.random.default_rng(3)
    covered = []
    for _ in range(400):
        gaps = (draw.random(40) < changed) * np.where(draw.random(40) < up, 1, -1)
        found = shift([(Rated(2.0), Rated(2.0 + gap)) for gap in gaps])
        covered.append(found["low"] <= changed * (2 * up - 1) <= found["high"])

    assert np.mean(covered) > 0.93


def test_a_share_of_none_or_all_still_has_an_interval() -> None:
    assert share(0, 20) == {"documents": 20, "share": 0.0, "low": 0.0, "high": 0.1611}
    assert share(0, 0)["share"] is None


def test_a_share_with_known_documents_counts_each_part_by_its_size() -> None:
    """200 documents are known, all of them good; of the 200 others 100 were sampled, and none is."""
    found = share_with(share(0, 100), 200, good=200, known=200)

    assert (found["share"], found["low"], found["documents"]) == (0.5, 0.5, 300)
    assert found["high"] == pytest.approx(0.5 + share(0, 100)["high"] / 2, abs=1e-4)


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
