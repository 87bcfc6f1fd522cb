"""Small experiments in memory, sound or with one planted fault: made text, a real tokenizer, pools, lanes and records.

Two mixtures of two datasets, two seeds each, 48 steps of a proxy of two layers of 32. A fault is planted where it
would happen: in the text, the draw, the optimiser, the model, or the loader of a real training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from eval.doctor.overlap import documents_met, repeated_share, share_met
from eval.doctor.record import DatasetRecord, ExperimentRecord, HeldOutRecord, LaneRecord
from eval.proxies import optimizer, proxy, step, trainer
from eval.proxies.packing import Tokens, read_rows
from eval.proxies.tiers import Tier
from eval.proxies.tokenizer import Tokenizer, train_tokenizer
from eval.proxies.trainer import Lane, Trained, train
from pipeline.core.rng import derive, generator
from pipeline.experiment.lanes import told_of
from pipeline.experiment.streams.pool import Pool, build_pool, draw_rows

TIER = Tier("tiny", 2, 32, 2, 512, 32, batch_tokens=512, num_tokens=24_576, muon_lr=0.02, embed_lr=0.3, head_lr=0.004)
WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "baseline": {"web": 0.8, "code": 0.2},
    "candidate": {"web": 0.5, "code": 0.5},
}
SEEDS = (0, 1)
SYLLABLES = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]


def made_texts(kind: str, *, count: int, seed: int, words: int = 80) -> list[str]:
    """Return documents of made-up words, some frequent and some rare, each calling for the next."""
    draw = generator(seed, "made", kind)
    vocabulary = ["".join(generator(0, kind, number).choice(SYLLABLES, size=2 + number % 3)) for number in range(200)]
    follows = generator(0, kind, "follows").integers(200, size=(200, 3))
    weights = 1 / np.arange(2, 202)
    fresh = draw.choice(200, size=(count, words), p=weights / weights.sum())
    keeps, which = draw.random((count, words)) < 0.7, draw.integers(3, size=(count, words))
    texts = []
    for document in range(count):
        word, found = int(fresh[document, 0]), []
        for place in range(words):
            word = int(follows[word, which[document, place]] if keeps[document, place] else fresh[document, place])
            found.append(vocabulary[word])
        texts.append(" ".join(found) + ".\n")
    return texts


@cache
def tokenizer_of(*kinds: str) -> Tokenizer:
    """Return a tokenizer that learnt from some kinds of made text."""
    texts = [text for kind in kinds for text in made_texts(kind, count=100, seed=99)]
    with TemporaryDirectory() as folder:
        return train_tokenizer(texts, path=Path(folder) / "made.model", vocab_size=TIER.vocab_size, seed=0)


@dataclass(frozen=True)
class Text:
    """What an experiment is made of: documents by dataset, held-out ones, and the tokenizer's kinds."""

    datasets: Mapping[str, list[str]]
    held_out: list[str]
    learnt: Sequence[str] = ("web", "code")
    most_tokens: int | None = None  # of a document, where the encoder cuts it


def sound_text(seed: int = 0) -> Text:
    datasets = {kind: made_texts(kind, count=700, seed=seed) for kind in ("web", "code")}
    return Text(datasets, made_texts("web", count=30, seed=seed + 1_000))


@dataclass(frozen=True)
class Planting:
    """How lanes of the candidate are trained; sound by default."""

    lr_scale: float = 1.0
    seed_of: Callable[[int], int] = lambda seed: seed
    rows_of: Callable[[np.ndarray], np.ndarray] = lambda rows: rows
    drawn_from: str = "candidate"
    patches: Callable[[], Any] | None = None  # what is broken while they train
    more: Mapping[str, Any] = field(default_factory=dict)  # of `train`


