"""Train the proxies of a comparison in one stacked run, score every held-out document, and pair the results.

bits.parquet: one row per held-out document (domain, id, num_bytes, cluster) and one float64 column of total bits per
lane, named `<mixture>/seed<k>/lr<rate>`. curves.json: the training loss of each lane.
The card says what is wrong with a lane, on which processor and versions they ran, and what earlier lanes there were.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipeline.core.errors import DataError, GateError
from pipeline.core.files.durable import write_text
from pipeline.core.files.shards import read_table, write_table
from pipeline.core.rng import derive
from pipeline.core.text.batch import Batch
from pipeline.experiment.earlier import earlier_lanes
from pipeline.experiment.encode import load_encoded
from pipeline.experiment.pool import draw_identity, draw_rows, largest_share, load_pool
from pipeline.plan.graph import Plan
from pipeline.recipe.sections import ProxySection
from pipeline.store.node import Node
from pipeline.store.results import document_paths

if TYPE_CHECKING:
    from pipeline.engine.run import Run


def lane_name(mixture: str, seed: int, rate: float) -> str:
    """Return the name of one proxy."""
    return f"{mixture}/seed{seed}/lr{rate:g}"


def train_and_score(run: Run, node: Node) -> tuple[list[str], dict[str, Any]]:
    """Build a comparison node: train all lanes, score all held-out documents."""
    from eval.bits_per_byte import document_bits
    from eval.health import findings
    from eval.machine import described
    from eval.packing import Tokens
    from eval.tiers import TIERS
    from eval.tokenizer import Tokenizer
    from eval.trainer import Lane, train

    plan, recipe = run.plan, run.plan.recipe
    proxy, gate = recipe.proxy, recipe.gate
    assert proxy is not None and gate is not None
    tier, device = TIERS[proxy.tier], _device(run.device)
    about = [(m, k, rate) for m in sorted(recipe.mixtures) for k in range(proxy.seeds) for rate in proxy.learning_rates]
    pools = {mixture: load_pool(plan.experiment[f"mixture.{mixture}"].folder) for mixture in recipe.mixtures}
    drawn = {
        (mixture, k): draw_rows(pool.parts, seed=derive(recipe.seed, "data", k))
        for mixture, pool in pools.items()
        for k in range(proxy.seeds)
    }
    lanes = [
        Lane(
            name=lane_name(mixture, k, rate),
            stream=pools[mixture].tokens,
            rows=drawn[mixture, k],
            init_seed=derive(recipe.seed, "init", k),
            lr_scale=rate,
        )
        for mixture, k, rate in about
    ]
    checkpoint = node.folder / "scratch" / "training.npz"
    total = proxy.tokens * len(lanes)
    run.progress.begin(f"train {len(lanes)} proxies ({tier.name}, {device})", total=total, unit="tokens")
    told = 0

    def say(progress: Any) -> None:
        nonlocal told
        now = total * progress.step // progress.num_steps
        run.progress.advance(now - told)
        told = now

    trained = train(
        lanes, tier=tier, num_tokens=proxy.tokens, device=device, threads=run.threads, checkpoint=checkpoint, say=say
    )
    run.progress.end()
    bos = Tokenizer.load(plan.experiment["tokenizer"].folder / "tokenizer.model").bos
    columns: dict[str, list[Any]] = {"domain": [], "id": [], "num_bytes": []}
    bits = []
    for domain in sorted(gate.on):  # as the identity names them: the recipe's order must not show
        held_out = load_encoded(plan.experiment[f"tokens.{domain}"].folder)
        if not held_out.ids:
            raise DataError(
                f"gate.on: held-out set `{domain}` has no documents left; nothing can be measured on it. Take it out."
            )
        run.progress.begin(f"score {domain}", total=0, unit="documents")
        tokens = Tokens(flat=held_out.tokens, offsets=held_out.offsets)
        bits.append(document_bits(trained.params, tokens, tier=tier, bos=bos, device=device, threads=run.threads))
        columns["domain"] += [domain] * len(held_out.ids)
        columns["id"] += held_out.ids
        columns["num_bytes"] += held_out.num_bytes.tolist()
        run.progress.advance(len(held_out.ids))
        run.progress.end()
    scores = np.concatenate(bits, axis=1)
    columns["cluster"] = _clusters(plan, columns, group_by=gate.group_by).tolist()
    table = pa.table({**columns, **{name: pa.array(scores[index]) for index, name in enumerate(trained.names)}})
    write_table(node.folder / "bits.parquet", table)
    wrong = [findings(nats_S, vocab_size=tier.vocab_size) for nats_S in trained.nats_SK.T]
    about_lanes = [
        {
            "lane": lane_name(*key),
            "mixture": key[0],
            "seed": key[1],
            "learning_rate": key[2],
            "healthy": not found,
            "findings": [item.sentence for item in found],
            "largest_document_share": largest_share(pools[key[0]], drawn[key[0], key[1]]),
        }
        for key, found in zip(about, wrong, strict=True)
    ]
    curves = [
        {
            **{key: lane[key] for key in ("lane", "mixture", "seed", "learning_rate", "healthy")},
            "points": [{key: value for key, value in point.items() if key != "seconds"} for point in curve["points"]],
        }
        for lane, curve in zip(about_lanes, trained.curves, strict=True)
    ]  # no seconds: two runs of the same work have the same bytes
    write_text(node.folder / "curves.json", json.dumps(curves) + "\n")
    details: dict[str, Any] = {
        "tier": tier.name,
        "parameters": tier.num_parameters,
        "lanes": about_lanes,
        "unhealthy": sorted(lane_name(*key) for key, found in zip(about, wrong, strict=True) if found),
        "documents": {domain: plan.documents_node(domain).identity for domain in sorted(gate.on)},
        "draws": {name: draw_identity(plan.experiment[f"mixture.{name}"].folder) for name in sorted(recipe.mixtures)},
        "machine": described(device),
        "tokens_per_lane": trained.tokens_per_lane,
        "device": trained.device,
        "precision": trained.precision,
        "tokens_per_second": round(trained.tokens_per_lane * len(lanes) / max(trained.wall_seconds, 1e-9)),
    }
    details["earlier"] = earlier_lanes(node.folder, node.payload, details)
    return ["bits.parquet", "curves.json"], details


def _device(wanted: str) -> str:
    import torch

    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


def _clusters(plan: Plan, columns: dict[str, list[Any]], *, group_by: str | None) -> np.ndarray:
    """Return the group of every held-out document, over all domains together: near-duplicates, and equal metadata."""
    from filters.dedup.minhash import cluster_documents

    keys = list(zip(columns["domain"], columns["id"], strict=True))
    wanted = set(keys)
    texts: dict[tuple[str, str], tuple[str, str]] = {}
    for domain in dict.fromkeys(columns["domain"]):
        for path in document_paths(plan.documents_node(domain).folder):
            table = read_table(path, columns=["id", "text", "metadata"])
            for name, *rest in zip(*(table.column(c).to_pylist() for c in ("id", "text", "metadata")), strict=True):
                if (domain, name) in wanted:
                    texts[domain, name] = (rest[0], rest[1])
    near = cluster_documents(Batch.from_texts([texts[key][0] for key in keys]))
    if group_by is None:
        return near
    values = [json.loads(texts[key][1] or "{}").get(group_by) for key in keys]
    if all(value is None for value in values):
        raise DataError(
            f"gate.group_by is {group_by}; no held-out document has it in its metadata. Name a key that they have, or "
            "remove the line."
        )
    named = [f"{key[0]}\n{value}" if value is not None else str(key) for key, value in zip(keys, values, strict=True)]
    return _united(near, np.unique(named, return_inverse=True)[1])


def _united(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the groups of what is linked by either grouping, named by the smallest number in `first`."""
    label = first.astype(np.int64)
    while True:
        before = label.copy()
        for group in (first, second):
            least = np.full(int(group.max()) + 1, np.iinfo(np.int64).max)
            np.minimum.at(least, group, label)
            label = least[group]
        if (label == before).all():
            return label


