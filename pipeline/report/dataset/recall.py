"""The audit in the card of a MinHash step -> recall and precision by similarity, as the report puts them first.

Expected in `details["audit"]` (`filters/dedup/minhash_audit.py` writes it): recall and recall_bins of planted copies,
and kept_twins, the sample of joined pairs with their true similarities. What is missing is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.core.files.card import Card
from pipeline.report.draw import figures


@dataclass(frozen=True, slots=True)
class Bin:
    """Pairs of one range of true similarity."""

    similarity: str
    planted: int | None
    recall: str
    interval: str
    theory: str
    joined: int
    share: str  # of all joined pairs that were sampled
    alike: bool  # as alike as a joined pair should be


@dataclass(frozen=True, slots=True)
class Audit:
    """How good one run of a deduplication was by its own measurement."""

    recall: str
    planted: int
    precision: str
    joined: int
    wanted: str  # similarity from which a joined pair counts as right
    bins: tuple[Bin, ...]


def audit_in(card: Card) -> Audit | None:
    """Return what a step measured of itself, if it did."""
    found = card.details.get("audit")
    if not isinstance(found, Mapping) or not {"recall", "kept_twins"} <= set(found):
        return None
    recall, joined = found["recall"], found["kept_twins"]
    precision, pairs = joined["precision"], joined.get("pairs_at_jaccard", {})
    by_range: dict[str, Mapping[str, Any]] = {str(entry["jaccard"]): entry for entry in found.get("recall_bins", ())}
    wanted = float(joined.get("wanted_jaccard", 0.0))
    ranges = sorted({*by_range, *pairs}, key=lambda name: float(name.partition(" to ")[0]))
    return Audit(
        recall=_share(recall), planted=int(recall["pairs"]),
        precision=_share(precision), joined=int(precision["pairs"]), wanted=figures.fixed(wanted, 2),
        bins=tuple(_bin(name, by_range.get(name), int(pairs.get(name, 0)), precision, wanted) for name in ranges),
    )  # fmt: skip


def _bin(name: str, entry: Mapping[str, Any] | None, joined: int, precision: Mapping[str, Any], wanted: float) -> Bin:
    recall = entry["recall"] if entry is not None else None
    return Bin(
        similarity=name,
        planted=int(recall["pairs"]) if recall is not None else None,
        recall=figures.fixed(recall["share"], 2) if recall is not None else "",
        interval=f"{recall['low']:.2f} to {recall['high']:.2f}" if recall is not None else "",
        theory=figures.fixed(entry["theory"], 2) if entry is not None else "",
        joined=joined,
        share=figures.share(joined, precision["pairs"]) if joined else "",
        alike=float(name.partition(" to ")[2] or 1.0) > wanted,
    )


def _share(found: Mapping[str, Any]) -> str:
    return f"{found['share']:.2f} ({found['low']:.2f} to {found['high']:.2f})" if found["pairs"] else "not measured"
