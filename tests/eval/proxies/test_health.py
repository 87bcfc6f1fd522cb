"""What is wrong with a lane is found in its loss, and a sound lane is not accused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eval.proxies.health import findings
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
