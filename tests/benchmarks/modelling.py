"""What is measured of judging: tokenizer, one proxy lane of tier t0 in training and in scoring."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.clock import Work
from tests.benchmarks.corpus import SEED, Text
from tests.benchmarks.curation import Place

TRAIN_STEPS = 16
TIER = "t0"


def tokenizing(text: Text, place: Place) -> Work:
    """Encode text into tokens with the tokenizer of the quickstart's size."""
    tokenizer, strings = _tokenizer(text, place), text.strings()
    tokens = tokenizer.encode(strings)
    return Work(
        name="tokenizer", run=lambda: tokenizer.encode(strings), num_documents=text.num_documents,
        size_bytes=text.size_bytes, num_tokens=len(tokens.flat),
    )  # fmt: skip


def training(text: Text, place: Place) -> Work:
    """Train one lane for a few steps."""
    from eval.proxies.tiers import TIERS
    from eval.proxies.trainer import train

    tier, lane = TIERS[TIER], _lane(text, place)
    num_tokens = TRAIN_STEPS * tier.batch_rows * tier.context
    return Work(
        name="proxy_training", run=lambda: list(train([lane], tier=tier, num_tokens=num_tokens)),
        num_documents=0, size_bytes=0, num_tokens=num_tokens,
    )  # fmt: skip


def scoring(text: Text, place: Place) -> Work:
    """Score whole documents under one lane."""
    from eval.proxies.tiers import TIERS
    from eval.proxies.trainer import train
    from eval.scores.bits_per_byte import document_bits

    tier, tokenizer = TIERS[TIER], _tokenizer(text, place)
    (trained,) = train([_lane(text, place)], tier=tier, num_tokens=tier.batch_rows * tier.context)
    strings = text.strings()[:500]
    tokens = tokenizer.encode(strings)
    return Work(
        name="proxy_scoring", run=lambda: document_bits(trained.params, tokens, tier=tier, bos=tokenizer.bos),
        num_documents=len(strings), size_bytes=sum(len(string.encode()) for string in strings),
        num_tokens=len(tokens.flat),
    )  # fmt: skip


def _lane(text: Text, place: Place) -> Any:
    from eval.proxies.tiers import TIERS
    from eval.proxies.trainer import Lane
    from tests.eval.streams import pack

    tier, tokenizer = TIERS[TIER], _tokenizer(text, place)
    tokens = tokenizer.encode(text.strings()[:2000])
    stream = pack(tokens, bos=tokenizer.bos, context=tier.context)
    wanted = TRAIN_STEPS * tier.batch_rows * tier.context + 1
    return Lane(name="lane", stream=np.resize(stream, max(wanted, len(stream))), init_seed=SEED)


def _tokenizer(text: Text, place: Place) -> Any:
    return _trained_tokenizer(text, place.folder / "tokenizer.model")


@cache
def _trained_tokenizer(text: Text, path: Path) -> Any:
    from eval.proxies.tiers import TIERS
    from eval.proxies.tokenizer import train_tokenizer

    return train_tokenizer(text.strings(), path=path, vocab_size=TIERS[TIER].vocab_size, seed=SEED)
