"""Single checks on records made up for them: what each says, and that it says so where it cannot tell."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import eval.doctor
from eval.doctor.across import across_outcomes
from eval.doctor.checks import CHECKS
from eval.doctor.curves import spikes_of
from eval.doctor.data import data_outcomes
from eval.doctor.examine import examine
from eval.doctor.findings import Diagnosis, Finding, Unchecked
from eval.doctor.record import DatasetRecord, ExperimentRecord, HeldOutRecord, LaneRecord
from eval.doctor.settings import critical_batch
from eval.doctor.speed import speed_outcomes
from eval.proxies.tiers import TIERS
from pipeline.core.rng import generator

T0 = TIERS["t0"]


def lane(name: str = "good/seed0/lr1", **changed: Any) -> LaneRecord:
    mixture, seed, rate = name.split("/")
    told = {"mixture": mixture, "seed": int(seed[4:]), "learning_rate": float(rate[2:])}
    plain: dict[str, Any] = {"tier": T0, "num_tokens": 999_424, "curve": {"points": []}, "tokens_per_second": 5e4}
    return LaneRecord(**{"name": name, **told, **plain, **changed})


def ids(lanes: list[LaneRecord]) -> list[str]:
    outcomes = across_outcomes(ExperimentRecord("made up", lanes))
    return [found.id for found in outcomes if isinstance(found, Finding)]


def ended_at(bits: float, *, steps: int = 244) -> dict[str, Any]:
    return {"losses": [*np.linspace(11, bits, steps - 50), *[bits] * 50]}


def test_every_check_is_made_somewhere() -> None:
    folder = Path(eval.doctor.__file__).parent
    code = "".join(path.read_text() for path in folder.glob("*.py") if path.name != "checks.py")

    used = set(re.findall(r'"([a-z_]+)"', code))
    assert set(CHECKS) <= used, set(CHECKS) - used


def test_a_lane_that_kept_a_curve_alone_is_examined_as_far_as_that_goes() -> None:
    found = examine(ExperimentRecord("old", [lane(said=("its loss jumped by 3.0 bits per token at step 70",))]))

    assert [one.id for one in found.findings] == ["said"] and found.health == "void"
    unchecked = {one.check.id for one in found.unchecked}
    assert {"start", "spikes", "rate", "frozen", "tokens", "reads", "epsilon", "logits", "batch", "loader"} <= unchecked


def test_a_step_above_the_mean_and_six_deviations_of_those_before_is_a_spike() -> None:
    bits = 6 + 0.1 * generator(0, "spikes").normal(size=400)
    bits[[150, 300]] += 1.0

    assert spikes_of(bits).tolist() == [150, 300]
    assert len(spikes_of(bits[:150])) == 0


def test_the_critical_batch_comes_out_of_two_sizes() -> None:
    """Gradients of |G|^2 = 4 with a trace of 4e5 over tokens: |g|^2 = 4 + 4e5 / tokens."""
    place = {"rows": 16, "part_rows": 4} | {
        kind: math.sqrt(4 + 4e5 / (rows * T0.context)) for kind, rows in (("gradient", 16), ("part_gradient", 4))
    }
    probed = lane(curve={"account": {"probes": {"places": [{"step": step, **place} for step in (0, 60, 120)]}}})

    found = critical_batch(probed)

    assert found is not None and found.tokens == pytest.approx(1e5) and found.steps == (0, 60, 120)


def test_a_seed_used_twice_and_a_pair_that_begins_differently_are_named() -> None:
    def began(name: str, start: str) -> LaneRecord:
        return lane(name, curve={"account": {"reading": {"start": start}}})

    assert ids([began("good/seed0/lr1", "a"), began("good/seed1/lr1", "b")]) == []
    assert ids([began("good/seed0/lr1", "a"), began("good/seed1/lr1", "a")]) == ["seeds"]
    assert ids([began("good/seed0/lr1", "a"), began("raw/seed0/lr1", "b")]) == ["pairs"]


def test_lanes_of_other_lengths_tiers_or_machines_are_told_from_the_rest() -> None:
    lanes = [lane(f"good/seed{seed}/lr1") for seed in range(3)]

    for other in ({"num_tokens": 500_000}, {"tier": TIERS["t1"]}, {"precision": "float32"}, {"device": "cuda"}):
        (found,) = (
            found
            for found in across_outcomes(ExperimentRecord("made up", [*lanes, lane("good/seed3/lr1", **other)]))
            if isinstance(found, Finding)
        )
        assert (found.id, found.lanes) == ("unequal", ("good/seed3/lr1",))


def test_a_lane_that_read_another_mixture_than_its_name_says_is_swapped() -> None:
    assert ids([lane(draw="one", mixture_draw="one"), lane("raw/seed0/lr1", draw="one", mixture_draw="two")]) == [
        "swapped"
    ]


def test_a_lane_far_from_five_that_differ_by_seed_is_an_outlier() -> None:
    ends = [5.0, 5.01, 4.99, 5.02, 4.98, 5.5]
    lanes = [lane(f"good/seed{seed}/lr1", curve=ended_at(end)) for seed, end in enumerate(ends)]

    outcomes = list(across_outcomes(ExperimentRecord("made up", lanes)))

    (found,) = (one for one in outcomes if isinstance(one, Finding))
    assert (found.id, found.lanes) == ("outlier", ("good/seed5/lr1",))
    few = across_outcomes(ExperimentRecord("made up", lanes[:4]))
    assert any(isinstance(one, Unchecked) and one.check.id == "outlier" for one in few)


def test_the_best_rate_at_an_edge_is_told_and_one_between_is_not() -> None:
    def rates(*scores: float) -> list[str]:
        names = ("good/seed0/lr0.3", "good/seed0/lr1", "good/seed0/lr3")
        return ids([lane(name, scores={"held": score}) for name, score in zip(names, scores, strict=True)])

    assert rates(2.0, 1.9, 2.1) == [] and rates(2.0, 1.9, 1.8) == ["rate_edge"]


def test_of_two_rates_no_edge_is_told_as_one_of_them_is_always_the_better() -> None:
    lanes = [lane(f"good/seed0/lr{rate}", scores={"held": 2.0 - rate / 10}) for rate in (1, 3)]

    (told,) = (one for one in across_outcomes(ExperimentRecord("made up", lanes)) if one.check.id == "rate_edge")

    assert isinstance(told, Unchecked) and told.why == "scores at 2 learning rates; 3 are needed"


def of_text(*datasets: DatasetRecord, held_out: tuple[HeldOutRecord, ...] = ()) -> list[str]:
    experiment = ExperimentRecord("made up", [lane()], datasets, held_out)
    return [found.id for found in data_outcomes(experiment) if isinstance(found, Finding)]


def test_text_is_held_against_its_limits() -> None:
    sound = DatasetRecord("web", 1_000, 4_000, 4_000, tokenizer="a", epochs={"good": 1.0}, repeated=0.0)

    assert of_text(sound) == []
    assert of_text(replace(sound, token_bytes=3_000)) == ["truncated"]
    assert of_text(replace(sound, epochs={"good": 6.0})) == ["epochs"]
    assert of_text(replace(sound, repeated=0.4)) == ["duplicates"]
    assert of_text(replace(sound, in_sample=False)) == ["sample"]
    assert of_text(sound, replace(sound, name="code", tokenizer="b")) == ["tokenizer"]
    held = HeldOutRecord("held", 100, tokenizer="a", met={"good": 0.0})
    assert of_text(sound, held_out=(held,)) == []
    assert of_text(sound, held_out=(replace(held, met={"good": 0.2}),)) == ["leak"]


def test_what_is_known_by_heart_is_told_beyond_chance() -> None:
    def gap(bits: float, error: float) -> list[str]:
        twins = {"rows": 32, "read": 5.0, "unread": 5.0 + bits, "error": error}
        known = lane(curve={"account": {"twins": twins}})
        return [one.id for one in data_outcomes(ExperimentRecord("x", [known])) if isinstance(one, Finding)]

    assert gap(0.5, 0.05) == ["by_heart"] and gap(0.5, 0.2) == [] and gap(0.05, 0.001) == []


def test_waiting_counts_where_it_is_a_share_of_the_time_and_not_of_microseconds() -> None:
    def waits(waited: float, speed: float) -> list[str]:
        found = speed_outcomes(lane(waited=waited, tokens_per_second=speed))
        return [one.id for one in found if isinstance(one, Finding)]

    assert waits(0.2, 5e4) == ["loader"] and waits(0.01, 5e4) == [] and waits(0.05, 1e7) == []


def test_a_card_is_held_against_what_is_usual_for_the_tier() -> None:
    t10, usual = TIERS["t10"], 0.20 * 989e12

    def used(share: float) -> list[str]:
        speed = share * usual / t10.flops_per_token
        card = lane(tier=t10, device="cuda", card="NVIDIA H200", waited=0.0, tokens_per_second=speed)
        return [one.id for one in speed_outcomes(card) if isinstance(one, Finding)]

    assert used(0.5) == ["mfu"] and used(0.9) == []


def test_a_diagnosis_is_void_by_a_fault_doubtful_by_a_doubt_and_sound_with_advice() -> None:
    def health(*names: str) -> str:
        return Diagnosis("x", (), tuple(Finding(CHECKS[name], (), 1, 0, "") for name in names)).health

    assert [health(), health("batch"), health("batch", "update"), health("update", "leak")] == [
        "sound", "sound", "doubtful", "void",
    ]  # fmt: skip
