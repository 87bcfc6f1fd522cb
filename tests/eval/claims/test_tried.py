"""What proxies say of a claim that was acted on."""

from __future__ import annotations

from collections import Counter

import pytest

from eval.claims.tried import outcome_of
from pipeline.core.rng import generator

NOISE, LEAST = 0.01, 0.02


def verdicts_of(gain: float) -> Counter[str]:
    draw = generator(7, "tried", round(1000 * gain))
    found = [
        outcome_of(draw.normal(2 - gain, NOISE, 3), draw.normal(2, NOISE, 4), claims=3, least=LEAST) for _ in range(600)
    ]
    return Counter(each.verdict for each in found if each is not None)


def test_an_edit_that_does_nothing_is_hardly_ever_supported_and_one_that_helps_never_refuted():
    nothing, helps, harms = verdicts_of(0.0), verdicts_of(0.08), verdicts_of(-0.03)

    assert nothing["supported"] <= 0.02 * 600 and helps["refuted"] <= 0.01 * 600
    assert helps["supported"] > 0.8 * 600 and harms["refuted"] > 0.6 * 600
    assert nothing["open"] > nothing["refuted"] > 0


def test_what_few_proxies_say_is_not_settled():
    assert outcome_of([1.9], [2.0], claims=1, least=LEAST) is None
    found = outcome_of([1.9, 1.9], [2.0, 2.0], claims=1, least=LEAST)
    assert found is not None and (found.verdict, found.gain, found.proxies) == ("supported", pytest.approx(0.1), 2)
