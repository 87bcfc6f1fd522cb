"""What is wrong with a lane is found in its loss, and a sound lane is not accused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from eval.proxies.account import GROUPS, Account
from eval.proxies.health import Plan, account_findings, findings
from pipeline.core.rng import generator

VOCABULARY = 2048


def curve(*, steps: int = 122, noise: float = 0.15, draw: int = 0) -> np.ndarray:
    """A loss in bits per token as a sound lane of t0 has it: from 11 down to about 5.5, with noise."""
    progress = np.arange(steps) / steps
    bits = 5.5 + 5.5 * np.exp(-12 * progress) + 0.6 * (1 - progress)
    noisy = bits + generator(draw, "health").normal(size=steps) * noise
    noisy[0] = 11.0
    return noisy


def kinds(bits: np.ndarray) -> list[str]:
    return [item.kind for item in findings(bits * math.log(2), vocab_size=VOCABULARY)]


@pytest.mark.parametrize("steps", [1, 20, 61, 122, 244, 1000])
@pytest.mark.parametrize("noise", [0.05, 0.2, 0.3])
def test_a_sound_lane_is_not_accused(steps: int, noise: float) -> None:
    assert [kinds(curve(steps=steps, noise=noise, draw=draw)) for draw in range(20)] == [[]] * 20


def test_a_loss_that_jumps_for_some_steps_is_a_spike_with_its_step() -> None:
    bits = curve()
    bits[70:74] = 13.0

    (found,) = findings(bits * math.log(2), vocab_size=VOCABULARY)

    assert (found.kind, 70 <= found.step < 74) == ("spike", True)
    assert "jumped by" in found.sentence


def test_a_lane_that_ends_worse_than_it_was_is_found() -> None:
    bits = curve()
    bits[-8:] += 0.5

    assert kinds(bits) == ["jump at the end"]


def test_a_lane_that_learns_no_more_is_found() -> None:
    bits = curve()
    bits[40:] = 8.0 + generator(1, "health").normal(size=len(bits) - 40) * 0.05

    assert "plateau" in kinds(bits)


def test_a_lane_that_does_not_start_from_nothing_is_found() -> None:
    bits = curve()
    bits[0] = 7.0

    assert kinds(bits) == ["start"]


def test_a_lane_that_diverged_is_only_that() -> None:
    bits = curve()
    bits[50:] = math.nan

    (found,) = findings(bits, vocab_size=VOCABULARY)

    assert (found.kind, found.step) == ("diverged", 50)


PLAN = Plan(num_tokens=1_000_000, shares={"web": 0.7, "code": 0.3})


def account(*, points: int = 20, last: int = 244, **changed: Any) -> Account:
    """What a sound lane says: gradients that shrink by half, updates of a hundredth, everything moved."""
    steps = np.linspace(1, last, points).astype(int).tolist()
    norms = [
        {
            "step": step,
            "tokens": step * 4096,
            "gradient": dict.fromkeys(GROUPS.values(), 0.2 - 0.1 * step / last),
            "update": dict.fromkeys(GROUPS.values(), 0.01),
        }
        for step in steps
    ]
    sound = {"norms": norms, "unmoved": dict.fromkeys(GROUPS.values(), 0.0), "num_targets": 999_424}
    return Account(**{**sound, "schedule_done": 1.0, **changed})


def said(lane: Account, *, shares: dict[str, float] | None = None) -> list[tuple[str, str]]:
    found = account_findings(lane, plan=PLAN, shares=shares or {"web": 0.7, "code": 0.3})
    return [(item.kind, item.sentence) for item in found]


def test_a_sound_account_is_not_accused() -> None:
    assert said(account()) == []


def test_a_group_that_no_gradient_reached_is_named_with_the_step() -> None:
    lane = account()
    lane.norms[12]["gradient"]["head"] = 0.0
    lane.norms[13]["gradient"]["mlp up"] = None

    steps = [lane.norms[point]["step"] for point in (12, 13)]
    assert said(lane) == [
        ("gradient", f"head: no finite gradient reached it at step {steps[0]}"),
        ("gradient", f"mlp up: no finite gradient reached it at step {steps[1]}"),
    ]


def test_a_gradient_far_above_the_usual_and_an_update_that_replaces_weights_are_found() -> None:
    lane = account()
    lane.norms[15]["gradient"]["embedding"] = 9.0
    lane.norms[16]["update"]["mlp down"] = 0.8

    assert [kind for kind, _ in said(lane)] == ["gradient", "update"]
    assert "of its size" in said(lane)[1][1]


def test_output_projections_may_begin_at_zero() -> None:
    """Their first updates are as large as they are, and behind them no gradient comes."""
    lane = account()
    for point in lane.norms[:3]:
        point["update"]["attention out"], point["gradient"]["mlp up"] = 1.0, 0.0

    assert said(lane) == []


def test_parameters_that_never_moved_are_found_once_there_were_steps_enough() -> None:
    frozen = dict.fromkeys(GROUPS.values(), 0.0) | {"mlp up": 0.4}

    assert said(account(unmoved=frozen)) == [("unmoved", "mlp up: 40.0% of its parameters never moved")]
    assert said(account(unmoved=frozen, last=20)) == []


def test_fewer_tokens_than_planned_and_shares_that_were_not_asked_for_are_found() -> None:
    lane = account(num_targets=900_000)

    assert said(lane, shares={"web": 0.75, "code": 0.25}) == [
        ("tokens", "trained on 900,000 tokens; 1,000,000 were planned"),
        ("shares", "read 75.0% of its tokens from web; 70.0% were planned"),
        ("shares", "read 25.0% of its tokens from code; 30.0% were planned"),
    ]
