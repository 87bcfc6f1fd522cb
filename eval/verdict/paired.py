"""Bits per document of two arms in, the gain of a candidate over a baseline out, with an interval to be believed.

Both arms are judged on the same documents, so what counts of a document is the difference. The gain has two sources of
chance: the lanes (few; deviation.py) and the held-out documents (many, in groups that say much the same).
Their variances are estimated apart and added, and each lends the interval its own Student t (interval.py).
Overall numbers are the plain mean over domains, so that a large domain cannot outvote the others. The plain two-level
percentile bootstrap, kept beside it for comparison, covers 75 to 95 % where this covers 95.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from eval.verdict import interval
from eval.verdict.bootstrap import bootstrap_bounds
from eval.verdict.deviation import Deviation, of_arms, with_earlier
from eval.verdict.interval import Chance
from pipeline.core.errors import DataError

OVERALL = "overall"
MOST_SEEDS = 64  # what a recipe may ask for; an experiment that needs more is told to find another way

Domains = Sequence[str] | Sequence[int] | np.ndarray  # one name or code for each document


@dataclass(frozen=True, slots=True)
class Gain:
    """How many bits per byte fewer the candidate needs than the baseline; positive is better.

    `lane_variance` is that of one lane's bits per byte, with `lane_freedom` degrees of freedom of this experiment's own
    and `earlier_freedom` lent by earlier ones; `document_variance` is that of the mean gain through the choice of
    documents. `detectable` is by how much a true gain must exceed what is required for 80 of 100 such experiments
    to find it. `probability_better` is the one-sided confidence at which the interval just touches zero.
    """

    domain: str
    num_documents: int
    num_clusters: int
    num_bytes: int
    num_seeds: int
    baseline: float
    candidate: float
    gain: float
    relative: float  # gain / baseline
    low: float
    high: float
    standard_error: float
    lane_sd: float
    lane_variance: float
    lane_freedom: float
    earlier_freedom: float
    document_variance: float
    document_freedom: float
    per_seed: tuple[float, ...]  # candidate's lane against the baseline's of the same seed
    probability_better: float
    detectable: float
    bootstrap_low: float | None = None
    bootstrap_high: float | None = None

    @property
    def chance(self) -> Chance:
        """Both sources of chance of `gain`."""
        return self.chance_with(self.num_seeds)

    def chance_with(self, num_seeds: int) -> Chance:
        """Return both sources as they would be with this many seeds in each arm."""
        own = self.lane_freedom * (num_seeds - 1) / (self.num_seeds - 1)
        lanes = 2 * self.lane_variance / num_seeds
        return Chance(lanes, own + self.earlier_freedom, self.document_variance, self.document_freedom)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One candidate against one baseline at one learning rate: overall and for each held-out domain."""

    learning_rate: float
    seeds: tuple[int, ...]
    confidence: float
    replicates: int
    overall: Gain
    domains: tuple[Gain, ...]


@dataclass(frozen=True, slots=True)
class RateCheck:
    """Whether the sign of the gain survives another learning rate: `single`, `agree`, `noted` or `flip`."""

    status: Literal["single", "agree", "noted", "flip"]
    sentence: str


@dataclass(frozen=True, slots=True)
class _Cells:
    """Bits and bytes summed over the documents of one cluster in one domain: the unit that is resampled.

    Shapes: S seeds, P cells, G domains.
    """

    gain_SP: np.ndarray
    baseline_SP: np.ndarray
    bytes_P: np.ndarray
    domain_P: np.ndarray
    cluster_P: np.ndarray
    names: tuple[str, ...]
    documents_G: np.ndarray


