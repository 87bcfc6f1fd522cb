"""Pairs of grades of the same documents -> how well two raters agree, and by how much one grades higher.

Agreement is Cohen's kappa with quadratic weights, by the grade and by each question, with 95 % intervals, none of fewer
than 30 pairs. Every interval counts one more pair that differs either way, so that no difference seen is not none. The
share of good documents that people would find is the teacher's, corrected for its errors (Rogan and Gladen 1978) with
the interval of Lang and Reiczigel (2014), which counts that the errors were themselves measured on few documents.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np

from pipeline.core.intervals import Z, wilson
from pipeline.core.rng import generator

GOOD_GRADE = 3.0  # from which on a document counts as good (FineWeb-Edu)
RESAMPLES = 1000
LEAST_PAIRS = 30  # of fewer, resampling covers the truth in 16 % (5 pairs) to 60 % (20)
LEAST_SKILL = 0.05  # sensitivity + specificity - 1 below which nothing can be corrected (assumption)


@dataclass(frozen=True, slots=True)
class Rated:
    """One reading of one document: the grade and, where they are known, the answers to the rubric's questions."""

    grade: float
    answers: Mapping[str, float] = field(default_factory=dict)


Pair = tuple[Rated, Rated]


def agreement(pairs: Sequence[Pair], *, seed: int) -> dict[str, Any]:
    """Return the kappa of the grade, and of each question that both raters answered in all documents, as plain JSON."""
    if not pairs:
        return {}
    values = {"grade": [(one.grade, other.grade) for one, other in pairs]}
    for name in pairs[0][0].answers:
        if all(name in one.answers and name in other.answers for one, other in pairs):
            values[name] = [(one.answers[name], other.answers[name]) for one, other in pairs]
    found = {name: with_interval(np.array(both, np.float64), seed=seed) for name, both in values.items()}
    return {"documents": len(pairs), **found}


def kappa(pairs: np.ndarray) -> float:
    """Return Cohen's kappa with quadratic weights of float64[n, 2]; of yes and no it is the plain kappa.

    One minus the mean squared difference over that of two readings independent of each other; NaN where both are
    constant.
    """
    first, second = pairs[:, 0], pairs[:, 1]
    by_chance = first.var() + second.var() + (first.mean() - second.mean()) ** 2
    return float(1 - ((first - second) ** 2).mean() / by_chance) if by_chance > 0 else math.nan


def with_interval(pairs: np.ndarray, *, seed: int) -> dict[str, float | None]:
    """Return kappa and its 95 % interval, documents resampled; the interval is None of too few to tell."""
    found, low, high = kappa(pairs), math.nan, math.nan
    if len(pairs) >= LEAST_PAIRS and not math.isnan(found):
        middle = float(np.median(pairs))
        beside = middle - 1 if middle > pairs.min() else middle + 1
        widened = np.concatenate([pairs, [(middle, beside), (beside, middle)]])
        draw = generator(seed, "grades", "bootstrap")
        resampled = [kappa(widened[draw.integers(len(widened), size=len(widened))]) for _ in range(RESAMPLES)]
        low, high = np.nanquantile(resampled, (0.025, 0.975)).tolist()
        low, high = min(low, found), max(high, found)
    return {"kappa": _known(found), "low": _known(low), "high": _known(high)}


def shift(pairs: Sequence[Pair], *, looks: int = 1) -> dict[str, Any]:
    """Return by how much the second grade is higher, in grades with a 95 % interval, and how many differ.

    The interval is Student's, and None of too few to tell. Of one of several `looks` it is so wide that all of them
    together hold with 95 % (Bonferroni).
    """
    if not pairs:
        return {}
    gaps = np.array([other.grade - one.grade for one, other in pairs], np.float64)
    mean, count, reach = float(gaps.mean()), len(gaps), math.nan
    if count >= LEAST_PAIRS:
        variance = (float(((gaps - mean) ** 2).sum()) + 2) / (count - 1)
        reach = _student(count - 1, beyond=0.025 / looks) * math.sqrt(variance / count)
    return {
        "documents": count, "shift": round(mean, 4), "low": _known(mean - reach), "high": _known(mean + reach),
        "changed": int((gaps != 0).sum()),
    }  # fmt: skip


