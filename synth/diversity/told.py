"""What a governor saw -> plain JSON, for a card, a verb and a page: the band of each number, and every group in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from synth.diversity.governor import Governor, Window
from synth.diversity.measures import NUMBERS

DIGITS = 5  # significant
MOST_WINDOWS = 200  # told of each group; of more, the first and last half as many


def told(governor: Governor) -> dict[str, Any]:
    """Return how large windows are, where the bands lie, and by axis and group: rows, weight, means and windows."""
    size, ends = governor.bands.size, governor.bands.ends()
    groups: dict[str, dict[str, Any]] = {}
    for axis, weights in governor.weights().items():
        for group, weight in weights.items():
            own = [window for window in governor.windows if (window.axis, window.group) == (axis, group)]
            groups.setdefault(axis, {})[group] = _group(own, weight=weight, rows=governor.rows(axis, group))
    return {
        "window": {"documents": size.documents, "words": size.words, "bytes": size.bytes},
        "most_words": governor.bands.most_words,
        "real_documents": governor.bands.num_documents,
        "numbers": {
            number.name: {
                "title": number.title, "unit": number.unit, "bad": number.bad, "judges": bool(judges),
                "real": _short(middle), "low": _short(low), "high": _short(high),
            }
            for number, judges, middle, (low, high) in zip(
                NUMBERS, governor.judged, governor.bands.middle, ends.tolist(), strict=True
            )
        },
        "groups": groups,
        "stop": governor.stop,
    }  # fmt: skip


def _group(windows: list[Window], *, weight: float, rows: int) -> dict[str, Any]:
    found: dict[str, Any] = {"rows": rows, "windows": len(windows), "weight": weight}
    if not windows:
        return found
    values, strays = (np.mean([getattr(window, name) for window in windows], axis=0) for name in ("found", "strays"))
    names = [number.name for number in NUMBERS]
    found["mean"] = dict(zip(names, map(_short, values.tolist()), strict=True))
    found["stray"] = dict(zip(names, map(_short, strays.tolist()), strict=True))
    found["novel"] = _short(windows[-1].novel)
    found["novel_mean"] = _short(float(np.mean([window.novel for window in windows])))
    half = MOST_WINDOWS // 2
    shown = windows if len(windows) <= MOST_WINDOWS else [*windows[:half], *windows[-half:]]
    found["course"] = [
        {
            "rows": window.rows, "farthest": _short(float(window.strays[window.judged].max(initial=0))),
            "left": list(window.left), "novel": _short(window.novel), "weight": window.weight,
        }
        for window in shown
    ]  # fmt: skip
    return found


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
