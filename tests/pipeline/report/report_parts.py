"""A small finished recipe for the report's tests: toy steps through the real engine, an experiment written by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from eval.verdict.certificate import certificate
from eval.verdict.gate import GateRule, decide
from eval.verdict.paired import compare
from pipeline.core.files.parquet.shards import read_table, write_table
from pipeline.core.rng import generator
from pipeline.core.step import (
    Gathering,
    GatheringStep,
    Measured,
    MeasuringStep,
    Params,
    Quantile,
    Rule,
    Signal,
    decides,
)
from pipeline.core.text.batch import Batch
from pipeline.engine.executors import Local
from pipeline.engine.progress import Silent
from pipeline.engine.run import Run
from pipeline.experiment.compare import DOCUMENTS
from pipeline.experiment.lanes import CURVE, LaneFacts
from pipeline.experiment.scores import BITS
from pipeline.plan.graph import Plan
from pipeline.plan.lanes import LaneName
from pipeline.plan.make import make_plan
from pipeline.recipe.load import load_recipe
from pipeline.store.node import Node
from pipeline.store.results import close, document_paths
from pipeline.store.workspace import Workspace

MACHINE = {"processor": "Two Cores", "vectors": "AVX512", "torch": "2.13.0", "numpy": "2.4.6", "python": "3.11.7"}
STEPS = {
    "toy_words": "tests.pipeline.report.report_parts:ToyWords",
    "toy_twins": "tests.pipeline.report.report_parts:ToyTwins",
}


class ToyWordsParams(Params):
    min_words: int = decides(5, ge=0, description="Words, count.")
    max_words: int = decides(400, ge=0, description="Words, count.")
    min_letters: float = decides(0.6, ge=0, le=1, description="Share of letters.")


class ToyWords(MeasuringStep):
    """Counts words and letters; breaks on `poison`."""

    name = "toy_words"
    Params = ToyWordsParams
    signals = (
        Signal("words", pa.int32(), "words", "Words <b>in</b> the document."),
        Signal("letters", pa.float64(), "fraction", "Share of letters & digits."),
        Signal("note", pa.string(), "text", "The first word."),
    )

    def measure(self, batch: Batch) -> Measured:
        texts = batch.strings()
        if any("poison" in text for text in texts):
            raise ValueError("the text holds <i>poison</i>")
        letters = [sum(c.isalpha() for c in text) / max(len(text), 1) for text in texts]
        return Measured(
            {
                "words": np.array([len(text.split()) for text in texts], np.int32),
                "letters": np.array(letters),
                "note": pa.array([text.split()[0] if text.split() else None for text in texts], pa.string()),
            }
        )

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        return (
            Rule("too_few", "words", ">=", self.params.min_words, "min_words"),
            Rule("too_many", "words", "<=", self.params.max_words, "max_words"),
            Rule("<script>alert(1)</script>", "letters", ">=", self.params.min_letters, "min_letters"),
        )


class ToyTwins(GatheringStep):
    """Drops a text that was seen before."""

    name = "toy_twins"
    signals = (
        Signal("duplicate_of", pa.string(), "id", "The kept twin."),
        Signal("is_duplicate", pa.int8(), "0 or 1", "1 for a twin."),
    )

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        return (Rule("twin", "is_duplicate", "<=", 0),)

    def gather(self, work: Gathering) -> None:
        seen: dict[str, str] = {}
        for part in work.parts:
            table = part.load(("id", "text"))
            rows = zip(table.column("id").to_pylist(), table.column("text").to_pylist(), strict=True)
            found = [seen.setdefault(text, name) for name, text in rows]
            twins = [
                first if first != name else None
                for first, name in zip(found, table.column("id").to_pylist(), strict=True)
            ]
            work.write(
                part,
                {"duplicate_of": pa.array(twins, pa.string()), "is_duplicate": [int(t is not None) for t in twins]},
            )


def plan_of(recipe: str, *, folder: Path) -> Plan:
    """Write a recipe into `folder` and plan it there."""
    path = folder / "recipe.yaml"
    path.write_text(recipe, encoding="utf-8")
    return make_plan(load_recipe(path), Workspace(folder / "workspace"))


def finish(
    recipe: str,
    *,
    folder: Path,
    gain: float | Mapping[str, float] | None = None,
    unsound: Mapping[str, str] | None = None,
) -> Plan:
    """Build a recipe in `folder`, its experiment by hand where it has one, and return the plan of what is there."""
    plan = plan_of(recipe, folder=folder)
    run_documents(plan)
    if gain is not None:
        write_experiment(plan, gain=gain, unsound=unsound or {})
    return plan_of(recipe, folder=folder)


def run_documents(plan: Plan) -> None:
    """Build sources and datasets, not the experiment."""
    run = Run(
        plan=Plan(plan.recipe, plan.workspace, plan.hashes, plan.nodes, plan.sources, plan.datasets),
        executor=Local(workers=1),
        progress=Silent(),
    )
    run.execute()


def write_lines(path: Path, documents: Sequence[Mapping[str, Any]]) -> None:
    """Write documents as JSON lines."""
    path.write_text("".join(json.dumps(document) + "\n" for document in documents), encoding="utf-8")


def write_experiment(plan: Plan, *, gain: float | Mapping[str, float], unsound: Mapping[str, str]) -> None:
    """Write an experiment's files as `experiment/build.py` does, bits drawn so that the candidate gains `gain`.

    Or each mixture that `gain` names what stands there; `unsound` maps a lane to what is wrong with it.
    """
    gate, experiment = plan.recipe.gate, plan.experiment
    assert gate is not None and experiment is not None
    for name, mixture in plan.recipe.mixtures.items():
        total = sum(mixture.weights.values())
        shares = [
            {
                "dataset": d,
                "nominal": w / total,
                "realised": w / total,
                "tokens": round(1e6 * w / total),
                "epochs": 1.3,
                "capped": False,
                "largest_document": "a/long/list.txt",
                "largest_before": 0.046,
                "largest_after": 0.0104,
                "cut_documents": 1,
                "cut_tokens": 120_000,
            }
            for d, w in mixture.weights.items()
        ]
        _close(experiment.mixtures[name], {}, {"num_tokens": 1_000_000, "shares": shares})
    gains = gain if isinstance(gain, Mapping) else {gate.candidate: gain}
    draw = generator(7, "report", "bits")
    documents, bits = _documents(plan, draw), {}
    hard = draw.normal(1.9, 0.2, documents.num_rows)
    for lane in sorted(experiment.lanes, key=lambda lane: (lane.mixture == gate.candidate, lane.seed)):
        better = gains.get(lane.mixture, 0.0) * draw.normal(1.0, 0.15)
        noise = draw.normal(0, 0.01, documents.num_rows)
        bits[lane] = documents["num_bytes"].to_numpy() * (hard - better + noise)
        points = [
            {"step": s, "tokens": 10_000 * s, "bits_per_token": 5.2 + 6 / s**0.6 + float(draw.normal(0, 0.03))}
            for s in range(1, 101)
        ]
        wrong = [unsound[str(lane)]] if str(lane) in unsound else []
        _close(experiment.lanes[lane], {CURVE: {"points": points}}, asdict(facts(lane, wrong)))
    for (lane, domain), node in experiment.scores.items():
        mine = np.array(documents["domain"].to_pylist()) == domain
        node.folder.mkdir(parents=True, exist_ok=True)
        table = documents.filter(pa.array(mine)).select(["id", "num_bytes"])
        write_table(node.folder / BITS, table.append_column("bits", pa.array(bits[lane][mine])))
        _close(node, {}, {}, existing=(BITS,))
    assert experiment.comparison is not None
    experiment.comparison.folder.mkdir(parents=True, exist_ok=True)
    write_table(experiment.comparison.folder / DOCUMENTS, documents)
    details = {
        "tier": "t0",
        "parameters": 500_000,
        "lanes": [_told(lane, unsound) for lane in sorted(experiment.lanes)],
        "unhealthy": sorted(unsound),
        "earlier": [],
        "machine": MACHINE,
        "tokens_per_lane": 1_000_000,
        "device": "cpu",
        "precision": "bfloat16",
        "tokens_per_second": 41_000,
    }
    _close(experiment.comparison, {}, details, existing=(DOCUMENTS,))
    if experiment.certificate is not None:
        _close(experiment.certificate, {"certificate.json": _certificate(plan, documents, bits)}, {})


def facts(lane: LaneName, wrong: list[str]) -> LaneFacts:
    """Return what a lane's card says of it; `wrong` is what it is ill of."""
    return LaneFacts(
        tier="t0", parameters=500_000, seed=lane.seed, learning_rate=lane.learning_rate, healthy=not wrong,
        findings=wrong, largest_document_share=0.01, draw="d" * 64, num_tokens=1_000_000, device="cpu",
        precision="bfloat16", machine=MACHINE, tokens_per_second=40_000,
    )  # fmt: skip


