"""How many documents a claim needs: the sizes that the field notes give, and what a round can show."""

from __future__ import annotations

import pytest

from eval.claims.power import detectable, documents_needed


@pytest.mark.parametrize(("worst", "neutral", "known"), [(0.2, 0.1, 333), (0.1, 0.05, 732), (0.06, 0.03, 1_265)])
def test_sizes_are_near_those_of_the_two_sided_table(worst: float, neutral: float, known: int) -> None:
    """A claim has a direction, so it needs a little less than the table's."""
    assert 0.8 * known < documents_needed(worst, neutral, claims=10) < known


def test_what_can_be_detected_is_what_so_many_documents_are_needed_for() -> None:
    least = detectable(200, neutral=0.1, claims=10)

    assert least is not None
    assert documents_needed(least, 0.1, claims=10) <= 200 < documents_needed(least - 0.01, 0.1, claims=10)
    assert detectable(1, neutral=0.1, claims=10) is None
