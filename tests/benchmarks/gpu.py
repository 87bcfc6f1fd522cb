"""`make bench-gpu`: how fast proxies train on a card, alone and fused; needs torch, numpy and pyarrow alone.

    python -m tests.benchmarks.gpu                       # eight minutes on cuda; writes gpu.json
    python -m tests.benchmarks.gpu --device cpu --quick  # does it run

Every tier is measured in a process of its own, so that a fault or a kernel that hangs costs that tier alone; a process
that is over its time is stopped, and what it had found is kept. A way to train is timed over whole steps after a few
that warm it up. MFU counts the products of the model, with causal attention as half a square, against the card's
bfloat16 peak where it is known, and against what one large product of torch reaches beside it. The sweep trains 64
lanes in one process; beside it stand a few processes with one proxy each, start and import included, whose time is
multiplied to 64.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eval.proxies.machine import compute_dtype
from eval.proxies.on_device import FIRST_STEPS, DeviceSteps, Stepping
from eval.proxies.optimizer import LaneOptimizer
from eval.proxies.packing import Stream
from eval.proxies.proxy import init_lane, stack
from eval.proxies.tiers import TIERS, Tier
from eval.proxies.trainer import Lane, train
from pipeline.core.files.writing.scratch import write_scratch

OUT = Path(__file__).with_name("gpu.json")
ROOT = Path(__file__).resolve().parents[2]
MINUTES = 8.0
ORDER = ("t1", "t5", "t0", "t10", "t30", "t85")  # what matters most first
STEP_TOKENS = 1 << 21  # of a stack, at most; rows of a lane are cut to it
TIMED_SECONDS, TIMED_STEPS = 2.0, 3  # at least; of a quick run only the steps
SWEEP_TIER, SWEEP_LANES, SWEEP_TOKENS, SWEEP_PROCESSES = "t1", 64, 1_000_000, 3
PEAK_TFLOPS = {"H100": 989, "H200": 989, "B200": 2250, "A100": 312, "L40S": 362, "L4": 121, "4090": 165}


@dataclass(frozen=True, slots=True)
class Way:
    """One way to take steps."""

    name: str
    lanes: int
    stepping: Stepping


WAYS = (
    Way("eager", 1, "device"),
    Way("graph", 1, "graph"),
    Way("graph", 8, "graph"),
    Way("graph", 32, "graph"),
    Way("graph", 64, "graph"),
    Way("compiled", 1, "compiled"),
    Way("compiled", 8, "compiled"),
)
QUICK_TIER = Tier("quick", 2, 32, 2, 256, 32, 128, 2_560, muon_lr=0.02, embed_lr=0.3, head_lr=0.004)
QUICK_WAYS = (Way("eager", 1, "device"), Way("eager", 2, "device"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure until the minutes are over; write what there is after every process."""
    options = _parser().parse_args(arguments)
    if options.child is not None:
        _child(options)
        return 0
    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            "gpu: torch finds no card. Use a torch that was built for one, or try --device cpu --quick.",
            file=sys.stderr,
        )
        return 2
    end = time.monotonic() + 60 * options.minutes
    found: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(), "device": options.device, "minutes": options.minutes,
        "quick": options.quick, "machine": _machine(options.device), "tiers": {},
    }  # fmt: skip
    tiers = ["quick"] if options.quick else list(ORDER)
    for number, job in enumerate(jobs := [tiers[0], "sweep", *tiers[1:]]):
        left = end - time.monotonic()
        seconds = left if number == len(jobs) - 1 else min(left, 2 * left / (len(jobs) - number))
        if job == "sweep":
            found[job] = _sweep(options, seconds=seconds)
        else:
            found["tiers"][job] = [
                _with_shares(line, found["machine"]) for line in _lines(job, options, seconds=seconds)
            ]
        _write(options.out, found)
        print(f"{job}: {json.dumps(found['tiers'].get(job, found.get(job)))}", file=sys.stderr, flush=True)
    return 0


def _write(path: Path, found: dict[str, Any]) -> None:
    text = json.dumps(found, indent=1, sort_keys=True) + "\n"
    write_scratch(path, lambda file: file.write(text.encode()))


