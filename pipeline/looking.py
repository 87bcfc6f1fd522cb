"""`why` and `look`: one document's whole story, and a sample of those kept or dropped. Reads only files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.chain import ERROR, BasePart, ChainReader, Link
from pipeline.core.card import CARD
from pipeline.core.errors import DataError
from pipeline.core.rng import generator
from pipeline.core.shards import read_table
from pipeline.decide import as_numbers, margin, passes
from pipeline.evidence import Evidence, all_evidence, evidence_of, find_rule, plain
from pipeline.results import document_paths
from pipeline.workspace import Workspace


def why(workspace: Workspace, doc_id: str) -> dict[str, Any]:
    """Return every step's signals, rules, verdicts and margins for one document, in every dataset that saw it."""
    stories = [story for evidence in all_evidence(workspace) if (story := _story(evidence, doc_id)) is not None]
    stories += [story for name in _made(workspace) if (story := _made_story(workspace, name, doc_id)) is not None]
    refused = [
        found for path in sorted(workspace.root.glob("source/*/quarantine.parquet")) for found in _refused(path, doc_id)
    ]
    if not stories and not refused:
        raise DataError(f"{doc_id}: no dataset in {workspace.root} ever saw this id. `winnow look DATASET` shows ids.")
    return {"id": doc_id, "datasets": stories, "quarantined": refused}


def _made(workspace: Workspace) -> list[str]:
    """Return the names under which a making step's own documents are published."""
    names = sorted({path.parent.name.rpartition("-")[0] for path in (workspace.root / "made").glob(f"*/{CARD}")})
    return [name for name in names if workspace.dataset(name)[1].kind == "made"]


def _made_story(workspace: Workspace, name: str, doc_id: str) -> dict[str, Any] | None:
    """Return the story of a made document: nothing decided about it, its lineage tells where it came from."""
    folder = workspace.dataset(name)[0]
    for path in document_paths(folder):
        table = read_table(path, columns=["id", "text", "source", "lineage", "metadata"])
        row = pc.index(table.column("id"), pa.scalar(doc_id, pa.string())).as_py()
        if row >= 0:
            document = table.slice(row, 1).drop_columns("id").to_pylist()[0]
            nothing: dict[str, Any] = {"kept": True, "reason": None, "failed": [], "steps": []}
            return {"dataset": name, "folder": folder.name, **nothing, "document": document}
    return None


def _refused(path: Path, doc_id: str) -> list[dict[str, Any]]:
    """Return the rows with this id that a source could not turn into documents, with their reasons."""
    table = read_table(path)
    found = table.filter(pc.equal(table.column("id"), doc_id)).to_pylist()
    return [{"source": path.parent.name, **{key: row[key] for key in ("place", "reason", "excerpt")}} for row in found]


def _story(evidence: Evidence, doc_id: str) -> dict[str, Any] | None:
    for part in evidence.chain.base:
        ids = read_table(part.path, columns=["id"]).column("id")
        row = pc.index(ids, pa.scalar(doc_id, ids.type)).as_py()
        if row < 0:
            continue
        verdict = evidence.verdicts(part).slice(row, 1).to_pylist()[0]
        reader = ChainReader(base=part, links=evidence.chain.links)
        document = reader.load_rows(("text", "source", "metadata"), [row])
        return {
            "dataset": evidence.name,
            "folder": evidence.folder.name,
            "kept": verdict["kept"],
            "reason": verdict["reason"] or verdict["quarantined"],
            "failed": verdict["failed"],
            "steps": [_step_story(evidence, link, part, row) for link in evidence.chain.links],
            "document": document.to_pylist()[0],
        }
    return None


def _step_story(evidence: Evidence, link: Link, part: BasePart, row: int) -> dict[str, Any]:
    table = evidence.signals(link, part).slice(row, 1)
    signals = {name: plain(value) for name, value in table.to_pylist()[0].items()}
    error = signals.pop(ERROR)
    rules = []
    for rule in link.rules:
        value = as_numbers(table.column(rule.signal))
        known = not np.isnan(value[0])
        rules.append(
            {
                "rule": rule.name,
                "signal": rule.signal,
                "value": signals[rule.signal],
                "op": rule.op,
                "threshold": rule.threshold,
                "verdict": "keep" if passes(rule, value)[0] else "drop",
                "margin": margin(rule, float(value[0])) if known else None,
                "parameter": rule.parameter,
            }
        )
    return {"step": link.label, "signals": signals, "error": error, "rules": rules}


