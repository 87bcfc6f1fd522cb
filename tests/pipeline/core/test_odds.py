"""Log-odds with a prior, as Monroe, Colaresi and Quinn have them."""

from __future__ import annotations

import numpy as np

from pipeline.core.odds import odds_apart
from pipeline.core.rng import generator


def test_what_differs_by_chance_alone_has_scores_of_deviation_one_at_most_and_what_is_rare_less():
    draw = generator(1, "odds")
    share = np.repeat([0.3, 0.003], 4_000)
    one, other = (draw.binomial(500, share) + 20 * share for _ in range(2))

    scores = odds_apart(one, other, total=520.0, other_total=520.0).reshape(2, -1)

    common, seldom = scores.std(axis=1)
    assert 0.9 < common < 1.05 and seldom < 0.9 * common
    assert np.isclose(
        odds_apart(90.0, 30.0, total=520.0, other_total=520.0), -odds_apart(30.0, 90.0, total=520.0, other_total=520.0)
    )
