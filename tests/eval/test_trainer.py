from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eval.packing import Stream, Tokens, num_rows
from eval.tiers import Tier
from eval.trainer import TOKENS_IN_FLIGHT, Lane, Progress, Trained, train
from pipeline.core.errors import DataError
from pipeline.core.rng import generator
from tests.eval.streams import pack

BOS = 1


@pytest.fixture
def stream(tiny: Tier, tokens: Tokens) -> Stream:
    return pack(tokens, bos=BOS, context=tiny.context)


def shuffled(stream: Stream, seed: int) -> Any:
    """All rows of a stream of the tiny tier, in an order of this seed."""
    return generator(seed, "trainer test").permutation(num_rows(stream, context=32))


def lanes_on(stream: Stream, *, count: int) -> list[Lane]:
    return [
        Lane(f"lane{k}", stream, init_seed=10 + k, rows=shuffled(stream, k), lr_scale=(1.0, 0.3)[k % 2])
        for k in range(count)
    ]


def assert_same_weights(a: Trained, b: Trained, *, tolerance: float = 0.0) -> None:
    for name in a.params:
        torch.testing.assert_close(a.params[name], b.params[name], rtol=0, atol=tolerance)


class CutOffError(Exception):
    """Stands for a kill between two steps."""


def train_until(step: int, lanes: list[Lane], *, tier: Tier, checkpoint: Path, lanes_at_once: int = 1) -> None:
    def cut(progress: Progress) -> None:
        if progress.step == step:
            raise CutOffError

    with pytest.raises(CutOffError):
        train(lanes, tier=tier, checkpoint=checkpoint, checkpoint_seconds=0, lanes_at_once=lanes_at_once, say=cut)


def test_four_stacked_lanes_equal_four_runs_after_twenty_steps(tiny: Tier, stream: Stream) -> None:
    lanes = lanes_on(stream, count=4)

    together = train(lanes, tier=tiny, precision="fp32", lanes_at_once=4)

    assert together.num_steps == 20
    for index, lane in enumerate(lanes):
        alone = train([lane], tier=tiny, precision="fp32")
        for name, param in alone.params.items():
            torch.testing.assert_close(together.params[name][index : index + 1], param, rtol=0, atol=1e-5)


def test_thread_count_does_not_change_a_bit(tiny: Tier, stream: Stream) -> None:
    lanes = lanes_on(stream, count=3)

    one, two = (train(lanes, tier=tiny, threads=threads) for threads in (1, 2))

    assert_same_weights(one, two)
    assert torch.get_num_threads() >= 1


@pytest.mark.parametrize("lanes_at_once", [1, 3])
def test_a_run_that_was_cut_off_ends_with_the_same_bits(
    tiny: Tier, stream: Stream, tmp_path: Path, lanes_at_once: int
) -> None:
    lanes = lanes_on(stream, count=3)
    whole = train(lanes, tier=tiny, lanes_at_once=lanes_at_once)
    for step in (5, 11):
        train_until(step, lanes, tier=tiny, checkpoint=tmp_path / "run.npz", lanes_at_once=lanes_at_once)

    resumed = train(lanes, tier=tiny, lanes_at_once=lanes_at_once, checkpoint=tmp_path / "run.npz")

    assert_same_weights(whole, resumed)
    strip = [[{**p, "seconds": 0} for p in curve["points"]] for curve in whole.curves]
    assert strip == [[{**p, "seconds": 0} for p in curve["points"]] for curve in resumed.curves]


def test_a_finished_run_is_read_back_without_training(tiny: Tier, stream: Stream, tmp_path: Path) -> None:
    lanes, heard = lanes_on(stream, count=2), list[Progress]()
    first = train(lanes, tier=tiny, checkpoint=tmp_path / "run.npz")

    again = train(lanes, tier=tiny, checkpoint=tmp_path / "run.npz", say=heard.append)

    assert_same_weights(first, again)
    assert not heard


def test_a_checkpoint_of_another_run_is_refused(tiny: Tier, stream: Stream, tmp_path: Path) -> None:
    lanes = lanes_on(stream, count=2)
    train(lanes, tier=tiny, checkpoint=tmp_path / "run.npz")
    other = stream.copy()
    other[100] ^= 1

    with pytest.raises(DataError, match=r"run\.npz: belongs to run"):
        train([dataclasses.replace(lane, stream=other) for lane in lanes], tier=tiny, checkpoint=tmp_path / "run.npz")