def _lines(tier: str, options: argparse.Namespace, *, seconds: float) -> list[dict[str, Any]]:
    """Return what a process of its own measures of a tier; when its time is over, what it had measured by then."""
    with tempfile.TemporaryDirectory(prefix="tamis-gpu-") as folder:
        path = Path(folder) / "lines"
        command = [
            "-m", "tests.benchmarks.gpu", "--device", options.device, "--child", tier, "--minutes", str(seconds / 60),
            "--out", str(path), *(["--quick"] if options.quick else []),
        ]  # fmt: skip
        _, ended = _run(command, seconds=seconds)
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
        return [*lines, {"left_out": ended}] if ended else lines


def _run(command: Sequence[str], *, seconds: float) -> tuple[float, str]:
    """Run Python in a process of its own; return its seconds and, where it did not end well, how it ended."""
    if seconds < 1:
        return 0.0, "no time was left"
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return seconds, f"stopped after {seconds:.0f} s"
    finally:
        process.kill()
        process.wait()
    return time.perf_counter() - started, f"ended with exit code {code}" if code else ""


def _with_shares(line: dict[str, Any], machine: dict[str, Any]) -> dict[str, Any]:
    """Add what share of the card's peak, and of one large product, a way reaches."""
    if "model_tflops" not in line:
        return line
    shares = {"mfu": machine["peak_tflops"], "share_of_a_product": machine["product_tflops"]}
    return line | {name: round(line["model_tflops"] / peak, 4) for name, peak in shares.items() if peak}


def _child(options: argparse.Namespace) -> None:
    """Measure one tier; every way is a line of its own, so that a later fault leaves it."""
    end = time.monotonic() + 60 * options.minutes
    with options.out.open("a", encoding="utf-8") as file:
        for line in _tier(options.child, options, end=end):
            file.write(json.dumps(line) + "\n")
            file.flush()


def _machine(device: str) -> dict[str, Any]:
    cuda = device == "cuda"
    name = torch.cuda.get_device_name() if cuda else "cpu"
    known = [peak for card, peak in PEAK_TFLOPS.items() if card in name]
    return {
        "card": name, "torch": torch.__version__, "cuda": torch.version.cuda, "peak_tflops": max(known, default=None),
        "product_tflops": _product_tflops(device, size=8_192 if cuda else 256),
    }  # fmt: skip


def _product_tflops(device: str, *, size: int) -> float:
    """Return what one product of two large matrices in bfloat16 reaches."""
    a, b = (torch.randn(size, size, device=device).to(torch.bfloat16) for _ in range(2))
    for _ in range(3):
        a @ b
    _wait(device)
    started, times = time.perf_counter(), 20
    for _ in range(times):
        a @ b
    _wait(device)
    return round(2 * size**3 * times / (time.perf_counter() - started) / 1e12, 3)


