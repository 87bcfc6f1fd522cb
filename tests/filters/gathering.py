"""Runs a gathering step over tables in memory: real parts and a real scratch folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.core.step import Gathering, GatheringStep, Part, Signal, as_column

TEXT = Signal("text", pa.large_string(), "text", "The new text; null where it stays as it is.")


@dataclass(frozen=True)
class TableReader:
    documents: pa.Table
    signals: pa.Table

    def load(self, columns: Sequence[str]) -> pa.Table:
        return self.documents.select(list(columns))

    def load_rows(self, columns: Sequence[str], rows: Sequence[int]) -> pa.Table:
        return self.load(columns).take(pa.array(rows, pa.int64()))

    def alive(self) -> np.ndarray:
        return np.ones(self.documents.num_rows, bool)

    def load_signals(self, names: Sequence[str]) -> pa.Table:
        return self.signals.select(list(names))


@dataclass
class Gathered:
    """What a step wrote: signals of all documents in part order, and the details of its card."""

    signals: pa.Table
    details: dict[str, Any]
    said: list[str]

    def column(self, name: str) -> list[Any]:
        return self.signals.column(name).to_pylist()


def parts_of(
    texts: Sequence[str], *, num_parts: int = 1, signals: Mapping[str, Any] | None = None,
    sources: Sequence[str] | None = None,
) -> list[Part]:  # fmt: skip
    """Cut texts into parts; document i is called `d<i>`, and all are of one source unless `sources` says otherwise."""
    documents = pa.table(
        {
            "id": [f"d{index}" for index in range(len(texts))],
            "text": pa.array(texts, pa.large_string()),
            "source": list(sources or ["docs"] * len(texts)),
        },
    )
    columns = pa.table(dict(signals or {}))
    bounds = [len(texts) * index // num_parts for index in range(num_parts + 1)]
    parts = []
    for index in range(num_parts):
        first, length = bounds[index], bounds[index + 1] - bounds[index]
        reader = TableReader(documents=documents.slice(first, length), signals=columns.slice(first, length))
        parts.append(Part(index=index, num_rows=length, reader=reader))
    return parts


def here(function: Callable[[Any], Any], items: Iterable[Any], *, label: str) -> list[Any]:
    """Do the work in this process, in order."""
    return [function(item) for item in items]


def gather(
    step: GatheringStep, parts: Sequence[Part], *, scratch: Path, run: Callable[..., list[Any]] = here,
    memory_bytes: int = 2 << 30,
) -> Gathered:  # fmt: skip
    """Run the step; raises if it writes a part twice, not at all, or with other signals than it declares."""
    written: dict[int, pa.Table] = {}
    said: list[str] = []

    def write(part: Part, values: Mapping[str, Any]) -> None:
        assert part.index not in written
        assert set(values) == {signal.name for signal in step.signals} | ({"text"} if step.edits else set())
        columns = {signal.name: as_column(values[signal.name], signal=signal) for signal in step.signals}
        if step.edits:
            columns["text"] = as_column(values["text"], signal=TEXT)
        written[part.index] = pa.table(columns)
        assert written[part.index].num_rows == part.num_rows

    scratch.mkdir(parents=True, exist_ok=True)
    work = Gathering(
        parts=parts, scratch=scratch, output=scratch, seed=17, inputs={}, map=run, write=write,
        say=said.append, ledger=scratch / "ledger", memory_bytes=memory_bytes,
        signals_before=parts[0].reader.signals.column_names if parts else [],
    )  # fmt: skip
    step.gather(work)
    assert set(written) == {part.index for part in parts}
    signals = pa.concat_tables([written[index] for index in sorted(written)])
    return Gathered(signals=signals, details=work.details, said=said)
