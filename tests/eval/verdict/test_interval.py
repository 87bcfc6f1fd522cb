"""The interval covers what it claims, whatever the two sources of chance are to each other."""

from __future__ import annotations

import pytest

from eval.verdict.interval import Chance, detectable, half_width, probability_better
from tests.eval.coverage import covered
from tests.eval.several import held_at_once

RUNS = 40_000


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("documents", [0.0, 0.1, 1.0, 5.0])
@pytest.mark.parametrize("arm_ratio", [1.0, 2.0])
def test_95_percent_intervals_cover_93_to_97_of_100_truths(seeds: int, documents: float, arm_ratio: float) -> None:
    assert 0.93 <= covered(seeds=seeds, documents=documents, arm_ratio=arm_ratio, runs=RUNS) <= 0.97


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("earlier_arms", [2, 8, 20])
@pytest.mark.parametrize("scatter", [1.0, 1.35, 1.5])
def test_they_do_with_earlier_lanes_too_even_if_deviations_scatter(
    seeds: int, earlier_arms: int, scatter: float
) -> None:
    assert 0.93 <= covered(seeds=seeds, earlier_arms=earlier_arms, scatter=scatter, runs=RUNS) <= 0.97


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("documents", [0.0, 1.0])
@pytest.mark.parametrize("others", [2, 4, 8])
def test_intervals_of_several_mixtures_hold_at_once_and_would_not_unwidened(
    others: int, seeds: int, documents: float
) -> None:
    found = held_at_once(others=others, seeds=seeds, documents=documents, runs=RUNS)

    assert found.widened >= 0.945
    assert found.alone < 0.94
    assert 0.8 <= found.exact <= 1.01  # no more is given away than a sixth of the width


def test_without_documents_the_bound_is_students() -> None:
    chance = Chance(lanes=0.01**2, lane_freedom=4, documents=0.0, document_freedom=50)

    assert half_width(chance, level=0.975) == pytest.approx(2.7764 * 0.01, rel=1e-4)


def test_no_chance_at_all_leaves_no_width_and_no_doubt() -> None:
    chance = Chance(lanes=0.0, lane_freedom=4, documents=0.0, document_freedom=50)

    assert half_width(chance, level=0.975) == 0
    assert detectable(chance, level=0.975) == 0
    assert [probability_better(gain, chance) for gain in (-0.1, 0.0, 0.1)] == [0.0, 0.5, 1.0]