def _told(lane: LaneName, unsound: Mapping[str, str]) -> dict[str, Any]:
    wrong = [unsound[str(lane)]] if str(lane) in unsound else []
    name = {"lane": str(lane), "mixture": lane.mixture, "seed": lane.seed, "learning_rate": lane.learning_rate}
    return {**name, "healthy": not wrong, "findings": wrong, "largest_document_share": 0.012}


def _close(node: Node, files: Mapping[str, Any], details: Mapping[str, Any], existing: Sequence[str] = ()) -> None:
    node.folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (node.folder / name).write_text(json.dumps(content), encoding="utf-8")
    close(node, dict.fromkeys([*files, *existing], -1), rows_in=0, rows_out=0, details=details, seconds=12.5)


def _documents(plan: Plan, draw: np.random.Generator) -> pa.Table:
    assert plan.recipe.gate is not None
    held = {
        name: read_table(document_paths(plan.documents_node(name).folder)[0])["id"].to_pylist()[:60]
        for name in sorted(plan.recipe.gate.on)
    }
    num_documents = sum(map(len, held.values()))
    columns = {
        "domain": [name for name, ids in held.items() for _ in ids],
        "id": [id for ids in held.values() for id in ids],
        "num_bytes": draw.integers(300, 3000, num_documents),
        "cluster": np.arange(num_documents),
    }
    return pa.table(columns)


