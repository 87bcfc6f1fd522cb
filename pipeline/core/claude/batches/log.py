"""What the ledger knows of Message Batches: which were meant, which exist, and what became of each request in them.

    batch     INTENDED -> OPEN -> ENDED | LOST, or REFUSED, or ABSENT

INTENDED is committed with an attempt for every request before the batch is sent; its number at the server is not known
then, and after a lost answer or a crash it is looked for in the server's own list. REFUSED: the server said no, so
nothing of it is billed. ABSENT: the list does not have it, so it was not created. LOST: its results can no longer be
had, so what it may have cost is in doubt. Results land in portions, one transaction each; a batch is ENDED in the one
that closes the attempts that no result was for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.core.claude.ledger.ledger import ATTEMPT, Ledger
from pipeline.core.claude.server.setbacks import Setback

Closed = Literal["ENDED", "REFUSED", "ABSENT", "LOST"]


@dataclass(frozen=True, slots=True)
class LoggedBatch:
    """A batch that is not settled: its results have not all landed."""

    key: int
    server_id: str | None  # None: nobody knows whether it was created
    endpoint: str
    intended_at: float  # seconds since 1970
    size: int


@dataclass(frozen=True, slots=True)
class Sent:
    """One request in a batch."""

    attempt: int
    request: str
    model: str
    reserved_nano: int
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Landed:
    """What one line of results says of a request: an answer (`raw`), or why there is none."""

    sent: Sent
    outcome: Literal["answered", "rejected", "in_doubt"]
    setback: Setback | None = None
    raw: bytes = b""
    usage: Mapping[str, Any] = field(default_factory=dict)
    cost_nano: int = 0
    price: str = ""

    @property
    def error(self) -> str:
        return "" if self.setback is None else self.setback.reason

    @property
    def spent_nano(self) -> int:
        """What it counts as having cost."""
        return {"answered": self.cost_nano, "rejected": 0, "in_doubt": self.sent.reserved_nano}[self.outcome]


class BatchLog:
    """The batches in a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def record_intent(self, requests: Sequence[tuple[str, int]], *, endpoint: str, keep: str = "") -> LoggedBatch:
        """Make durable that (request, reserved nanodollars) will be sent in one batch; before the first byte."""
        self._ledger.may_pay()
        now, buyer = time.time(), self._ledger.buyer
        with self._ledger.transaction() as database:
            insert = "INSERT INTO batches(endpoint, intended_at, size) VALUES (?,?,?)"
            key = int(database.execute(insert, (endpoint, now, len(requests))).lastrowid or 0)
            database.executemany(
                "UPDATE requests SET state='SENT', reason='' WHERE id=?", [(id,) for id, _ in requests]
            )
            database.executemany(
                ATTEMPT,
                [
                    (id, _sent_in(key), endpoint, now, reserved, buyer.recipe, buyer.step, keep)
                    for id, reserved in requests
                ],
            )
        return LoggedBatch(key, None, endpoint, now, len(requests))

    def record_created(self, key: int, server_id: str) -> None:
        """Record the number by which the server knows a batch."""
        with self._ledger.transaction() as database:
            database.execute("UPDATE batches SET server_id=?, state='OPEN' WHERE key=?", (server_id, key))

    def record_landed(self, landed: Sequence[Landed]) -> None:
        """Store some lines of results in one transaction."""
        now = time.time()
        answered = [(one.sent.request, one) for one in landed if one.outcome == "answered"]
        with self._ledger.transaction() as database:
            database.executemany(
                "INSERT INTO answers(request, attempt, raw, usage, cost_nano, price, landed_at) VALUES (?,?,?,?,?,?,?)",
                [
                    (
                        id,
                        one.sent.attempt,
                        one.raw,
                        json.dumps(one.usage, sort_keys=True),
                        one.cost_nano,
                        one.price,
                        now,
                    )
                    for id, one in answered
                ],
            )
            database.executemany("UPDATE requests SET state='LANDED' WHERE id=?", [(id,) for id, _ in answered])
            database.executemany(
                "UPDATE attempts SET outcome=?, error=?, ended_at=? WHERE attempt=?",
                [(one.outcome, one.error, now, one.sent.attempt) for one in landed],
            )

    def close(self, key: int, state: Closed, *, reason: str) -> list[Sent]:
        """Settle a batch; return the requests in it that nothing landed for. `ENDED` and `LOST` leave them in doubt."""
        outcome = "in_doubt" if state in ("ENDED", "LOST") else "rejected"
        left = [sent for sent in self.sent(key).values() if sent.outcome is None]
        now = time.time()
        with self._ledger.transaction() as database:
            database.executemany(
                "UPDATE attempts SET outcome=?, error=?, ended_at=? WHERE attempt=?",
                [(outcome, reason, now, sent.attempt) for sent in left],
            )
            database.execute("UPDATE batches SET state=?, reason=? WHERE key=?", (state, reason, key))
        return left

    def unsettled(self, requests: Sequence[str] | None = None) -> list[LoggedBatch]:
        """Return the batches that are not settled, oldest first; only those that hold one of `requests`, if given."""
        columns = "key, server_id, batches.endpoint, intended_at, size"
        query = f"SELECT {columns} FROM batches WHERE state IN ('INTENDED', 'OPEN') ORDER BY key"
        if requests is None:
            with self._ledger.transaction() as database:
                return [LoggedBatch(*row) for row in database.execute(query)]
        held = (
            "SELECT DISTINCT sent_in FROM attempts JOIN wanted ON request = wanted.id "
            "WHERE outcome IS NULL AND sent_in != 'single'"
        )
        keys = {sent_in for (sent_in,) in self._ledger.ask(held, requests)}
        return [batch for batch in self.unsettled() if _sent_in(batch.key) in keys] if keys else []

    def sent(self, key: int) -> dict[str, Sent]:
        """Return the requests of a batch, by id."""
        query = (
            "SELECT attempt, request, model, reserved_nano, outcome FROM attempts JOIN requests ON id = request "
            "WHERE sent_in = ? AND sent_in != 'single' ORDER BY attempt"
        )
        with self._ledger.transaction() as database:
            return {row[1]: Sent(*row) for row in database.execute(query, (_sent_in(key),))}

    def known_ids(self, endpoint: str) -> set[str]:
        """Return the numbers of all batches at an address that the ledger knows; another may have the same."""
        query = "SELECT server_id FROM batches WHERE server_id IS NOT NULL AND endpoint = ?"
        with self._ledger.transaction() as database:
            return {id for (id,) in database.execute(query, (endpoint,))}


def _sent_in(key: int) -> str:
    return f"batch:{key}"
