"""Sizes of proxies as a table, apart from the model so that a plan can read it without importing torch.

A tier may be trained otherwise than the table says; its name then says how, `t0+batch8192+decay0.8`, so that whoever
meets a proxy by its name knows all of it. Vocabulary and context stay: they are what its text is cut into.

t1 and above follow nanochat, modded-nanogpt and parameter-golf as surveyed, not measured here; their embedding and
head rates are nanochat's 0.3 and 0.004 at width 768, scaled by (width / 768)^-1/2. t0 was fitted on two CPU cores: it
tells documentation from the same text with 20 % of its characters shuffled by 2.19 against 2.73 bits per byte, with a
deviation over seeds of 0.01 to 0.03, in 18 to 22 core-seconds for its million tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

from eval.proxies.schedule import USUAL, Course


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
    course: Course = USUAL

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

    @property
    def flops_per_token(self) -> float:
        """Return operations for a token, forward and backward: six for each weight that multiplies, and attention's."""
        weights = self.num_parameters - self.vocab_size * self.width  # the embedding is looked up
        return 6.0 * weights + 12.0 * self.num_layers * self.width * self.context / 2


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


@dataclass(frozen=True, slots=True)
class Changes:
    """How a tier is trained otherwise than its row says; None is as there. Rates are multiples of the row's."""

    rate: float | None = None  # of all
    embedding: float | None = None  # of the embedding's, beside `rate`
    head: float | None = None
    batch: int | None = None  # tokens of a step
    warmup: float | None = None
    decay: float | None = None
    floor: float | None = None
    layers: int | None = None
    width: int | None = None


WHOLE = ("batch", "layers", "width")
_CHANGE = re.compile(r"([a-z]+)([0-9.]+(?:e-?[0-9]+)?)")


def name_of(base: str, changes: Changes) -> str:
    """Return the name of a tier with some changes; one that changes nothing is in no name."""
    own = usual_of(TIERS[base])
    given = {field.name: getattr(changes, field.name) for field in fields(Changes)}
    if given["batch"] is not None:
        given["batch"] = max(1, given["batch"] // TIERS[base].context) * TIERS[base].context
    told = [
        f"{key}{value if key in WHOLE else float(value)!r}"
        for key, value in given.items()
        if value is not None and value != getattr(own, key)
    ]
    return "+".join([base, *told])


def usual_of(tier: Tier) -> Changes:
    """Return what stands in a tier's row for everything that may be changed."""
    course = tier.course
    return Changes(
        1.0, 1.0, 1.0, tier.batch_tokens, course.warmup, course.decay, course.floor, tier.num_layers, tier.width
    )


@cache
def tier_called(name: str) -> Tier:
    """Return a row of the table, or what a name with changes makes of it. Raises KeyError for no such name.

    The embedding's and the head's rates follow the width as those of the table do, by its root.
    """
    base, *told = name.split("+")
    tier, given = TIERS[base], dict[str, float]()
    for each in told:
        found = _CHANGE.fullmatch(each)
        if found is None or found[1] not in {field.name for field in fields(Changes)}:
            raise KeyError(name)
        given[found[1]] = float(found[2])
    typed: dict[str, Any] = {key: int(value) if key in WHOLE else value for key, value in given.items()}
    new = replace(usual_of(tier), **typed)
    assert new.rate and new.embedding and new.head and new.batch and new.layers and new.width
    assert new.warmup is not None and new.decay and new.floor is not None
    by_width = new.rate * (tier.width / new.width) ** 0.5
    return replace(
        tier,
        name=name,
        num_layers=new.layers,
        width=new.width,
        num_heads=heads_of(new.width, like=tier),
        batch_tokens=new.batch,
        muon_lr=tier.muon_lr * new.rate,
        embed_lr=tier.embed_lr * by_width * new.embedding,
        head_lr=tier.head_lr * by_width * new.head,
        course=Course(new.warmup, new.decay, new.floor),
    )


def heads_of(width: int, *, like: Tier) -> int:
    """Return into how many heads a width is split: about as wide as a tier's, of equal and even size."""
    nearest = max(1, round(width * like.num_heads / like.width))
    return next((heads for heads in range(nearest, 0, -1) if width % (2 * heads) == 0), 1)
