"""Bits of held-out documents under two mixtures -> which of them changed most, with the text that was predicted.

A mean over thousands of documents hides what a mixture forgot. A document's gain is its bits saved, averaged over the
proxies that are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.files.parquet.shards import read_table
from pipeline.store.results import document_paths


@dataclass(frozen=True, slots=True)
class Changed:
    """One held-out document; `saved` is how many bits fewer it needs, negative for more."""

    doc_id: str
    saved: float
    num_bytes: int  # that were predicted: of a long document its beginning
    text: str  # as far as it was predicted

    @property
    def rate(self) -> float:
        """Bits saved for each byte."""
        return self.saved / self.num_bytes


@dataclass(frozen=True, slots=True)
class ChangedOn:
    """The documents of one held-out set, and those at both ends of the list, the most changed first."""

    domain: str
    num_better: int
    saved: np.ndarray  # float64[D], bits; not finite where a proxy broke on the document
    num_bytes: np.ndarray  # int64[D]
    gained: tuple[Changed, ...]
    lost: tuple[Changed, ...]

    @property
    def num_documents(self) -> int:
        return len(self.saved)


def changed_on(
    domain: str, *, folder: Path, ids: Sequence[str], num_bytes: np.ndarray, saved: np.ndarray, per_side: int
) -> ChangedOn:
    """Return how the documents of a held-out set changed, `per_side` of them each way with text; `folder` holds it."""
    known = np.flatnonzero(np.isfinite(saved))
    order = known[np.argsort(saved[known], kind="stable")]
    lost = [int(row) for row in order[:per_side] if saved[row] < 0]
    gained = [int(row) for row in order[::-1][:per_side] if saved[row] > 0]
    texts = _texts(folder, [ids[row] for row in (*lost, *gained)])

    def changed(row: int) -> Changed:
        size = int(num_bytes[row])
        text = texts.get(ids[row], "").encode()[:size].decode(errors="ignore")
        return Changed(doc_id=ids[row], saved=float(saved[row]), num_bytes=size, text=text)

    return ChangedOn(
        domain=domain,
        num_better=int((saved > 0).sum()),
        saved=saved,
        num_bytes=num_bytes,
        gained=tuple(changed(row) for row in gained),
        lost=tuple(changed(row) for row in lost),
    )


def _texts(folder: Path, ids: Sequence[str]) -> dict[str, str]:
    wanted, found = pa.array(ids, pa.string()), dict[str, str]()
    for path in document_paths(folder) if ids else ():
        table = read_table(path, columns=["id", "text"])
        table = table.filter(pc.is_in(table.column("id"), value_set=wanted))
        found |= dict(zip(table.column("id").to_pylist(), table.column("text").to_pylist(), strict=True))
    return found
