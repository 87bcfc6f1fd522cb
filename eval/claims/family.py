"""All rounds that were held about one pair of mixtures -> each with p values that hold for all of them together.

Another seed, another size or another question takes the same documents: of twenty rounds at 5 % each, one finds what is
not there. So all claims and questions with known answers are one family of Holm's, whatever round they were asked in.
Of a round that is void nothing is believed, and all that it asked still counts as asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from eval.claims.associations import LEVEL, holm
from eval.claims.known_answers import MUST_FAIL
from eval.claims.power import BESIDE, detectable
from eval.claims.record import Claim, Round

DIGITS = 6  # of an adjusted p value


def together(rounds: Sequence[Round]) -> list[Round]:
    """Return rounds of one pair, the oldest first, their claims adjusted for all that was asked in any of them.

    No claim gains by it, as every p value of another round only makes the family larger.
    """
    p_values = [p for each in rounds for p in _p_values(each)]
    adjusted = iter([round(p, DIGITS) for p in holm(p_values)])
    asked = sum(max(sum(claim.p_value is not None for claim in each.claims), 1) + MUST_FAIL for each in rounds)
    found = []
    for number, each in enumerate(rounds, 1):
        mine = [next(adjusted) for _ in _p_values(each)]
        told = replace(
            each, number=number, held=len(rounds),
            detectable=detectable(each.pairs["verify"], neutral=BESIDE, claims=asked),
        )  # fmt: skip
        found.append(told if each.void else replace(told, claims=_adjusted(each.claims, mine)))
    return found


def _p_values(found: Round) -> list[float]:
    """Return what a round adds to the family: of its claims first."""
    claims = [claim.p_value for claim in found.claims if claim.p_value is not None]
    every = [*claims, *(control.p_value for control in found.controls)]
    return [1.0] * len(every) if found.void else every


def _adjusted(claims: Sequence[Claim], adjusted: Sequence[float]) -> tuple[Claim, ...]:
    left = iter(adjusted)
    return tuple(claim if claim.p_value is None else _with(claim, next(left)) for claim in claims)


def _with(claim: Claim, adjusted: float) -> Claim:
    return replace(claim, adjusted=adjusted, status="associated" if adjusted <= LEVEL else "not verified")
