"""Tiny proxies and streams: two layers of 32, vocabulary 64, context 32; each trains in a fraction of a second."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from eval.proxies.packing import Tokens
from eval.proxies.tiers import Tier

BOS = 1


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Keep the main thread from spinning on every core over matrices of 32 x 32."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny() -> Tier:
    return Tier(
        name="tiny",
        num_layers=2,
        width=32,
        num_heads=2,
        vocab_size=64,
        context=32,
        batch_tokens=128,
        num_tokens=2_560,
        muon_lr=0.02,
        embed_lr=0.3,
        head_lr=0.004,
    )


def random_tokens(*, num_docs: int, vocab_size: int, seed: int, longest: int = 100) -> Tokens:
    """Draw documents of 0 to `longest` tokens, none of them BOS."""
    draw = np.random.Generator(np.random.PCG64(seed))
    lengths = draw.integers(0, longest + 1, num_docs)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Tokens(flat=draw.integers(2, vocab_size, int(lengths.sum())).astype(np.uint16), offsets=offsets)


@pytest.fixture
def tokens(tiny: Tier) -> Tokens:
    return random_tokens(num_docs=64, vocab_size=tiny.vocab_size, seed=7)