def _certificate(plan: Plan, table: pa.Table, bits: Mapping[LaneName, np.ndarray]) -> dict[str, Any]:
    gate, proxy = plan.recipe.gate, plan.recipe.proxy
    assert gate is not None and proxy is not None
    comparisons = [
        compare(
            bits_candidate=np.stack([bits[LaneName(gate.candidate, rate, k)] for k in range(proxy.seeds)]),
            bits_baseline=np.stack([bits[LaneName(gate.baseline, rate, k)] for k in range(proxy.seeds)]),
            num_bytes=table["num_bytes"].to_numpy(),
            domain=table["domain"].to_pylist(),
            cluster=table["cluster"].to_numpy(),
            learning_rate=rate,
            replicates=0,
        )
        for rate in proxy.learning_rates
    ]
    rule = GateRule(min_gain=gate.min_gain, guards=dict(gate.guards))
    verdict = decide(comparisons, rule=rule, candidate=gate.candidate, baseline=gate.baseline)
    return certificate(
        verdict,
        rule=rule,
        comparisons=comparisons,
        candidate={"name": gate.candidate, "identity": "c" * 64},
        baseline={"name": gate.baseline, "identity": "b" * 64},
        tokenizer="t" * 64,
        held_out=dict.fromkeys(gate.on, "h" * 64),
        code_version="0.1.0",
        proxy=proxy.model_dump(mode="json"),
        lanes=[],
        machine=MACHINE,
    )
