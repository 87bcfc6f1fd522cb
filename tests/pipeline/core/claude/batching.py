"""What the tests of batches share: a quick pace, what the ledger holds, and which request is which."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.core.claude.batches.desk import Pacing
from tests.batch_server import Item

FAST = Pacing(most_requests=8, poll_seconds=0.01, longest_poll_seconds=0.02, grace_seconds=0.05)


def rows(folder: Path, query: str) -> list[Any]:
    database = sqlite3.connect(folder / "ledger.sqlite")
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


def outcomes(folder: Path) -> dict[str, int]:
    return dict(rows(folder, "SELECT coalesce(outcome, 'open'), count(*) FROM attempts GROUP BY 1"))


def states(folder: Path) -> list[str]:
    return [state for (state,) in rows(folder, "SELECT state FROM batches ORDER BY key")]


def number_of(body: Mapping[str, Any]) -> int:
    return int(body["messages"][0]["content"].split()[1])


def only(number: int, item: Item) -> Callable[[Mapping[str, Any], str], Item]:
    return lambda body, custom_id: item if number_of(body) == number else Item()


def foreign(count: int) -> list[dict[str, Any]]:
    return [{"custom_id": f"theirs-{n}", "params": {"model": "m", "messages": [n]}} for n in range(count)]