def _student(freedom: int, *, beyond: float) -> float:
    """Return what Student's t exceeds with this chance, for LEAST_PAIRS or more.

    By Fisher's expansion: 2e-5 off at 29 degrees of freedom and 0.025, 6e-4 at a twentieth of that.
    """
    z = NormalDist().inv_cdf(1 - beyond)
    return z + (z**3 + z) / 4 / freedom + (5 * z**5 + 16 * z**3 + 3 * z) / 96 / freedom**2


def share(count: int, total: int) -> dict[str, Any]:
    """Return a share with Wilson's 95 % interval."""
    if total == 0:
        return {"documents": 0, "share": None, "low": None, "high": None}
    low, high = wilson(count / total, total)
    return _limited(count / total, float(low), float(high), documents=total)


def share_with(sampled: Mapping[str, Any], num_rest: int, *, good: int, known: int) -> dict[str, Any]:
    """Return the share of good ones where `known` documents are known, and the `num_rest` others by a sample's share.

    The interval is that of the sample: what is known has no error of sampling.
    """
    if sampled["share"] is None:
        return {**sampled, "documents": known}
    total = known + num_rest
    found, low, high = ((good + num_rest * sampled[key]) / total for key in ("share", "low", "high"))
    return _limited(found, low, high, documents=known + sampled["documents"])


def corrected_share(good: int, total: int, pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return the share of good documents corrected for the teacher's errors, which `pairs` (people, teacher) show.

    `good` of `total` sampled documents are good by the teacher. The share is None where the errors say that the
    teacher tells good from bad hardly better than chance, or where people found only one of the two.
    """
    is_good = np.array([[one.grade >= GOOD_GRADE, other.grade >= GOOD_GRADE] for one, other in pairs], bool)
    people, teacher = is_good.reshape(-1, 2).T
    num_good, num_bad = int(people.sum()), int((~people).sum())
    hits, rightly_bad = int((people & teacher).sum()), int((~people & ~teacher).sum())
    errors = {"sensitivity": share(hits, num_good), "specificity": share(rightly_bad, num_bad)}
    unknown = {**errors, "corrected": {"documents": total, "share": None, "low": None, "high": None}}
    if not (num_good and num_bad and total):
        return unknown
    plain = hits / num_good + rightly_bad / num_bad - 1
    seen, size = (good + Z**2 / 2) / (total + Z**2), total + Z**2
    sensitivity, specificity = (hits + 1) / (num_good + 2), (rightly_bad + 1) / (num_bad + 2)
    skill = sensitivity + specificity - 1
    if min(plain, skill) < LEAST_SKILL:
        return unknown
    middle = (seen + specificity - 1) / skill
    by_good = sensitivity * (1 - sensitivity) / (num_good + 2)
    by_bad = specificity * (1 - specificity) / (num_bad + 2)
    moved = 2 * Z**2 * (middle * by_good - (1 - middle) * by_bad)
    variance = seen * (1 - seen) / size + middle**2 * by_good + (1 - middle) ** 2 * by_bad
    reach = Z * math.sqrt(variance) / skill
    found = (good / total + rightly_bad / num_bad - 1) / plain
    corrected = _limited(found, middle + moved - reach, middle + moved + reach, documents=total)
    return {**errors, "corrected": corrected}


def _limited(value: float, low: float, high: float, *, documents: int) -> dict[str, Any]:
    value, low, high = (min(max(number, 0.0), 1.0) for number in (value, low, high))
    return {"documents": documents, "share": round(value, 4), "low": round(low, 4), "high": round(high, 4)}


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)
