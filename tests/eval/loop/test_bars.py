"""The bars that the mind of the research loop is held to, on fewer nights than `python -m tests.eval.loop_bars`."""

from __future__ import annotations

import pytest

from tests.eval import loop_bars
from tests.eval.loop.nights import cell, run, six_domains, ten_knobs


def test_a_night_of_sixty_four_comes_near_the_best_weights_of_six_domains():
    problem = six_domains(0)

    best = loop_bars.head(run(problem, 64, seed=0)).point

    assert problem.regret(best) <= 1 < problem.regret(problem.incumbent)


def test_a_head_of_a_gain_of_three_is_promoted_by_at_most_ten_pairs_and_not_flattered():
    found = list(loop_bars.claims(100))

    assert [bar for bar in found if bar.is_refuted] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["weights", "nothing", "knobs", "scripted", "false_promotions"])
def test_no_bar_is_refuted_by_a_few_nights(name):
    counts = {"weights": 5, "nothing": 6, "knobs": 3, "scripted": 3, "false_promotions": 12}

    found = list(getattr(loop_bars, name)(counts[name]))

    assert [bar.told for bar in found if bar.is_refuted] == []


def test_the_best_of_ten_knobs_is_known_to_the_test():
    mixed = ten_knobs(1)

    assert mixed.problem.regret(mixed.problem.incumbent) > 3 and len(cell(mixed.problem.incumbent)) == 10