def look(
    workspace: Workspace, dataset: str, *, dropped: bool, rule: str | None, count: int, seed: int = 0
) -> dict[str, Any]:
    """Return a seeded sample of a dataset's documents: kept, or dropped (by one rule or step, if named)."""
    folder, card = workspace.dataset(dataset)
    if card.kind != "dataset":
        if dropped or rule:
            raise DataError(
                f"{dataset}: nothing was dropped from it; it is a {card.kind}. Leave out --dropped and --rule."
            )
        return {
            "dataset": card.name,
            "total": card.rows_out,
            "documents": _sample_documents(document_paths(folder), card.rows_out, count, seed),
        }
    evidence = evidence_of(workspace, dataset)
    wanted = find_rule(evidence, rule) if rule else None
    chosen = _choose(evidence, dropped=dropped or wanted is not None, wanted=wanted)
    rows = _pick(chosen.height, count, seed)
    documents = [_document(evidence, chosen.row(row, named=True)) for row in rows]
    return {"dataset": evidence.name, "total": chosen.height, "rule": wanted, "documents": documents}


def _choose(evidence: Evidence, *, dropped: bool, wanted: str | None) -> pl.DataFrame:
    frames = []
    for part in evidence.chain.base:
        verdicts = evidence.verdicts(part, ["kept", "reason", "quarantined"])  # not the ids, which are most of it
        frames.append(pl.DataFrame(verdicts).with_row_index("row").with_columns(part=pl.lit(part.index)))
    table = pl.concat(frames) if frames else pl.DataFrame(schema={"kept": pl.Boolean, "reason": pl.String})
    if wanted is not None:
        reason = pl.col("reason")
        broken = pl.col("quarantined") == wanted
        return table.filter((reason == wanted) | reason.str.starts_with(wanted + ".") | broken)
    return table.filter(~pl.col("kept") if dropped else pl.col("kept"))


def _pick(total: int, count: int, seed: int) -> list[int]:
    if total <= count:
        return list(range(total))
    chosen = generator(seed, "look").choice(total, size=count, replace=False)
    return sorted(int(row) for row in chosen)


def _document(evidence: Evidence, verdict: dict[str, Any]) -> dict[str, Any]:
    part = next(base for base in evidence.chain.base if base.index == verdict["part"])
    reader = ChainReader(base=part, links=evidence.chain.links)
    row = reader.load_rows(("id", "text", "source", "metadata"), [verdict["row"]]).to_pylist()[0]
    return {
        **row,
        "kept": verdict["kept"],
        "reason": verdict["reason"] or verdict["quarantined"],
        "why": _deciding(evidence, part, verdict),
    }


def _deciding(evidence: Evidence, part: BasePart, verdict: dict[str, Any]) -> str | None:
    """Return `value op threshold` of the first rule that the document failed, and the step's own words, if any."""
    if verdict["reason"] is None:
        return None
    label, _, name = verdict["reason"].partition(".")
    for link in evidence.chain.links:
        for rule in link.rules:
            if link.label == label and rule.name == name:
                row = evidence.signals(link, part).slice(verdict["row"], 1)
                value = as_numbers(row.column(rule.signal))[0]
                words = [
                    f"; {key}: {said}" for key, said in row.to_pylist()[0].items() if said and isinstance(said, str)
                ]
                needs = f"{rule.signal} is {value:.4g}; kept needs {rule.op} {rule.threshold:.4g}"
                return needs + "".join(words[:1])  # the twin's id, the evaluation item, the language
    return None


def _sample_documents(paths: list[Any], total: int, count: int, seed: int) -> list[dict[str, Any]]:
    wanted = set(_pick(total, count, seed))
    found: list[dict[str, Any]] = []
    start = 0
    for path in paths:
        table = read_table(path, columns=["id", "text", "source", "metadata"])
        inside = sorted(row - start for row in wanted if start <= row < start + table.num_rows)
        found.extend(table.take(pa.array(inside, pa.int64())).to_pylist())
        start += table.num_rows
    return found
