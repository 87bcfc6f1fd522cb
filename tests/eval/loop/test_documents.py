from __future__ import annotations

import numpy as np
import pytest

from eval.loop.claim import plan_claim
from eval.loop.documents import Scored, of_a_claim, of_a_group
from eval.verdict.deviation import Deviation
from eval.verdict.paired import compare


def scored(number: int, *, heads: int = 3) -> Scored:
    """Return lanes of two mixtures on 200 documents whose gains deviate by 0.05, and lanes by 0.03 on each."""
    rng, size = np.random.default_rng(number), 200
    num_bytes = rng.integers(500, 1500, size)
    gain, of_lane = rng.normal(0.05, 0.05, size), rng.normal(0, 0.03, (heads + 3, size))
    rates = 2 + rng.normal(0, 0.01, (heads + 3, 1)) + of_lane
    return Scored((rates[:heads] - gain) * num_bytes, rates[heads:] * num_bytes, num_bytes, np.arange(size) // 2 * 2)


def test_documents_count_as_they_do_for_the_gate():
    own, gates, of_one = [], [], []
    for number in range(40):
        each = scored(number)
        found, lone = of_a_group(each), of_a_group(scored(number, heads=1))
        assert found is not None and lone is not None
        told = compare(
            bits_candidate=each.head_SD, bits_baseline=each.incumbent_SD, num_bytes=each.num_bytes_D,
            domain=["a"] * 200, cluster=each.cluster_D, replicates=0,
        )  # fmt: skip
        own.append(found.variance / 100)
        of_one.append(lone.variance / 100)
        gates.append(told.overall.document_variance)
        assert found.freedom == pytest.approx(told.overall.document_freedom)

    assert own == pytest.approx(gates, rel=0.1)
    assert np.mean(of_one) == pytest.approx(np.mean(gates), rel=0.25)


def test_a_claim_on_few_documents_needs_more_than_seeds():
    of_group = Deviation(0.05**2, 80)
    many, few = (of_a_claim({"open": of_group}, {"judged": count}) for count in (800, 12))
    both = of_a_claim({"open": of_group}, {"judged": 100, "other": 100})
    assert many is not None and few is not None and both is not None

    plans = [plan_claim(0.03, lane=Deviation(0.01**2, 8), most_seeds=10, documents=each) for each in (many, few)]

    assert both.variance == pytest.approx(0.05**2 / 200)
    assert plans[0].is_enough and plans[1].seeds_needed is None and plans[1].detectable > 0.03
    assert of_a_claim({}, {"judged": 9}) is None
