"""Eight t0 proxies on two cores: in one run, one after the other, and by a plain loop in the manner of nanoGPT.

In one run each thread trains a lane of its own with kernels of one thread. One after the other means the same trainer
with one lane at a time, its kernels on both cores; the plain loop does what most people would write: modules, AdamW,
clipped gradients, one model after the other, kernels on both cores too, in the trainer's precision and in float32. All
take as many steps over as many rows, in turn, in a process of their own that no other work has touched.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eval.proxies.machine import compute_dtype
from eval.proxies.packing import Stream, read_rows
from eval.proxies.tiers import TIERS, Tier
from eval.proxies.trainer import Lane, train
from tests.benchmarks.clock import Work, interleaved, spread
from tests.benchmarks.machine import surroundings

TIER = TIERS["t0"]
LANES, THREADS = 8, 2
STEPS = 4
ZIPF = 1.2  # how often a token appears, by its rank


def measure_lanes(cores: Collection[int], *, repeats: int) -> dict[str, Any]:
    """Return tokens per second of each way and how many times as fast the one run is; on two of these cores."""
    if len(cores) < THREADS:
        return {"absent": f"needs {THREADS} cores"}
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[-THREADS:])
    try:
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name, str(repeats)],
            env=surroundings(one_thread=False), stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
    finally:
        os.sched_setaffinity(0, before)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _measured(*, repeats: int) -> dict[str, Any]:
    lanes = [Lane(name=str(seed), stream=_stream(seed), init_seed=seed) for seed in range(LANES)]
    natural = compute_dtype("auto", device="cpu")
    ways: dict[str, Callable[[], object]] = {
        "one_run": lambda: _trained(lanes),
        "one_by_one": lambda: _one_by_one(lanes),
        "plain": lambda: _plain(lanes, dtype=natural),
        "plain_float32": lambda: _plain(lanes, dtype=torch.float32),
    }
    tokens = LANES * STEPS * TIER.batch_rows * TIER.context
    works = [Work(name=name, run=run, num_documents=0, size_bytes=0, num_tokens=tokens) for name, run in ways.items()]
    timings = {timing.work.name: timing for timing in interleaved(works, repeats=repeats)}
    ours = timings["one_run"].seconds
    return {
        "lanes": LANES,
        "precision": str(natural).removeprefix("torch."),
        "ratios": {
            name: spread([theirs / own for own, theirs in zip(ours, timing.seconds, strict=True)])
            for name, timing in timings.items()
            if name != "one_run"
        },
        "tier": TIER.name,
        "ways": {name: timing.as_plain() for name, timing in timings.items()},
    }


def _stream(seed: int) -> Stream:
    """Return tokens as frequent as words are; which follows which changes no speed."""
    draw = np.random.Generator(np.random.PCG64(seed))
    weight = np.arange(1, TIER.vocab_size + 1) ** -ZIPF
    size = STEPS * TIER.batch_rows * TIER.context + 1
    return draw.choice(TIER.vocab_size, size, p=weight / weight.sum()).astype(np.uint16)


def _trained(lanes: list[Lane], *, kernel_threads: int = 1) -> None:
    """Train lanes, at once while kernels have one thread; `say` is heard in a lane's own thread, before it begins."""
    for _ in train(
        lanes, tier=TIER, num_tokens=STEPS * TIER.batch_rows * TIER.context, threads=THREADS // kernel_threads,
        say=lambda tokens: torch.set_num_threads(kernel_threads) if kernel_threads > 1 else None,
    ):  # fmt: skip
        pass


def _one_by_one(lanes: list[Lane]) -> None:
    for lane in lanes:
        _trained([lane], kernel_threads=THREADS)


def _plain(lanes: list[Lane], *, dtype: torch.dtype) -> None:
    for lane in lanes:
        _loop(lane, dtype=dtype)


class _Block(nn.Module):
    def __init__(self, tier: Tier) -> None:
        super().__init__()
        D, self.num_heads = tier.width, tier.num_heads
        self.first, self.second = nn.LayerNorm(D, bias=False), nn.LayerNorm(D, bias=False)
        self.qkv, self.out = nn.Linear(D, 3 * D, bias=False), nn.Linear(D, D, bias=False)
        self.up, self.down = nn.Linear(D, 4 * D, bias=False), nn.Linear(4 * D, D, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        B, T, D = x.shape
        q, k, v = (part.view(B, T, self.num_heads, -1).transpose(1, 2) for part in self.qkv(self.first(x)).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(B, T, D)
        x = x + self.out(y)
        return x + self.down(F.gelu(self.up(self.second(x))))


class _Plain(nn.Module):
    """A decoder as nanoGPT has it, with the layers, width and vocabulary of a tier."""

    def __init__(self, tier: Tier) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(tier.vocab_size, tier.width), nn.Embedding(tier.context, tier.width)
        self.blocks = nn.Sequential(*(_Block(tier) for _ in range(tier.num_layers)))
        self.norm, self.head = nn.LayerNorm(tier.width, bias=False), nn.Linear(tier.width, tier.vocab_size, bias=False)

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        logits = self.head(self.norm(self.blocks(x)))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def _loop(lane: Lane, *, dtype: torch.dtype) -> None:
    """Train one model, kernels on both cores."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(lane.init_seed)
    model = _Plain(TIER)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    for step in range(STEPS):
        rows = np.arange(step * TIER.batch_rows, (step + 1) * TIER.batch_rows)
        ids = torch.from_numpy(read_rows(lane.stream, rows, context=TIER.context))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = model(ids[:, :-1], ids[:, 1:])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()


if __name__ == "__main__":
    print(json.dumps(_measured(repeats=int(sys.argv[1]))))
