"""How many documents of two sides have each of many features -> how surely a feature tells the sides apart.

Log-odds with a prior in the proportions of both sides together, over their standard error: rare features are drawn to
no difference, so what two documents share by chance does not come first.
"""

from __future__ import annotations

import numpy as np

from pipeline.core.odds import odds_apart

PRIOR_DOCUMENTS = 20.0  # that the prior counts for on each side; assumption, not measured


def contrast(worst_F: np.ndarray, neutral_F: np.ndarray, *, num_worst: int, num_neutral: int) -> np.ndarray:
    """Return float64[F]: z scores, positive for features that more of the worst documents have."""
    share_F = (worst_F + neutral_F + 1.0) / (num_worst + num_neutral + 2.0)
    scores: np.ndarray = odds_apart(
        worst_F + PRIOR_DOCUMENTS * share_F, neutral_F + PRIOR_DOCUMENTS * share_F, total=num_worst + PRIOR_DOCUMENTS,
        other_total=num_neutral + PRIOR_DOCUMENTS,
    )  # fmt: skip
    return scores
