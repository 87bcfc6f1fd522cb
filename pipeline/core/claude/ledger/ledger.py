"""The durable log of paid requests: what was asked, when it left, what came back, what it cost.

One SQLite file (WAL, synchronous=FULL) in the workspace. A request is one row under its content address; every time it
leaves is an attempt, committed before the bytes leave; an answer is stored raw with its usage and cost in the
transaction that closes its attempt. So a crash at any instant leaves at most the attempts in flight without an
outcome, and those are counted as in doubt. Two commits per request, each with an fsync (1 to 6 ms); what threads want
to commit at the same time shares one.

    request   PLANNED -> SENT -> LANDED -> PARSED | INVALID | REFUSED | TRUNCATED, or ERRORED without an answer
    attempt   open -> answered | rejected | in_doubt;  `sent_in` is 'single' or `batch:` and a batch's key, `keep`
              how long the server was to keep its beginning; `recipe` and `step` say for whom it was bought; whoever
              needs the same answer later pays nothing
    batch     INTENDED -> OPEN -> ENDED, or REFUSED | ABSENT | LOST; see `batches/log`
    ability   what a server other than Anthropic's turned out to take; see `self_test`
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from filelock import FileLock, Timeout

from pipeline.core.claude.ledger.layout import opened, reading
from pipeline.core.claude.messages.request import NOBODY, Buyer
from pipeline.core.claude.prices import NANO
from pipeline.core.errors import BusyError, ServiceError
from pipeline.core.files.stores.stored import may_pay

PAID = "coalesce(sum(max(cost_nano, 0)), 0)"  # earlier versions believed negative counts of tokens
ATTEMPT = (
    "INSERT INTO attempts(request, sent_in, endpoint, sent_at, reserved_nano, recipe, step, keep) "
    "VALUES (?,?,?,?,?,?,?,?)"
)

State = Literal["PARSED", "INVALID", "REFUSED", "TRUNCATED", "ERRORED"]


@dataclass(frozen=True, slots=True)
class Planned:
    """One request as it will be sent; `body` is the JSON text that its id is the hash of."""

    id: str
    model: str
    purpose: str
    body: str


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """One bought answer, raw."""

    raw: bytes
    usage: Mapping[str, Any]
    cost_nano: int


@dataclass(frozen=True, slots=True)
class Spending:
    """What a set of requests has cost so far, whoever bought it. Doubted money may or may not have been billed."""

    settled_nano: int
    doubted_nano: int
    num_in_doubt: int
    open_nano: int  # reserved for what is on its way, in batches of earlier runs


def total_usd(path: Path) -> float:
    """Return the dollars paid for all answers of a ledger, which another process may hold; 0 where there is none."""
    with reading(path) as database:
        (paid,) = (0,) if database is None else database.execute(f"SELECT {PAID} FROM answers").fetchone()
    return int(paid) / NANO


@dataclass(slots=True)
class _Piece:
    """Work of one thread in a transaction of several: its own failure undoes it alone."""

    work: Callable[[sqlite3.Connection], int | None]
    result: int = 0
    failure: ServiceError | None = None
    over: bool = False

    def do(self, database: sqlite3.Connection) -> None:
        database.execute("SAVEPOINT piece")
        try:
            self.result = self.work(database) or 0
        except sqlite3.Error as error:
            database.execute("ROLLBACK TO piece")
            self.failure = ServiceError(f"the ledger: cannot be used ({error}). Free the disk and run again.")
        database.execute("RELEASE piece")


class Ledger:
    """The open ledger of one workspace; one process at a time. Methods may be called from any thread."""

    def __init__(self, path: Path, *, buyer: Buyer = NOBODY) -> None:
        self._path = path
        self.buyer = buyer
        self._mutex = threading.Lock()
        self._waiting: deque[_Piece] = deque()
        self._owner = FileLock(f"{path}.lock", timeout=0)
        try:
            self._owner.acquire()
        except Timeout as error:
            raise BusyError(f"{path}: another run is buying answers. Wait until it ends, then run again.") from error
        try:
            self._database = opened(path)
            self._database.execute("CREATE TEMP TABLE wanted (id TEXT PRIMARY KEY) WITHOUT ROWID")
            self.num_doubted_at_start = self._doubt_open_attempts()
        except BaseException:
            self._owner.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and let the next process in."""
        with self._mutex:  # a thread that was left behind may be writing
            self._database.close()
        self._owner.release()

    def may_pay(self) -> None:
        """Raise ServiceError unless money may be spent: see `core/files/stores/stored.py`."""
        may_pay(self._path.parent)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Do all of it or nothing, durably; one thread at a time."""
        with self._mutex, self._committed() as database:
            yield database

    @contextmanager
    def _committed(self) -> Iterator[sqlite3.Connection]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")  # returns after fsync
        except sqlite3.Error as error:
            raise ServiceError(f"{self._path}: cannot be used ({error}). Free the disk and run again.") from error

    def _write(self, work: Callable[[sqlite3.Connection], int | None]) -> int:
        """Do a small piece of work durably, in one transaction with what other threads wait to have done."""
        piece = _Piece(work)
        self._waiting.append(piece)
        with self._mutex:  # whoever comes first does it for all who wait by then
            if not piece.over:
                self._do_all([self._waiting.popleft() for _ in range(len(self._waiting))])
        if piece.failure is not None:
            raise piece.failure
        return piece.result

    def _do_all(self, pieces: Sequence[_Piece]) -> None:
        failure = ServiceError(f"{self._path}: what waited to be written was not. Run again.")
        committed = False
        try:
            with self._committed() as database:
                for each in pieces:
                    each.do(database)
            committed = True
        except ServiceError as error:
            failure = error
        finally:
            for each in pieces:
                each.failure = each.failure or (None if committed else failure)
                each.over = True

    def _doubt_open_attempts(self) -> int:
        """Close what a dead process left open; the lock says that no living one owns it. Batches can be looked up."""
        close = "UPDATE attempts SET outcome='in_doubt', error=?, ended_at=? WHERE outcome IS NULL AND sent_in='single'"
        with self.transaction() as database:
            return database.execute(close, ("the process ended before an answer", time.time())).rowcount

    def plan(self, requests: Iterable[Planned]) -> None:
        """Record requests that are about to be sent; known ones stay as they are."""
        now = time.time()
        insert = "INSERT OR IGNORE INTO requests(id, model, purpose, body, planned_at) VALUES (?,?,?,?,?)"
        rows = ((request.id, request.model, request.purpose, request.body, now) for request in requests)
        with self.transaction() as database:
            database.executemany(insert, rows)

    def record_intent(
        self, request: str, *, reserved_nano: int, endpoint: str, sent_in: str = "single", keep: str = ""
    ) -> int:
        """Make the intent to send durable and return its attempt number; call before the first byte leaves."""
        row = (request, sent_in, endpoint, time.time(), reserved_nano, self.buyer.recipe, self.buyer.step, keep)

        self.may_pay()

        def work(database: sqlite3.Connection) -> int | None:
            database.execute("UPDATE requests SET state='SENT', reason='' WHERE id=?", (request,))
            return database.execute(ATTEMPT, row).lastrowid

        return self._write(work)

    def record_answer(self, attempt: int, *, raw: bytes, usage: Mapping[str, Any], cost_nano: int, price: str) -> None:
        """Store a raw answer, its usage and its cost in one transaction, before anybody parses it."""
        now, counts = time.time(), json.dumps(usage, sort_keys=True)

        def work(database: sqlite3.Connection) -> None:
            (request,) = database.execute("SELECT request FROM attempts WHERE attempt=?", (attempt,)).fetchone()
            database.execute(
                "INSERT INTO answers(request, attempt, raw, usage, cost_nano, price, landed_at) VALUES (?,?,?,?,?,?,?)",
                (request, attempt, raw, counts, cost_nano, price, now),
            )
            database.execute("UPDATE attempts SET outcome='answered', ended_at=? WHERE attempt=?", (now, attempt))
            database.execute("UPDATE requests SET state='LANDED' WHERE id=?", (request,))

        self._write(work)

    def record_failure(self, attempt: int, *, outcome: Literal["rejected", "in_doubt"], error: str) -> None:
        """Close an attempt without an answer: `rejected` costs nothing, `in_doubt` may have been billed."""
        close = "UPDATE attempts SET outcome=?, error=?, ended_at=? WHERE attempt=?"
        row = (outcome, error, time.time(), attempt)

        def work(database: sqlite3.Connection) -> None:
            database.execute(close, row)

        self._write(work)

    def conclude(self, states: Iterable[tuple[str, State, str]]) -> None:
        """Record what answers turned out to say: (request, state, reason)."""
        with self.transaction() as database:
            database.executemany(
                "UPDATE requests SET state=?2, reason=?3 WHERE id=?1 AND (state, reason) IS NOT (?2, ?3)", list(states)
            )

    def answers(self, requests: Sequence[str]) -> dict[str, StoredAnswer]:
        """Return the bought answers among `requests`, by request id."""
        query = "SELECT request, raw, usage, cost_nano FROM answers JOIN wanted ON request = wanted.id"
        rows = self.ask(query, requests)
        return {request: StoredAnswer(raw, json.loads(usage), cost_nano) for request, raw, usage, cost_nano in rows}

    def has_all(self, requests: Collection[str]) -> bool:
        """Say whether all of `requests` are answered."""
        ((count,),) = self.ask("SELECT count(*) FROM answers JOIN wanted ON request = wanted.id", requests)
        return bool(count == len(requests))

    def spending(self, requests: Sequence[str]) -> Spending:
        """Return what `requests` have cost in all runs together."""
        paid = f"SELECT {PAID} FROM answers JOIN wanted ON request = wanted.id"
        reserved = (
            "SELECT coalesce(sum(reserved_nano), 0), count(*) FROM attempts JOIN wanted ON request = wanted.id WHERE"
        )
        ((settled_nano,),) = self.ask(paid, requests)
        ((doubted_nano, count),) = self.ask(f"{reserved} outcome = 'in_doubt'", requests)
        ((open_nano, _),) = self.ask(f"{reserved} outcome IS NULL", requests)
        return Spending(settled_nano=settled_nano, doubted_nano=doubted_nano, num_in_doubt=count, open_nano=open_nano)

    def bought_alike(self, model: str, systems: Sequence[str]) -> list[str]:
        """Return what this ledger's buyer sent to a model by any of these system prompts: each request once."""
        query = """
            SELECT DISTINCT requests.id FROM attempts JOIN requests ON requests.id = attempts.request
            WHERE attempts.recipe = ? AND attempts.step = ? AND model = ?
            AND json_extract(body, '$.system') IN (SELECT value FROM json_each(?))"""
        told = (self.buyer.recipe, self.buyer.step, model, json.dumps(systems))
        with self.transaction() as database:
            return [id for (id,) in database.execute(query, told)]

    def kept_since(
        self, moment: float, model: str, body: Mapping[str, Any], *, keep: str, most: int
    ) -> list[dict[str, Any]]:
        """Return the usage of the latest answers to the instructions of `body` that asked the server to keep them."""
        query = """
            SELECT usage FROM answers JOIN attempts USING (attempt) JOIN requests ON requests.id = attempts.request
            WHERE keep = ? AND landed_at >= ? AND model = ?
            AND json_extract(body, '$.system') IS json_extract(?, '$.system') ORDER BY attempt DESC LIMIT ?"""
        with self.transaction() as database:
            found = database.execute(query, (keep, moment, model, json.dumps(body), most)).fetchall()
        return [json.loads(usage) for (usage,) in found]

    def refused_for_themselves(self, requests: Sequence[str]) -> set[str]:
        """Return those of `requests` that were rejected while the service was seen to answer others.

        Either twice alike with another answered in between, of the same model and address, or in a batch of which
        another was answered. In whatever run: the evidence stays.
        """
        query = """
            SELECT DISTINCT early.request FROM attempts early JOIN wanted ON early.request = wanted.id
            JOIN attempts late ON late.request = early.request AND late.attempt > early.attempt
            JOIN requests asked ON asked.id = early.request
            WHERE early.outcome = 'rejected' AND late.outcome = 'rejected'
            AND substr(early.error, 1, 8) = substr(late.error, 1, 8) AND early.endpoint = late.endpoint
            AND EXISTS (
                SELECT 1 FROM attempts other JOIN requests answered ON answered.id = other.request
                WHERE other.outcome = 'answered' AND other.attempt BETWEEN early.attempt AND late.attempt
                AND other.sent_at >= early.ended_at AND other.ended_at <= late.sent_at
                AND answered.model = asked.model AND other.endpoint = early.endpoint
            )
            UNION SELECT early.request FROM attempts early JOIN wanted ON early.request = wanted.id
            JOIN requests asked ON asked.id = early.request
            WHERE early.outcome = 'rejected' AND early.error LIKE 'rejected: %' AND early.sent_in != 'single'
            AND EXISTS (
                SELECT 1 FROM attempts other JOIN requests answered ON answered.id = other.request
                WHERE other.sent_in = early.sent_in AND other.sent_in != 'single' AND other.outcome = 'answered'
                AND answered.model = asked.model
            )"""
        return {request for (request,) in self.ask(query, requests)}

    def ask(self, query: str, requests: Collection[str]) -> list[tuple[Any, ...]]:
        """Run a query that joins the temporary table `wanted` of request ids."""
        with self.transaction() as database:
            database.execute("DELETE FROM wanted")
            database.executemany("INSERT OR IGNORE INTO wanted VALUES (?)", [(request,) for request in requests])
            return database.execute(query).fetchall()
