"""The columns of the documents that an audit read: of one dataset, or of two that are held against each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from filters.audit.measured import Measured


@dataclass(frozen=True, slots=True)
class Labels:
    """A name for each document; each different one is held once, as an array of the longest width would be of all."""

    names: np.ndarray  # object[num_names], str, in order
    codes: np.ndarray  # int64[num_docs], places in `names`

    @staticmethod
    def of(values: Iterable[str]) -> Labels:
        """Return the labels of documents in their order."""
        numbers: dict[str, int] = {}
        codes = np.array([numbers.setdefault(str(value), len(numbers)) for value in values], np.int64)
        names = sorted(numbers)
        place = np.empty(len(names), np.int64)
        place[[numbers[name] for name in names]] = np.arange(len(names))
        return Labels(np.array(names, object), place[codes])

    @staticmethod
    def joined(pieces: Sequence[Labels]) -> Labels:
        """Return the labels of all pieces, one after the other."""
        return Labels.of(name for piece in pieces for name in piece.names[piece.codes])

    def are(self, name: str) -> np.ndarray:
        """Return bool[num_docs]: whose label it is."""
        return np.asarray((self.names == name)[self.codes], np.bool_)


@dataclass(frozen=True, slots=True)
class Columns:
    """All documents, old ones first. Rows say which are which; a number of the columns stands for a document."""

    measured: Measured
    old: np.ndarray  # int64, rows of the documents that the floor is of
    new: np.ndarray | None  # rows of those that are held against them
    labels: Mapping[str, Labels]  # source, origin, host, year
    signals: Mapping[str, np.ndarray]  # float64[num_docs], stored by both chains; NaN where a step did not say
    tokens: np.ndarray | None = None  # int64[num_docs], by a frozen tokenizer


def code_of(values: np.ndarray) -> np.ndarray:
    """Return int64[num_values]: the number of each value among the different ones."""
    return np.unique(values, return_inverse=True)[1]
