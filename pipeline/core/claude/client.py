"""The one client of the network: requests in, one answer each out, every answer bought once and for ever.

A request is addressed by the hash of what is sent. The client looks in the ledger first, reserves the most a request
can cost, makes the intent durable, sends it through the anthropic SDK (no SDK retries: see `setbacks`), and stores the
raw answer before reading it. With `batches` it sends Message Batches, at half price (see `batches`). Refused and
truncated answers are outcomes, recorded and asked for again only on demand.
After a crash, requests that were in flight are counted as in doubt and sent again, once per run, because a single
Messages request cannot be looked up afterwards; at most `workers` requests can be in doubt per crash.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pipeline.core.claude.answer import Reading, Status, read_answer, usage_of
from pipeline.core.claude.batch_desk import Pacing
from pipeline.core.claude.batch_lines import billed_nano
from pipeline.core.claude.batch_log import BatchLog
from pipeline.core.claude.batch_wire import BatchWire
from pipeline.core.claude.batches import BatchBuyer
from pipeline.core.claude.budget import Budget
from pipeline.core.claude.connection import connect, setback_of
from pipeline.core.claude.endpoint import ANTHROPIC, foreign_endpoint
from pipeline.core.claude.ledger import Ledger, Planned, State, StoredAnswer
from pipeline.core.claude.prices import NANO, dollars, load_prices
from pipeline.core.claude.purchase import Judge, Pace, Purchase, Usefulness, no_complaint
from pipeline.core.claude.request import NOBODY, Buyer, Request, bound_nano
from pipeline.core.claude.setbacks import Setback, spoken
from pipeline.core.errors import ServiceError, TamisError
from pipeline.core.files.durable import write_text
from pipeline.core.process.keys import Mask
from pipeline.core.rng import generator

if TYPE_CHECKING:
    from anthropic import Anthropic

MAX_TRIES = 4  # per request and run, of errors that cost nothing
MAX_LOST = 2  # sends per request and run that may have been billed without an answer
MAX_WAITS = 60  # 429 answers per request and run
MAX_BACKOFF_SECONDS = 60.0
PROGRESS_SECONDS = 10.0
GRACE_SECONDS = 5.0  # that answers in flight have after ctrl-C
USELESS = "useless-answers.jsonl"  # beside the ledger: what made a run stop, to be read


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request. `data` is set where a schema was asked for and met; `reason` where it was not."""

    request_id: str
    status: Status
    data: Mapping[str, Any] | None = None
    text: str = ""
    reason: str = ""
    raw: bytes = b""
    usage: Mapping[str, Any] = field(default_factory=dict)
    cost_usd: float = 0.0
    from_ledger: bool = False


STATES: dict[Status, State] = {
    "parsed": "PARSED", "invalid": "INVALID", "refused": "REFUSED", "truncated": "TRUNCATED", "errored": "ERRORED",
}  # fmt: skip
STOPPED = Setback("stop", "stopped")


