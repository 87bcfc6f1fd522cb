"""Sizes of proxies as a table, apart from the model so that a plan can read it without importing torch.

t1 and above follow nanochat, modded-nanogpt and parameter-golf as surveyed, not measured here; their embedding and
head rates are nanochat's 0.3 and 0.004 at width 768, scaled by (width / 768)^-1/2. t0 was fitted on two CPU cores: it
tells documentation from the same text with 20 % of its characters shuffled by 2.19 against 2.73 bits per byte, with a
deviation over seeds of 0.01 to 0.03, in 18 to 22 core-seconds for its million tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tier:
    """Shape and training recipe of one proxy size; learning rates are before a lane's own scale."""

    name: str
    num_layers: int
    width: int
    num_heads: int
    vocab_size: int
    context: int
    batch_tokens: int
    num_tokens: int
    muon_lr: float
    embed_lr: float
    head_lr: float

    @property
    def num_parameters(self) -> int:
        """Return the parameters of one lane: blocks, embedding and head."""
        return 12 * self.num_layers * self.width**2 + 2 * self.vocab_size * self.width

    @property
    def least_tokens(self) -> int:
        """Return the fewest tokens of a lane that a verdict may rest on: a quarter of what the tier is made for.

        Whole steps of it, as a lane reads no part of one.
        """
        step = self.batch_rows * self.context
        return self.num_tokens // 4 // step * step

    @property
    def batch_rows(self) -> int:
        """Return the rows of `context` tokens in one lane's step."""
        return max(1, self.batch_tokens // self.context)


TIERS: Mapping[str, Tier] = {
    tier.name: tier
    for tier in (
        Tier("t0", 2, 96, 1, 2048, 256, 4_096, 1_000_000, muon_lr=0.05, embed_lr=0.6, head_lr=0.015),
        Tier("t1", 4, 128, 2, 4096, 512, 16_384, 20_000_000, muon_lr=0.02, embed_lr=0.73, head_lr=0.01),
        Tier("t5", 6, 256, 4, 4096, 512, 32_768, 50_000_000, muon_lr=0.02, embed_lr=0.52, head_lr=0.007),
        Tier("t10", 8, 320, 5, 8192, 1024, 65_536, 100_000_000, muon_lr=0.02, embed_lr=0.46, head_lr=0.0062),
        Tier("t30", 8, 512, 4, 8192, 1024, 131_072, 600_000_000, muon_lr=0.02, embed_lr=0.37, head_lr=0.005),
        Tier("t85", 12, 768, 6, 16384, 1024, 524_288, 1_700_000_000, muon_lr=0.025, embed_lr=0.3, head_lr=0.004),
    )
}
