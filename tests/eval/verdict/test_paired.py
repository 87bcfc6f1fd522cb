"""The interval must cover what it claims, see both sources of chance, and say what it could not see."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from eval.verdict.deviation import Deviation
from eval.verdict.interval import half_width
from eval.verdict.paired import Comparison, check_rates, compare, lower_bound, seeds_to_resolve, upper_bound
from pipeline.core.errors import DataError
from pipeline.core.rng import generator

TRUE_GAIN = 0.02


def arms(
    *,
    seeds: int = 3,
    clusters: int = 50,
    seed_sd: float = 0.01,
    cluster_sd: float = 0.05,
    gain: float = TRUE_GAIN,
    arm_ratio: float = 1.0,
    draw: int = 0,
) -> dict[str, Any]:
    """Two domains of documents in pairs of duplicates with the given gain, parts of it common to a seed or a cluster.

    `seed_sd` is the deviation of one seed's gain, the candidate's lanes having `arm_ratio` times the baseline's.
    """
    random = generator(draw, "paired test")
    cluster = np.repeat(np.arange(2 * clusters), 2)
    num_bytes = random.integers(200, 3000, size=len(cluster))
    of_arm = np.sqrt([arm_ratio**2, 1]) * np.sqrt(1 / (1 + arm_ratio**2))  # deviations of the arms' lanes
    of_lane = random.normal(size=(2, seeds, 1)) * seed_sd * of_arm[:, None, None]
    of_lane = of_lane + random.normal(size=(2, seeds, 2 * clusters))[:, :, cluster] * cluster_sd * of_arm[:, None, None]
    shared = gain + (random.normal(size=2 * clusters) * cluster_sd)[cluster]
    return {
        "bits_candidate": (1.5 - shared + of_lane[0]) * num_bytes,
        "bits_baseline": (1.5 + of_lane[1]) * num_bytes,
        "num_bytes": num_bytes,
        "domain": ["code" if index < clusters else "web" for index in cluster],
        "cluster": cluster,
    }


def document_sd(*, ratio: float, seeds: int, seed_sd: float, clusters: int) -> float:
    """The spread of clusters that makes the document part of the variance `ratio` times the seed part."""
    return float(np.sqrt(ratio / seeds * 2 * clusters) * seed_sd)


@pytest.mark.parametrize("seeds", [3, pytest.param(5, marks=pytest.mark.slow)])
def test_the_95_percent_interval_covers_the_truth_in_93_to_97_of_100_experiments(seeds: int) -> None:
    ratios, runs = (0.1, 0.5, 2.0, 10.0), 500
    covered = np.zeros((len(ratios), runs))

    for row, ratio in enumerate(ratios):
        sd = document_sd(ratio=ratio, seeds=seeds, seed_sd=0.01, clusters=50)
        for run in range(runs):
            data = arms(seeds=seeds, cluster_sd=sd, draw=run + runs * row + 100_000 * seeds)
            gain = compare(**data, replicates=0).overall
            covered[row, run] = gain.low <= TRUE_GAIN <= gain.high

    assert 0.93 <= covered.mean() <= 0.97
    assert (covered.mean(axis=1) >= 0.93).all()


def test_gain_is_positive_where_the_candidate_needs_fewer_bits_and_is_the_mean_over_domains() -> None:
    comparison = compare(
        bits_candidate=np.array([[80.0, 80.0, 900.0, 900.0]] * 2),
        bits_baseline=np.array([[100.0, 100.0, 1000.0, 1000.0]] * 2),
        num_bytes=np.array([100, 100, 2000, 2000]),
        domain=["a", "a", "b", "b"],
        cluster=np.arange(4),
    )

    assert [gain.gain for gain in comparison.domains] == pytest.approx([0.2, 0.05])
    assert comparison.overall.gain == pytest.approx(0.125)
    assert comparison.overall.baseline == pytest.approx(0.75)
    assert comparison.overall.relative == pytest.approx(0.125 / 0.75)


def test_the_interval_still_covers_where_one_arms_lanes_scatter_twice_as_much() -> None:
    covered = []

    for run in range(600):
        gain = compare(**arms(cluster_sd=0.005, arm_ratio=2.0, draw=run + 50_000), replicates=0).overall
        covered.append(gain.low <= TRUE_GAIN <= gain.high)

    assert 0.92 <= np.mean(covered) <= 0.98


def test_a_few_documents_that_carry_the_variance_count_as_few() -> None:
    even = arms(seed_sd=0.0, cluster_sd=0.01)
    uneven = {**even, "num_bytes": even["num_bytes"].copy()}
    for key in ("bits_candidate", "bits_baseline"):
        uneven[key] = even[key].copy()
        uneven[key][:, :4] *= 60
    uneven["num_bytes"][:4] *= 60

    assert compare(**even, replicates=0).overall.document_freedom > 60
    assert compare(**uneven, replicates=0).overall.document_freedom < 10


def test_earlier_lanes_narrow_the_interval_unless_this_experiment_is_noisier() -> None:
    data = arms(cluster_sd=0.001)
    alone = compare(**data, replicates=0).overall

    known = compare(**data, replicates=0, earlier={"overall": Deviation(alone.lane_variance, 40)}).overall
    calmer = compare(**data, replicates=0, earlier={"overall": Deviation(alone.lane_variance / 100, 40)}).overall

    assert known.earlier_freedom == 8
    assert known.high - known.low < 0.9 * (alone.high - alone.low)
    assert (calmer.earlier_freedom, calmer.low, calmer.high) == (0, alone.low, alone.high)


def test_duplicates_count_as_one_document() -> None:
    data = arms(cluster_sd=0.3, seed_sd=0.0001)

    honest = compare(**data, replicates=0).overall
    naive = compare(**{**data, "cluster": np.arange(len(data["cluster"]))}, replicates=0).overall

    assert honest.document_variance > 1.5 * naive.document_variance


def test_the_document_variance_is_right_on_average_even_with_four_clusters() -> None:
    variances = []

    for draw in range(600):
        per_byte = generator(draw, "four clusters").normal(size=8) * 0.1
        variances.append(
            compare(
                bits_candidate=np.tile(1000 - 1000 * per_byte, (2, 1)),
                bits_baseline=np.full((2, 8), 1000.0),
                num_bytes=np.full(8, 1000),
                domain=["a"] * 4 + ["b"] * 4,
                cluster=np.arange(8),
                replicates=0,
            ).overall.document_variance
        )

    assert np.mean(variances) == pytest.approx(0.1**2 / 8, rel=0.1)


def test_identical_arms_have_no_gain_and_no_width() -> None:
    data = arms()

    gain = compare(**{**data, "bits_candidate": data["bits_baseline"]}).overall

    assert (gain.gain, gain.low, gain.high, gain.standard_error, gain.probability_better) == (0, 0, 0, 0, 0.5)


def test_probability_better_agrees_with_the_interval() -> None:
    gain = compare(**arms(), replicates=0).overall

    assert lower_bound(gain, level=gain.probability_better) == pytest.approx(0, abs=1e-9)
    assert (gain.probability_better > 0.975) == (gain.low > 0)


def test_a_gain_of_the_detectable_size_is_found_in_about_80_of_100_experiments() -> None:
    detectable = float(
        np.mean([compare(**arms(seeds=5, draw=run), replicates=0).overall.detectable for run in range(100)])
    )

    found = [
        compare(**arms(seeds=5, gain=detectable, draw=1000 + run), replicates=0).overall.low > 0 for run in range(500)
    ]

    assert 0.74 <= np.mean(found) <= 0.86


def test_seeds_to_resolve_is_the_number_that_moves_the_threshold_out_of_the_interval() -> None:
    gain = compare(**arms(seed_sd=0.03, cluster_sd=0.01), replicates=0).overall
    threshold = gain.gain - 0.5 * (gain.gain - gain.low)

    more = seeds_to_resolve(gain, threshold=threshold, level=0.975)

    assert more is not None
    enough, short = gain.num_seeds + more, gain.num_seeds + more - 1
    for num_seeds, resolved in ((enough, True), (short, False)):
        low = gain.gain - half_width(gain.chance_with(num_seeds), level=0.975)
        assert bool(low > threshold) is resolved


def test_more_seeds_do_not_help_where_the_documents_are_too_few() -> None:
    gain = compare(**arms(seed_sd=1e-6, cluster_sd=0.5, clusters=5), replicates=0).overall

    assert seeds_to_resolve(gain, threshold=gain.gain - gain.standard_error, level=0.975) is None


def test_results_are_plain_json_and_the_same_twice() -> None:
    first, second = (compare(**arms(), learning_rate=0.1, seeds=(7, 8, 9)) for _ in range(2))

    assert json.dumps(asdict(first), allow_nan=False) == json.dumps(asdict(second), allow_nan=False)
    assert first.overall.bootstrap_low is not None
    assert first.overall.bootstrap_low < first.overall.gain < upper_bound(first.overall, level=0.975)


def test_order_of_documents_does_not_matter() -> None:
    data = arms()
    order = generator(5, "order").permutation(len(data["cluster"]))
    turned = {
        "bits_candidate": data["bits_candidate"][:, order],
        "bits_baseline": data["bits_baseline"][:, order],
        "num_bytes": data["num_bytes"][order],
        "domain": [data["domain"][index] for index in order],
        "cluster": data["cluster"][order],
    }

    first, second = compare(**data).overall, compare(**turned).overall

    assert first.low == pytest.approx(second.low, rel=1e-9)
    assert first.bootstrap_high == pytest.approx(second.bootstrap_high, rel=1e-9)


def rates(*bounds: tuple[float, float]) -> list[Comparison]:
    """Comparisons at learning rates 1, 2, ... whose overall intervals are as given."""
    comparison = compare(**arms(), replicates=0)
    return [
        replace(
            comparison,
            learning_rate=float(rate),
            overall=replace(comparison.overall, gain=(low + high) / 2, low=low, high=high),
        )
        for rate, (low, high) in enumerate(bounds, start=1)
    ]


@pytest.mark.parametrize(
    ("bounds", "status"),
    [
        ([(0.1, 0.2)], "single"),
        ([(0.1, 0.2), (0.05, 0.3)], "agree"),
        ([(0.1, 0.2), (-0.3, 0.1)], "noted"),
        ([(0.1, 0.2), (-0.3, -0.1)], "flip"),
        ([(0.1, 0.2), (-0.1, 0.3), (-0.3, -0.1)], "flip"),
    ],
)
def test_learning_rates_that_disagree_beyond_chance_are_a_flip(bounds: list[tuple[float, float]], status: str) -> None:
    assert check_rates(rates(*bounds)).status == status


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda data: (
                data | {"bits_candidate": data["bits_candidate"][:1], "bits_baseline": data["bits_baseline"][:1]}
            ),
            "1 seed",
        ),
        (lambda data: data | {"bits_candidate": data["bits_candidate"][:, :-1]}, "shapes"),
        (
            lambda data: (
                data | {"bits_candidate": np.where(np.arange(3)[:, None] == 1, np.nan, data["bits_candidate"])}
            ),
            "number 1",
        ),
        (lambda data: data | {"num_bytes": data["num_bytes"] * 0}, "0 bytes"),
        (lambda data: data | {"cluster": np.zeros(200, np.int64)}, "'code' has 1 cluster"),
    ],
)
def test_numbers_that_cannot_carry_an_interval_are_refused(change: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        compare(**change(arms()))