class World:
    """One text, encoded and mixed, and its baseline's lanes."""

    def __init__(self, text: Text, *, seed: int = 0, seeds: Sequence[int] = SEEDS) -> None:
        self.text, self.seed, self.seeds = text, seed, seeds
        self.tokenizer = tokenizer_of(*text.learnt)
        self.tokens = {name: self._encode(documents) for name, documents in text.datasets.items()}
        self.held_out = self.tokenizer.encode(text.held_out)
        self.pools = {name: self.pool(weights) for name, weights in WEIGHTS.items()}
        self.between = self.pool({"web": 0.65, "code": 0.35})  # half way from one mixture to the other

    def _encode(self, documents: list[str]) -> Tokens:
        tokens, most = self.tokenizer.encode(documents), self.text.most_tokens
        if most is None:
            return tokens
        bounds = pairwise(tokens.offsets.tolist())
        kept = [tokens.flat[first : min(last, first + most)] for first, last in bounds]
        return Tokens(np.concatenate(kept), np.cumsum([0, *map(len, kept)]).astype(np.int64))

    def pool(self, weights: Mapping[str, float]) -> Pool:
        return build_pool(
            {name: self.tokens[name] for name in weights}, weights=weights,
            num_rows=TIER.num_tokens // TIER.context, context=TIER.context, bos=self.tokenizer.bos, seed=self.seed,
        )  # fmt: skip

    def lanes(self, mixture: str, planting: Planting) -> list[LaneRecord]:
        """Train the lanes of one mixture, and return what is known of them."""
        pools = {**self.pools, "between": self.between}
        pool = pools[planting.drawn_from if mixture == "candidate" else mixture]
        rows = {
            seed: planting.rows_of(draw_rows(pool.parts, seed=derive(self.seed, "data", planting.seed_of(seed))))
            for seed in self.seeds
        }
        lanes = [
            Lane(
                f"{mixture}/seed{seed}/lr1", pool.tokens, derive(self.seed, "init", planting.seed_of(seed)), rows[seed],
                planting.lr_scale,
            )
            for seed in self.seeds
        ]  # fmt: skip
        settings: dict[str, Any] = {"tier": TIER, "lanes_at_once": len(lanes), "precision": "fp32"} | dict(
            planting.more
        )
        with planting.patches() if planting.patches is not None else _nothing():
            trained = {found.name: found for found in train(lanes, **settings)}
        return [
            self._record(mixture, seed, trained[lane.name], pool, rows[seed])
            for seed, lane in zip(self.seeds, lanes, strict=True)
        ]

    def _record(self, mixture: str, seed: int, trained: Trained, pool: Pool, rows: np.ndarray) -> LaneRecord:
        planned = self.pools[mixture]
        read = rows[: trained.num_steps * TIER.batch_rows]
        told = told_of(
            trained, replace(pool, parts=planned.parts), read, tier=TIER, planned_tokens=TIER.num_tokens, seed=seed
        )
        return LaneRecord(
            name=trained.name, mixture=mixture, seed=seed, learning_rate=1.0, tier=TIER, num_tokens=trained.num_tokens,
            curve=told, device=trained.device, precision=trained.precision,
            tokens_per_second=trained.num_tokens / trained.seconds, waited=trained.waited,
            words=self.tokenizer.num_words,
        )  # fmt: skip

    def experiment(self, lanes: Sequence[LaneRecord]) -> ExperimentRecord:
        stream = {name: tokens.flat for name, tokens in self.tokens.items()}
        met = {name: documents_met(self.held_out, flat) for name, flat in stream.items()}
        return ExperimentRecord(
            name="planted",
            lanes=lanes,
            datasets=[self._dataset(name) for name in self.tokens],
            held_out=[
                HeldOutRecord(
                    "held", len(self.text.held_out),
                    met={
                        mixture: share_met(self.held_out, np.any([met[name] for name in weights], axis=0))
                        for mixture, weights in WEIGHTS.items()
                    },
                )
            ],
        )  # fmt: skip

    def _dataset(self, name: str) -> DatasetRecord:
        tokens = self.tokens[name]
        return DatasetRecord(
            name=name,
            num_tokens=len(tokens.flat),
            num_bytes=sum(len(text.encode()) for text in self.text.datasets[name]),
            token_bytes=int(self.tokenizer.num_bytes[tokens.flat].sum()),
            epochs={
                mixture: part.drawn_rows / part.num_rows
                for mixture, pool in self.pools.items()
                for part in pool.parts
                if part.name == name
            },
            repeated=repeated_share(tokens),
        )


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def frozen_layer(share: float = 1.0) -> Iterator[None]:
    """Leave the first layer's way up, or a share of its units, as it was."""
    update = optimizer.LaneOptimizer.update

    def kept(self: Any, params: Mapping[str, Tensor], grads: Mapping[str, Tensor], **how: Any) -> None:
        units = int(share * params["up_KLFD"].shape[2])
        before = params["up_KLFD"][:, 0, :units].detach().clone()
        update(self, params, grads, **how)
        with torch.no_grad():
            params["up_KLFD"][:, 0, :units] = before

    with patch.object(optimizer.LaneOptimizer, "update", kept):
        yield