def _tier(name: str, options: argparse.Namespace, *, end: float) -> Iterator[dict[str, Any]]:
    tier = QUICK_TIER if options.quick else TIERS[name]
    slowest = 0.0  # tokens per second, of the ways so far
    for way in QUICK_WAYS if options.quick else WAYS:
        told = {"way": way.name, "lanes": way.lanes}
        rows = max(1, min(tier.batch_rows, STEP_TOKENS // (way.lanes * tier.context)))
        step_tokens = way.lanes * rows * tier.context
        needed = (FIRST_STEPS + TIMED_STEPS + 1) * step_tokens / slowest if slowest else 0.0
        if needed > end - time.monotonic():
            yield told | {"left_out": f"would have taken about {needed:.0f} s"}
            continue
        try:
            found = _timed(replace(tier, batch_tokens=rows * tier.context), way, device=options.device)
        except RuntimeError as error:  # out of memory, or what a compiler or a capture does not take
            yield told | {"error": str(error).strip().splitlines()[0][:200]}
        else:
            slowest = min(slowest or found["tokens_per_second"], found["tokens_per_second"])
            yield told | found | {"rows_of_a_lane": rows}
        if options.device == "cuda":
            torch.cuda.empty_cache()


def _timed(tier: Tier, way: Way, *, device: str) -> dict[str, Any]:
    """Return the speed of whole steps."""
    num_steps, least_seconds = (10_000, TIMED_SECONDS) if device == "cuda" else (200, 0.0)
    params = stack([init_lane(tier, seed=seed) for seed in range(way.lanes)])
    params = {name: param.to(device).requires_grad_() for name, param in params.items()}
    stream = _stream(tier, rows=4 * tier.batch_rows)
    order = np.resize(np.arange(4 * tier.batch_rows), num_steps * tier.batch_rows)
    steps = DeviceSteps(
        params, LaneOptimizer(params, tier=tier, lr_scale_K=torch.ones(way.lanes, device=device)),
        torch.ones(way.lanes, dtype=torch.bool, device=device), streams=[stream] * way.lanes,
        orders=[order] * way.lanes, tier=tier, num_steps=num_steps, dtype=compute_dtype("auto", device=device),
        stepping=way.stepping,
    )  # fmt: skip
    started = time.perf_counter()
    for _ in range(FIRST_STEPS + 1):  # the last of them captures
        steps.advance()
    _wait(device)
    first_seconds = time.perf_counter() - started
    started, taken = time.perf_counter(), 0
    while taken < TIMED_STEPS or (time.perf_counter() - started < least_seconds and taken < num_steps - 8):
        steps.advance()
        taken += 1
        if taken % 8 == 0:
            _wait(device)
    _wait(device)
    seconds = time.perf_counter() - started
    rate = taken * way.lanes * tier.batch_rows * tier.context / seconds
    found = {
        "tokens_per_second": round(rate),
        "model_tflops": round(rate * flops_of_a_token(tier) / 1e12, 3),
        "step_ms": round(1000 * seconds / taken, 3),
        "first_steps_seconds": round(first_seconds, 2),
    }
    if device == "cuda":
        found["memory_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
        torch.cuda.reset_peak_memory_stats()
    return found


def flops_of_a_token(tier: Tier) -> int:
    """Return the operations of forward and backward for one token: three products' worth of each weight, and attention.

    The embedding is looked up and counts nothing; the optimiser's own products are not the model's.
    """
    weights = 12 * tier.num_layers * tier.width**2 + tier.vocab_size * tier.width
    return 6 * weights + 6 * tier.num_layers * tier.context * tier.width


def _sweep(options: argparse.Namespace, *, seconds: float) -> dict[str, Any]:
    """Return the seconds of many lanes in one process, and of some processes with one proxy each."""
    lanes, processes = (2, 1) if options.quick else (SWEEP_LANES, SWEEP_PROCESSES)
    found: dict[str, Any] = {"lanes": lanes, "tier": "quick" if options.quick else SWEEP_TIER}
    taken: list[float] = []
    for count in (lanes, *[1] * processes):
        program = (
            f"from tests.benchmarks.gpu import train_some; train_some({count}, {options.device!r}, {options.quick})"
        )
        took, ended = _run(["-c", program], seconds=seconds)
        if ended:
            return found | {"left_out": ended, "seconds": taken}
        seconds -= took
        taken.append(round(took, 2))
    one_each = lanes * sum(taken[1:]) / processes
    return found | {
        "one_run_seconds": taken[0], "one_process_seconds": taken[1:], "one_process_each_seconds": round(one_each, 1),
        "times_as_fast": round(one_each / taken[0], 2),
    }  # fmt: skip


def train_some(lanes: int, device: str, quick: bool) -> None:
    """Train lanes in one run, by the trainer as it is."""
    tier, tokens = (QUICK_TIER, 1_280) if quick else (TIERS[SWEEP_TIER], SWEEP_TOKENS)
    stream = _stream(tier, rows=tokens // tier.context)
    wanted = [Lane(name=str(seed), stream=stream, init_seed=seed) for seed in range(lanes)]
    trained = list(train(wanted, tier=tier, num_tokens=tokens, device=device))
    assert [lane.broken_at for lane in trained] == [None] * lanes


def _stream(tier: Tier, *, rows: int) -> Stream:
    draw = np.random.Generator(np.random.PCG64(17))
    weight = 1 / np.arange(1, tier.vocab_size + 1)
    return draw.choice(tier.vocab_size, rows * tier.context + 1, p=weight / weight.sum()).astype(np.uint16)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gpu", description=str(__doc__).split("\n")[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="where to train")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="all of it ends within so many")
    parser.add_argument("--quick", action="store_true", help="a tiny tier and two ways: does it run")
    parser.add_argument("--out", type=Path, default=OUT, help="where the figures go")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
