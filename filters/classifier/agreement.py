"""How well scores agree with the teacher on documents held out: what stands in the classifier's card.

Everything is measured on one split by near-duplicate cluster, the baselines too, because a classifier that only beat
chance on near-duplicates of its training documents would look the same. Intervals resample clusters, not documents, and
the gain over a baseline is that of both on the same documents. Grades go from 0 to `top`, 5 unless the rubric says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from filters.classifier.weighed import Census, Share, Weighed
from pipeline.core import rng

RESAMPLES = 1000
KEEP_FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
MIN_SCORES = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)  # of 5
CALIBRATION_EDGES = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0)
TOP_GRADE = 5.0
MIN_BY_SOURCE = 10  # held-out clusters of a source, below which it is not told apart
MIN_CLUSTERS = 5  # below this, resampling says nothing of chance (assumption): one cluster would have no width at all


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Return the rank correlation, ties sharing their mean rank; 0 when either side does not vary."""
    left, right = ranks(a), ranks(b)
    left, right = left - left.mean(), right - right.mean()
    scale = float(np.sqrt((left**2).sum() * (right**2).sum()))
    return float((left * right).sum() / scale) if scale > 0 else 0.0


def ranks(values: np.ndarray) -> np.ndarray:
    """Return each value's rank from 1, ties sharing their mean: as in scipy.stats, which takes a second to import."""
    _, place, times = np.unique(values, return_inverse=True, return_counts=True)
    means: np.ndarray = np.cumsum(times) - (times - 1) / 2
    return means[place]


def agreement(scores: np.ndarray, grades: np.ndarray, *, clusters: np.ndarray, seed: int) -> dict[str, float]:
    """Return Spearman with its 95 % interval (clusters resampled), and the size of the errors in grades."""
    found = [spearman(scores[rows], grades[rows]) for rows in resampled(clusters, seed=seed)]
    low, high = _interval(found, clusters, widest=1.0)
    return {
        "spearman": spearman(scores, grades), "spearman_low": low, "spearman_high": high, **errors(scores, grades)
    }  # fmt: skip


def _interval(values: list[float], clusters: np.ndarray, *, widest: float) -> tuple[float, float]:
    """Return where 95 % of the values lie; all that is possible where there are too few clusters to resample."""
    if len(np.unique(clusters)) < MIN_CLUSTERS:
        return -widest, widest
    low, high = np.quantile(values, (0.025, 0.975)).tolist()
    return low, high


def resampled(clusters: np.ndarray, *, seed: int) -> Iterator[np.ndarray]:
    """Yield rows of as many clusters as there are, drawn with replacement."""
    draw = rng.generator(seed, "quality", "bootstrap")
    sizes = np.unique(clusters, return_counts=True)[1]
    members = np.split(np.argsort(clusters, kind="stable"), np.cumsum(sizes)[:-1])
    for _ in range(RESAMPLES):
        yield np.concatenate([members[at] for at in draw.integers(len(members), size=len(members))])


def beside(
    baseline: np.ndarray, scores: np.ndarray, grades: np.ndarray, *, clusters: np.ndarray, seed: int
) -> dict[str, float]:
    """Return a baseline's agreement, and by how much the scores agree better: `gain`, with its 95 % interval."""
    gains = [
        spearman(scores[rows], grades[rows]) - spearman(baseline[rows], grades[rows])
        for rows in resampled(clusters, seed=seed)
    ]
    low, high = _interval(gains, clusters, widest=2.0)
    value = spearman(baseline, grades)
    gain = spearman(scores, grades) - value
    return {"spearman": value, "gain": gain, "gain_low": low, "gain_high": high, **errors(baseline, grades)}


def by_source(
    scores: np.ndarray, grades: np.ndarray, *, sources: np.ndarray, clusters: np.ndarray, seed: int
) -> dict[str, Any]:
    """Return the agreement on each source that has held-out clusters enough; nothing where there is one source."""
    names, sizes = np.unique(sources, return_counts=True)
    if len(names) < 2:
        return {}
    found = {}
    for name, size in zip(names.tolist(), sizes.tolist(), strict=True):
        rows = sources == name
        own = clusters[rows]
        enough = len(np.unique(own)) >= MIN_BY_SOURCE
        told = agreement(scores[rows], grades[rows], clusters=own, seed=seed) if enough else {}
        found[name] = {"documents": size, **told}
    return found