def compare(
    *,
    bits_candidate: np.ndarray,
    bits_baseline: np.ndarray,
    num_bytes: np.ndarray,
    domain: Domains,
    cluster: np.ndarray,
    learning_rate: float = 1.0,
    seeds: Sequence[int] | None = None,
    confidence: float = 0.95,
    replicates: int = 2000,
    bootstrap_seed: int = 0,
    earlier: Mapping[str, Deviation] | None = None,
) -> Comparison:
    """Compare two arms trained with the same seeds on the same documents.

    `bits_*` are float64[S, D] total bits of each document, `num_bytes` int64[D] the bytes of its raw text, `cluster`
    int64[D] its group of documents that say much the same. `earlier` is the deviation of single lanes in earlier
    experiments of the same kind, by domain and `overall`. `replicates=0` leaves the bootstrap out. Raises DataError
    where the numbers cannot carry an interval: one seed, a domain with one cluster, a value that is not finite.
    """
    _check(bits_candidate, bits_baseline, num_bytes, domain, cluster)
    cells = _cells(bits_candidate, bits_baseline, num_bytes, domain, cluster)
    num_seeds, num_domains = cells.gain_SP.shape[0], len(cells.names)
    share_G = np.full(num_domains, 1 / num_domains)
    shares = {OVERALL: share_G, **{name: np.eye(num_domains)[index] for index, name in enumerate(cells.names)}}
    known = earlier if earlier is not None else {}
    gains = [
        _gain(cells, name=name, share_G=share, confidence=confidence, earlier=known.get(name))
        for name, share in shares.items()
    ]
    if replicates > 0:
        bounds = bootstrap_bounds(
            gain_SP=cells.gain_SP,
            bytes_P=cells.bytes_P,
            domain_P=cells.domain_P,
            share_G=share_G,
            confidence=confidence,
            replicates=replicates,
            seed=bootstrap_seed,
        )
        gains = [
            replace(gain, bootstrap_low=float(low), bootstrap_high=float(high))
            for gain, (low, high) in zip(gains, bounds, strict=True)
        ]
    return Comparison(
        learning_rate=float(learning_rate),
        seeds=tuple(range(num_seeds)) if seeds is None else tuple(int(seed) for seed in seeds),
        confidence=confidence,
        replicates=replicates,
        overall=gains[0],
        domains=tuple(gains[1:]),
    )


def lower_bound(gain: Gain, *, level: float) -> float:
    """Return the value that the true gain exceeds with one-sided confidence `level` (0.975 for a 95 % interval)."""
    return gain.gain - float(interval.half_width(gain.chance, level=level))


def upper_bound(gain: Gain, *, level: float) -> float:
    """Return the value that the true gain stays below with one-sided confidence `level`."""
    return gain.gain + float(interval.half_width(gain.chance, level=level))


def seeds_to_resolve(gain: Gain, *, threshold: float, level: float) -> int | None:
    """Return how many more seeds would bring `threshold` outside the bound if the gain stays as it is.

    None where more seeds alone cannot: the documents are too few, or the gain lies on the threshold.
    """
    distance = abs(gain.gain - threshold)
    for num_seeds in range(gain.num_seeds + 1, MOST_SEEDS + 1):
        if distance > interval.half_width(gain.chance_with(num_seeds), level=level):
            return num_seeds - gain.num_seeds
    return None


def check_rates(comparisons: Sequence[Comparison]) -> RateCheck:
    """Say whether the sign of the overall gain depends on the learning rate (arXiv 2512.24503).

    `flip` if two intervals lie on opposite sides of zero, `noted` if only the point estimates do.
    """
    if len({comparison.learning_rate for comparison in comparisons}) < 2:
        return RateCheck("single", "Only one learning rate was run, so a dependence on it could not be seen.")
    spelled = ", ".join(f"{item.overall.gain:+.4f} at learning rate {item.learning_rate:g}" for item in comparisons)
    gains = [comparison.overall for comparison in comparisons]
    if any(gain.low > 0 for gain in gains) and any(gain.high < 0 for gain in gains):
        return RateCheck("flip", f"The sign of the gain depends on the learning rate, beyond chance: {spelled}.")
    if any(gain.gain > 0 for gain in gains) and any(gain.gain < 0 for gain in gains):
        return RateCheck("noted", f"The sign of the gain differs between learning rates, within chance: {spelled}.")
    return RateCheck("agree", f"The sign of the gain is the same at every learning rate: {spelled}.")


