"""Bits of every held-out document under two mixtures -> where the candidate wins and loses, in the documents' words.

A mean over thousands of documents hides what a mixture forgot. Each document's gain is its bits saved, averaged over
the seeds of the deciding learning rate; the ends of the list are quoted. Of a set of which a part is sealed only the
rest is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.files.shards import read_table
from pipeline.experiment.scores import BITS, bits_on
from pipeline.plan.graph import Plan
from pipeline.plan.lanes import LaneName
from pipeline.report.dataset.examples import EXCERPT, EXCERPT_LINES, Example
from pipeline.report.draw import figures
from pipeline.report.draw.bins import bin_values
from pipeline.report.draw.charts import Bins
from pipeline.report.run.account import finished
from pipeline.store.results import document_paths


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One held-out domain: how the gain is spread over its documents, and its ends."""

    domain: str
    against: str  # the other mixture
    num_documents: int
    num_better: int
    bins: Bins | None
    spoken: str
    gained: tuple[Example, ...]
    lost: tuple[Example, ...]


def held_out(plan: Plan, *, per_side: int) -> list[HeldOut]:
    """Return every held-out domain of a finished comparison, in the gate's order; without a verdict against each other
    mixture."""
    experiment, gate, proxy = plan.experiment, plan.recipe.gate, plan.recipe.proxy
    node = finished(experiment.comparison) if experiment is not None else None
    if experiment is None or gate is None or proxy is None or node is None:
        return []
    others = [gate.baseline]
    if not gate.verdict:
        judged = {lane.mixture for lane in experiment.judged}
        others = [name for name in plan.mixtures if name in judged and name != gate.candidate]
    arms = {
        arm: [LaneName(arm, proxy.learning_rates[0], seed) for seed in proxy.seed_numbers]
        for arm in (gate.candidate, *others)
    }
    lanes = [lane for arm in arms.values() for lane in arm]
    scores = [finished(experiment.scores[lane, domain]) for lane in lanes for domain in gate.on]
    if not all(scores):
        return []

    def mean(arm: str, domain: str) -> np.ndarray:
        bits: np.ndarray = np.mean([bits_on(experiment, lane, [domain]) for lane in arms[arm]], axis=0)
        return bits

    tables = {
        domain: read_table(experiment.scores[lanes[0], domain].folder / BITS, columns=["id", "num_bytes"])
        for domain in gate.on
    }
    return [
        _domain(
            plan, domain, table, mean(other, domain) - mean(gate.candidate, domain), against=other, per_side=per_side
        )
        for other in others
        for domain, table in tables.items()
        if table.num_rows
    ]


def _domain(plan: Plan, domain: str, table: pa.Table, saved: np.ndarray, *, against: str, per_side: int) -> HeldOut:
    rates = saved / table.column("num_bytes").to_numpy()
    known = np.flatnonzero(np.isfinite(saved))
    order = known[np.argsort(saved[known], kind="stable")]
    lost = [int(row) for row in order[:per_side] if saved[row] < 0]
    gained = [int(row) for row in order[::-1][:per_side] if saved[row] > 0]
    ids = table.column("id").to_pylist()
    texts = _texts(plan, domain, [ids[row] for row in (*lost, *gained)])
    better = int((saved > 0).sum())
    bins = bin_values(rates, saved < 0, [0.0])

    def quote(row: int) -> Example:
        note = f"{figures.signed(float(saved[row]), 0)} bits, {figures.signed(float(rates[row]), 3)} per byte"
        return Example(doc_id=figures.excerpt(ids[row], 160), source=domain, text=texts.get(ids[row], ""), note=note)

    return HeldOut(
        domain=domain,
        against=against,
        num_documents=len(saved),
        num_better=better,
        bins=bins,
        spoken=f"Gain in bits per byte of {figures.counted(len(saved), 'document')} of {domain}; better: {better}.",
        gained=tuple(quote(row) for row in gained),
        lost=tuple(quote(row) for row in lost),
    )


def _texts(plan: Plan, domain: str, ids: list[str]) -> dict[str, str]:
    wanted = pa.array(ids, pa.string())
    found: dict[str, Any] = {}
    for path in document_paths(plan.documents_node(domain).folder):
        table = read_table(path, columns=["id", "text"])
        table = table.filter(pc.is_in(table.column("id"), value_set=wanted))
        found |= dict(zip(table.column("id").to_pylist(), table.column("text").to_pylist(), strict=True))
    return {name: figures.excerpt(text, EXCERPT, lines=EXCERPT_LINES) for name, text in found.items()}
