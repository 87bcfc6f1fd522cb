"""What a training says of itself: norms of its groups, what it read, and what never moved."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from eval.proxies.account import GROUPS, NORM_POINTS, tally, unmoved
from eval.proxies.packing import IGNORE, Stream, Tokens
from eval.proxies.proxy import init_lane
from eval.proxies.tiers import Tier
from tests.eval.proxies.test_trainer import BOS, kept, lanes_on, train_until, trained
from tests.eval.streams import pack


@pytest.fixture
def stream(tiny: Tier, tokens: Tokens) -> Stream:
    return pack(tokens, bos=BOS, context=tiny.context)


def test_every_lane_tells_the_norms_of_each_group_at_a_few_steps(tiny: Tier, stream: Stream) -> None:
    longer = dataclasses.replace(tiny, batch_tokens=64)
    unpadded = stream[: -tiny.context]
    lanes = trained(lanes_on(unpadded, count=2), tier=longer, precision="fp32", lanes_at_once=2)

    for lane in lanes:
        assert lane.num_steps == 40 and len(lane.account.norms) == NORM_POINTS
        assert [lane.account.norms[point]["step"] for point in (0, -1)] == [1, 40]
        first, last = lane.account.norms[0], lane.account.norms[-1]
        assert set(first["gradient"]) == set(first["update"]) == set(GROUPS.values())
        assert first["gradient"]["queries, keys and values"] == 0 < first["gradient"]["attention out"]
        assert first["update"]["attention out"] == 1  # from zero
        assert all(value > 0 for value in (*last["gradient"].values(), *last["update"].values()))
        assert (lane.account.schedule_done, lane.account.num_targets) == (1.0, lane.num_tokens)
        assert set(lane.account.unmoved.values()) == {0.0}
    assert lanes[0].account.norms != lanes[1].account.norms


def test_the_update_is_told_as_a_share_of_the_weights(tiny: Tier, stream: Stream) -> None:
    """At a tenth of the rate a first step moves the embedding a tenth as far."""
    fast, slow = (
        trained([dataclasses.replace(lanes_on(stream, count=1)[0], lr_scale=rate)], tier=tiny, precision="fp32")[0]
        for rate in (1.0, 0.1)
    )

    first = [lane.account.norms[0]["update"]["embedding"] for lane in (fast, slow)]
    assert first[0] == pytest.approx(10 * first[1], rel=0.05)
    gradients = [lane.account.norms[0]["gradient"] for lane in (fast, slow)]
    assert gradients[0] == gradients[1]


def test_an_account_is_the_same_where_the_training_was_cut_off(tiny: Tier, stream: Stream, tmp_path: Path) -> None:
    lanes = lanes_on(stream, count=2)
    whole = trained(lanes, tier=tiny)
    train_until(15, kept(lanes, tmp_path), tier=tiny)

    resumed = trained(kept(lanes, tmp_path), tier=tiny)

    assert [lane.account for lane in whole] == [lane.account for lane in resumed]


def test_a_token_counts_where_it_is_read_and_where_it_is_a_target() -> None:
    stream = np.array([1, 5, 5, 6, IGNORE, IGNORE, IGNORE], np.uint16)

    found = tally(stream, np.array([0, 1, 0]), context=3, vocab_size=8)

    assert found.inputs_V.tolist() == [0, 2, 0, 0, 0, 4, 1, 0]
    assert found.num_targets == 6  # 5, 5, 6 twice; the second row has none


def test_of_the_embedding_only_tokens_that_were_read_must_move(tiny: Tier) -> None:
    start = init_lane(tiny, seed=1)
    moved = {name: param + 1 for name, param in start.items()}
    moved["embed_KVD"][0, 10:] = start["embed_KVD"][0, 10:]
    moved["up_KLFD"][0, 1] = start["up_KLFD"][0, 1]
    seen_V = np.arange(tiny.vocab_size) < 20

    found = unmoved(start, moved, seen_V=seen_V)

    assert (found["embedding"], found["mlp up"], found["head"]) == (0.5, 0.5, 0.0)
    assert torch.equal(moved["head_KVD"], start["head_KVD"] + 1)
