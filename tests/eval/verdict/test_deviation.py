"""Earlier lanes help to know how much lanes differ by chance, as far as they can be believed."""

from __future__ import annotations

import numpy as np
import pytest

from eval.verdict.deviation import MOST_EARLIER_FREEDOM, Deviation, of_arms, pooled, with_earlier


def test_the_variance_within_arms_does_not_see_the_gain_between_them() -> None:
    first, second = np.array([1.0, 1.2, 1.4]), np.array([7.0, 7.1, 7.2])

    found = of_arms(first, second)

    assert found.freedom == 4
    assert found.variance == pytest.approx((0.04 + 0.01) / 2)


def test_groups_count_by_their_freedom() -> None:
    assert pooled([Deviation(1.0, 2), Deviation(4.0, 6)]) == Deviation(pytest.approx(3.25), 8)


def test_many_earlier_lanes_count_no_more_than_their_most() -> None:
    deviation, lent = with_earlier(Deviation(1.0, 4), Deviation(1.0, 500))

    assert lent == MOST_EARLIER_FREEDOM
    assert deviation.freedom == 4 + MOST_EARLIER_FREEDOM


def test_few_earlier_lanes_count_as_what_they_are() -> None:
    assert with_earlier(Deviation(1.0, 4), Deviation(1.0, 2))[1] == 2


@pytest.mark.parametrize("earlier", [None, Deviation(0.0, 8), Deviation(0.01, 40)])
def test_nothing_is_lent_by_none_or_by_lanes_that_were_calmer_beyond_chance(earlier: Deviation | None) -> None:
    own = Deviation(1.0, 4)

    assert with_earlier(own, earlier) == (own, 0.0)
