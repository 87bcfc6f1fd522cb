"""What comes together in a dataset: documents of one host, or near-duplicates. A floor's halves are cut between them.

Documents of one host are alike, and a crawl has a host or has it not. Halves of documents would both have every host
and differ far less than two crawls of the same web do (Efron and Tibshirani 1993, chapter 8, on resampling by blocks).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from filters.audit.columns import Labels
from filters.audit.spread import effective_number

UNKNOWN = "(unknown)"
LEAST_UNITS = 20  # effective: of fewer, halves of equal size would have to cut through them


@dataclass(frozen=True, slots=True)
class Units:
    """The unit of every document."""

    codes: np.ndarray  # int64[num_docs]
    by_host: bool
    cut_by: str  # in words


def units_of(hosts: Labels | None, near: np.ndarray, *, old: np.ndarray) -> Units:
    """Return units by host where it is known, else clusters of near-duplicates; single documents where these are few.

    `near` int64[num_docs], the cluster of each.
    """
    _, clusters = np.unique(near, return_inverse=True)
    if hosts is not None and not hosts.are(UNKNOWN)[old].all():
        mixed = np.where(hosts.are(UNKNOWN), len(hosts.names) + clusters, hosts.codes)
        if _enough(mixed[old]):
            return Units(mixed, True, "host: documents of one host are in one half")
    if _enough(clusters[old]):
        return Units(clusters, False, "document, near-duplicates together")
    return Units(np.arange(len(near)), False, "document")


def _enough(codes: np.ndarray) -> bool:
    return effective_number(np.bincount(codes)) >= LEAST_UNITS