def _check(
    candidate: np.ndarray, baseline: np.ndarray, num_bytes: np.ndarray, domain: Domains, cluster: np.ndarray
) -> None:
    """Raise DataError naming what is wrong with the arrays."""
    lengths = {"num_bytes": len(num_bytes), "domain": len(domain), "cluster": len(cluster)}
    if candidate.ndim != 2 or candidate.shape != baseline.shape or set(lengths.values()) != {candidate.shape[-1]}:
        raise DataError(
            f"comparison: bits have the shapes {candidate.shape} and {baseline.shape}, and there are {lengths}; both "
            "arms need the same seeds and documents. Judge both on the same held-out sets."
        )
    if candidate.shape[0] < 2:
        raise DataError(
            "comparison: 1 seed was run, which says nothing about chance; 2 are needed. The gate asks for 3."
        )
    finite_S = (np.isfinite(candidate) & np.isfinite(baseline)).all(axis=1)
    if not finite_S.all():
        raise DataError(
            f"comparison: the pair of lanes number {int(np.argmin(finite_S))} has bits that are not finite; every lane "
            "must be sound. Leave the diverged pair out or train it again."
        )
    if not (np.asarray(num_bytes) > 0).all():
        raise DataError(
            "comparison: a held-out document has 0 bytes; each must have text. Remove it from the held-out set."
        )


def _cells(
    candidate: np.ndarray, baseline: np.ndarray, num_bytes: np.ndarray, domain: Domains, cluster: np.ndarray
) -> _Cells:
    """Sum documents into cells; only these are looked at from here on."""
    names, domain_D = np.unique(np.asarray([str(name) for name in domain]), return_inverse=True)
    clusters, cluster_D = np.unique(np.asarray(cluster), return_inverse=True)
    keys, cell_D = np.unique(domain_D.astype(np.int64) * len(clusters) + cluster_D, return_inverse=True)
    domain_P = keys // len(clusters)
    for name, count in zip(names, np.bincount(domain_P, minlength=len(names)), strict=True):
        if count < 2:
            raise DataError(
                f"comparison: held-out domain '{name}' has {count} cluster of documents; chance cannot be seen in "
                "fewer than 2. Add documents to it or merge it with another domain."
            )
    gain = np.asarray(baseline, np.float64) - np.asarray(candidate, np.float64)
    return _Cells(
        gain_SP=np.stack([_sum_by(cell_D, row, len(keys)) for row in gain]),
        baseline_SP=np.stack([_sum_by(cell_D, row, len(keys)) for row in np.asarray(baseline, np.float64)]),
        bytes_P=_sum_by(cell_D, num_bytes, len(keys)),
        domain_P=domain_P,
        cluster_P=keys % len(clusters),
        names=tuple(str(name) for name in names),
        documents_G=np.bincount(domain_D, minlength=len(names)),
    )


def _sum_by(group: np.ndarray, values: np.ndarray, num_groups: int) -> np.ndarray:
    """Return float64[num_groups]: the sum of `values` in each group."""
    return np.bincount(group, weights=np.asarray(values, np.float64), minlength=num_groups)


