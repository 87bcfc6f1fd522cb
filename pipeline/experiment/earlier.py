"""Comparisons that the workspace holds already -> how much single proxies of this kind differ by chance.

Lanes count that were trained on as many tokens of the same tier, at the same learning rate, by the same versions,
device and precision, and scored on the same held-out documents; of each draw of rows once, and none that the new
comparison makes itself: an edit of the recipe that changes no token would give the very same lanes again, which know
nothing new. Looked up when a comparison is built and stored in its card, as what it rests on; what is learnt later
changes no verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.core.errors import TamisError
from pipeline.core.files.card import CARD, Card, read_card
from pipeline.core.files.shards import read_table

SAME = ("engine", "eval", "tier", "tokens", "group_by", "torch")  # of a comparison's payload
BUILT = ("documents", "device", "precision")  # of its card's details


def earlier_lanes(folder: Path, payload: Mapping[str, Any], details: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return, for each learning rate, variance and freedom by domain and `overall`, and whose lanes gave them.

    `folder`, `payload` and `details` are the new comparison's; beside its folder the earlier ones lie. A result that
    cannot be read is left out: it is not this comparison's to repair.
    """
    found = []
    for rate in payload["learning_rates"]:
        arms: dict[str, tuple[str, dict[str, np.ndarray]]] = {}
        for path in sorted(folder.parent.glob(f"*/{CARD}")):
            if path.parent == folder:
                continue
            try:
                card = read_card(path.parent)
                lanes = _lanes_of(card, path.parent, payload, details, rate=rate)
            except TamisError:
                continue
            for draw, values in lanes.items():
                known = arms.get(draw)
                if known is None or len(values["overall"]) > len(known[1]["overall"]):
                    arms[draw] = (card.identity, values)
        for draw in details["draws"].values():
            arms.pop(draw, None)
        if arms:
            found.append(_summary(rate, arms))
    return found


def _lanes_of(
    card: Card, folder: Path, payload: Mapping[str, Any], details: Mapping[str, Any], *, rate: float
) -> dict[str, dict[str, np.ndarray]]:
    """Return draw of rows -> domain -> bits per byte of each healthy lane, where the comparison is of this kind."""
    same = all(card.payload.get(key) == payload[key] for key in SAME)
    if not same or any(card.details.get(key) != details[key] for key in BUILT):
        return {}
    table = read_table(folder / "bits.parquet")
    found = {}
    for name, draw in card.details["draws"].items():
        lanes = [
            lane["lane"]
            for lane in card.details["lanes"]
            if lane["mixture"] == name and lane["learning_rate"] == rate and lane["healthy"]
        ]
        if len(lanes) >= 2:
            found[draw] = by_domain(table, lanes)
    return found


def by_domain(table: pa.Table, lanes: list[str]) -> dict[str, np.ndarray]:
    """Return bits per byte of every lane, float64[S], in each domain of a bits table and `overall`, their mean."""
    domain_D = np.array(table.column("domain").to_pylist())
    bytes_D = table.column("num_bytes").to_numpy()
    bits_SD = np.stack([table.column(name).to_numpy() for name in lanes])
    rates = {}
    for domain in sorted(set(domain_D.tolist())):
        mine = domain_D == domain
        rates[str(domain)] = bits_SD[:, mine].sum(axis=1) / bytes_D[mine].sum()
    return {**rates, "overall": np.mean(list(rates.values()), axis=0)}


def _summary(rate: float, arms: Mapping[str, tuple[str, dict[str, np.ndarray]]]) -> dict[str, Any]:
    from dataclasses import asdict

    from eval.deviation import of_arms

    values = [lanes for _, lanes in arms.values()]
    return {
        "learning_rate": rate,
        "comparisons": sorted({identity for identity, _ in arms.values()}),
        "lanes": sum(len(item["overall"]) for item in values),
        "deviations": {name: asdict(of_arms(*(item[name] for item in values))) for name in values[0]},
    }
