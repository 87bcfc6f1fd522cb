"""Earlier grades of the same documents, set by set -> how far grades moved since each, and whether that may be chance.

Who looks at ten earlier sets finds, by chance alone, one that moved in four of ten cases: so a set only counts as moved
where the interval excludes 0 after it was widened for the number of sets looked at (Bonferroni: 1 - 0.05 / sets).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from filters.labels.sample.brought import Here
from filters.labels.teachers.agreement import LEAST_PAIRS, Pair, agreement, shift
from filters.labels.teachers.grading import Grading


def drift_of(earlier: Mapping[str, Here], now: Mapping[int, Grading], *, seed: int) -> dict[str, Any]:
    """Return the shift since every set that has documents of now, with its place in time, the oldest first.

    `sure_low` and `sure_high` are the ends of the interval that was widened for `looks` sets.
    """
    told = {name: (here, both) for name, here in earlier.items() if (both := here.pairs(now))}
    looks = max(sum(len(both) >= LEAST_PAIRS for _, both in told.values()), 1)
    found: dict[str, Any] = {}
    for place, (name, (here, both)) in enumerate(told.items()):
        sure = shift(both, looks=looks)
        moved = sure["low"] is not None and (sure["low"] > 0 or sure["high"] < 0)
        found[name] = of_file(here, both, seed=seed) | shift(both) | {
            "place": place, "looks": looks, "sure_low": sure["low"], "sure_high": sure["high"], "moved": moved,
        }  # fmt: skip
    return found


def drift_warnings(found: Mapping[str, Any]) -> list[str]:
    """Return what to say of every set since which grades moved."""
    return [
        f"label: grades are {'higher' if one['shift'] > 0 else 'lower'} than those of {one['file']} by "
        f"{abs(one['shift']):.2f} on the {one['documents']} documents that both graded ({one['sure_low']:+.3f} to "
        f"{one['sure_high']:+.3f}, widened for {one['looks']} earlier set{'s' * (one['looks'] > 1)}): the two are not "
        "on one scale, so learn from one of them, and see by question what moved (label card)"
        for one in found.values()
        if one["moved"]
    ]


def of_file(here: Here, pairs: Sequence[Pair], *, seed: int) -> dict[str, Any]:
    """Return what a file of grades is, how much of it is here, and how far it agrees."""
    named = {"file": here.file.path.name, "blake3": here.file.blake3, "title": here.file.title}
    counts = {"graded": len(here.file.first), "here": len(here.keys), "documents": len(pairs)}
    wrong = {"wrong_rows": dict(here.file.wrong), "wrong_examples": list(here.file.wrong_examples)}
    return named | counts | {"agreement": agreement(pairs, seed=seed), **(wrong if here.file.wrong else {})}
