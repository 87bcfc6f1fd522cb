"""`stats`: stored signals of a dataset -> how they are distributed, by source, language or whatever else is known.

Over every document that reached the dataset, kept or not (or only one of these), since signals are stored for all. A
signal is read when its turn comes, one column in memory at a time: 8 MB for a million documents. Quantiles are exact.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import polars as pl
import pyarrow as pa

from pipeline.core.errors import DataError, RecipeError, did_you_mean, listed_names
from pipeline.core.files.parquet.shards import read_table
from pipeline.core.step import ENGINE_COLUMNS
from pipeline.store.dataset.chain import Link
from pipeline.store.evidence import Evidence, evidence_of
from pipeline.store.results import why_empty
from pipeline.store.workspace import Workspace

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
GROUPS = 20  # the largest; the rest is one more
OTHERS = "(others)"
NONE = "(none)"
COLUMNS = ("source", "origin")
Fate = Literal["all", "kept", "dropped"]


def stats(workspace: Workspace, dataset: str, *, signal: str | None, by: str | None, fate: Fate) -> dict[str, Any]:
    """Return counts and quantiles of one signal (`step.signal`) or of all, by group where `by` is given."""
    evidence = evidence_of(workspace, dataset)
    if not evidence.chain.base:
        raise DataError(f"{why_empty(evidence.card)} There is nothing to count; look at what it is made from.")
    kinds = _signals(evidence)
    if signal is not None and signal not in kinds:
        if signal.rpartition(".")[2] in ENGINE_COLUMNS:
            raise RecipeError(
                f"--signal {signal}: that is the engine's own column, not a signal. "
                f"Choose one of {listed_names(_beside(signal, kinds))}."
            )
        raise RecipeError(f"--signal {signal}: `{dataset}` has no such signal.{_nearest(signal, kinds)}")
    frame = _documents(evidence, kinds, by)
    chosen = {"all": pl.lit(True), "kept": pl.col("kept"), "dropped": ~pl.col("kept")}[fate]
    wanted = [signal] if signal is not None else [name for name, kind in kinds.items() if _is_number(kind)]
    rows: list[dict[str, Any]] = []
    for name in wanted:
        values = frame.with_columns(value=_column(evidence, name)).filter(chosen)
        rows += _numbers(name, values) if _is_number(kinds[name]) else _words(name, values)
    groups = frame.group_by("group").agg(documents=pl.len(), kept=pl.col("kept").sum())
    groups = groups.with_columns(kept_fraction=pl.col("kept") / pl.col("documents"))
    kept_if: dict[str, list[str]] = {}
    for link in evidence.chain.links:
        for rule in link.rules:
            kept_if.setdefault(f"{link.label}.{rule.signal}", []).append(f"{rule.op} {rule.threshold:g}")
    return {
        "dataset": evidence.name,
        "folder": evidence.folder.name,
        "by": by,
        "documents": fate,
        "empty": None if evidence.card.rows_out else why_empty(evidence.card),
        "groups": groups.sort(["documents", "group"], descending=[True, False]).to_dicts(),
        "signals": [{**row, "kept_if": " and ".join(kept_if.get(row["signal"], ())) or None} for row in rows],
    }


def _signals(evidence: Evidence) -> dict[str, pa.DataType]:
    """Return the type of every `step.signal`."""
    if not evidence.chain.base:
        return {}
    first = evidence.chain.base[0]
    return {
        f"{link.label}.{field.name}": field.type
        for link in evidence.chain.links
        for field in evidence.signals_schema(link, first)
        if field.name not in ENGINE_COLUMNS
    }


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _beside(signal: str, kinds: Iterable[str]) -> list[str]:
    """Return the signals of a column's step; all of them if there is no such step."""
    return [name for name in kinds if name.rpartition(".")[0] == signal.rpartition(".")[0]] or list(kinds)


def _nearest(wanted: str, names: Any) -> str:
    tails = [name for name in names if name.endswith(f".{wanted}")]
    return did_you_mean(wanted, tails or list(names))


