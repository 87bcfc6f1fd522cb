from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from eval.proxies.packing import Tokens
from eval.proxies.proxy import init_lane, stack, token_nats
from eval.proxies.tiers import Tier
from eval.scores.bits_per_byte import bits_per_byte, document_bits
from pipeline.core.errors import DataError

BOS = 1


@pytest.fixture
def params(tiny: Tier) -> dict[str, Tensor]:
    lanes = [init_lane(tiny, seed=seed) for seed in range(3)]
    for seed, lane in enumerate(lanes):
        draw = torch.Generator().manual_seed(seed)
        for name in ("out_KLDD", "down_KLDF", "head_KVD"):
            lane[name] = torch.randn(lane[name].shape, generator=draw) * 0.2
    return stack(lanes)


def slow_bits(params: dict[str, Tensor], tokens: Tokens, *, tier: Tier, overlap: int) -> np.ndarray:
    """Score one document, one window and one lane at a time, without padding."""
    bits = np.zeros((len(params["head_KVD"]), len(tokens.offsets) - 1))
    for lane in range(len(bits)):
        alone = {name: param[lane : lane + 1] for name, param in params.items()}
        for doc in range(bits.shape[1]):
            text = tokens.flat[tokens.offsets[doc] : tokens.offsets[doc + 1]].astype(np.int64)
            inputs, scored = np.concatenate([[BOS], text[:-1]]), 0
            while scored < len(text):
                begin = max(scored - overlap, 0)
                end = min(begin + tier.context, len(text))
                ids, targets = (torch.from_numpy(x[None, None, begin:end].copy()) for x in (inputs, text))
                nats = token_nats(alone, ids, targets, tier=tier, dtype=torch.float32)
                bits[lane, doc] += nats[0, 0, scored - begin :].double().sum().item() / math.log(2)
                scored = end
    return bits


@pytest.mark.parametrize("overlap", [0, 16])
def test_bits_equal_scoring_one_document_at_a_time(
    tiny: Tier, params: dict[str, Tensor], tokens: Tokens, overlap: int
) -> None:
    fast = document_bits(params, tokens, tier=tiny, bos=BOS, overlap=overlap, precision="fp32")

    np.testing.assert_allclose(fast, slow_bits(params, tokens, tier=tiny, overlap=overlap), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("overlap", [0, 16])
def test_a_uniform_model_pays_log2_of_the_vocabulary_for_every_token(tiny: Tier, tokens: Tokens, overlap: int) -> None:
    params = init_lane(tiny, seed=1)
    params["head_KVD"].zero_()

    bits = document_bits(params, tokens, tier=tiny, bos=BOS, overlap=overlap)

    np.testing.assert_allclose(bits[0], np.diff(tokens.offsets) * math.log2(tiny.vocab_size), rtol=1e-6)


def test_threads_and_stacking_do_not_change_the_bits(tiny: Tier, params: dict[str, Tensor], tokens: Tokens) -> None:
    one, two = (document_bits(params, tokens, tier=tiny, bos=BOS, threads=threads) for threads in (1, 2))
    stacked = document_bits(params, tokens, tier=tiny, bos=BOS, precision="fp32", lanes_at_once=3)
    single = document_bits(params, tokens, tier=tiny, bos=BOS, precision="fp32")

    assert np.array_equal(one, two)
    np.testing.assert_allclose(stacked, single, rtol=1e-5, atol=1e-4)


def test_overlap_gives_cut_documents_their_past_and_leaves_short_ones_alone(
    tiny: Tier, params: dict[str, Tensor], tokens: Tokens
) -> None:
    none, half = (
        document_bits(params, tokens, tier=tiny, bos=BOS, overlap=overlap, precision="fp32") for overlap in (0, 16)
    )

    short = np.diff(tokens.offsets) <= tiny.context
    np.testing.assert_allclose(none[:, short], half[:, short], rtol=1e-5, atol=1e-4)
    assert not np.allclose(none[:, ~short], half[:, ~short], rtol=1e-5)


@pytest.mark.parametrize("overlap", [0, 16])
def test_tokens_before_the_first_that_counts_are_read_but_cost_nothing(
    tiny: Tier, params: dict[str, Tensor], tokens: Tokens, overlap: int
) -> None:
    """What a document's head and its rest cost is what the whole costs."""
    lengths = np.diff(tokens.offsets)
    first = lengths * np.arange(len(lengths)) % (lengths + 1)
    heads = [tokens.flat[start : start + size] for start, size in zip(tokens.offsets[:-1], first, strict=True)]
    cut = Tokens(flat=np.concatenate(heads), offsets=np.concatenate([[0], np.cumsum(first)]))
    how = {"tier": tiny, "bos": BOS, "overlap": overlap, "precision": "fp32"}

    whole, head = (document_bits(params, found, **how) for found in (tokens, cut))
    rest = document_bits(params, tokens, first=first, **how)

    np.testing.assert_allclose(head + rest, whole, rtol=1e-5, atol=1e-3)
    assert rest[:, first == lengths].tolist() == np.zeros((3, int((first == lengths).sum()))).tolist()


def test_no_documents_and_empty_documents_cost_nothing(tiny: Tier, params: dict[str, Tensor]) -> None:
    nothing = Tokens(flat=np.zeros(0, np.uint16), offsets=np.array([0], np.int64))
    empty = Tokens(flat=np.zeros(0, np.uint16), offsets=np.array([0, 0, 0], np.int64))

    assert document_bits(params, nothing, tier=tiny, bos=BOS).shape == (3, 0)
    assert document_bits(params, empty, tier=tiny, bos=BOS).tolist() == [[0, 0]] * 3


def test_an_overlap_of_a_whole_context_is_refused(tiny: Tier, params: dict[str, Tensor], tokens: Tokens) -> None:
    with pytest.raises(DataError, match="overlap is 32"):
        document_bits(params, tokens, tier=tiny, bos=BOS, overlap=tiny.context)


def test_bits_per_byte_weighs_documents_by_their_bytes() -> None:
    bits = np.array([[10.0, 30.0], [20.0, 20.0]])

    assert bits_per_byte(bits, np.array([4, 16])).tolist() == [2.0, 2.0]


@pytest.mark.parametrize("num_bytes", [[4], [0, 0]])
def test_bytes_that_do_not_belong_to_the_documents_are_refused(num_bytes: list[int]) -> None:
    with pytest.raises(DataError, match="bits per byte"):
        bits_per_byte(np.ones((1, 2)), np.array(num_bytes))
