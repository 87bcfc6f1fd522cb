"""A tokenizer, a tier that fits it, and lanes of it, for tests that put questions to lanes."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from eval.proxies.packing import Tokens
from eval.proxies.proxy import stack
from eval.proxies.tiers import Tier
from eval.proxies.tokenizer import Tokenizer
from eval.proxies.trainer import Lane, train
from tests.eval.streams import pack


def tier_of(tokenizer: Tokenizer, *, context: int = 64) -> Tier:
    return Tier(
        "choosing", 2, 64, 2, tokenizer.vocab_size, context, 8 * context, 100_000,
        muon_lr=0.03, embed_lr=0.3, head_lr=0.01,
    )  # fmt: skip


def trained_on(texts: list[str], *, tokenizer: Tokenizer, tier: Tier, steps: int, seeds: int) -> dict[str, Tensor]:
    """Return a stack of lanes, each trained on the texts in an order of its own."""
    lanes = []
    for seed in range(seeds):
        order = np.random.Generator(np.random.PCG64(seed)).permutation(len(texts))
        tokens: Tokens = tokenizer.encode([texts[i] for i in order])
        stream = pack(tokens, bos=tokenizer.bos, context=tier.context)
        lanes.append(Lane(name=str(seed), stream=stream, init_seed=seed))
    num_tokens = steps * tier.batch_tokens
    finished = train(lanes, tier=tier, num_tokens=num_tokens, precision="fp32", threads=seeds)
    return stack([done.params for done in finished])
