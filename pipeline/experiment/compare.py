"""Scores of all lanes -> what the gate compares: the documents and their groups, the state of every lane, the pairs.

documents.parquet: one row for each held-out document (domain, id, num_bytes, cluster). The card says of every lane
which result it is, what is wrong with it, and on what it was trained; and what earlier lanes of this kind there were.
The bits stay where they are: with the scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.core.errors import GateError
from pipeline.core.files.parquet.shards import read_table, write_table
from pipeline.experiment.chance.earlier import VERSIONS, earlier_lanes
from pipeline.experiment.lanes import LaneFacts, facts_of
from pipeline.experiment.scores import BITS, bits_on, identity_on
from pipeline.experiment.streams.groups import group_documents
from pipeline.experiment.work import Work
from pipeline.plan.graph import Experiment
from pipeline.plan.lanes import LaneName
from pipeline.plan.parts import judged_by, judged_part
from pipeline.recipe.sections import GateSection, ProxySection
from pipeline.store.node import Node
from pipeline.store.results import document_paths

DOCUMENTS = "documents.parquet"


def build_comparison(work: Work, node: Node) -> tuple[list[str], dict[str, Any]]:
    """Write the comparison's documents; return its files and the details of its card."""
    plan, experiment, gate = work.plan, work.experiment, work.gate
    judged = judged_by(gate)  # in the order of names, as the identity: the recipe's must not show
    scores = [experiment.scores[lane, part] for lane in experiment.judged for part in judged.values()]
    for score in scores:
        work.folder(score)
    columns: dict[str, list[Any]] = {"domain": [], "id": [], "num_bytes": []}
    lanes = sorted(experiment.judged, key=lambda lane: (lane.mixture, lane.seed))
    for domain, part in judged.items():
        table = read_table(experiment.scores[lanes[0], part].folder / BITS, columns=["id", "num_bytes"])
        columns["domain"] += [domain] * table.num_rows
        for name in ("id", "num_bytes"):
            columns[name] += table.column(name).to_pylist()
    held_out = {domain: plan.documents_node(domain).folder for domain in gate.on}
    columns["cluster"] = clusters_of(columns, held_out, group_by=gate.group_by).tolist()
    node.folder.mkdir(parents=True, exist_ok=True)
    write_table(node.folder / DOCUMENTS, pa.table(columns))
    facts = {lane: facts_of(experiment.lanes[lane]) for lane in lanes}
    machines = [found.machine for found in facts.values()]
    machines += [work.card(score).details["machine"] for score in scores]
    some = next(found for lane, found in facts.items() if lane.mixture == gate.baseline)
    details: dict[str, Any] = {
        "tier": some.tier,
        "parameters": some.parameters,
        "tokens_per_lane": some.num_tokens,
        "lanes": [_told(lane, facts[lane], experiment.lanes[lane]) for lane in lanes],
        "unhealthy": sorted(str(lane) for lane in lanes if not facts[lane].healthy),
        "machine": _joined(machines),
        "device": _listed(found.device for found in facts.values()),
        "precision": _listed(found.precision for found in facts.values()),
        "tokens_per_second": round(float(np.mean([found.tokens_per_second for found in facts.values()]))),
        "earlier": earlier_lanes(
            plan.workspace,
            list(facts.values()),
            documents={domain: identity_on(plan, part) for domain, part in judged.items()},
            held_out_bytes=work.proxy.held_out_bytes,
            versions={key: node.payload[key] for key in VERSIONS},
        ),
    }
    return [DOCUMENTS], details


def _told(lane: LaneName, facts: LaneFacts, node: Node) -> dict[str, Any]:
    """Return what the certificate says of a lane."""
    return {
        "lane": str(lane),
        "mixture": lane.mixture,
        "seed": lane.seed,
        "learning_rate": lane.learning_rate,
        "identity": node.identity,
        "healthy": facts.healthy,
        "findings": list(facts.findings),
        "largest_document_share": facts.largest_document_share,
        "device": facts.device,
        "precision": facts.precision,
    }


def _joined(machines: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return what is known of the machines; where they differ, all that was found."""
    keys = dict.fromkeys(key for found in machines for key in found)
    return {key: _listed(found[key] for found in machines if key in found) for key in keys}


def _listed(values: Any) -> str:
    return " and ".join(sorted(set(values)))


def clusters_of(
    columns: Mapping[str, Sequence[Any]], folders: Mapping[str, Path], *, group_by: str | None
) -> np.ndarray:
    """Return the group of every held-out document, over all domains together: near-duplicates, and equal metadata.

    `columns` names documents by `domain` and `id`; in `folders` lie those of each domain.
    """
    keys = list(zip(columns["domain"], columns["id"], strict=True))
    wanted = set(keys)
    texts: dict[tuple[str, str], tuple[str, str]] = {}
    for domain in dict.fromkeys(columns["domain"]):
        for path in document_paths(folders[domain]):
            table = read_table(path, columns=["id", "text", "metadata"])
            for name, *rest in zip(*(table.column(c).to_pylist() for c in ("id", "text", "metadata")), strict=True):
                if (domain, name) in wanted:
                    texts[domain, name] = (rest[0], rest[1])
    return group_documents(
        [texts[key][0] for key in keys],
        [texts[key][1] for key in keys],
        names=columns["domain"],
        group_by=group_by,
    )


def comparisons_of(
    experiment: Experiment,
    documents: pa.Table,
    *,
    gate: GateSection,
    proxy: ProxySection,
    unhealthy: Set[LaneName],
    earlier: Sequence[Mapping[str, Any]],
) -> list[Any]:
    """Return one comparison per learning rate, the deciding one first; a pair with an unsound lane is left out.

    `documents` is the comparison's table and `earlier` what its card says of earlier lanes.
    """
    from eval.verdict.deviation import Deviation
    from eval.verdict.paired import compare

    known = {
        item["learning_rate"]: {name: Deviation(**found) for name, found in item["deviations"].items()}
        for item in earlier
    }
    domain = documents.column("domain").to_pylist()
    parts = [judged_part(gate, name) for name in dict.fromkeys(domain)]
    found = []
    for rate in proxy.learning_rates:
        pairs = [tuple(LaneName(arm, rate, k) for arm in (gate.candidate, gate.baseline)) for k in proxy.seed_numbers]
        sound = [pair for pair in pairs if not set(pair) & unhealthy]
        if len(sound) < 2:
            raise GateError(
                f"gate: only {len(sound)} of {proxy.seeds} pairs at learning rate {rate:g} trained without breaking "
                f"({', '.join(map(str, sorted(unhealthy)))} did not); two are needed. Lower proxy.learning_rates and "
                "run again."
            )
        arms = [np.stack([bits_on(experiment, pair[arm], parts) for pair in sound]) for arm in (0, 1)]
        found.append(
            compare(
                bits_candidate=arms[0],
                bits_baseline=arms[1],
                num_bytes=documents.column("num_bytes").to_numpy(),
                domain=domain,
                cluster=documents.column("cluster").to_numpy(),
                learning_rate=rate,
                seeds=[candidate.seed for candidate, _ in sound],
                confidence=gate.confidence,
                earlier=known.get(rate),
            )
        )
    return found
