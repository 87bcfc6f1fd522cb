"""A card that tries to use a claim -> what it did to the documents that the claim is about, written down once.

The card's proxies and the incumbent's were scored on the same held-out documents; of those, the ones that have what is
claimed are taken, and beside them the others. Their gain says whether the claim is supported, refuted or open.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.core.errors import TamisError
from pipeline.core.files.parquet.shards import read_table
from pipeline.experiment.scores import BITS
from pipeline.queries.errors.rounds import documents_with
from pipeline.research.proposers.said import to_try
from pipeline.research.record.card import Card
from pipeline.research.search.bench import Asked
from pipeline.research.search.search import Search

PROXIES = 3  # of a card that tries to use a claim: of one nothing would be known but its sign


def weigh(search: Search) -> bool:
    """Write down what came of the first card that tried to use a claim that was not weighed; say if there was one."""
    standing = search.standing
    for number, card in standing.cards.items():
        if card.claim and card.claim not in standing.weighed and number in standing.results:
            search.write("weighed", claim=card.claim, card=card.id, number=number, **_outcome(search, card))
            return True
    return False


def _outcome(search: Search, card: Card) -> dict[str, Any]:
    """Return verdict, gain with its interval and what others gained; or why it is open."""
    from eval.claims.tried import outcome_of

    result = search.standing.results[card.number]
    if result.status != "done":
        return {"verdict": "open", "why": f"its card was {result.status}: {result.why}"}
    found = next((each for each in to_try(search.recipe, search.bench.workspace) if each.claim.id == card.claim), None)
    documents = {} if found is None else documents_with(found.folder, card.claim)
    has = {name: {doc_id for doc_id, so in each.items() if so} for name, each in documents.items()}
    others = {name: {doc_id for doc_id, so in each.items() if not so} for name, each in documents.items()}
    count = sum(map(len, has.values()))
    if not count:
        return {"verdict": "open", "why": "which documents have what it claims was not kept; hold another round"}
    base = [
        seed for number, each in search.standing.cards.items()
        if not each.edits and number in search.standing.results
        for seed in search.standing.results[number].goals
    ]  # fmt: skip
    asked = [
        Asked(search.name_of(card), card.edits, tuple(int(seed) for seed in result.goals)),
        Asked(search.research.incumbent, (), tuple(sorted({int(seed) for seed in base}))),
    ]
    try:
        folders = [search.bench.scores_of(each) for each in asked]
        rates = [[_rate(by_set, has) for by_set in each.values()] for each in folders]
        beside = [[_rate(by_set, others) for by_set in each.values()] for each in folders]
    except TamisError as error:
        return {"verdict": "open", "why": f"its scores cannot be read ({error})"}
    claims = len({each.claim for each in search.standing.cards.values() if each.claim})
    found_out = outcome_of(rates[0], rates[1], claims=claims, least=search.gate.min_gain)
    if found_out is None:
        return {"verdict": "open", "why": "too few proxies trained to tell chance from a gain"}
    return {
        "verdict": found_out.verdict, "gain": found_out.gain, "low": found_out.low, "high": found_out.high,
        "proxies": found_out.proxies, "documents": count, "others_gain": float(np.mean(beside[1]) - np.mean(beside[0])),
    }  # fmt: skip


def _rate(folders: Mapping[str, Path], wanted: Mapping[str, set[str]]) -> float:
    """Return the bits per byte of one proxy on some documents of its held-out sets."""
    bits, size = 0.0, 0
    for name, ids in wanted.items():
        if name in folders and ids:
            table = read_table(folders[name] / BITS, columns=["id", "num_bytes", "bits"])
            mine = np.isin(np.array(table.column("id").to_pylist(), str), np.array(sorted(ids), str))
            table = table.filter(pa.array(mine))
            bits += float(np.sum(table.column("bits").to_numpy()))
            size += int(np.sum(table.column("num_bytes").to_numpy()))
    return bits / max(size, 1)
