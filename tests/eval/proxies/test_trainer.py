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

from eval.proxies.packing import Stream, Tokens, num_rows
from eval.proxies.step import TOKENS_IN_FLIGHT
from eval.proxies.tiers import Tier
from eval.proxies.trainer import Lane, Trained, train
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


def trained(lanes: list[Lane], **settings: Any) -> list[Trained]:
    """Train all lanes; return them in the order in which they were asked for."""
    done = {lane.name: lane for lane in train(lanes, **settings)}
    return [done[lane.name] for lane in lanes]


def assert_same(first: list[Trained], second: list[Trained], *, tolerance: float = 0.0) -> None:
    for a, b in zip(first, second, strict=True):
        assert a.name == b.name and (tolerance or a.points == b.points)
        for name in a.params:
            torch.testing.assert_close(a.params[name], b.params[name], rtol=0, atol=tolerance)


class CutOffError(Exception):
    """Stands for a kill between two steps."""


def train_until(call: int, lanes: list[Lane], *, tier: Tier, lanes_at_once: int = 1, **settings: Any) -> None:
    """Cut a training off when its lanes have told `call` times, in all, that they stand somewhere."""
    calls = 0

    def cut(num_tokens: int) -> None:
        nonlocal calls
        calls += 1
        if calls >= call:
            raise CutOffError

    with pytest.raises(CutOffError):
        list(train(lanes, tier=tier, checkpoint_seconds=0, lanes_at_once=lanes_at_once, say=cut, **settings))


def kept(lanes: list[Lane], folder: Path) -> list[Lane]:
    """Give each lane a checkpoint in a folder."""
    return [dataclasses.replace(lane, checkpoint=folder / f"{lane.name}.npz") for lane in lanes]


def test_four_stacked_lanes_equal_four_runs_after_twenty_steps(tiny: Tier, stream: Stream) -> None:
    lanes = lanes_on(stream, count=4)

    together = trained(lanes, tier=tiny, precision="fp32", lanes_at_once=4)

    assert together[0].num_steps == 20
    alone = [trained([lane], tier=tiny, precision="fp32")[0] for lane in lanes]
    assert_same(together, alone, tolerance=1e-5)


def test_on_a_cpu_no_bit_of_a_lane_depends_on_the_others(tiny: Tier, stream: Stream) -> None:
    """So a proxy that was trained for one comparison is the one that any other would train."""
    lanes = lanes_on(stream, count=5)

    together = trained(lanes, tier=tiny, threads=2)

    assert_same(together, [trained([lane], tier=tiny)[0] for lane in lanes])
    assert_same(together[::-2], trained(lanes[::-2], tier=tiny))


def test_thread_count_does_not_change_a_bit(tiny: Tier, stream: Stream) -> None:
    lanes = lanes_on(stream, count=3)

    one, two = (trained(lanes, tier=tiny, threads=threads) for threads in (1, 2))

    assert_same(one, two)
    assert torch.get_num_threads() >= 1


@pytest.mark.parametrize("lanes_at_once", [1, 3])
def test_a_run_that_was_cut_off_ends_with_the_same_bits(
    tiny: Tier, stream: Stream, tmp_path: Path, lanes_at_once: int
) -> None:
    lanes = lanes_on(stream, count=3)
    whole = trained(lanes, tier=tiny, lanes_at_once=lanes_at_once)
    for call in (7, 5):
        train_until(call, kept(lanes, tmp_path), tier=tiny, lanes_at_once=lanes_at_once)

    heard: list[int] = []
    resumed = trained(kept(lanes, tmp_path), tier=tiny, lanes_at_once=lanes_at_once, say=heard.append)

    assert_same(whole, resumed)
    step = tiny.batch_tokens * lanes_at_once
    assert sum(heard) == 3 * tiny.num_tokens
    assert (
        heard[0] == 8 * step
    )  # 5 steps, then 3 more: each cut came before the checkpoint of the step that it heard of


