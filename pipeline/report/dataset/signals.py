"""A dataset's stored signals: their names and types, and some columns of one part at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from pipeline.store.dataset.chain import EDITS, ERROR, BasePart, Link
from pipeline.store.evidence import Evidence

Map = Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]


def one_by_one(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """Return what a function gives for each item, in this process."""
    return [function(item) for item in items]


class Signals:
    """The signals of one dataset's steps, read anew at every look: a few columns of one part at a time.

    `map` is asked to look at parts: of a picklable function and items, in worker processes where there are some.
    """

    def __init__(self, evidence: Evidence, *, map: Map = one_by_one) -> None:
        self.evidence = evidence
        self.map = map
        self._schemas: dict[str, pa.Schema] = {}

    def names(self, link: Link) -> list[str]:
        return [name for name in self._schema(link).names if name not in (ERROR, *EDITS)]

    def texts(self, link: Link) -> list[str]:
        """Return the names of the signals that are text."""
        schema = self._schema(link)
        return [name for name in self.names(link) if pa.types.is_string(schema.field(name).type)]

    def parts(self, link: Link, names: Sequence[str]) -> Iterator[tuple[BasePart, pa.Table]]:
        """Yield each part with some of its signals."""
        for part in self.evidence.chain.base if names else ():
            yield part, self.evidence.signals(link, part, names)

    def _schema(self, link: Link) -> pa.Schema:
        base = self.evidence.chain.base
        if link.label not in self._schemas:
            self._schemas[link.label] = self.evidence.signals_schema(link, base[0]) if base else pa.schema([])
        return self._schemas[link.label]
