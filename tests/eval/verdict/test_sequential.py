from __future__ import annotations

import math
from dataclasses import replace

import pytest

from eval.verdict.gate import GateRule, decide
from eval.verdict.sequential import Looks, gain_for_odds, odds_of, seeds_for_odds
from pipeline.core.rng import generator
from tests.eval.looks import found_of, promoted
from tests.eval.verdict.test_gate import experiment

RULE = GateRule(min_gain=0.004)


def test_a_second_look_needs_odds_beside_the_interval():
    comparison = experiment(web=0.02, code=0.02, seed_sd=0.013, seeds=5, draw=4)
    first = decide([comparison], rule=RULE)
    second = decide([comparison], rule=RULE, looks=Looks(number=2))

    assert first.outcome == "promote" and first.odds_needed is None
    assert second.odds_needed == pytest.approx(40) and second.odds == first.odds
    assert (second.outcome == "promote") == (second.odds >= 40)


def test_what_lacks_odds_says_what_it_has_and_how_many_seeds_would_give_them():
    comparison = experiment(web=0.02, code=0.02, seed_sd=0.013, seeds=5, draw=4)

    verdict = decide([comparison], rule=RULE, looks=Looks(number=2, candidate_number=3, openings=7))

    assert verdict.outcome == "undecided"
    assert "but this was looked at before: it needs odds of 240 to 1" in verdict.sentence
    assert any("look 2 at this experiment, which is number 3" in reason for reason in verdict.reasons)
    assert "This verdict was opening 7 of these held-out sets, by any gate" in " ".join(verdict.reasons)
    more = int(verdict.next_step.split()[1])
    gain = comparison.overall
    assert odds_of(gain, threshold=0.004, num_seeds=gain.num_seeds + more) >= 240


def test_the_parts_of_the_error_that_candidates_get_sum_to_all_of_it():
    parts = [1 / Looks(candidate_number=number).odds_needed(confidence=0.95) for number in range(1, 2000)]

    assert sum(parts) == pytest.approx(0.05, rel=1e-3)


def test_a_candidate_that_was_promoted_before_makes_the_next_one_cheaper():
    alone, after = (Looks(candidate_number=4, promoted=count).odds_needed(confidence=0.95) for count in (0, 1))

    assert after == pytest.approx(alone / 2)


def test_odds_grow_with_seeds_only_for_a_gain_that_is_large_enough():
    gain = experiment(web=0.02, code=0.02, seed_sd=0.02, seeds=5).overall
    small = replace(gain, gain=0.003)

    assert odds_of(gain, threshold=0.004, num_seeds=40) > odds_of(gain, threshold=0.004)
    assert odds_of(small, threshold=0.004) < 1 and seeds_for_odds(small, threshold=0.004, needed=40) is None


def test_without_any_chance_a_gain_is_certain():
    gain = replace(experiment().overall, lane_variance=0.0, document_variance=0.0)

    assert odds_of(gain, threshold=0.004) == math.inf and odds_of(gain, threshold=1.0) == 0


@pytest.mark.parametrize("needed", [40.0, 240.0])
def test_the_gain_that_reaches_some_odds_reaches_no_more(needed):
    gain = experiment(web=0.02, code=0.02, seed_sd=0.02, seeds=5).overall
    variance = float(gain.chance.lanes + gain.chance.documents)
    least = gain_for_odds(gain.lane_variance, variance, needed=needed)

    assert odds_of(replace(gain, gain=0.004 + least), threshold=0.004) == pytest.approx(needed, rel=1e-6)
    assert gain_for_odds(0.0, 0.0, needed=needed) == 0


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("number", [2, 10])
def test_a_later_candidate_is_told_a_gain_that_it_would_be_promoted_for_in_80_of_100_experiments(seeds, number):
    looks = Looks(candidate_number=number)

    assert 0.7 < found_of(seeds=seeds, looks=looks, runs=8_000) < 0.9


def test_a_later_look_is_told_a_larger_gain_than_a_first_one():
    comparison = experiment(web=0.02, code=0.02, seed_sd=0.02, seeds=5)
    first, later = (decide([comparison], rule=RULE, looks=looks) for looks in (Looks(), Looks(candidate_number=9)))

    def told(verdict):
        return float(verdict.reasons[0].partition("a true gain of ")[2].split()[0])

    assert told(first) == pytest.approx(0.004 + comparison.overall.detectable, abs=1e-3)
    assert told(later) > 1.2 * told(first)


def test_openings_are_told_with_what_they_cost():
    comparison = experiment(web=0.02, code=0.02, seed_sd=0.013, seeds=5)
    first = decide([comparison], rule=RULE, sealed=0.5).reasons[-1]
    later = decide([comparison], rule=RULE, sealed=0.5, looks=Looks(candidate_number=5, openings=12)).reasons[-1]
    fresh = decide([comparison], rule=RULE).reasons

    assert "the first verdict to open the sealed 50 % of the held-out sets, so the interval alone decides" in first
    assert "40 to 1 for more seeds of this candidate, 120 to 1 for another candidate" in first
    luck = Looks(openings=12).luck_of_documents(comparison.overall.document_variance)
    assert "opening 12 of the sealed 50 % of the held-out sets" in later and f"look {luck:.4f} better" in later
    assert not any("open" in reason for reason in fresh)


def test_the_luckiest_of_some_openings_is_as_lucky_as_the_largest_of_so_many_draws():
    draws = generator(1, "luck").normal(size=(20_000, 12)).max(axis=1).mean()

    assert Looks(openings=12).luck_of_documents(4.0) == pytest.approx(2 * draws, rel=0.02)
    assert Looks(openings=1).luck_of_documents(4.0) == 0


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("underestimate", [1.0, 1.25])
def test_whoever_follows_the_advice_on_seeds_promotes_what_gains_nothing_at_most_5_times_in_100(seeds, underestimate):
    """The true deviation is as estimated, or 25 % above it."""
    assert promoted(seeds=seeds, underestimate=underestimate, runs=8_000) < 0.05


@pytest.mark.slow
def test_a_gate_that_forgets_its_looks_promotes_more():
    assert promoted(seeds=3, underestimate=1.25, policy="forgets", runs=8_000) > 0.06
