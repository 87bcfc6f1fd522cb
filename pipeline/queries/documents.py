"""`why` and `look`: one document's whole story, and a sample of those kept or dropped. Reads only files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.arrow import as_flags, as_numbers
from pipeline.core.errors import DataError, nearest_names
from pipeline.core.files.card import Card
from pipeline.core.files.names import CARD
from pipeline.core.files.parquet.in_place import TextGoneError
from pipeline.core.files.parquet.shards import read_rows, read_table, row_groups_of
from pipeline.core.rng import generator
from pipeline.experiment.streams.opened import Closed, closed_in
from pipeline.sources.quarantine import QUARANTINE, sample
from pipeline.store.dataset.chain import ERROR, BasePart, Link
from pipeline.store.dataset.decide import margin, passes
from pipeline.store.evidence import Evidence, all_evidence, evidence_of, find_rule, plain
from pipeline.store.results import document_paths, why_empty
from pipeline.store.workspace import Workspace

MOST_COMPARED = 500  # ids that hold a part of the one asked for; each is compared letter by letter


def why(workspace: Workspace, doc_id: str) -> dict[str, Any]:
    """Return every step's signals, rules, verdicts and margins for one document, in every dataset that saw it.

    DataError for one that is sealed for a gate's verdict.
    """
    stories = [story for evidence in all_evidence(workspace) if (story := story_of(evidence, doc_id)) is not None]
    stories += [story for name in _made(workspace) if (story := _made_story(workspace, name, doc_id)) is not None]
    for story in stories:
        folder, _ = workspace.dataset(story["folder"])
        refuse_closed(workspace, folder, doc_id)
    refused = [
        found for path in sorted(workspace.root.glob("source/*/quarantine.parquet")) for found in _refused(path, doc_id)
    ]
    if not stories and not refused:
        near = _near_ids(workspace, doc_id)
        way_out = f"Did you mean {near}?" if near else "`tamis look DATASET` shows ids."
        raise DataError(
            f"{doc_id}: none of the latest results in {workspace.root} saw this id; older ones are not searched. "
            f"{way_out}"
        )
    return {"id": doc_id, "datasets": stories, "quarantined": refused}


def refuse_closed(workspace: Workspace, folder: Path, doc_id: str) -> None:
    """Raise DataError where a document of a dataset is sealed for a gate's verdict."""
    closed = closed_in(workspace, folder)
    if doc_id in closed.ids:
        raise DataError(
            f"{doc_id}: is held out in {' and '.join(closed.sets)} and sealed for a gate's verdict, which stays fair "
            "while nobody looks. Ask about another document."
        )


