"""Lanes and held-out sets -> bits of every document under every lane, one result for each pair.

bits.parquet: id, num_bytes, bits (float64), in the order of the held-out set's tokens. The card repeats the lane's
facts for later experiments, which look for earlier lanes of their kind (`chance/earlier.py`). Weights are
read from where they are stored, so another held-out set costs no training.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.core.errors import DataError
from pipeline.core.files.parquet.shards import read_table, write_table
from pipeline.core.files.stores.stored import present
from pipeline.experiment.lanes import WEIGHTS, device_of, facts_of
from pipeline.experiment.streams.encode import Encoded, load_encoded
from pipeline.experiment.work import Work
from pipeline.plan.graph import Experiment, Plan
from pipeline.plan.lanes import LaneName
from pipeline.plan.parts import parts_of
from pipeline.store.node import Node

BITS = "bits.parquet"


@dataclass(frozen=True, slots=True)
class ScoreFacts:
    """What the card of a score says: the lane's facts, what was scored, and how well, if every number is finite."""

    lane: Mapping[str, Any]  # of LaneFacts
    documents: str  # identity of the held-out set, or of the part of it
    held_out_bytes: int  # most that was read of it
    bits_per_byte: float | None
    machine: Mapping[str, str]


def score_lanes(work: Work) -> None:
    """Score every lane on every held-out set where that is missing."""
    missing = work.missing(work.experiment.scores)
    for domain, tier in sorted({(domain, work.proxy.tier_of(lane.mixture)) for lane, domain in missing}):
        own = {
            lane: node
            for (lane, wanted), node in missing.items()
            if (wanted, work.proxy.tier_of(lane.mixture)) == (domain, tier)
        }
        _score(work, domain, own, tier=tier)


def bits_on(experiment: Experiment, lane: LaneName, domains: Sequence[str]) -> np.ndarray:
    """Return float64[D]: a lane's bits of every document of some held-out sets, one set after the other."""
    tables = [read_table(experiment.scores[lane, domain].folder / BITS, columns=["bits"]) for domain in domains]
    return np.concatenate([table.column("bits").to_numpy() for table in tables])


def identity_on(plan: Plan, name: str) -> str:
    """Return the identity of what is scored by a name."""
    part = parts_of(plan.recipe)[name]
    return part.identity(plan.documents_node(part.dataset).identity)


def _score(work: Work, domain: str, missing: dict[LaneName, Node], *, tier: str) -> None:
    from eval.proxies.packing import Tokens
    from eval.proxies.tiers import tier_called
    from eval.proxies.tokenizer import Tokenizer
    from eval.scores.bits_per_byte import document_bits

    held_out = load_encoded(work.folder(work.experiment.tokens[domain]))
    if not held_out.ids:
        raise DataError(
            f"gate.on: held-out set `{domain}` has no documents left; nothing can be measured on it. Take it out."
        )
    started = time.monotonic()
    work.run.progress.begin(f"score {domain}", total=0, unit="documents")
    bits_KD = document_bits(
        _weights(work, list(missing)),
        Tokens(flat=held_out.tokens, offsets=held_out.offsets),
        tier=tier_called(tier),
        bos=Tokenizer.load(work.tokenizer).bos,
        device=device_of(work.run.device),
        threads=work.run.threads,
    )
    seconds = (time.monotonic() - started) / len(missing)
    for (lane, node), bits_D in zip(missing.items(), bits_KD, strict=True):
        _store(work, node, lane, domain, held_out, bits_D, seconds=seconds)
    work.run.progress.advance(len(held_out.ids))
    work.run.progress.end()


def _weights(work: Work, lanes: Sequence[LaneName]) -> dict[str, Any]:
    """Return the stored parameters of some lanes as one stack."""
    from safetensors.torch import load_file

    from eval.proxies.proxy import stack

    return stack([load_file(present(work.folder(work.experiment.lanes[lane]) / WEIGHTS)) for lane in lanes])


def _store(
    work: Work, node: Node, lane: LaneName, domain: str, held_out: Encoded, bits_D: np.ndarray, *, seconds: float
) -> None:
    from eval.proxies.machine import described

    node.folder.mkdir(parents=True, exist_ok=True)
    columns = {"id": held_out.ids, "num_bytes": held_out.num_bytes, "bits": bits_D}
    write_table(node.folder / BITS, pa.table(columns))
    rate = float(bits_D.sum() / held_out.num_bytes.sum())
    facts = ScoreFacts(
        lane=asdict(facts_of(work.experiment.lanes[lane])),
        documents=identity_on(work.plan, domain),
        held_out_bytes=work.proxy.held_out_bytes,
        bits_per_byte=rate if math.isfinite(rate) else None,
        machine=described(device_of(work.run.device)),
    )
    work.finish(node, [BITS], details=asdict(facts), seconds=seconds, rows=len(held_out.ids))
