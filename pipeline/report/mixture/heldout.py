"""Bits of every held-out document under two mixtures -> where the candidate wins and loses, in the documents' words.

Each document's gain is averaged over the seeds of the deciding learning rate; the ends of the list are quoted. Of a set
of which a part is sealed only the rest is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.core.files.parquet.shards import read_table
from pipeline.experiment.findings.changed import Changed, ChangedOn, changed_on
from pipeline.experiment.scores import BITS, bits_on
from pipeline.plan.graph import Plan
from pipeline.plan.lanes import LaneName
from pipeline.report.dataset.examples import EXCERPT, EXCERPT_LINES, Example
from pipeline.report.draw import figures
from pipeline.report.draw.bins import bin_values
from pipeline.report.draw.charts import Bins
from pipeline.report.run.account import finished


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
    found = []
    for other in others:
        for domain, table in tables.items():
            if table.num_rows:
                changed = changed_on(
                    domain, folder=plan.documents_node(domain).folder, ids=table.column("id").to_pylist(),
                    num_bytes=table.column("num_bytes").to_numpy(),
                    saved=mean(other, domain) - mean(gate.candidate, domain), per_side=per_side,
                )  # fmt: skip
                found.append(held_out_shown(changed, against=other))
    return found


def held_out_shown(changed: ChangedOn, *, against: str) -> HeldOut:
    """Return one held-out domain as a page shows it."""
    rates = changed.saved / changed.num_bytes
    number, better = figures.counted(changed.num_documents, "document"), changed.num_better
    return HeldOut(
        domain=changed.domain,
        against=against,
        num_documents=changed.num_documents,
        num_better=better,
        bins=bin_values(rates, changed.saved < 0, [0.0]),
        spoken=f"Gain in bits per byte of {number} of {changed.domain}; better: {better}.",
        gained=tuple(_quoted(document, changed.domain) for document in changed.gained),
        lost=tuple(_quoted(document, changed.domain) for document in changed.lost),
    )


def _quoted(document: Changed, domain: str) -> Example:
    note = f"{figures.signed(document.saved, 0)} bits, {figures.signed(document.rate, 3)} per byte"
    text = figures.excerpt(document.text, EXCERPT, lines=EXCERPT_LINES)
    return Example(doc_id=figures.excerpt(document.doc_id, 160), source=domain, text=text, note=note)
