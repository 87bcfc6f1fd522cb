"""The columns of the documents that an audit read: of one dataset, or of two that are held against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from filters.audit.measured import Measured


@dataclass(frozen=True, slots=True)
class Columns:
    """All documents, old ones first. Rows say which are which; a number of the columns stands for a document."""

    measured: Measured
    old: np.ndarray  # int64, rows of the documents that the floor is of
    new: np.ndarray | None  # rows of those that are held against them
    labels: Mapping[str, np.ndarray]  # str[num_docs]: source, host, year, topic
    signals: Mapping[str, np.ndarray]  # float64[num_docs], stored by both chains; NaN where a step did not say
    tokens: np.ndarray | None = None  # int64[num_docs], by a frozen tokenizer


def code_of(values: np.ndarray) -> np.ndarray:
    """Return int64[num_values]: the number of each value among the different ones."""
    return np.unique(values, return_inverse=True)[1]