@pytest.mark.parametrize("place", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_training_begins_again_where_the_checkpoint_is_damaged(
    tiny: Tier, stream: Stream, tmp_path: Path, place: float
) -> None:
    lanes, path = lanes_on(stream, count=1), tmp_path / "run.npz"
    train_until(3, lanes, tier=tiny, checkpoint=path)
    damaged = bytearray(path.read_bytes())
    damaged[int(place * (len(damaged) - 1))] ^= 4
    path.write_bytes(damaged)

    assert_same_weights(train(lanes, tier=tiny), train(lanes, tier=tiny, checkpoint=path))


def test_a_lane_that_breaks_is_named_and_leaves_the_others_alone(tiny: Tier, stream: Stream) -> None:
    lanes = lanes_on(stream, count=3)
    wild = [lanes[0], dataclasses.replace(lanes[1], lr_scale=1e38), lanes[2]]

    calm, trained = (train(some, tier=tiny, precision="fp32", lanes_at_once=3) for some in (lanes, wild))

    assert list(trained.quarantined) == ["lane1"]
    assert trained.curves[1]["points"][-1]["bits_per_token"] is None
    for name, param in trained.params.items():
        torch.testing.assert_close(param[[0, 2]], calm.params[name][[0, 2]], rtol=0, atol=0)


def test_the_loss_falls_on_a_stream_with_a_pattern(tiny: Tier) -> None:
    pattern = Tokens(flat=np.tile(np.arange(2, 18), 400).astype(np.uint16), offsets=np.array([0, 6_400]))
    stream = pack(pattern, bos=BOS, context=tiny.context)
    lane = Lane("pattern", stream, init_seed=1, rows=shuffled(stream, 1))

    points = train([lane], tier=tiny).curves[0]["points"]

    assert points[0]["bits_per_token"] == pytest.approx(6, abs=0.1)
    assert points[-1]["bits_per_token"] < 4.5
    assert [p["tokens"] for p in points] == [128 * (i + 1) for i in range(20)]


def test_the_seed_and_the_order_of_rows_decide_the_weights(tiny: Tier, stream: Stream) -> None:
    lanes = [
        Lane("a", stream, init_seed=1, rows=shuffled(stream, 1)),
        Lane("twin", stream, init_seed=1, rows=shuffled(stream, 1)),
        Lane("order", stream, init_seed=1, rows=shuffled(stream, 2)),
        Lane("init", stream, init_seed=2, rows=shuffled(stream, 1)),
        Lane("as it comes", stream, init_seed=1),
    ]

    head = train(lanes, tier=tiny).params["head_KVD"]

    assert torch.equal(head[0], head[1])
    assert len({lane.numpy().tobytes() for lane in head}) == 4


def test_a_stream_that_is_too_short_is_refused_before_training(tiny: Tier, stream: Stream) -> None:
    lane = Lane("short", stream[: 5 * tiny.context + 1], init_seed=1)

    assert num_rows(lane.stream, context=tiny.context) == 5
    with pytest.raises(DataError, match="lane short: its stream holds 5 rows of 32 tokens; the run reads 80"):
        train([lane], tier=tiny)


def test_a_row_that_the_stream_does_not_hold_is_refused_before_training(tiny: Tier, stream: Stream) -> None:
    rows = shuffled(stream, 1)
    rows[7] = len(rows)

    with pytest.raises(DataError, match=f"lane x: reads row {len(rows)}; its stream ends with row {len(rows) - 1}"):
        train([Lane("x", stream, init_seed=1, rows=rows)], tier=tiny)


def test_tokens_outside_the_vocabulary_are_refused_before_training(tiny: Tier, stream: Stream) -> None:
    foreign = stream.copy()
    foreign[9] = 64

    with pytest.raises(DataError, match="lane x: its stream holds token 64; tier tiny has 64 tokens"):
        train([Lane("x", foreign, init_seed=1)], tier=tiny)


def test_lanes_need_names_of_their_own(tiny: Tier, stream: Stream) -> None:
    for lanes in ([], [Lane("same", stream, init_seed=seed) for seed in (1, 2)]):
        with pytest.raises(DataError, match="different names"):
            train(lanes, tier=tiny)


def test_parts_of_a_batch_add_up_to_the_batch(tiny: Tier, stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(lanes_on(stream, count=1), tier=tiny, precision="fp32")
    monkeypatch.setitem(TOKENS_IN_FLIGHT, "cpu", 2 * tiny.context)

    parts = train(lanes_on(stream, count=1), tier=tiny, precision="fp32")

    assert_same_weights(whole, parts, tolerance=1e-4)


def test_the_training_path_needs_only_torch_numpy_and_pyarrow() -> None:
    """The proxies are also trained on machines where nothing else is installed."""
    program = """
import sys
import numpy, pyarrow, torch
class Bare:
    allowed = {"torch", "numpy", "pyarrow", "eval", "pipeline", *sys.stdlib_module_names}
    files = ("durable", "in_place", "opened", "parquet_bounds", "parquet_pages", "scratch", "shards", "sums")
    floor = {"pipeline.core", "pipeline.core.document", "pipeline.core.errors", "pipeline.core.files"}
    floor |= {f"pipeline.core.files.{name}" for name in files}
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in self.allowed and not name.startswith("_sysconfigdata"):
            raise ImportError(f"{name} is not on a bare machine")
        if name.startswith("pipeline.") and name not in self.floor:
            raise ImportError(f"{name} is not on the training path")
sys.meta_path.insert(0, Bare())
from eval import bits_per_byte, checkpoint, head, machine, optimizer, packing, proxy, tiers, trainer
unwanted = {"pydantic", "blake3", "sentencepiece", "safetensors", "scipy"} & set(sys.modules)
assert not unwanted, unwanted
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
