"""Which documents a model writes from: a seeded order of ids, the same however the dataset lies in shards.

Documents that are too short, that a model wrote already, or that show the same as an earlier one, are passed over and
counted; of a long one the beginning is shown, up to the last end of a paragraph or sentence that fits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from blake3 import blake3

from pipeline.core.rng import derive
from pipeline.core.step import Part
from synth.writing.origins import depth_of

COLUMNS = ("id", "text", "source", "origin", "lineage", "metadata")
AT_ONCE = 256  # documents read together: neighbours in the order lie anywhere


@dataclass(frozen=True, slots=True)
class Seed:
    """A document to write from, and as much of its text as a model is shown."""

    row: Mapping[str, Any]
    shown: str


class Seeds:
    """Hands out documents in the seeded order; `passed` counts by reason those that were passed over."""

    def __init__(self, parts: Sequence[Part], *, seed: int, min_chars: int, max_chars: int) -> None:
        self.passed: Counter[str] = Counter()
        self._shown: set[bytes] = set()  # of each document handed out, 16 bytes
        self._parts, self._min_chars, self._max_chars = parts, min_chars, max_chars
        key = derive(seed, "seeds").to_bytes(32, "little")
        self._places = [
            np.array([_rank(id, key=key) for id in part.load(("id",)).column("id").to_pylist()], dtype=np.uint64)
            for part in parts
        ]
        self.num_documents = sum(len(places) for places in self._places)
        self._next = self._all()

    def take(self, count: int) -> list[Seed]:
        """Return the next documents to write from; fewer than `count` when there are no more."""
        return [seed for _, seed in zip(range(count), self._next, strict=False)]  # in this order: none is lost

    def _all(self) -> Iterator[Seed]:
        where = np.array([part for part, places in enumerate(self._places) for _ in places], dtype=np.int64)
        position = np.concatenate([np.arange(len(places)) for places in self._places] or [np.empty(0, np.int64)])
        order = np.argsort(np.concatenate(self._places or [np.empty(0, np.uint64)]), kind="stable")
        for start in range(0, len(order), AT_ONCE):
            yield from self._usable(where[order[start : start + AT_ONCE]], position[order[start : start + AT_ONCE]])

    def _usable(self, where: np.ndarray, position: np.ndarray) -> Iterator[Seed]:
        rows: list[Mapping[str, Any] | None] = [None] * len(where)
        for part in np.unique(where).tolist():
            mine = np.flatnonzero(where == part)
            found = self._parts[part].load_some(COLUMNS, position[mine]).to_pylist()
            for at, row in zip(mine.tolist(), found, strict=True):
                rows[at] = row
        for row in rows:
            assert row is not None
            if len(row["text"]) < self._min_chars:
                self.passed["too short to write from"] += 1
            elif depth_of(row):
                self.passed["written by a model already"] += 1
            elif not self._is_new(shown := beginning(row["text"], max_chars=self._max_chars)):
                self.passed["shows the same as an earlier one"] += 1
            else:
                yield Seed(row, shown)

    def _is_new(self, shown: str) -> bool:
        before = len(self._shown)
        self._shown.add(blake3(shown.encode()).digest(16))
        return len(self._shown) > before


def beginning(text: str, *, max_chars: int) -> str:
    """Return a text, or as much of its beginning as ends with a paragraph, else a sentence, else a word."""
    if len(text) <= max_chars:
        return text
    cut = text[:max_chars]
    for end in ("\n\n", "\n", ". ", " "):
        at = cut.rfind(end)
        if at > max_chars // 2:
            return cut[: at + len(end)].rstrip()
    return cut


def _rank(id: str, *, key: bytes) -> int:
    return int.from_bytes(blake3(id.encode(), key=key).digest(8), "little")