@contextmanager
def decayed_embedding(rate: float = 0.001) -> Iterator[None]:
    """Decay what nobody decays, as a group of parameters that was sorted wrongly is."""
    update = optimizer.LaneOptimizer.update

    def decayed(self: Any, params: Mapping[str, Tensor], grads: Mapping[str, Tensor], **how: Any) -> None:
        update(self, params, grads, **how)
        with torch.no_grad():
            params["embed_KVD"].mul_(1 - rate)

    with patch.object(optimizer.LaneOptimizer, "update", decayed):
        yield


@contextmanager
def no_mask(rows: float = 1.0) -> Iterator[None]:
    """Let every token see all others, in a share of the rows and heads."""
    masked = proxy.causal_attention

    def everything(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        seen, open_ = masked(q, k, v), torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=False)
        first = math.ceil(rows * len(q))
        return torch.cat([open_[:first], seen[first:]])

    with patch.object(proxy, "causal_attention", everything):
        yield


@contextmanager
def slow_reads(seconds: float = 0.002) -> Iterator[None]:
    def slow(*arguments: Any, **more: Any) -> Any:
        sleep(seconds)
        return read_rows(*arguments, **more)

    with patch.object(trainer, "read_rows", slow):
        yield


def with_loss(nats_of: Callable[..., Tensor]) -> Any:
    """Train with another loss."""
    return patch.object(trainer, "take_step", partial(step.take_step, nats_of=nats_of))


def half_nats(*arguments: Any, scale: float = 1024, **more: Any) -> Tensor:
    """Scale a loss as half precision wants it, and lose it."""
    return (proxy.total_nats(*arguments, **more).half() * scale).float() / scale


def swapped_nats(params: Any, ids: Tensor, targets: Tensor, *, every: int = 1, **more: Any) -> Tensor:
    """Give every row, or one of so many, the targets of another one."""
    swapped = targets.clone()
    swapped[:, ::every] = targets.roll(1, dims=1)[:, ::every]
    return proxy.total_nats(params, ids, swapped, **more)


def repeated(rows: np.ndarray, *, kept: float = 0.1) -> np.ndarray:
    return np.resize(rows[: int(kept * len(rows))], len(rows))


def _cut(text: Text, *, most_tokens: int = 24) -> Text:
    return replace(text, most_tokens=most_tokens)


def _leaked(text: Text, *, count: int = 10) -> Text:
    code = text.datasets["code"]
    return replace(text, datasets={**text.datasets, "code": [*text.held_out[:count], *code[count:]]})


def _stale(text: Text, *, learnt: tuple[str, ...] = ("old", "older")) -> Text:
    return replace(text, learnt=learnt)


@dataclass(frozen=True)
class Fault:
    """What is planted, and the checks of which any names it."""

    name: str
    found_by: frozenset[str]
    planting: Planting = Planting()
    text: Callable[[Text], Text] = lambda text: text
    seeds: Sequence[int] = SEEDS


