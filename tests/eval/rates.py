"""How good the learning rates of small tiers are: lanes at rates around theirs, judged on held-out text.

    python -m tests.eval.rates t0 --tokens 250k --seeds 3          # every pair of half, one and twice both rates
    python -m tests.eval.rates t1 --tokens 400k --seeds 2 --axes   # one rate changed at a time

The text is the quickstart's: installed documentation to read, other packages' to be judged on, bits per byte as a mean
over three domains. A cell's loss over the tier's own rates is taken seed by seed, as lanes of one seed start alike and
read the same rows; its interval rests on the deviation of those differences, pooled over all cells.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from eval.proxies.health import Plan, account_findings, findings
from eval.proxies.tiers import TIERS, Tier
from eval.proxies.tokenizer import Tokenizer, train_tokenizer
from eval.proxies.trainer import Lane, train
from eval.scores.bits_per_byte import document_bits
from pipeline.core.rng import generator
from pipeline.experiment.streams.pool import Pool, build_pool, draw_rows
from pipeline.recipe.sections import ProxySection
from tests.benchmarks.corpus import documents_of

TRAIN_BYTES, HELD_OUT_BYTES = 24_000_000, 150_000
DOMAINS = ("science_docs", "data_docs", "tools_docs")
TIMES = (0.5, 1.0, 2.0)  # of a tier's own rates: of the blocks, and of embedding and head


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, score, and print a line for every lane and then one for every cell."""
    parser = argparse.ArgumentParser(prog="python -m tests.eval.rates", description=str(__doc__).split("\n")[0])
    parser.add_argument("tier", choices=sorted(TIERS))
    parser.add_argument("--tokens", type=lambda text: ProxySection.parse({"tokens": text}).tokens, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--axes", action="store_true", help="change one of the two rates at a time")
    options = parser.parse_args(arguments)
    tier = TIERS[options.tier]
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = train_tokenizer(
            _texts("docs", 6_000_000), path=Path(folder) / "tokenizer.model", vocab_size=tier.vocab_size, seed=17
        )
    pool = build_pool(
        {"docs": tokenizer.encode(_texts("docs", TRAIN_BYTES))}, weights={"docs": 1.0},
        num_rows=options.tokens // tier.context, context=tier.context, bos=tokenizer.bos, seed=17,
    )  # fmt: skip
    held_out = {domain: _texts(domain, HELD_OUT_BYTES) for domain in DOMAINS}
    cells = [cell for cell in itertools.product(TIMES, TIMES) if not options.axes or 1.0 in cell]
    found = {}
    for cell in cells:
        scores = _scores(cell, tier, pool, tokenizer, held_out, seeds=options.seeds, tokens=options.tokens)
        found[cell] = list(scores)
    for line in compared(found):
        print(json.dumps(line), flush=True)


def _texts(source: str, limit_bytes: int) -> list[str]:
    """Return documents of a source in a seeded order, up to so many bytes."""
    texts = [text for table in documents_of(source) for text in table.column("text").to_pylist()]
    found: list[str] = []
    size = 0
    for index in generator(17, "rates", source).permutation(len(texts)):
        size += len(texts[index].encode())
        if size > limit_bytes and found:
            break
        found.append(texts[index])
    return found


def _scores(
    cell: tuple[float, float],
    tier: Tier,
    pool: Pool,
    tokenizer: Tokenizer,
    held_out: dict[str, list[str]],
    *,
    seeds: int,
    tokens: int,
) -> Iterator[float]:
    blocks, ends = cell
    changed = replace(tier, muon_lr=blocks * tier.muon_lr, embed_lr=ends * tier.embed_lr, head_lr=ends * tier.head_lr)
    lanes = [
        Lane(name=str(seed), stream=pool.tokens, init_seed=seed, rows=draw_rows(pool.parts, seed=seed))
        for seed in range(seeds)
    ]
    trained = {lane.name: lane for lane in train(lanes, tier=changed, num_tokens=tokens, threads=2)}
    for lane in (trained[str(seed)] for seed in range(seeds)):
        bits = [
            float(document_bits(lane.params, tokenizer.encode(texts), tier=tier, bos=tokenizer.bos).sum())
            / sum(len(text.encode()) for text in texts)
            for texts in held_out.values()
        ]
        plan = Plan(num_tokens=lane.num_tokens, shares={})
        wrong = findings(lane.nats_S, vocab_size=tier.vocab_size)
        wrong += account_findings(lane.account, plan=plan, shares={})
        told: dict[str, Any] = {
            "blocks": blocks, "ends": ends, "seed": lane.name, "bits_per_byte": float(np.mean(bits)),
            "seconds": lane.seconds, "findings": [item.sentence for item in wrong],
            "unmoved": max(lane.account.unmoved.values()), "norms": _extremes(lane.account.norms),
        }  # fmt: skip
        print(json.dumps(told), flush=True)
        yield float(np.mean(bits))


def _extremes(norms: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Return by group the largest gradient over the median, and the largest update, once a quarter is done."""
    later = norms[math.ceil(len(norms) / 4) :]
    found = {}
    for group in later[0]["gradient"]:
        gradients = [point["gradient"][group] for point in later]
        found[group] = [max(gradients) / float(np.median(gradients)), max(point["update"][group] for point in later)]
    return found


def compared(found: dict[tuple[float, float], list[float]]) -> Iterator[dict[str, Any]]:
    """Yield what each cell loses over the tier's own rates, with its 95 % interval."""
    own = np.array(found[1.0, 1.0])
    losses = {cell: np.array(bits) - own for cell, bits in found.items() if cell != (1.0, 1.0)}
    freedom = sum(len(loss) - 1 for loss in losses.values())
    deviation = math.sqrt(sum(loss.var(ddof=1) * (len(loss) - 1) for loss in losses.values()) / freedom)
    yield {"own": float(own.mean()), "lane_sd": float(own.std(ddof=1)), "sd_of_differences": deviation}
    for (blocks, ends), loss in losses.items():
        half = float(student.ppf(0.975, freedom)) * deviation / math.sqrt(len(loss))
        yield {"blocks": blocks, "ends": ends, "loss": float(loss.mean()), "half_width": half}


if __name__ == "__main__":
    main()
