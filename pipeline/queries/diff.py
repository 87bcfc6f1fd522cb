"""`diff`: two datasets -> the documents that only one of them keeps, and the rule of the other that is responsible.

Documents are the same where their ids are. What one dataset keeps and the other does not was dropped there by a rule,
dropped by a rule of a dataset that it was made from, quarantined, or never in its input. Works from verdicts: ids,
reasons and sizes; texts are read for the examples only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.arrow import as_flags
from pipeline.core.files.card import Card, read_card
from pipeline.core.files.parquet.shards import read_rows, read_table
from pipeline.core.files.stores.stored import present
from pipeline.experiment.streams.opened import closed_in
from pipeline.sources.quarantine import QUARANTINE
from pipeline.store.dataset.chain import part_name
from pipeline.store.dataset.verdicts import verdicts_name
from pipeline.store.evidence import evidence_at
from pipeline.store.results import document_paths
from pipeline.store.sizes import bytes_per_token
from pipeline.store.workspace import Workspace

ABSENT = "not in its input"
REASONS = 3  # whose documents are shown
EXAMPLES = 2  # of each
KEPT = {"id": pl.String, "num_bytes": pl.Int64, "part": pl.Int64, "row": pl.Int64}
DROPPED = {"id": pl.String, "why": pl.String}


@dataclass(frozen=True, slots=True)
class Fates:
    """What became of every document that a dataset, or one that it was made from, ever saw."""

    name: str
    folder: Path
    card: Card
    kept: pl.DataFrame  # KEPT
    dropped: pl.DataFrame  # DROPPED


def diff(workspace: Workspace, a: str, b: str) -> dict[str, Any]:
    """Return what dataset `b` gained and lost beside `a`; names, or folders `name-<hash>`."""
    before, after = fates_of(workspace, a), fates_of(workspace, b)
    both = before.kept.join(after.kept, on="id", suffix="_after")
    resized = both.filter(pl.col("num_bytes") != pl.col("num_bytes_after"))
    rate, source = bytes_per_token(workspace, after.name)
    closed = {fates.folder: closed_in(workspace, fates.folder).ids for fates in (before, after)}
    return {
        "a": _summary(before, rate),
        "b": _summary(after, rate),
        "both": both.height,
        "resized": {
            "documents": resized.height,
            "bytes": int(resized["num_bytes_after"].sum()) - int(resized["num_bytes"].sum()),
        },
        "gained": _side(after, before, rate, closed[after.folder]),
        "lost": _side(before, after, rate, closed[before.folder]),
        "tokens_by": source,
    }


def fates_of(workspace: Workspace, name: str) -> Fates:
    """Return the fates of a dataset's documents; those of a source or of made documents are all kept."""
    folder, card = workspace.dataset(name)
    if card.kind == "dataset":
        kept, dropped = _decided(workspace, folder)
    else:
        kept, dropped = _undecided(folder), _refused(folder)
    return Fates(name=card.name, folder=folder, card=card, kept=kept, dropped=dropped)


def _decided(workspace: Workspace, folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    evidence = evidence_at(workspace, folder)
    columns = ["id", "kept", "reason", "quarantined", "num_bytes"]
    frames = [
        pl.DataFrame(evidence.verdicts(part, columns)).with_row_index("row").with_columns(part=pl.lit(part.index))
        for part in evidence.chain.base
    ]
    seen = pl.concat(frames) if frames else pl.DataFrame(schema={**KEPT, "kept": pl.Boolean, "reason": pl.String})
    kept = seen.filter("kept").select(pl.col(name).cast(kind) for name, kind in KEPT.items())
    why = [pl.col(name) for name in ("reason", "quarantined") if name in seen.columns]
    dropped = seen.filter(~pl.col("kept")).select("id", why=pl.coalesce(why).cast(pl.String))
    for parent in dict.fromkeys(part.path.parent for part in evidence.chain.base):
        card = read_card(parent)
        earlier = _decided(workspace, parent)[1] if card.kind == "dataset" else _refused(parent)
        told = earlier.with_columns(why=pl.lit(f"{card.name}: ") + pl.col("why"))
        dropped = pl.concat([dropped, told.join(dropped, on="id", how="anti")])
    return kept, dropped


def _undecided(folder: Path) -> pl.DataFrame:
    frames = []
    for index, path in enumerate(document_paths(folder)):
        table = read_table(path, columns=["id", "text"])
        size = pc.cast(pc.binary_length(table.column("text")), pa.int64())
        frame = pl.DataFrame(pa.table({"id": table.column("id"), "num_bytes": size})).with_row_index("row")
        frames.append(frame.with_columns(part=pl.lit(index)).select(pl.col(n).cast(kind) for n, kind in KEPT.items()))
    return pl.concat(frames) if frames else pl.DataFrame(schema=KEPT)


def _refused(folder: Path) -> pl.DataFrame:
    """Return the rows that a source could not turn into documents."""
    path = present(folder / QUARANTINE)
    if not path.exists():
        return pl.DataFrame(schema=DROPPED)
    found = pl.DataFrame(read_table(path, columns=["id", "reason"])).select("id", why="reason")
    return found.filter(pl.col("why") != "duplicate_id").unique("id", keep="first", maintain_order=True)


def _summary(side: Fates, rate: float) -> dict[str, Any]:
    size = int(side.kept["num_bytes"].sum())
    return {
        "dataset": side.name, "folder": side.folder.name, "documents": side.kept.height, "bytes": size,
        "tokens": round(size / rate),
    }  # fmt: skip


def _side(here: Fates, there: Fates, rate: float, closed: Collection[str]) -> dict[str, Any]:
    """Return what only `here` keeps, by what `there` has against it; no document that is `closed` is an example."""
    only = here.kept.join(there.kept.select("id"), on="id", how="anti", maintain_order="left")
    only = only.join(there.dropped.unique("id", keep="first"), on="id", how="left", maintain_order="left")
    only = only.with_columns(pl.col("why").fill_null(ABSENT))
    by = only.group_by("why").agg(documents=pl.len(), bytes=pl.col("num_bytes").sum())
    by = by.sort(["documents", "why"], descending=[True, False])
    size = int(only["num_bytes"].sum())
    return {
        "documents": only.height,
        "bytes": size,
        "tokens": round(size / rate),
        "by": [
            {
                "rule": row["why"],
                "documents": row["documents"],
                "bytes": row["bytes"],
                "tokens": round(row["bytes"] / rate),
            }
            for row in by.iter_rows(named=True)
        ],
        "examples": list(
            _examples(here, only.filter(~pl.col("id").is_in(list(closed))), by["why"].to_list()[:REASONS])
        ),
    }


def _examples(here: Fates, only: pl.DataFrame, reasons: list[str]) -> Iterator[dict[str, Any]]:
    for reason in reasons:
        found = only.filter(pl.col("why") == reason)
        for row in found.gather_every(max(found.height // EXAMPLES, 1)).head(EXAMPLES).iter_rows(named=True):
            yield {"id": row["id"], "rule": reason, "text": _text(here, row["part"], row["row"])}


def _text(side: Fates, part: int, row: int) -> str:
    """Return the text of a document that a side keeps, by its base row."""
    if side.card.kind != "dataset":
        path = document_paths(side.folder)[part]
    else:
        kept = as_flags(read_table(side.folder / verdicts_name(part), columns=["kept"]).column("kept"))
        path, row = side.folder / part_name(part), int(np.count_nonzero(kept[:row]))
    return str(read_rows(path, [row], columns=["text"]).column("text")[0].as_py())
