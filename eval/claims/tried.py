"""Values of two mixtures' proxies on the documents that a claim is about -> whether the edit that it suggests helps.

An association becomes a cause only where somebody acts on it. The gain is the mean of one mixture less that of the
other, its interval Student's t with the spread of both pooled, and as wide as lets those of all claims that were tried
hold at once. Proxies that stated the claim are not among these, so nothing is chosen by what it is measured by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from eval.claims.associations import LEVEL

Verdict = Literal["supported", "refuted", "open"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an edit did to the documents of a claim, in bits per byte; positive is better."""

    verdict: Verdict
    gain: float
    low: float
    high: float
    proxies: int  # with the edit


def outcome_of(edited: Sequence[float], plain: Sequence[float], *, claims: int, least: float) -> Outcome | None:
    """Return what came of trying a claim; None of fewer than three proxies, whose spread nothing tells.

    Supported: the documents gain, surely. Refuted: surely they gain less than `least`, the least that is worth having.
    """
    freedom = len(edited) + len(plain) - 2
    if min(len(edited), len(plain)) < 1 or freedom < 1:
        return None
    groups = [np.array(values, np.float64) for values in (plain, edited)]
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    error = math.sqrt(squares / freedom * (1 / len(edited) + 1 / len(plain)))
    reach = error * float(stdtrit(freedom, 1 - LEVEL / claims / 2))
    gain = float(groups[0].mean() - groups[1].mean())
    low, high = gain - reach, gain + reach
    return Outcome("supported" if low > 0 else "refuted" if high < least else "open", gain, low, high, len(edited))