FAULTS = (
    Fault("learning rate times ten", frozenset({"rate"}), Planting(lr_scale=10.0)),
    Fault("frozen layer", frozenset({"frozen"}), Planting(patches=frozen_layer)),
    Fault("wrong mask", frozenset({"future"}), Planting(patches=no_mask)),
    Fault("repeated shard", frozenset({"reads"}), Planting(rows_of=repeated)),
    Fault("loader stall", frozenset({"loader"}), Planting(patches=slow_reads)),
    Fault("overflow in half precision", frozenset({"diverged"}), Planting(patches=lambda: with_loss(half_nats))),
    Fault(
        "epsilon too large", frozenset({"rate", "epsilon"}),
        Planting(patches=lambda: patch.object(optimizer, "ADAM_EPSILON", 1e-2)),
    ),
    Fault("decay where none is meant", frozenset({"decay"}), Planting(patches=decayed_embedding)),
    Fault("truncated documents", frozenset({"truncated"}), text=_cut),
    Fault("leaked evaluation", frozenset({"leak"}), text=_leaked),
    Fault("swapped labels", frozenset({"counting"}), Planting(patches=lambda: with_loss(swapped_nats))),
    Fault("seed reuse", frozenset({"seeds"}), Planting(seed_of=lambda seed: 0)),
    Fault("stale tokenizer", frozenset({"unread"}), text=_stale),
    Fault("short schedule", frozenset({"tokens", "schedule"}), Planting(more={"stop_at": int(0.6 * TIER.num_tokens)})),
    Fault("wrong mixture", frozenset({"shares"}), Planting(drawn_from="baseline")),
)  # fmt: skip

MILDER = (  # of each fault above about half, by the number that makes it
    Fault("learning rate times five", frozenset({"rate"}), Planting(lr_scale=5.0)),
    Fault("half a frozen layer", frozenset({"frozen", "said"}), Planting(patches=partial(frozen_layer, 0.5))),
    Fault("wrong mask in half of the rows", frozenset({"future"}), Planting(patches=partial(no_mask, 0.5))),
    Fault("a fifth of the rows, repeated", frozenset({"reads"}), Planting(rows_of=partial(repeated, kept=0.2))),
    Fault("loader stall of half", frozenset({"loader"}), Planting(patches=partial(slow_reads, 0.001))),
    Fault(
        "overflow at half the scale", frozenset({"diverged"}),
        Planting(patches=lambda: with_loss(partial(half_nats, scale=512))),
    ),
    Fault(
        "epsilon half as large", frozenset({"rate", "epsilon"}),
        Planting(patches=lambda: patch.object(optimizer, "ADAM_EPSILON", 5e-3)),
    ),
    Fault("half the decay", frozenset({"decay"}), Planting(patches=partial(decayed_embedding, 0.0005))),
    Fault("documents cut at twice the length", frozenset({"truncated"}), text=partial(_cut, most_tokens=48)),
    Fault("half the leak", frozenset({"leak"}), text=partial(_leaked, count=5)),
    Fault(
        "labels of every second row swapped", frozenset({"counting"}),
        Planting(patches=lambda: with_loss(partial(swapped_nats, every=2))),
    ),
    Fault(
        "a seed of three used twice", frozenset({"seeds"}), Planting(seed_of=lambda seed: max(seed, 1)),
        seeds=(0, 1, 2),
    ),
    Fault("tokenizer half stale", frozenset({"unread"}), text=partial(_stale, learnt=("old", "web"))),
    Fault(
        "schedule cut at four fifths", frozenset({"tokens", "schedule"}),
        Planting(more={"stop_at": int(0.8 * TIER.num_tokens)}),
    ),
    Fault("half of the rows of another mixture", frozenset({"shares"}), Planting(drawn_from="between")),
)  # fmt: skip