def _gain(cells: _Cells, *, name: str, share_G: np.ndarray, confidence: float, earlier: Deviation | None) -> Gain:
    """Estimate the gain of the domains weighted by `share_G`, with both sources of chance."""
    num_domains, num_seeds = len(cells.names), len(cells.gain_SP)
    bytes_G = _sum_by(cells.domain_P, cells.bytes_P, num_domains)

    def lanes(bits_SP: np.ndarray) -> np.ndarray:
        rate_SG = np.stack([_sum_by(cells.domain_P, row, num_domains) for row in bits_SP]) / bytes_G
        weighted: np.ndarray = (rate_SG * share_G).sum(axis=1)
        return weighted

    baseline_S, per_seed = lanes(cells.baseline_SP), lanes(cells.gain_SP)
    same = not cells.gain_SP.any()  # one mixture under two names: the lanes are the same lanes
    own = of_arms(*([np.zeros(num_seeds)] * 2 if same else [baseline_S, baseline_S - per_seed]))
    deviation, lent = with_earlier(own, earlier)
    document_variance, freedom = _document_variance(cells, bytes_G=bytes_G, share_G=share_G)
    used_G = share_G > 0
    baseline, point = float(baseline_S.mean()), float(per_seed.mean())
    draft = Gain(
        domain=name,
        num_documents=int(cells.documents_G[used_G].sum()),
        num_clusters=len(np.unique(cells.cluster_P[used_G[cells.domain_P]])),
        num_bytes=int(bytes_G[used_G].sum()),
        num_seeds=num_seeds,
        baseline=baseline,
        candidate=baseline - point,
        gain=point,
        relative=point / baseline if baseline != 0 else 0.0,
        low=point,
        high=point,
        standard_error=math.sqrt(2 * deviation.variance / num_seeds + document_variance),
        lane_sd=math.sqrt(deviation.variance),
        lane_variance=deviation.variance,
        lane_freedom=own.freedom,
        earlier_freedom=lent,
        document_variance=document_variance,
        document_freedom=freedom,
        per_seed=tuple(float(value) for value in per_seed),
        probability_better=0.5,
        detectable=0.0,
    )
    level = (1 + confidence) / 2
    return replace(
        draft,
        low=lower_bound(draft, level=level),
        high=upper_bound(draft, level=level),
        probability_better=interval.probability_better(point, draft.chance),
        detectable=interval.detectable(draft.chance, level=level),
    )


def _document_variance(cells: _Cells, *, bytes_G: np.ndarray, share_G: np.ndarray) -> tuple[float, float]:
    """Return the variance of the mean gain through the choice of documents, and its degrees of freedom.

    From the influence of each cluster on a ratio of sums (linearised). The part by which seeds disagree about a
    cluster is taken off: the variance of the lanes holds it already. The freedom is that of a sum of squares whose
    terms differ in size as these do (their fourth moment), so five clusters that carry most of the variance count as
    about twenty, however many others there are.
    """
    count_G = np.bincount(cells.domain_P, minlength=len(bytes_G))
    gain_SG = np.stack([_sum_by(cells.domain_P, row, len(bytes_G)) for row in cells.gain_SP]) / bytes_G
    scale_G = share_G / bytes_G * np.sqrt(count_G / (count_G - 1))
    influence_SP = (cells.gain_SP - gain_SG[:, cells.domain_P] * cells.bytes_P) * scale_G[cells.domain_P]
    num_seeds, num_clusters = len(influence_SP), int(cells.cluster_P.max()) + 1
    influence_SC = np.stack([_sum_by(cells.cluster_P, row, num_clusters) for row in influence_SP])
    square_C = influence_SC.mean(axis=0) ** 2
    shared = float(square_C.sum())
    disagreement = float(influence_SC.var(axis=0, ddof=1).sum()) / num_seeds
    return max(0.0, shared - disagreement), _freedom(square_C, most=int(count_G[share_G > 0].sum()) - 1)


def _freedom(square_C: np.ndarray, *, most: int) -> float:
    """Return 2 V^2 / Var(V) for V the sum of squared influences, 1 to `most`; n - 1 for n normal ones alike."""
    used = square_C[square_C > 0]
    total = float(used.sum())
    if total == 0:
        return float(most)
    variance = float((used**2).sum()) - total**2 / len(used)
    return float(np.clip(2 * total**2 / variance if variance > 0 else most, 1, most))