def alone(details: Mapping[str, Any]) -> float:
    """Return how many clusters of near-duplicates a card has for each document that its figures are of."""
    held = details.get("measured_on") or {}
    return float(held["clusters"] / held["documents"]) if held.get("documents") else 1.0


def top_tenth(
    scores: np.ndarray, grades: np.ndarray, *, positive_grade: float, alone: float = 1.0, census: Census | None = None
) -> dict[str, Any]:
    """Return how many of the tenth with the highest scores are good, and how many of all, with their intervals."""
    weighed = Weighed.of(scores, grades, positive_grade=positive_grade, alone=alone, census=census)
    best = weighed.best(0.1)
    every = np.ones(len(best), bool)
    return {
        "documents": int((best & weighed.drawn).sum()),
        **_named("precision", weighed.share(best)),
        **_named("good_of_all", weighed.share(every)),
    }


def errors(scores: np.ndarray, grades: np.ndarray) -> dict[str, float]:
    """Return root mean square and mean absolute error, in grades."""
    gaps = np.asarray(scores, np.float64) - grades
    return {"rmse": float(np.sqrt((gaps**2).mean())), "mean_absolute_error": float(np.abs(gaps).mean())}


def length_baseline(train_bytes: np.ndarray, train_grades: np.ndarray, held_bytes: np.ndarray) -> np.ndarray:
    """Return the grades that a straight line through log length would give."""
    x = np.log1p(train_bytes.astype(np.float64))
    spread = x.var()
    slope = ((x - x.mean()) * (train_grades - train_grades.mean())).mean() / spread if spread > 0 else 0.0
    line: np.ndarray = train_grades.mean() + slope * (np.log1p(held_bytes.astype(np.float64)) - x.mean())
    return line


def _named(name: str, share: Share) -> dict[str, float | None]:
    return {name: share.value, f"{name}_low": share.low, f"{name}_high": share.high}


def at_threshold(
    scores: np.ndarray, grades: np.ndarray, *, threshold: float, positive_grade: float, alone: float = 1.0,
    census: Census | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return precision, recall and F1 of `score >= threshold` for `grade >= positive_grade`; None where undefined.

    `alone` is how many clusters of near-duplicates there are for each document: the interval counts clusters. With a
    `census` they hold for the whole dataset.
    """
    weighed = Weighed.of(scores, grades, positive_grade=positive_grade, alone=alone, census=census)
    kept, good = weighed.scores >= threshold, weighed.good
    total = float(weighed.weights @ kept + weighed.weights @ good)
    return {
        "threshold": float(threshold),
        "kept": int((kept & weighed.drawn).sum()),
        **_named("precision", weighed.share(kept)),
        **_named("recall", weighed.share(good, of=kept)),
        "f1": 2 * float(weighed.weights @ (kept & good)) / total if total else None,
    }


def operating_points(
    scores: np.ndarray, grades: np.ndarray, *, all_scores: np.ndarray, positive_grade: float, top: float = TOP_GRADE,
    alone: float = 1.0, census: Census | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return a row for each share to keep of the whole dataset, then for each fixed score."""
    at = partial(at_threshold, scores, grades, positive_grade=positive_grade, alone=alone, census=census)
    rows = []
    for fraction in KEEP_FRACTIONS:
        threshold = float(np.quantile(all_scores, 1 - fraction, method="higher"))  # as `keep_fraction` decides
        rows.append({"keep_fraction": fraction, **at(threshold=threshold)})
    rows += [{"min_score": score, **at(threshold=score)} for score in (least * top / TOP_GRADE for least in MIN_SCORES)]
    return rows


def calibration(scores: np.ndarray, grades: np.ndarray, *, top: float = TOP_GRADE) -> list[dict[str, Any]]:
    """Return one row per bin of the score: its bounds, documents, mean score and the teacher's mean grade."""
    rows = []
    for low, high in pairwise(edge * top / TOP_GRADE for edge in CALIBRATION_EDGES):
        inside = (scores >= low) & ((scores < high) | (high == top))
        if inside.any():
            rows.append(
                {
                    "from": low,
                    "to": high,
                    "documents": int(inside.sum()),
                    "mean_score": float(scores[inside].mean()),
                    "mean_grade": float(grades[inside].mean()),
                }
            )
    return rows


def calibration_error(bins: Sequence[dict[str, Any]]) -> float:
    """Return how far the mean score lies from the mean grade, in grades, the mean over the documents' bins."""
    total = sum(row["documents"] for row in bins)
    return float(sum(row["documents"] * abs(row["mean_score"] - row["mean_grade"]) for row in bins) / max(total, 1))
