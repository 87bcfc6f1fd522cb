"""The benchmark of a card, as far as a machine without one can run it."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from pathlib import Path

import pytest
import torch

from eval.proxies.tiers import TIERS
from tests.benchmarks.gpu import OUT, QUICK_TIER, QUICK_WAYS, WAYS, _lines, _tier, flops_of_a_token, main, train_some

QUICK = Namespace(device="cpu", quick=True)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_every_way_of_a_tier_is_measured_by_the_steps_of_a_card() -> None:
    lines = list(_tier("quick", QUICK, end=float("inf")))

    assert [(line["way"], line["lanes"]) for line in lines] == [(way.name, way.lanes) for way in QUICK_WAYS]
    assert all(line["tokens_per_second"] > 0 and line["rows_of_a_lane"] == QUICK_TIER.batch_rows for line in lines)
    assert {(way.name, way.lanes) for way in WAYS} >= {
        ("eager", 1),
        ("compiled", 1),
        *(("graph", k) for k in (8, 32, 64)),
    }


def test_a_way_that_would_take_longer_than_is_left_is_left_out() -> None:
    first, second = _tier("quick", QUICK, end=time.monotonic() + 0.02)

    assert "tokens_per_second" in first
    assert second["left_out"].startswith("would have taken about")


def test_the_sweep_trains_by_the_trainer_as_it_is() -> None:
    train_some(2, "cpu", quick=True)


def test_a_process_that_is_over_its_time_is_stopped(tmp_path: Path) -> None:
    (line,) = _lines("quick", QUICK, seconds=1.0)

    assert line == {"left_out": "stopped after 1 s"}


def test_what_there_was_no_time_for_is_named_in_the_file(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"

    assert main(["--device", "cpu", "--quick", "--minutes", "0", "--out", str(out)]) == 0

    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["tiers"] == {"quick": [{"left_out": "no time was left"}]}
    assert found["sweep"]["left_out"] == "no time was left" and found["machine"]["product_tflops"] > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_without_a_card_it_says_so_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    before = OUT.exists()

    assert main([]) == 2

    assert "torch finds no card" in capsys.readouterr().err and OUT.exists() == before


def test_operations_of_a_token_are_three_times_those_of_its_forward_pass() -> None:
    """Of t0: 2 layers of 12 * 96^2 weights, a head of 2048 * 96, and attention over 128 tokens in the mean."""
    assert flops_of_a_token(TIERS["t0"]) == 3 * 2 * (2 * 12 * 96**2 + 2048 * 96 + 2 * 2 * 96 * 128)
