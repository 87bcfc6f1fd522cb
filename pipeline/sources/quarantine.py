"""What a source refused -> a line that tells it, a sample to look at, an error where nothing else was left.

A row that cannot be a document costs nobody else anything, so a wrong column would cost a whole source in silence: a
source of which every row was refused stops the run, with the reason and the names that its first row has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.errors import DataError, RecipeError, listed_names, nearest_names
from pipeline.core.files.parquet.shards import read_rows, read_table, write_table
from pipeline.sources.reader import Reader

QUARANTINE = "quarantine.parquet"
COLUMNS = ("id", "place", "reason", "excerpt")
NO_LINES = frozenset(("not_json", "not_object", "invalid_utf8"))  # may be files of another kind
OF_COLUMNS = frozenset(("missing_text", "null_text", "empty_text", "wrong_type", "null_id"))  # may be a wrong name


def save(folder: Path, rows: Sequence[Sequence[str]]) -> None:
    """Write the refused rows of a source: id, place, reason and excerpt of each."""
    columns = {name: pa.array([row[index] for row in rows], type=pa.string()) for index, name in enumerate(COLUMNS)}
    write_table(folder / QUARANTINE, pa.table(columns))


def counted(*, rows_in: int, reasons: Mapping[str, int]) -> str:
    """Return `4,809 documents of 5,000 rows, 191 quarantined (191 empty_text)`, short where nothing was refused."""
    refused = sum(reasons.values())
    if not refused:
        return f"{rows_in:,} documents"
    return f"{rows_in - refused:,} documents of {rows_in:,} rows, {refused:,} quarantined ({_told(reasons)})"


def _told(reasons: Mapping[str, int]) -> str:
    most = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {reason}" for reason, count in most)


def refuse_empty(
    place: str, *, rows_in: int, reasons: Mapping[str, int], first: str, readers: Iterable[Reader], way_out: str
) -> None:
    """Raise DataError if every row of a source was refused, or if it has none; `way_out` is for a wrong column."""
    if not rows_in:
        raise DataError(
            f"{place}: has no row at all; at least one must be a document. "
            "Look whether what writes its files has failed, or take it out."
        )
    if sum(reasons.values()) < rows_in:
        return
    worst = max(reasons, key=lambda reason: (reasons[reason], reason))
    message = (
        f"{place}: every one of {rows_in:,} rows was quarantined ({_told(reasons)}; the first at {first}); "
        "at least one must be a document. "
    )
    if worst not in OF_COLUMNS:
        way = next((told for reader in readers if worst in NO_LINES and (told := reader.other_way())), "")
        raise DataError(message + (way or "Correct the files or take them out."))
    names = next((found for reader in readers if (found := reader.names())), [])
    told = f"The first row has the keys {listed_names(names)}. " if names else ""
    raise DataError(message + told + way_out)


def sample(folder: Path, *, reason: str | None, pick: Any) -> tuple[int, list[dict[str, Any]]]:
    """Return how many rows a source refused (for one reason, if named), and those that `pick(total)` draws."""
    path = folder / QUARANTINE
    if not path.exists():
        return 0, []
    reasons = read_table(path, columns=["reason"]).column("reason").combine_chunks()
    known = reasons.unique().to_pylist()
    if reason is not None and reason not in known:
        raise RecipeError(
            f"--rule {reason}: no row was quarantined for it. Did you mean {nearest_names(reason, known)}?"
        )
    chosen = pc.indices_nonzero(pc.equal(reasons, reason) if reason is not None else reasons.is_valid()).to_pylist()
    rows = read_rows(path, [chosen[index] for index in pick(len(chosen))], columns=COLUMNS).to_pylist()
    return len(chosen), [
        {"id": row["id"], "text": row["excerpt"], "kept": False, "reason": row["reason"], "why": row["place"]}
        for row in rows
    ]