class ClaudeClient:
    """The ledger, the budget and, once something must be bought, the SDK's client. Use as a context manager.

    `max_usd` caps what all requests asked through this client have cost together, in this run and in earlier ones, with
    whatever else `buyer` bought by the same instructions: a resumed run cannot spend the cap twice, in whatever order
    it asks. `recorded` answers from the ledger alone and refuses the network.
    `max_useless` is the share of useless answers (refused, truncated, invalid) beyond which no more are bought.
    `batches` sends Message Batches; without `wait` they are left to a later run (PendingError). `buyer` is who pays.
    """

    def __init__(
        self, ledger: Path, *, max_usd: float, prices: Path | None = None, mode: Literal["live", "recorded"] = "live",
        workers: int = 8, max_useless: float = 1.0, batches: bool = False, wait: bool = True,
        pacing: Pacing | None = None, buyer: Buyer = NOBODY,
        timeout_seconds: float = 600.0, backoff_seconds: float = 1.0, say: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        self._prices = load_prices(prices)
        self._ledger = Ledger(ledger, buyer=buyer)
        self._budget = Budget(max_usd=max_usd)
        self._mode, self._workers, self._say, self._max_useless = mode, workers, say, max_useless
        self._timeout_seconds, self._backoff_seconds = timeout_seconds, backoff_seconds
        self._batches, self._wait, self._pacing = batches, wait, pacing or Pacing()
        self._client: Anthropic | None = None
        self._endpoint = foreign_endpoint()
        self._asked: set[str] = set()
        self._charged: set[str] = set()  # whose money the budget counts
        self._fresh: set[str] = set()  # bought through this client, which a later call finds in the ledger
        self._pace = Pace()
        self._mask = Mask()
        self._useless = ledger.with_name(USELESS)
        self._on_the_wire: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and the ledger."""
        if self._client is not None:
            self._client.close()
        self._ledger.close()

    def ask(
        self, requests: Sequence[Request], *, pardoned: Collection[str] = (), judge: Judge = no_complaint
    ) -> list[Answer]:  # fmt: skip
        """Return one answer per request, in their order; buy what the ledger lacks.

        A request that the service rejects for its own sake is answered as `errored`. Raises BudgetError at the cap or
        the account's limit, ServiceError when the service is out, when its answers are useless as a rule (`judge` says
        it of those that can be read; what the ledger had of a `pardoned` kind does not count), when a request got no
        answer or, in `recorded` mode, when one is missing. What was bought before is kept, so the same call resumes.
        """
        requests = [replace(request, endpoint=self._endpoint) for request in requests]
        unique = {request.id: request for request in requests}
        known = self._ledger.answers(list(unique))
        self._asked.update(unique)
        self._count_earlier_spending(list(unique.values()))
        answers = {
            id: _read(request, known[id], from_ledger=id not in self._fresh)
            for id, request in unique.items()
            if id in known
        }
        missing = {id: request for id, request in unique.items() if id not in known}
        usefulness = Usefulness(most_useless=self._max_useless, judge=judge)
        for id, answer in answers.items():
            usefulness.count(unique[id], answer, pardoned=pardoned)
        purchase = Purchase(requests=list(missing.values()), num_known=len(answers), usefulness=usefulness)
        try:
            failures = self._buy_all(purchase) if missing else {}
        except TamisError as error:
            answers |= self._bought(missing, {})
            self._conclude(answers)
            self._show_useless(error, [each for id, each in answers.items() if usefulness.wrong(unique[id], each)])
            raise
        answers |= self._bought(missing, failures)
        self._conclude(answers)
        return [answers[request.id] for request in requests]

    def _bought(self, missing: Mapping[str, Request], failures: Mapping[str, Setback]) -> dict[str, Answer]:
        """Read what was bought, and what was not: by a failure it is `errored`, without one it is left out."""
        stored = self._ledger.answers(list(missing))
        self._fresh.update(stored)
        return {
            id: _read(request, stored.get(id), from_ledger=False, failure=failures[id].reason if id in failures else "")
            for id, request in missing.items()
            if id in stored or id in failures
        }

    def _conclude(self, answers: Mapping[str, Answer]) -> None:
        self._ledger.conclude((id, STATES[answer.status], answer.reason) for id, answer in answers.items())

    def _show_useless(self, error: TamisError, useless: Sequence[Answer]) -> None:
        """Write the useless answers of a purchase that was stopped where they can be read, and name the place."""
        if useless:
            lines = [
                json.dumps({"request": answer.request_id, "status": answer.status, "reason": answer.reason,
                            "answer": answer.text or answer.raw.decode(errors="replace")}, ensure_ascii=False)
                for answer in useless
            ]  # fmt: skip
            write_text(self._useless, "".join(f"{line}\n" for line in lines))
            error.add_note(f"{len(useless)} useless answers are in {self._useless}, such as {useless[0].text[:200]!r}")

    @property
    def spent_usd(self) -> float:
        """Dollars that the requests asked so far have cost in all runs together, doubtful ones at their upper bound."""
        spent = self._ledger.spending(sorted(self._asked))
        return (spent.settled_nano + spent.doubted_nano) / NANO

    @property
    def num_in_doubt(self) -> int:
        """Attempts on the requests asked so far that may have been billed without an answer, in all runs together."""
        return self._ledger.spending(sorted(self._asked)).num_in_doubt

    def _count_earlier_spending(self, requests: Sequence[Request]) -> None:
        """Charge what these cost before, and all that the buyer bought by the same instructions, asked now or later."""
        samples = {(request.model, request.system): request for request in requests}
        alike = (id for request in samples.values() for id in self._ledger.bought_alike(request.model, request.body()))
        fresh = sorted({*(request.id for request in requests), *alike} - self._charged)
        self._charged.update(fresh)
        earlier = self._ledger.spending(fresh)
        self._budget.charge(earlier.settled_nano + earlier.doubted_nano)
        self._budget.hold(earlier.open_nano)

    def _buy_all(self, purchase: Purchase) -> dict[str, Setback]:
        """Send every request with `workers` threads; return why those without an answer have none, by id."""
        requests = purchase.requests
        if self._mode == "recorded":
            raise ServiceError(
                f"{len(requests)} of {len(requests) + purchase.num_known} answers are not in the ledger "
                f"(first {requests[0].id}) and the network is refused. Run once without it."
            )
        for model in sorted({request.model for request in requests}):
            self._prices.bands(model, on=_today())
        purchase.halt_if_useless()
        if not purchase.stopped.is_set():
            self._open_client()
            self._ledger.plan(
                Planned(request.id, request.model, request.purpose, json.dumps(request.body())) for request in requests
            )
        left = requests if purchase.stopped.is_set() else self._buy_in_batches(purchase)
        for size in purchase.rounds(left):
            if size and not purchase.stopped.is_set():
                self._buy_round(purchase, num_threads=min(self._workers, size))
        return purchase.finish(at_fault=self._ledger.refused_for_themselves(list(purchase.failures)))

    def _buy_in_batches(self, purchase: Purchase) -> Sequence[Request]:
        """Collect what earlier runs sent in batches and, if told so, send the rest; return what is left."""
        log = BatchLog(self._ledger)
        asked = {request.id: request for request in purchase.requests}
        if not self._batches and not log.unsettled(list(asked)):
            return purchase.requests
        assert self._client is not None
        buyer = BatchBuyer(
            log=log, wire=BatchWire(self._client, mask=self._mask), budget=self._budget, prices=self._prices,
            counted=self._charged, purchase=purchase, requests=asked, pacing=self._pacing, today=_today,
            endpoint=self._endpoint or ANTHROPIC, say=self._say or (lambda line: None),
        )  # fmt: skip
        return buyer.buy(create=self._batches, wait=self._wait)

    def _buy_round(self, purchase: Purchase, *, num_threads: int) -> None:
        """Buy until the queue is empty. Ctrl-C leaves answers in flight a moment, and then leaves them in doubt."""
        threads = [
            threading.Thread(target=self._buy_until_empty, args=(purchase,), name=f"claude-{number}", daemon=True)
            for number in range(num_threads)
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(PROGRESS_SECONDS)
                    if thread.is_alive():
                        self._tell(purchase)
        except BaseException:
            purchase.stopped.set()
            self._give_grace([thread for thread in threads if thread.is_alive()])
            raise
        if purchase.crash is not None:
            raise purchase.crash

    def _give_grace(self, threads: Sequence[threading.Thread]) -> None:
        """Wait for answers in flight, for long if they have arrived, but not for a server that hangs.

        The threads that wait for it end with the process.
        """
        if threads and self._say is not None:
            self._say(f"claude: stopping; {len(threads)} answers in flight have {GRACE_SECONDS:g} s to arrive")
        deadline = time.monotonic() + GRACE_SECONDS
        while alive := [thread for thread in threads if thread.is_alive()]:
            if time.monotonic() > deadline and len(alive) <= len(self._on_the_wire):
                return  # none is left that stores what has arrived
            alive[0].join(0.05)

    def _open_client(self) -> None:
        if self._client is None:
            self._client = connect(timeout_seconds=self._timeout_seconds, endpoint=self._endpoint)
            self._mask = Mask(base_url=str(self._client.base_url))

    def _tell(self, purchase: Purchase) -> None:
        if self._say is not None:
            total = len(purchase.requests)
            self._say(f"claude: {purchase.num_bought} of {total} answered, {dollars(self.spent_usd)} spent")

    def _buy_until_empty(self, purchase: Purchase) -> None:
        try:
            for request in iter(purchase.next, None):
                outcome = self._buy(request, purchase=purchase)
                if isinstance(outcome, Reading):
                    purchase.count_answer(request, outcome)
                elif outcome is not STOPPED:
                    purchase.count_failure(request, outcome)
        except TamisError as error:
            purchase.halt(error)
        finally:
            if sys.exception() is not None:  # a bug of ours, which the main thread raises too
                purchase.crash = sys.exception()
                purchase.stopped.set()

    def _buy(self, request: Request, *, purchase: Purchase) -> Setback | Reading:
        """Send one request until it is answered; return what the answer says, or why it was given up."""
        counts = {"wait": 0, "again": 0, "lost": 0}
        bound = bound_nano(request, prices=self._prices, on=_today())
        while self._pace.await_turn(purchase.stopped) and self._budget.reserve(bound, stopped=purchase.stopped.is_set):
            outcome = self._send(request, bound=bound)
            if isinstance(outcome, Reading) or outcome.kind == "reject":
                return outcome
            if outcome.error is not None:
                raise outcome.error
            counts[outcome.kind] += 1
            tries = sum(counts.values())
            if counts["again"] >= MAX_TRIES or counts["lost"] >= MAX_LOST or counts["wait"] >= MAX_WAITS:
                return Setback(outcome.kind, f"{outcome.reason} (given up after {tries} tries)")
            self._back_off(request, outcome, tries=tries, stopped=purchase.stopped)
        return STOPPED

    def _send(self, request: Request, *, bound: int) -> Setback | Reading:
        """Send once, with the intent and the outcome in the ledger; return what a stored answer says, or the setback.

        Whatever comes back is masked first: a server may repeat the key that it was sent.
        """
        from anthropic import AnthropicError

        assert self._client is not None
        cost, attempt = 0, None
        try:
            attempt = self._ledger.record_intent(request.id, reserved_nano=bound, endpoint=self._endpoint or ANTHROPIC)
            cost = bound  # until the outcome is known, the reservation counts as spent
            with self._waiting():
                response = self._client.messages.with_raw_response.create(**request.body())
                body = response.read()
            self._mask.learn(response.http_request.headers)
            raw = self._mask.body(body)
            usage = usage_of(raw)
            if not usage:
                self._ledger.record_failure(attempt, outcome="in_doubt", error="HTTP 200 without a message")
                return Setback("lost", "HTTP 200 without a message")
            billed, price = billed_nano(usage, model=request.model, prices=self._prices, on=_today(), bound=bound)
            self._ledger.record_answer(attempt, raw=raw, usage=usage, cost_nano=billed, price=price)
            cost = billed
            return read_answer(raw, schema=request.schema)
        except AnthropicError as error:
            assert attempt is not None
            setback = setback_of(error, mask=self._mask)
            outcome: Literal["in_doubt", "rejected"] = "in_doubt" if setback.kind == "lost" else "rejected"
            self._ledger.record_failure(attempt, outcome=outcome, error=setback.reason)
            cost = bound if outcome == "in_doubt" else 0
            return setback
        finally:
            self._budget.settle(bound, cost=cost)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Mark this thread as one that waits for the server."""
        self._on_the_wire.add(threading.get_ident())
        try:
            yield
        finally:
            self._on_the_wire.discard(threading.get_ident())

    def _back_off(self, request: Request, setback: Setback, *, tries: int, stopped: threading.Event) -> None:
        """Wait as long as the server asked (after a 429, everybody), else exponentially with jitter from the id."""
        seconds = setback.wait_seconds
        if seconds is None:
            jitter = float(generator(0, "backoff", request.id, tries).uniform(0.75, 1.0))
            seconds = min(self._backoff_seconds * 2 ** (tries - 1), MAX_BACKOFF_SECONDS) * jitter
        if setback.kind != "wait":
            stopped.wait(seconds)
        elif self._pace.hold(seconds) and seconds >= PROGRESS_SECONDS and self._say is not None:
            self._say(f"claude: nothing is sent for {spoken(seconds)}, as the server asked ({setback.reason})")


def estimate_bound_usd(request: Request, *, prices: Path | None = None) -> float:
    """Return the most that one such request can cost, for a plan."""
    return bound_nano(request, prices=load_prices(prices), on=_today()) / NANO


def _read(request: Request, stored: StoredAnswer | None, *, from_ledger: bool, failure: str = "") -> Answer:
    if stored is None:
        return Answer(request.id, "errored", reason=failure)
    reading = read_answer(stored.raw, schema=request.schema)
    return Answer(
        request.id, reading.status, data=reading.data, text=reading.text, reason=reading.reason, raw=stored.raw,
        usage=stored.usage, cost_usd=stored.cost_nano / NANO, from_ledger=from_ledger,
    )  # fmt: skip


def _today() -> date:
    return datetime.now(tz=UTC).date()