def test_lanes_that_stand_at_different_steps_go_on_from_where_each_stands(
    tiny: Tier, stream: Stream, tmp_path: Path
) -> None:
    lanes = lanes_on(stream, count=3)
    train_until(9, kept(lanes[:1], tmp_path), tier=tiny)
    train_until(5, kept(lanes[1:2], tmp_path), tier=tiny)

    heard: list[int] = []
    resumed = trained(kept(lanes, tmp_path), tier=tiny, say=heard.append)

    assert_same(trained(lanes, tier=tiny), resumed)
    assert [told // tiny.batch_tokens for told in heard if told != tiny.batch_tokens] == [7, 3, 0]


def test_lanes_that_were_stopped_and_went_on_are_lanes_that_never_stopped(
    tiny: Tier, stream: Stream, tmp_path: Path
) -> None:
    """Also where only some go on, and where a look at an earlier stop is asked for again later."""
    lanes, step = lanes_on(stream, count=3), tiny.batch_tokens
    whole = trained(lanes, tier=tiny)

    early = trained(kept(lanes, tmp_path), tier=tiny, stop_at=7 * step)
    heard: list[int] = []
    late = trained(kept(lanes[:2], tmp_path), tier=tiny, say=heard.append)
    again = trained(kept(lanes, tmp_path), tier=tiny, stop_at=4 * step)

    assert_same(whole[:2], late)
    assert sum(heard) == 2 * tiny.num_tokens and heard[0] == 7 * step
    for stopped, done in zip(early, whole, strict=True):
        assert stopped.num_tokens == 7 * step and np.array_equal(stopped.nats_S, done.nats_S[:7])
    assert [len(lane.nats_S) for lane in again] == [4, 4, 4]
    assert_same(trained(lanes, tier=tiny, stop_at=4 * step), again)


def test_each_lane_is_given_out_as_soon_as_it_is_finished(tiny: Tier, stream: Stream) -> None:
    """A killed run loses the lanes that it was at, and keeps what it had finished."""
    heard: list[int] = []

    first = next(iter(train(lanes_on(stream, count=4), tier=tiny, say=heard.append)))

    assert first.name == "lane0"
    assert sum(heard) < 4 * tiny.num_tokens


def test_a_checkpoint_of_another_run_is_refused(tiny: Tier, stream: Stream, tmp_path: Path) -> None:
    lanes = kept(lanes_on(stream, count=2), tmp_path)
    train_until(4, lanes, tier=tiny)
    other = stream.copy()
    other[100] ^= 1

    with pytest.raises(DataError, match=r"lane0\.npz: belongs to run"):
        list(train([dataclasses.replace(lane, stream=other) for lane in lanes], tier=tiny))


@pytest.mark.parametrize("place", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_training_begins_again_where_the_checkpoint_is_damaged(
    tiny: Tier, stream: Stream, tmp_path: Path, place: float
) -> None:
    lanes, path = lanes_on(stream, count=1), tmp_path / "lane0.npz"
    train_until(4, kept(lanes, tmp_path), tier=tiny)
    damaged = bytearray(path.read_bytes())
    damaged[int(place * (len(damaged) - 1))] ^= 4
    path.write_bytes(damaged)

    assert_same(trained(lanes, tier=tiny), trained(kept(lanes, tmp_path), tier=tiny))


def test_a_lane_that_breaks_is_named_and_leaves_the_others_alone(tiny: Tier, stream: Stream) -> None:
    lanes = lanes_on(stream, count=3)
    wild = [lanes[0], dataclasses.replace(lanes[1], lr_scale=1e38), lanes[2]]

    calm, broken = (trained(some, tier=tiny, precision="fp32", lanes_at_once=3) for some in (lanes, wild))

    assert [lane.name for lane in broken if lane.broken_at is not None] == ["lane1"]
    assert broken[1].points[-1]["bits_per_token"] is None
    assert_same(calm[::2], broken[::2])


def test_the_loss_falls_on_a_stream_with_a_pattern(tiny: Tier) -> None:
    pattern = Tokens(flat=np.tile(np.arange(2, 18), 400).astype(np.uint16), offsets=np.array([0, 6_400]))
    stream = pack(pattern, bos=BOS, context=tiny.context)
    lane = Lane("pattern", stream, init_seed=1, rows=shuffled(stream, 1))

    points = trained([lane], tier=tiny)[0].points

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

    heads = [lane.params["head_KVD"] for lane in trained(lanes, tier=tiny)]

    assert torch.equal(heads[0], heads[1])
    assert len({head.numpy().tobytes() for head in heads}) == 4


def test_a_stream_that_is_too_short_is_refused_before_training(tiny: Tier, stream: Stream) -> None:
    lane = Lane("short", stream[: 5 * tiny.context + 1], init_seed=1)

    assert num_rows(lane.stream, context=tiny.context) == 5
    with pytest.raises(DataError, match="lane short: its stream holds 5 rows of 32 tokens; the run reads 80"):
        list(train([lane], tier=tiny))


def test_a_row_that_the_stream_does_not_hold_is_refused_before_training(tiny: Tier, stream: Stream) -> None:
    rows = shuffled(stream, 1)
    rows[7] = len(rows)

    with pytest.raises(DataError, match=f"lane x: reads row {len(rows)}; its stream ends with row {len(rows) - 1}"):
        list(train([Lane("x", stream, init_seed=1, rows=rows)], tier=tiny))


def test_tokens_outside_the_vocabulary_are_refused_before_training(tiny: Tier, stream: Stream) -> None:
    foreign = stream.copy()
    foreign[9] = 64

    with pytest.raises(DataError, match="lane x: its stream holds token 64; tier tiny has 64 tokens"):
        list(train([Lane("x", foreign, init_seed=1)], tier=tiny))


def test_lanes_need_names_of_their_own(tiny: Tier, stream: Stream) -> None:
    for lanes in ([], [Lane("same", stream, init_seed=seed) for seed in (1, 2)]):
        with pytest.raises(DataError, match="different names"):
            list(train(lanes, tier=tiny))


def test_parts_of_a_batch_add_up_to_the_batch(tiny: Tier, stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained(lanes_on(stream, count=1), tier=tiny, precision="fp32")
    monkeypatch.setitem(TOKENS_IN_FLIGHT, "cpu", 2 * tiny.context)

    parts = trained(lanes_on(stream, count=1), tier=tiny, precision="fp32")

    assert_same(whole, parts, tolerance=1e-4)


def test_the_training_path_needs_only_torch_numpy_and_pyarrow() -> None:
    """The proxies are also trained on machines where nothing else is installed."""
    program = """
import sys
import numpy, pyarrow, torch
class Bare:
    allowed = {"torch", "numpy", "pyarrow", "eval", "pipeline", "tests", *sys.stdlib_module_names}
    rooms = {
        "parquet": ("in_place", "opened", "parquet_bounds", "parquet_pages", "shards"),
        "writing": ("attempts", "durable", "scratch", "sums"),
    }
    floor = {"pipeline.core", "pipeline.core.document", "pipeline.core.errors", "pipeline.core.files"}
    floor |= {"pipeline.core.files.names"}
    floor |= {f"pipeline.core.files.{room}" for room in rooms}
    floor |= {f"pipeline.core.files.{room}.{name}" for room, names in rooms.items() for name in names}
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in self.allowed and not name.startswith("_sysconfigdata"):
            raise ImportError(f"{name} is not on a bare machine")
        if name.startswith("pipeline.") and name not in self.floor:
            raise ImportError(f"{name} is not on the training path")
sys.meta_path.insert(0, Bare())
from eval.scores import bits_per_byte
from eval.proxies import account, checkpoint, head, machine, on_device, optimizer, packing, proxy, step, tiers, trainer
from tests.benchmarks import gpu
unwanted = {"pydantic", "blake3", "sentencepiece", "safetensors", "scipy"} & set(sys.modules)
assert not unwanted, unwanted
"""
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
