"""True claims are found and false ones are not, whoever judges: rates over rounds of planted properties."""

from __future__ import annotations

import numpy as np
import pytest

from tests.eval.claims.planted import TRUE, exact, guessing, hold, lying, noisy, pleasing, slanted

FEW, MANY = 40, 400


def held(judge, rounds, **how):
    return [hold(number, judge=judge, **how) for number in range(rounds)]


@pytest.mark.parametrize("judge", [exact, noisy])
def test_four_of_five_true_claims_pass_and_hardly_a_false_one(judge):
    rounds = held(judge, FEW)

    told = [each for each in rounds if not each.void]

    assert len(told) >= FEW - 3
    assert np.mean([each.passed[: len(TRUE)].mean() for each in told]) >= 0.8
    assert np.mean([each.passed[len(TRUE) :].any() for each in told]) <= 0.1


@pytest.mark.parametrize("judge", [lying, pleasing, guessing])
def test_a_judge_who_lies_pleases_or_guesses_makes_every_round_void(judge):
    assert all(each.void for each in held(judge, 6))


def test_a_judge_who_finds_in_the_worst_what_is_asked_is_caught_by_people_who_were_made_up():
    assert all(each.void for each in held(slanted, 6))


def test_what_is_known_tells_how_far_a_judge_sees():
    found = hold(0, judge=noisy)

    assert found.sensitivity == pytest.approx(0.90, abs=0.03) and found.specificity == pytest.approx(0.95, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("judge", [exact, noisy])
def test_over_many_rounds_recall_is_80_percent_and_false_findings_are_rare(judge):
    with_true, without = held(judge, MANY), held(judge, MANY, true=False)

    told = [each for each in with_true if not each.void]
    assert np.mean([each.passed[: len(TRUE)].mean() for each in told]) >= 0.8
    assert np.mean([each.passed[len(TRUE) :].any() for each in told]) <= 0.05
    assert np.mean([each.passed.any() for each in without if not each.void]) <= 0.05
    assert np.mean([each.void for each in with_true + without]) <= 0.05
