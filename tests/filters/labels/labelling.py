"""A room for the label step: documents in memory, a real folder, and everything that was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from filters.labels.label import Label
from pipeline.core.step import Gathering, Part

LESSON = (
    "A binary search finds a value in a sorted list by halving the part in which it can be. Because the list is "
    "sorted, a comparison with the middle element is enough to discard half of the rest, so that a list of 1000 "
    "elements needs 10 comparisons and one of 1000000 needs 20. For example, to find 7 in the list 1, 3, 7, 9, 12 the "
    "algorithm looks "
    "at 7 first and stops. The method is a case of divide and conquer, which means that its cost depends on the number "
    "of times that the list can be halved: this is the logarithm of the length. However, if the list is not sorted, "
    "the answer is wrong, since the discarded half can hold the value. The definition of the order does not matter as "
    "long as it is a total order; integers, strings and dates work alike."
)
LICENCE = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software. The software is "
    "provided as is, without warranty of any kind, and the copyright holders are not liable for any claim. All rights "
    "reserved. Redistributions must retain the above copyright notice and this license."
)
CHANGES = "1.2.3\n- Fixed #1234\n- bump to 4.5\n1.2.2\n- Fixed #1200\n- merged pull request #1190\n"


TEXTS = {"a/lesson": LESSON, "a/licence": LICENCE, "b/bio": "How a virus enters a cell.", "b/long": "An endless text."}


@dataclass(frozen=True)
class Rows:
    """The documents of one part, in memory."""

    table: pa.Table

    def load(self, columns: Sequence[str]) -> pa.Table:
        return self.table.select(list(columns))


def documents(texts: Mapping[str, str]) -> pa.Table:
    return pa.table(
        {
            "id": pa.array(list(texts), type=pa.string()),
            "text": pa.array(list(texts.values()), type=pa.large_string()),
            "source": pa.array([id.split("/")[0] for id in texts], type=pa.string()),
        }
    )


class Room:
    """A Gathering over in-memory parts that keeps what was written."""

    def __init__(self, folder: Path, texts: Mapping[str, str], *, num_parts: int = 1, inputs: Any = None) -> None:
        self.columns: dict[str, dict[str, Any]] = {}
        self.said: list[str] = []
        table, cuts = documents(texts), np.linspace(0, len(texts), num_parts + 1).astype(int).tolist()
        parts = [
            Part(index=index, num_rows=end - start, reader=Rows(table.slice(start, end - start)))
            for index, (start, end) in enumerate(pairwise(cuts))
        ]
        folder.mkdir(parents=True, exist_ok=True)
        self.work = Gathering(
            parts=parts, scratch=folder, output=folder, seed=17, inputs=inputs or {},
            map=lambda function, items, label: [function(item) for item in items], write=self._write,
            say=self.said.append, ledger=folder / "ledger.sqlite",
        )  # fmt: skip

    def _write(self, part: Part, columns: Mapping[str, Any]) -> None:
        ids = part.load(("id",)).column("id").to_pylist()
        for row, id in enumerate(ids):
            self.columns[id] = {name: values[row] for name, values in columns.items()}

    def run(self, **params: Any) -> Room:
        Label(params=Label.Params.parse(params)).gather(self.work)
        return self

    @property
    def graded(self) -> dict[str, float]:
        return {id: row["grade"] for id, row in self.columns.items() if row["grade"] is not None}


def many(count: int) -> dict[str, str]:
    """Texts of two sources and four lengths."""
    return {
        f"{'web' if n % 4 else 'books'}/{n}": f"Document {n}. " + "A sentence that is here for length. " * 4 ** (n % 4)
        for n in range(count)
    }