def comparisons_of(
    folder: Path,
    *,
    candidate: str,
    baseline: str,
    proxy: ProxySection,
    confidence: float,
    unhealthy: Sequence[str],
    earlier: Sequence[Mapping[str, Any]],
) -> list[Any]:
    """Return one comparison per learning rate, the deciding one first; a pair with an unsound lane is left out.

    `earlier` is what the comparison's card says of earlier lanes.
    """
    from eval.deviation import Deviation
    from eval.paired import compare

    known = {
        item["learning_rate"]: {name: Deviation(**found) for name, found in item["deviations"].items()}
        for item in earlier
    }
    table = read_table(folder / "bits.parquet")
    found = []
    for rate in proxy.learning_rates:
        pairs = [(lane_name(candidate, k, rate), lane_name(baseline, k, rate)) for k in range(proxy.seeds)]
        seeds = [k for k, pair in enumerate(pairs) if not set(pair) & set(unhealthy)]
        if len(seeds) < 2:
            raise GateError(
                f"gate: only {len(seeds)} of {proxy.seeds} pairs at learning rate {rate:g} trained without breaking "
                f"({', '.join(unhealthy)} did not); two are needed. Lower proxy.learning_rates and run again."
            )
        arms = [np.stack([table.column(pairs[k][arm]).to_numpy() for k in seeds]) for arm in (0, 1)]
        found.append(
            compare(
                bits_candidate=arms[0],
                bits_baseline=arms[1],
                num_bytes=table.column("num_bytes").to_numpy(),
                domain=table.column("domain").to_pylist(),
                cluster=table.column("cluster").to_numpy(),
                learning_rate=rate,
                seeds=seeds,
                confidence=confidence,
                earlier=known.get(rate),
            )
        )
    return found
