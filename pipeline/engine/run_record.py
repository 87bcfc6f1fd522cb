"""What a run of a recipe did and when -> a numbered file under `runs/<recipe>/`, for the report to tell.

Cards say what a result is, whoever asked for it; this says when the recipe was run, on which machine, by which text,
and what came out. A run that changed nothing leaves no record, so the newest is the run that the results stand for, and
a report written again gives the same bytes. Like seconds and dollars, nothing here is ever hashed into an identity.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.core.errors import DataError
from pipeline.core.files.card import is_complete, read_card
from pipeline.core.files.stores.places import without_secrets
from pipeline.core.files.writing.durable import write_text
from pipeline.core.identity import identity_of
from pipeline.core.process.start import cores
from pipeline.plan.graph import Plan
from pipeline.store.node import Node

HEAD_BYTES = 1000  # of a page, among which its mark stands


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run. `results` are what became of documents by source and dataset, `verdict` the certificate's."""

    number: int
    at: str  # UTC, when it ended: 2026-11-29T19:30:05Z
    text: str  # of the recipe
    plan: str  # hash of all identities
    built: int
    reused: int
    seconds: float
    workers: int
    device: str
    machine: Mapping[str, Any]
    results: Sequence[Mapping[str, Any]] = ()
    verdict: Mapping[str, Any] | None = None
    folders: Sequence[str] = ()  # `kind/name-hash` of all results that the run stands on, for `tamis gc`

    @property
    def outcome(self) -> tuple[Any, ...]:
        """What tells two runs apart: neither when nor how long."""
        return self.plan, json.dumps([list(self.results), self.verdict], sort_keys=True)


def records_of(plan: Plan) -> list[RunRecord]:
    """Return the records of a recipe's runs, the oldest first; DataError if one cannot be read."""
    found = []
    for path in sorted(_folder(plan).glob("*.json")):
        try:
            found.append(RunRecord(**json.loads(path.read_bytes())))
        except (ValueError, TypeError) as error:
            raise DataError(f"{path}: is not the record of a run ({error}). Delete it.") from error
    return found


def run_of(plan: Plan, records: Sequence[RunRecord]) -> RunRecord | None:
    """Return the newest run that made just what is planned."""
    wanted = plan_hash(plan)
    return next((record for record in reversed(records) if record.plan == wanted), None)


def record_run(
    plan: Plan, *, built: int, started: float, workers: int, device: str, verdict: Mapping[str, Any] | None
) -> RunRecord | None:
    """Write the record of a run that ended just now; None if it came to the same as the last one.

    `started` is what `time.monotonic` told when it began.
    """
    earlier = records_of(plan)
    record = RunRecord(
        number=earlier[-1].number + 1 if earlier else 1,
        at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        text=without_secrets(plan.recipe.text),
        plan=plan_hash(plan),
        built=built,
        reused=len(plan.nodes) - built,
        seconds=round(time.monotonic() - started, 1),
        workers=workers,
        device=device,
        machine=machine(),
        results=results_of(plan),
        verdict=_short(verdict),
        folders=sorted({f"{node.kind}/{node.folder.name}" for node in plan.nodes}),
    )
    if earlier and not built and earlier[-1].outcome == record.outcome:
        return None
    folder = _folder(plan)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / f"{record.number:06d}.json", json.dumps(asdict(record), indent=1, ensure_ascii=False) + "\n")
    return record


def mark_of(plan: Plan, run: RunRecord | None) -> str:
    """Return what a page says of the run that it shows."""
    return f"{__version__}-{plan_hash(plan)[:16]}-{run.number if run is not None else 0}"


def is_shown(path: Path, mark: str) -> bool:
    """Say whether a page is there and shows this run: one left by a killed run, or by another recipe, does not."""
    try:
        with path.open("rb") as file:
            return mark.encode() in file.read(HEAD_BYTES)
    except OSError:
        return False


def plan_hash(plan: Plan) -> str:
    """Return the hash of everything that a plan would have."""
    return identity_of([node.identity for node in plan.nodes])


def machine() -> dict[str, Any]:
    """Return what the run ran on: no name of a host or a person."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.system(),
        "python": platform.python_version(),
        "tamis": __version__,
    }


def _processor() -> str:
    """Return the processor's name, or its kind where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named and named[0] else platform.processor() or platform.machine()


def _folder(plan: Plan) -> Path:
    return plan.workspace.root / "runs" / plan.recipe.name


def results_of(plan: Plan) -> list[dict[str, Any]]:
    """Return what became of the documents of every source and dataset that is complete."""
    nodes = plan.sources | {name: planned.node for name, planned in plan.datasets.items()}
    return [_result(name, node) for name, node in nodes.items() if is_complete(node.folder, node.identity)]


def _result(name: str, node: Node) -> dict[str, Any]:
    card = read_card(node.folder)
    return {
        "name": name, "kind": card.kind, "identity": card.identity, "rows_in": card.rows_in, "rows_out": card.rows_out,
        "dropped": dict(card.dropped), "quarantined": dict(card.quarantined),
    }  # fmt: skip


def _short(verdict: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what of a verdict tells whether it changed."""
    return None if verdict is None else {key: verdict[key] for key in ("outcome", "gain", "low", "high")}