def _near_ids(workspace: Workspace, doc_id: str) -> str:
    """Return the ids most like one that nobody saw: of those that hold it, or else its end, or else its beginning."""
    paths = {part.path: None for evidence in all_evidence(workspace) for part in evidence.chain.base}
    paths |= {path: None for name in _made(workspace) for path in document_paths(workspace.dataset(name)[0])}
    ends = [doc_id, doc_id.rpartition("/")[2], doc_id[: max(len(doc_id) // 2, 3)]]
    found: list[list[str]] = [[] for _ in ends]
    for path in paths:
        ids = read_table(path, columns=["id"]).column("id")
        for wanted, held in zip(ends, found, strict=True):
            if wanted and len(held) < MOST_COMPARED:
                held += ids.filter(pc.match_substring(ids, wanted, ignore_case=True))[:MOST_COMPARED].to_pylist()
    return next((nearest_names(doc_id, held) for held in found if held), "")


def _made(workspace: Workspace) -> list[str]:
    """Return the names under which a making step's own documents are published."""
    names = sorted({path.parent.name.rpartition("-")[0] for path in (workspace.root / "made").glob(f"*/{CARD}")})
    return [name for name in names if workspace.unfinished(name) is None and workspace.dataset(name)[1].kind == "made"]


def _made_story(workspace: Workspace, name: str, doc_id: str) -> dict[str, Any] | None:
    """Return the story of a made document: nothing decided about it, its lineage tells where it came from."""
    folder = workspace.dataset(name)[0]
    for path in document_paths(folder):
        row = _place(path, doc_id)
        if row >= 0:
            document = read_rows(path, [row], columns=["text", "source", "lineage", "metadata"]).to_pylist()[0]
            nothing: dict[str, Any] = {"kept": True, "reason": None, "failed": [], "steps": []}
            return {"dataset": name, "folder": folder.name, **nothing, "document": document}
    return None


def _place(path: Path, doc_id: str) -> int:
    """Return the row of an id in a file of documents, -1 if it is not there."""
    ids = read_table(path, columns=["id"]).column("id")
    row: int = pc.index(ids, pa.scalar(doc_id, ids.type)).as_py()
    return row


def _refused(path: Path, doc_id: str) -> list[dict[str, Any]]:
    """Return the rows with this id that a source could not turn into documents, with their reasons."""
    table = read_table(path)
    found = table.filter(pc.equal(table.column("id"), doc_id)).to_pylist()
    return [{"source": path.parent.name, **{key: row[key] for key in ("place", "reason", "excerpt")}} for row in found]


def story_of(evidence: Evidence, doc_id: str) -> dict[str, Any] | None:
    """Return every step's signals, rules, verdicts and margins for one document; None if it did not get there."""
    for part in evidence.chain.base:
        row = _place(part.path, doc_id)
        if row < 0:
            continue
        verdict = evidence.verdict_rows(part, [row], ["kept", "reason", "failed", "quarantined"]).to_pylist()[0]
        try:
            document = evidence.documents(part, [row], ("text", "source", "metadata"))[0]
        except TextGoneError as error:
            stored = read_table(part.path, columns=["source", "metadata"]).slice(row, 1).to_pylist()[0]
            document = {"text": f"(not shown: {error})", **stored}
        return {
            "dataset": evidence.name,
            "folder": evidence.folder.name,
            "kept": verdict["kept"],
            "reason": verdict["reason"] or verdict["quarantined"],
            "failed": verdict["failed"],
            "steps": [_step_story(evidence, link, part, row) for link in evidence.chain.links],
            "document": document,
        }
    return None


def _step_story(evidence: Evidence, link: Link, part: BasePart, row: int) -> dict[str, Any]:
    table = evidence.signal_rows(link, part, [row])
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
    """Return a seeded sample of a dataset's documents: kept, or dropped (by one rule or step, if named).

    What is sealed for a gate's verdict is not among them; `sealed` counts it.
    """
    unfinished = workspace.unfinished(dataset)
    if unfinished is not None and (unfinished / QUARANTINE).exists():
        if not (dropped or rule):
            raise DataError(f"{dataset}: no row of it could be used when it was read last. --dropped shows them.")
        return _refused_rows(dataset, unfinished, rule=rule, count=count, seed=seed)
    folder, card = workspace.dataset(dataset)
    if card.kind != "dataset":
        if card.kind == "source" and (dropped or rule):
            return _refused_rows(card.name, folder, rule=rule, count=count, seed=seed)
        if dropped or rule:
            raise DataError(
                f"{dataset}: nothing was dropped from it; it is a {card.kind}. Leave out --dropped and --rule."
            )
        return _undecided(folder, card, closed_in(workspace, folder), count=count, seed=seed)
    evidence = evidence_of(workspace, dataset)
    wanted = find_rule(evidence, rule) if rule else None
    closed = closed_in(workspace, folder)
    every = [(part, _choose(evidence, part, dropped=dropped, wanted=wanted)) for part in evidence.chain.base]
    chosen = [(part, closed.open_rows(evidence, part, rows)) for part, rows in every]
    total = sum(len(rows) for _, rows in chosen)
    sealed = sum(len(rows) for _, rows in every) - total
    documents = [row for part, rows in _picked(chosen, count, seed) for row in _documents(evidence, part, rows)]
    empty = None if evidence.card.rows_out or dropped or rule else why_empty(evidence.card)
    rows_in = evidence.card.rows_in
    return {
        "dataset": evidence.name, "total": total, "rows_in": rows_in, "rule": wanted, "empty": empty,
        "documents": documents, **_told(closed, sealed),
    }  # fmt: skip


def _told(closed: Closed, sealed: int) -> dict[str, Any]:
    return {"sealed": sealed, "sealed_why": closed.note(sealed)} if sealed else {}


def _undecided(folder: Path, card: Card, closed: Closed, *, count: int, seed: int) -> dict[str, Any]:
    """Return a sample of documents about which nothing was decided."""
    paths = document_paths(folder)
    rows = {path: _open_places(path, closed) for path in paths}
    total = sum(len(each) for each in rows.values())
    return {
        "dataset": card.name, "total": total, "empty": None if card.rows_out else why_empty(card),
        "documents": _sample_documents(rows, total, count, seed), **_told(closed, card.rows_out - total),
    }  # fmt: skip


def _open_places(path: Path, closed: Closed) -> np.ndarray:
    """Return int64[num_open]: the rows of a file of documents that anybody may read."""
    if not closed.ids:
        return np.arange(sum(group.rows for group in row_groups_of(path)))
    return np.flatnonzero(closed.open_of(read_table(path, columns=["id"]).column("id")))


def _refused_rows(name: str, folder: Path, *, rule: str | None, count: int, seed: int) -> dict[str, Any]:
    total, rows = sample(folder, reason=rule, pick=lambda total: _pick(total, count, seed))
    empty = f"No row of {name} was quarantined."
    return {"dataset": name, "total": total, "quarantined": True, "empty": empty, "documents": rows}


def _choose(evidence: Evidence, part: BasePart, *, dropped: bool, wanted: str | None) -> np.ndarray:
    """Return int64[num_chosen]: the rows of a part that were kept, or dropped, or dropped by one rule or step."""
    if wanted is None:
        kept = as_flags(evidence.verdicts(part, ["kept"]).column("kept"))
        return np.flatnonzero(~kept if dropped else kept)
    verdicts = evidence.verdicts(part, ["reason", "quarantined"])  # not the ids, which are most of it
    step, rule = rf"^{re.escape(wanted)}$", rf"^{re.escape(wanted)}(\..*)?$"
    reason = pc.match_substring_regex(verdicts.column("reason"), pattern=rule)
    broken = pc.match_substring_regex(verdicts.column("quarantined"), pattern=step)
    return np.flatnonzero((as_numbers(reason) == 1) | (as_numbers(broken) == 1))


def _picked(
    chosen: Sequence[tuple[BasePart, np.ndarray]], count: int, seed: int
) -> Iterator[tuple[BasePart, list[int]]]:
    """Yield each part with the rows of it that are among `count` drawn from all."""
    wanted = np.array(_pick(sum(len(rows) for _, rows in chosen), count, seed), np.int64)
    start = 0
    for part, rows in chosen:
        inside = wanted[(wanted >= start) & (wanted < start + len(rows))] - start
        start += len(rows)
        if len(inside):
            yield part, rows[inside].tolist()


def _pick(total: int, count: int, seed: int) -> list[int]:
    if total <= count:
        return list(range(total))
    chosen = generator(seed, "look").choice(total, size=count, replace=False)
    return sorted(int(row) for row in chosen)


def _documents(evidence: Evidence, part: BasePart, rows: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield some documents of a part, each with its verdict; reads every file once."""
    documents = evidence.documents(part, rows, ("id", "text", "source", "metadata"))
    verdicts = evidence.verdict_rows(part, rows, ["kept", "reason", "quarantined"]).to_pylist()
    reasons = [verdict["reason"] for verdict in verdicts]
    told = {reason: _deciding(evidence, part, rows, reasons, reason) for reason in dict.fromkeys(reasons)}
    for row, document, verdict in zip(rows, documents, verdicts, strict=True):
        reason = verdict["reason"]
        why = None if reason is None else told[reason].get(row)
        yield {**document, "kept": verdict["kept"], "reason": reason or verdict["quarantined"], "why": why}


def _deciding(
    evidence: Evidence, part: BasePart, rows: Sequence[int], reasons: Sequence[str | None], wanted: str | None
) -> dict[int, str]:
    """Return, for the rows dropped by one rule, `value op threshold` and the step's own words, if any."""
    found = [
        (link, rule) for link in evidence.chain.links for rule in link.rules if wanted == f"{link.label}.{rule.name}"
    ]
    if not found:
        return {}
    link, rule = found[0]
    dropped = [row for row, reason in zip(rows, reasons, strict=True) if reason == wanted]
    table = evidence.signal_rows(link, part, dropped)
    told = {}
    for row, value, signals in zip(dropped, as_numbers(table.column(rule.signal)), table.to_pylist(), strict=True):
        words = [f"; {key}: {said}" for key, said in signals.items() if said and isinstance(said, str)]
        needs = f"{rule.signal} is {value:.4g}; kept if {rule.op} {rule.threshold:.4g}"
        told[row] = needs + "".join(words[:1])  # the id of what was kept, the evaluation item, the language
    return told


def _sample_documents(rows: Mapping[Path, np.ndarray], total: int, count: int, seed: int) -> list[dict[str, Any]]:
    wanted = np.array(_pick(total, count, seed), np.int64)
    found: list[dict[str, Any]] = []
    start = 0
    for path, mine in rows.items():
        inside = mine[wanted[(wanted >= start) & (wanted < start + len(mine))] - start].tolist()
        if inside:
            found += read_rows(path, inside, columns=["id", "text", "source", "metadata"]).to_pylist()
        start += len(mine)
    return found