def _documents(evidence: Evidence, kinds: dict[str, pa.DataType], by: str | None) -> pl.DataFrame:
    """Return `kept` and `group` of every document that reached the dataset."""
    frames = [pl.DataFrame(evidence.verdicts(part, ["kept"])) for part in evidence.chain.base]
    frame = pl.concat(frames) if frames else pl.DataFrame(schema={"kept": pl.Boolean})
    if by is None:
        return frame.with_columns(group=pl.lit(None, pl.String))
    groups = _groups(evidence, kinds, by).cast(pl.String).fill_null(NONE)
    largest = groups.value_counts().sort(["count", groups.name], descending=[True, False])[groups.name].head(GROUPS)
    return frame.with_columns(group=groups).with_columns(
        pl.when(pl.col("group").is_in(largest.implode())).then("group").otherwise(pl.lit(OTHERS)).alias("group")
    )


def _groups(evidence: Evidence, kinds: dict[str, pa.DataType], by: str) -> pl.Series:
    """Return the value that each document is grouped by: a column, a signal, or a key of the metadata."""
    if by in COLUMNS:
        return _of_base(evidence, by)
    told = [name for name, kind in kinds.items() if name == by or (not _is_number(kind) and name.endswith(f".{by}"))]
    if told:
        return _column(evidence, told[0])
    key = by.removeprefix("metadata.")
    metadata = _of_base(evidence, "metadata")
    escaped = re.sub(r"(['\\])", r"\\\1", key)
    found = metadata.str.json_path_match(f"$['{escaped}']")
    if found.null_count() == len(found):
        keys = (
            metadata.head(1000).str.extract_all(r'"([^"\\]+)":').explode().str.strip_chars('":').unique().drop_nulls()
        )
        known = [*COLUMNS, *(name for name, kind in kinds.items() if not _is_number(kind)), *keys.to_list()]
        raise RecipeError(f"--by {by}: no document has it.{did_you_mean(by, known)}")
    return found


def _of_base(evidence: Evidence, column: str) -> pl.Series:
    parts = [pl.Series(values=read_table(part.path, columns=[column]).column(column)) for part in evidence.chain.base]
    return pl.concat(parts) if parts else pl.Series(values=[], dtype=pl.String)


def _column(evidence: Evidence, name: str) -> pl.Series:
    """Return one signal of every document, NaN as null."""
    link: Link = next(link for link in evidence.chain.links if name.startswith(f"{link.label}."))
    signal = name[len(link.label) + 1 :]
    tables = [evidence.signals(link, part, [signal]).column(signal) for part in evidence.chain.base]
    values = pl.concat([pl.Series(values=table) for table in tables])
    return values.fill_nan(None) if values.dtype.is_float() else values


def _numbers(name: str, values: pl.DataFrame) -> Iterator[dict[str, Any]]:
    value = pl.col("value").cast(pl.Float64)
    quantiles = {f"p{round(q * 100):02d}": value.quantile(q, "linear") for q in QUANTILES}
    found = values.group_by("group").agg(
        pl.len().alias("documents"), value.count().alias("measured"), value.mean().alias("mean"),
        value.min().alias("min"), *(expression.alias(key) for key, expression in quantiles.items()),
        value.max().alias("max"),
    )  # fmt: skip
    for row in found.sort(["documents", "group"], descending=[True, False]).iter_rows(named=True):
        yield {"signal": name, **row}


def _words(name: str, values: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the most frequent values of a text signal in each group."""
    counted = values.group_by("group", pl.col("value").cast(pl.String)).agg(times=pl.len())
    counted = counted.sort(["times", "value"], descending=[True, False])
    for group in values["group"].value_counts().sort(["count", "group"], descending=[True, False])["group"]:
        mine = counted.filter(pl.col("group").eq_missing(pl.lit(group, pl.String)))
        told = mine.filter(pl.col("value").is_not_null())
        yield {
            "signal": name, "group": group, "documents": int(mine["times"].sum()), "measured": int(told["times"].sum()),
            "values": dict(told.head(GROUPS).select("value", "times").iter_rows()),
        }  # fmt: skip
