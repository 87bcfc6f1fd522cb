"""Where the line is drawn through a score: by share, by score, by the precision wanted or by the tokens wanted.

`keep: {share: 0.2}` keeps the best fifth, `{score: 3}` what scores 3 or more, `{precision: 0.8}` as much as possible
while surely 8 of 10 kept documents are good: the lower end of the 95 % interval of the held-out grades says so. (Their
share alone, looked for over all scores, promises too much: DECISIONS.md.) `{tokens: 1B}` keeps the best billion tokens,
4 bytes each (assumed). An aim only decides, so another one measures nothing again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from filters.classifier.agreement import alone
from filters.classifier.weighed import Census, mixed
from pipeline.core.amounts import BYTES_PER_TOKEN, SUFFIXED, count_of
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.intervals import wilson
from pipeline.core.step import Population, Quantile, Rule, Scale

MIN_KEPT = 20  # held-out documents above a threshold, below which their precision says nothing (assumption)

Aim = Literal["share", "score", "precision", "tokens"]
_WRITTEN: dict[str, Any] = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": SUFFIXED}]}
Amount = Annotated[float, BeforeValidator(count_of), WithJsonSchema(_WRITTEN)]


def _one_aim(given: Mapping[Aim, float]) -> Mapping[Aim, float]:
    if len(given) != 1:
        raise ValueError(f"give one of share, score, precision and tokens, not {len(given)}")
    (aim, amount), *_ = given.items()
    if aim in ("share", "precision") and not 0 < amount <= 1:
        raise ValueError(f"{aim} is {amount:g}; it must be above 0 and at most 1")
    if aim == "tokens" and amount < 1:
        raise ValueError(f"tokens is {amount:g}; it must be 1 or more, such as 500M")
    return given


Keep = Annotated[dict[Aim, Amount], AfterValidator(_one_aim)]


def rule_for(
    keep: Mapping[Aim, float], *, quantile: Quantile, signal: str = "score", name: str = "low_quality",
    parameter: str = "keep",
) -> Rule:  # fmt: skip
    """Return the rule that keeps what an aim asks for."""
    ((aim, amount),) = keep.items()
    parameter = f"{parameter}.{aim}"
    if aim == "score":
        return Rule(name, signal, ">=", amount, parameter)
    if aim == "share":
        return Rule(name, signal, ">=", quantile(signal, 1 - amount), parameter)
    if not isinstance(quantile, Population):
        raise RecipeError(f"{parameter} needs all documents of a dataset. Give a score.")
    if aim == "tokens":
        return Rule(name, signal, ">=", quantile.holding(signal, amount * BYTES_PER_TOKEN), parameter)
    return Rule(name, signal, ">=", threshold_of_precision(quantile.details(), precision=amount), parameter)


def threshold_of_precision(details: Mapping[str, Any], *, precision: float) -> float:
    """Return the lowest score from which on surely so many held-out documents are good; DataError if there is none.

    Surely: the lower end of Wilson's 95 % interval, near-duplicates of each other counted as one document, and known
    documents, where there are any, as what they are.
    """
    told = details.get("held_out_scores", [])
    if len(told) < MIN_KEPT:
        raise DataError(
            f"quality: {len(told)} held-out documents have a score, and a precision needs {MIN_KEPT}. Grade "
            "more documents, or keep by share or score."
        )
    scores, grades = np.array(told, np.float64).T
    found = np.array(points(scores, grades >= float(details["positive_grade"])))
    score, count, share = found[found[:, 1] >= MIN_KEPT].T
    low, high = wilson(share, count * alone(details))
    census = Census.of(details)
    if census is not None:
        least = float(details["positive_grade"])
        known_hits, known_among = (
            census.num_from(score, good) for good in (census.grades >= least, np.ones(len(census.grades), bool))
        )
        share, low, high = mixed(
            np.rint(share * count), count, num_drawn=len(told), num_others=census.num_others, alone=alone(details),
            known_hits=known_hits, known_among=known_among,
        )  # fmt: skip
    good = np.flatnonzero(low >= precision)
    if not len(good):
        at = int(low.argmax())
        raise DataError(
            f"quality: no score surely reaches a precision of {precision:g} on the {len(told)} held-out documents; the "
            f"best is {share[at]:.2f} ({low[at]:.2f} to {high[at]:.2f}), from {score[at]:.2f} on, and the lower end "
            "counts. Ask for less, grade more documents, or keep by share or score."
        )
    return float(score[good[-1]])


def points(scores: np.ndarray, good: np.ndarray) -> list[tuple[float, int, float]]:
    """Return (score, documents with it or a higher one, share of them that is good), the highest score first."""
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], np.cumsum(good[order])
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    return [(float(ordered[at]), int(at) + 1, float(hits[at] / (at + 1))) for at in last]


def check_scale(keep: Mapping[Aim, float] | None, *, scale: Scale | None, where: str) -> None:
    """Raise RecipeError if a score is asked for that the classifier cannot give, or never falls short of."""
    amount = None if keep is None else keep.get("score")
    if amount is not None and scale is not None and not scale.low <= amount <= scale.high:
        raise RecipeError(
            f"{where} is {amount:g}, and the score goes from {scale.low:g} to {scale.high:g}. Give a score on that "
            "scale, or keep by share, which knows none."
        )
