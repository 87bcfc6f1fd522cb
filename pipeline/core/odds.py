"""How many of two sets have something -> the log-odds of that, and how surely they tell the sets apart.

Monroe, Colaresi and Quinn (2008), section 3.3: counts get a prior in the proportions of both sets together, so what is
seldom met is drawn to no difference; which prior says whoever asks. Element by element, for one number or many.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def log_odds(count: Any, total: Any) -> Any:
    """Return log(count / (total - count)); both hold their prior, so neither count nor rest is 0."""
    return np.log(count / (total - count))


def variance_of_odds(count: Any, total: Any) -> Any:
    """Return the variance of `log_odds` of counts that are independent."""
    return 1 / count + 1 / (total - count)


def odds_apart(count: Any, other: Any, *, total: Any, other_total: Any, rare: bool = False) -> Any:
    """Return z scores, positive where more of the first have it.

    `rare` leaves out the variance of what has it not, as Monroe's equation 20 does where nearly all have it not.
    """
    variance = 1 / count + 1 / other
    if not rare:
        variance = variance_of_odds(count, total) + variance_of_odds(other, other_total)
    return (log_odds(count, total) - log_odds(other, other_total)) / np.sqrt(variance)
