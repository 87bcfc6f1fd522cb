from __future__ import annotations

import numpy as np
import pytest

from eval.loop.claim import POWER, findings, plan_claim
from eval.verdict.deviation import Deviation
from eval.verdict.sequential import Looks, wealth

LANE = Deviation(0.01**2, 8)


def test_a_gain_of_three_deviations_is_claimed_with_few_seeds():
    found = plan_claim(0.03, lane=LANE, most_seeds=10)

    assert found.is_enough and found.seeds <= 5 and found.power >= POWER


def test_a_claim_that_would_find_its_gain_too_rarely_is_refused_with_what_it_would_cost():
    found = plan_claim(0.008, lane=LANE, most_seeds=10)

    assert not found.is_enough and found.seeds == 10 and found.power < POWER
    assert found.seeds_needed is not None and found.seeds_needed > 30
    assert f"{found.seeds_needed} seeds of each, {2 * found.seeds_needed} lanes" in found.sentence
    assert plan_claim(0.008, lane=LANE, most_seeds=found.seeds_needed).is_enough


def test_a_gain_that_no_number_of_seeds_shows_is_refused_as_such():
    found = plan_claim(0.001, lane=LANE, most_seeds=10)

    assert found.seeds_needed is None and "Not even" in found.sentence


def test_later_nights_against_one_baseline_need_more_seeds():
    first, fifth = (plan_claim(0.02, lane=LANE, most_seeds=40, looks=Looks(candidate_number=n)) for n in (1, 5))

    assert fifth.seeds > first.seeds and fifth.detectable < 0.02


def test_what_is_planned_is_what_is_found():
    """Lanes are drawn with the gain, and judged by the interval of the gate."""
    from eval.verdict.interval import Chance, half_width

    plan, rng, runs = plan_claim(0.02, lane=Deviation(0.01**2, 8), most_seeds=20), np.random.default_rng(3), 4000
    lanes = rng.normal(0, 0.01, (2, runs, plan.seeds))
    freedom, earlier = 2.0 * (plan.seeds - 1), 0.01**2 * rng.chisquare(8, runs) / 8
    variance = (lanes.var(axis=2, ddof=1).mean(axis=0) * freedom + 8 * earlier) / (freedom + 8)
    gain = 0.02 + lanes[0].mean(axis=1) - lanes[1].mean(axis=1)

    found = gain > half_width(Chance(2 * variance / plan.seeds, freedom + 8, 0.0, 1000.0), level=0.975)

    assert found.mean() == pytest.approx(plan.power, abs=0.02)


def test_of_a_stream_of_findings_at_most_a_tenth_is_false():
    rng, rates, power = np.random.default_rng(4), [], []
    for _ in range(300):
        is_true = rng.uniform(size=60) < 0.1
        gain = np.where(is_true, 0.03, 0.0) + rng.normal(0, 0.01 * np.sqrt(2 / 4), 60)
        found = np.array(findings(wealth(gain, 0.01**2, 2 * 0.01**2 / 4)))
        rates.append((found & ~is_true).sum() / max(found.sum(), 1))
        power.append((found & is_true).sum() / max(is_true.sum(), 1))

    assert np.mean(rates) <= 0.1 and np.mean(power) > 0.3


def test_what_was_found_before_makes_later_findings_easier():
    assert findings([30.0, 25.0]) == (True, False) or findings([30.0, 31.0]) == (True, True)
    assert findings([1.0, 31.0]) == (False, False) and findings([25.0, 31.0]) == (True, True)
