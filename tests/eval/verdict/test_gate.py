"""Three outcomes, each only with the evidence for it, and a certificate that shows any edit."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from eval.verdict.certificate import certificate, check_certificate
from eval.verdict.gate import GateRule, Verdict, decide
from eval.verdict.paired import Comparison, compare
from pipeline.core.errors import GateError, RecipeError
from pipeline.core.rng import generator

RULE = GateRule(min_gain=0.004, guards={"code": 0.002})


def experiment(
    *,
    web: float = 0.03,
    code: float = 0.03,
    seed_sd: float = 0.002,
    cluster_sd: float = 0.01,
    seeds: int = 3,
    rate: float = 1.0,
    draw: int = 0,
) -> Comparison:
    """A simulated comparison with the given true gains in two domains of 200 documents."""
    random = generator(draw, "gate test")
    num_bytes = random.integers(500, 1500, size=400)
    domain = np.repeat(["code", "web"], 200)
    of_lanes = random.normal(size=(2, seeds, 1)) * seed_sd / 2**0.5
    gained = np.where(domain == "code", code, web) + random.normal(size=400) * cluster_sd
    return compare(
        bits_candidate=(1.5 - gained + of_lanes[0]) * num_bytes,
        bits_baseline=(1.5 + of_lanes[1]) * num_bytes,
        num_bytes=num_bytes,
        domain=domain,
        cluster=np.arange(400),
        learning_rate=rate,
        replicates=0,
    )


def test_a_clear_gain_is_promoted_in_one_sentence_with_its_numbers() -> None:
    verdict = decide([experiment()], rule=RULE)

    assert verdict.outcome == "promote"
    assert verdict.sentence == (
        f"Promote: candidate needs {verdict.gain:.3f} bits per byte less than baseline (95 % interval "
        f"{verdict.low:.3f} to {verdict.high:.3f}), above the required 0.004."
    )
    assert verdict.next_step == ""


def test_a_clear_loss_is_rejected() -> None:
    verdict = decide([experiment(web=-0.03, code=0.01)], rule=RULE)

    assert verdict.outcome == "reject"
    assert "bits per byte more than baseline" in verdict.sentence


def test_a_gain_surely_smaller_than_required_is_rejected() -> None:
    verdict = decide([experiment(web=0.002, code=0.002, seed_sd=0.0001, cluster_sd=0.001)], rule=RULE)

    assert verdict.outcome == "reject"
    assert verdict.low > 0
    assert verdict.sentence.endswith("so its gain is below the required 0.004.")


def test_identical_arms_are_rejected_even_when_no_gain_is_required() -> None:
    verdict = decide([experiment(web=0, code=0, seed_sd=0, cluster_sd=0)], rule=GateRule(min_gain=0))

    assert verdict.outcome == "reject"


def test_a_noisy_gain_is_undecided_and_says_how_many_seeds_would_decide() -> None:
    verdict = decide([experiment(web=0.02, code=0.02, seed_sd=0.03)], rule=RULE)

    assert verdict.outcome == "undecided"
    assert verdict.next_step.startswith("About ")
    assert "more seed" in verdict.next_step


def test_a_guard_that_is_surely_broken_rejects_an_overall_gain() -> None:
    verdict = decide([experiment(web=0.1, code=-0.02)], rule=RULE)

    assert verdict.outcome == "reject"
    assert verdict.low > RULE.min_gain
    assert verdict.sentence.endswith("loses more than its guard allows on code.")
    assert [guard.status for guard in verdict.guards] == ["broken"]


def test_a_guard_that_cannot_be_ruled_out_leaves_an_overall_gain_undecided() -> None:
    verdict = decide([experiment(web=0.1, code=0.0, cluster_sd=0.02)], rule=RULE)

    assert verdict.outcome == "undecided"
    assert [guard.status for guard in verdict.guards] == ["open"]
    assert "a loss on code cannot be ruled out" in verdict.sentence
    assert verdict.next_step


def test_a_guard_on_a_domain_that_was_not_measured_is_an_error_with_the_nearest_names() -> None:
    with pytest.raises(RecipeError, match=r"'cod' is not a held-out domain.*code or web"):
        decide([experiment()], rule=GateRule(min_gain=0.004, guards={"cod": 0.002}))


def test_a_sign_that_flips_with_the_learning_rate_blocks_promotion() -> None:
    verdict = decide([experiment(), experiment(web=-0.03, code=-0.03, rate=0.1)], rule=RULE)

    assert verdict.outcome == "undecided"
    assert "flips with the learning rate" in verdict.sentence
    assert any("beyond chance" in reason for reason in verdict.reasons)


def test_a_second_learning_rate_within_chance_does_not_block() -> None:
    noisy = experiment(web=-0.001, code=-0.001, seed_sd=0.02, rate=0.1)

    verdict = decide([experiment(), noisy], rule=RULE)

    assert verdict.outcome == "promote"


@pytest.mark.parametrize(
    ("comparison", "lanes", "word"),
    [
        (experiment(seeds=2), {}, "Only 2 seeds"),
        (experiment(), {"candidate/seed1": "its loss jumped"}, "Lane candidate/seed1 is not sound"),
    ],
)
def test_too_few_seeds_or_an_unsound_lane_decide_nothing(
    comparison: Comparison, lanes: dict[str, str], word: str
) -> None:
    verdict = decide([comparison], rule=RULE, unhealthy_lanes=lanes)

    assert verdict.outcome == "undecided"
    assert word in verdict.sentence


@pytest.mark.parametrize("seeds", [3, pytest.param(5, marks=pytest.mark.slow)])
@pytest.mark.parametrize("true_gain", [0.0, 0.004])
def test_a_candidate_that_is_no_better_than_required_is_promoted_in_at_most_5_of_100_experiments(
    seeds: int, true_gain: float
) -> None:
    rule = GateRule(min_gain=true_gain)
    runs = 400

    promoted = [
        decide([experiment(web=true_gain, code=true_gain, seeds=seeds, draw=run + 1000 * seeds)], rule=rule).outcome
        == "promote"
        for run in range(runs)
    ]

    assert np.mean(promoted) <= 0.05


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"min_gain": -1.0},
        {"min_gain": 0.1, "confidence": 1.0},
        {"min_gain": 0.1, "guards": {"a": -0.1}},
        {"min_gain": 0.1, "min_seed": 3},
    ],
)
def test_a_rule_that_cannot_mean_anything_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GateRule(**wrong)


@pytest.mark.parametrize(
    ("rule", "tokens", "word", "way_out"),
    [
        (GateRule(min_gain=0.004, min_tokens=250_000), 25_000, "read 25,000 tokens", "Set proxy.tokens to 250,000"),
        (GateRule(min_gain=0.004, min_clusters=300), None, "200 groups of documents", "Add documents to code, web"),
        (GateRule(min_gain=0.004, min_bytes=10**6), None, "a verdict needs 1,000,000", "raise proxy.held_out_bytes"),
    ],
)
def test_too_little_evidence_cannot_promote_however_large_the_gain(
    rule: GateRule, tokens: int | None, word: str, way_out: str
) -> None:
    verdict = decide([experiment(web=0.5, code=0.5)], rule=rule, num_tokens=tokens)

    assert verdict.outcome == "undecided"
    assert word in verdict.sentence
    assert way_out in verdict.next_step
    assert "a promotion then needs odds beside the interval, 40 to 1 with these" in verdict.next_step


def test_an_open_verdict_says_that_more_seeds_are_a_second_look() -> None:
    verdict = decide([experiment(web=0.02, code=0.02, seed_sd=0.03)], rule=RULE)

    assert "That is a further look, so a promotion then needs odds of 40 to 1 as well" in verdict.next_step


def test_guards_that_only_chance_breaks_reject_no_more_often_than_one_guard_may() -> None:
    """Eight guards on domains that lose exactly what is allowed; each alone would be broken in 5 of 100 experiments."""
    rule = GateRule(min_gain=0.0, guards={f"d{index}": 0.01 for index in range(8)})
    broken = 0

    for draw in range(300):
        random = generator(draw, "many guards")
        gained = -0.01 + random.normal(size=(8, 40)) * 0.02
        bits = 1.5 * np.full(320, 1000.0)
        comparison = compare(
            bits_candidate=np.tile(bits - gained.ravel() * 1000, (3, 1)),
            bits_baseline=np.tile(bits, (3, 1)),
            num_bytes=np.full(320, 1000),
            domain=np.repeat([f"d{index}" for index in range(8)], 40),
            cluster=np.arange(320),
            replicates=0,
        )
        broken += any(guard.status == "broken" for guard in decide([comparison], rule=rule).guards)

    assert broken / 300 <= 0.08


def test_every_part_of_the_rule_is_in_its_hash() -> None:
    variants = [
        RULE,
        GateRule(min_gain=0.005, guards={"code": 0.002}),
        GateRule(min_gain=0.004),
        GateRule(min_gain=0.004, guards={"code": 0.002}, confidence=0.9),
        GateRule(min_gain=0.004, guards={"code": 0.002}, min_seeds=4),
        GateRule(min_gain=0.004, guards={"code": 0.002}, min_tokens=1),
        GateRule(min_gain=0.004, guards={"code": 0.002}, min_clusters=31),
        GateRule(min_gain=0.004, guards={"code": 0.002}, min_bytes=1),
    ]

    assert len({rule.identity for rule in variants}) == len(variants)


def evidence(verdict: Verdict | None = None) -> dict[str, Any]:
    comparisons = [experiment(), experiment(rate=0.1, draw=1)]
    return certificate(
        verdict if verdict is not None else decide(comparisons, rule=RULE),
        rule=RULE,
        comparisons=comparisons,
        candidate={"name": "candidate", "identity": "c" * 64},
        baseline={"name": "baseline", "identity": "b" * 64},
        tokenizer="t" * 64,
        held_out={"code": "1" * 64, "web": "2" * 64},
        code_version="0.1",
        proxy={"tier": "t1", "tokens": 20_000_000},
        lanes=[{"arm": "candidate", "seed": 0, "learning_rate": 1.0, "healthy": True}],
        machine={"processor": "one of two cores"},
    )


def test_a_certificate_survives_json_and_is_the_same_twice() -> None:
    first, second = evidence(), evidence()

    stored = json.loads(json.dumps(first, indent=1, sort_keys=True))

    assert first == second == stored
    assert check_certificate(stored) == first["certificate_id"]


def _forge(path: list[str | int], value: object) -> Callable[[dict[str, Any]], None]:
    def edit(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        _forge(["verdict", "outcome"], "reject"),
        _forge(["verdict", "low"], 0.5),
        _forge(["rule", "min_gain"], 0.001),
        _forge(["comparisons", 0, "overall", "per_seed", 1], 0.0),
        _forge(["candidate", "identity"], "d" * 64),
        _forge(["extra"], 1),
        _forge(["verdict", "gain"], float("nan")),
        _forge(["kind"], "card"),
        _forge(["certificate_id"], None),
    ],
)
def test_any_edit_of_a_certificate_is_found(edit: Callable[[dict[str, Any]], None]) -> None:
    content = copy.deepcopy(evidence())
    edit(content)

    with pytest.raises(GateError):
        check_certificate(content)


def test_numbers_in_the_sentence_keep_the_bound_apart_from_what_is_required() -> None:
    comparison = experiment(seed_sd=0, cluster_sd=0)
    overall = replace(comparison.overall, gain=0.00399, lane_variance=0.0, document_variance=0.0, standard_error=0.0)

    verdict = decide([replace(comparison, overall=overall)], rule=GateRule(min_gain=0.004))

    assert "0.00399" in verdict.sentence
