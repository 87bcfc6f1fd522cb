"""How many documents of two sides have each of many features -> how surely a feature tells the sides apart.

Log-odds with a prior in the proportions of both sides together, over their standard error (Monroe, Colaresi and Quinn
2008): rare features are drawn to no difference, so what two documents share by chance does not come first.
"""

from __future__ import annotations

import numpy as np

PRIOR_DOCUMENTS = 20.0  # that the prior counts for on each side; assumption, not measured


def contrast(worst_F: np.ndarray, neutral_F: np.ndarray, *, num_worst: int, num_neutral: int) -> np.ndarray:
    """Return float64[F]: z scores, positive for features that more of the worst documents have."""
    share_F = (worst_F + neutral_F + 1.0) / (num_worst + num_neutral + 2.0)
    has = [count + PRIOR_DOCUMENTS * share_F for count in (worst_F, neutral_F)]
    total = [number + PRIOR_DOCUMENTS for number in (num_worst, num_neutral)]
    odds = [np.log(mine / (all_ - mine)) for mine, all_ in zip(has, total, strict=True)]
    variance = sum(1 / mine + 1 / (all_ - mine) for mine, all_ in zip(has, total, strict=True))
    scores: np.ndarray = (odds[0] - odds[1]) / np.sqrt(variance)
    return scores
