"""The one client of the network: requests in, one answer each out, every answer bought once and for ever.

A request is addressed by the hash of what is sent. The client looks in the ledger first, reserves the most a request
can cost, makes the intent durable, sends it through the anthropic SDK (no SDK retries: see `setbacks`), and stores the
raw answer before reading it. With `batches` it sends Message Batches, at half price (see `batches/buyer`). Refused and
truncated answers are outcomes, recorded and asked for again only on demand.
After a crash, requests that were in flight are counted as in doubt and sent again, once per run, because a single
Messages request cannot be looked up afterwards; at most `workers` requests can be in doubt per crash.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pipeline.core.claude.abilities.fitting import Fitting
from pipeline.core.claude.batches.buyer import BatchBuyer
from pipeline.core.claude.batches.desk import Pacing
from pipeline.core.claude.batches.lines import billed_nano
from pipeline.core.claude.batches.log import BatchLog
from pipeline.core.claude.batches.wire import BatchWire
from pipeline.core.claude.buying.bought import STATES, Answer, bought_answer, show_useless
from pipeline.core.claude.buying.caching import SHARD, Caching
from pipeline.core.claude.buying.crew import PROGRESS_SECONDS, work
from pipeline.core.claude.buying.purchase import Judge, Pace, Purchase, Usefulness, no_complaint
from pipeline.core.claude.buying.purse import Purse
from pipeline.core.claude.ledger.ledger import Ledger, Planned
from pipeline.core.claude.messages.answer import Reading, read_answer, usage_of
from pipeline.core.claude.messages.request import NOBODY, Buyer, Demand, Keep, Request, Wish, bound_nano
from pipeline.core.claude.prices import BilledTokens, dollars, load_prices
from pipeline.core.claude.server.connection import connect, setback_of
from pipeline.core.claude.server.endpoint import ANTHROPIC, foreign_endpoint
from pipeline.core.claude.server.setbacks import Setback, spoken
from pipeline.core.errors import ServiceError, TamisError
from pipeline.core.process.keys import Mask
from pipeline.core.rng import generator

if TYPE_CHECKING:
    from anthropic import Anthropic

MAX_TRIES = 4  # per request and run, of errors that cost nothing
MAX_LOST = 2  # sends per request and run that may have been billed without an answer
MAX_WAITS = 60  # 429 answers per request and run
MAX_BACKOFF_SECONDS = 60.0
USELESS = "useless-answers.jsonl"  # beside the ledger: what made a run stop, to be read


STOPPED = Setback("stop", "stopped")


class ClaudeClient:
    """The ledger, the budget and, once something must be bought, the SDK's client. Use as a context manager.

    `max_usd` caps what all requests asked through this client have cost together, in this run and in earlier ones, with
    whatever else `buyer` bought by the same instructions: a resumed run cannot spend the cap twice, in whatever order
    it asks. `recorded` answers from the ledger alone and refuses the network.
    `max_useless` is the share of useless answers (refused, truncated, invalid) beyond which no more are bought.
    `batches` sends Message Batches; without `wait` they are left to a later run (PendingError). `cache`: see `caching`.
    `buyer` is who pays.
    """

    def __init__(
        self, ledger: Path, *, max_usd: float, prices: Path | None = None, mode: Literal["live", "recorded"] = "live",
        workers: int = 8, max_useless: float = 1.0, batches: bool = False, wait: bool = True, cache: Wish = "auto",
        pacing: Pacing | None = None, buyer: Buyer = NOBODY,
        timeout_seconds: float = 600.0, backoff_seconds: float = 1.0, most_waits: int = MAX_WAITS,
        say: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        self._prices = load_prices(prices)
        self._ledger = Ledger(ledger, buyer=buyer)
        self._purse = Purse(self._ledger, max_usd=max_usd)
        self._budget = self._purse.budget
        self._mode, self._workers, self._say, self._max_useless = mode, workers, say, max_useless
        self._timeout_seconds, self._backoff_seconds = timeout_seconds, backoff_seconds
        self._most_waits = most_waits
        self._batches, self._wait, self._pacing, self._cache = batches, wait, pacing or Pacing(), cache
        shards: dict[Keep, int] = {"5m": SHARD, "1h": self._pacing.most_requests}  # one by one, in batches
        self._caching = {
            keep: Caching(self._ledger, self._prices, _today(), keep, shard, say or (lambda line: None))
            for keep, shard in shards.items()
        }
        self._client: Anthropic | None = None
        self._endpoint = foreign_endpoint()
        self._fresh: set[str] = set()  # bought through this client, which a later call finds in the ledger
        self._pace = Pace()
        self._mask = Mask()
        self._useless = ledger.with_name(USELESS)
        self._on_the_wire: set[int] = set()
        self._fitting = Fitting(
            self._ledger, self._purse, self._endpoint, recorded=mode == "recorded", needs_batches=batches,
            pause_seconds=backoff_seconds, buy=self._buy_alone, wire=self._wire, collect=self._collect,
            say=say or (lambda line: None),
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and the ledger."""
        if self._client is not None:
            self._client.close()
        self._ledger.close()

    def fitted(self, requests: Sequence[Request], *, demand: Demand = "best") -> list[Request]:
        """Return requests as the endpoint can answer them, tested where that is not known and some must be bought.

        All requests to a model through one client are asked in one way.
        Raises ServiceError where no way of asking works, RecipeError where the demanded one does not.
        """
        return self._fitting.fitted(requests, demand=demand)

    def _buy_alone(self, request: Request) -> Setback | Reading:
        """Send one request, again where nothing was lost."""
        self._open_client()
        return self._buy(
            request, purchase=Purchase([request], num_known=0, usefulness=Usefulness(most_useless=1.0)), most_lost=1
        )

    def _collect(self) -> None:
        """Store what has ended of batches that earlier runs sent, and whose money is counted."""
        self._buy_in_batches(Purchase([], num_known=0, usefulness=Usefulness(most_useless=1.0)))

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
        self._purse.asked.update(unique)
        self._purse.count_earlier(list(unique.values()))
        answers = {
            id: bought_answer(request, known[id], from_ledger=id not in self._fresh)
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
            self._doubt_abilities(purchase, error)
            show_useless(
                self._useless, error, [each for id, each in answers.items() if usefulness.wrong(unique[id], each)]
            )
            raise
        answers |= self._bought(missing, failures)
        self._conclude(answers)
        return [answers[request.id] for request in requests]

    def _doubt_abilities(self, purchase: Purchase, error: TamisError) -> None:
        """Forget what a test showed of a server that answers otherwise, so that the next run tests it anew."""
        models = {request.model for request in purchase.requests}
        if purchase.unlike and self._endpoint and self._fitting.log.forget(self._endpoint, sorted(models)):
            error.add_note("what the self-test showed of this server no longer holds; the next run tests it anew")

    def _bought(self, missing: Mapping[str, Request], failures: Mapping[str, Setback]) -> dict[str, Answer]:
        """Read what was bought, and what was not: by a failure it is `errored`, without one it is left out."""
        stored = self._ledger.answers(list(missing))
        self._fresh.update(stored)
        return {
            id: bought_answer(
                request, stored.get(id), from_ledger=False, failure=failures[id].reason if id in failures else ""
            )
            for id, request in missing.items()
            if id in stored or id in failures
        }

    def _conclude(self, answers: Mapping[str, Answer]) -> None:
        self._ledger.conclude((id, STATES[answer.status], answer.reason) for id, answer in answers.items())

    @property
    def spent_usd(self) -> float:
        """Dollars that the requests asked so far have cost in all runs together, doubtful ones at their upper bound."""
        return self._purse.spent_usd

    @property
    def num_in_doubt(self) -> int:
        """Attempts on the requests asked so far that may have been billed without an answer, in all runs together."""
        return self._purse.num_in_doubt

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
        caching = self._caching["5m"]
        caching.begin(left, wish=self._cache)
        for size in purchase.rounds(left, most=lambda: caching.most):
            if size and not purchase.stopped.is_set():
                self._buy_round(purchase, num_threads=min(self._workers, size))
                caching.end_round()
        return purchase.finish(at_fault=self._ledger.refused_for_themselves(list(purchase.failures)))

    def _buy_in_batches(self, purchase: Purchase) -> Sequence[Request]:
        """Collect what earlier runs sent in batches and, if told so, send the rest; return what is left."""
        log, endpoint = BatchLog(self._ledger), self._endpoint or ANTHROPIC
        asked = {request.id: request for request in purchase.requests}
        if not self._batches and all(each.endpoint != endpoint for each in log.unsettled(sorted(self._purse.charged))):
            return purchase.requests
        caching = self._caching["1h"]
        caching.begin(purchase.requests, wish=self._cache if self._batches and self._wait else "never")
        buyer = BatchBuyer(
            log=log, wire=self._wire(), budget=self._budget, prices=self._prices,
            counted=self._purse.charged, purchase=purchase, requests=asked, pacing=self._pacing, today=_today,
            endpoint=endpoint, say=self._say or (lambda line: None), caching=caching,
        )  # fmt: skip
        left = buyer.buy(create=self._batches, wait=self._wait)
        if self._batches and not buyer.offered:
            self._fitting.log.record_no_batches(self._endpoint)
        return left

    def _buy_round(self, purchase: Purchase, *, num_threads: int) -> None:
        """Buy until the queue is empty."""
        work(
            lambda: self._buy_until_empty(purchase), num_threads=num_threads, stop=purchase.stopped.set,
            on_the_wire=self._on_the_wire, tell=lambda: self._tell(purchase), say=self._say,
        )  # fmt: skip
        if purchase.crash is not None:
            raise purchase.crash

    def _open_client(self) -> None:
        if self._client is None:
            self._client = connect(timeout_seconds=self._timeout_seconds, endpoint=self._endpoint)
            self._mask = Mask(base_url=str(self._client.base_url))

    def _wire(self) -> BatchWire:
        self._open_client()
        assert self._client is not None
        return BatchWire(self._client, mask=self._mask)

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

    def _buy(self, request: Request, *, purchase: Purchase, most_lost: int = MAX_LOST) -> Setback | Reading:
        """Send one request until it is answered; return what the answer says, or why it was given up."""
        counts = {"wait": 0, "again": 0, "lost": 0}
        while self._pace.await_turn(purchase.stopped):
            keep = self._caching["5m"].mark
            bound = bound_nano(request, prices=self._prices, on=_today(), keep=keep)
            if not self._budget.reserve(bound, stopped=purchase.stopped.is_set):
                break
            outcome = self._send(request, bound=bound, keep=keep)
            if isinstance(outcome, Reading) or outcome.kind == "reject":
                return outcome
            if outcome.error is not None:
                raise outcome.error
            counts[outcome.kind] += 1
            tries = sum(counts.values())
            if counts["again"] >= MAX_TRIES or counts["lost"] >= most_lost or counts["wait"] >= self._most_waits:
                return Setback(outcome.kind, f"{outcome.reason} (given up after {tries} tries)")
            self._back_off(request, outcome, tries=tries, stopped=purchase.stopped)
        return STOPPED

    def _send(self, request: Request, *, bound: int, keep: Keep | None) -> Setback | Reading:
        """Send once, with the intent and the outcome in the ledger; return what a stored answer says, or the setback.

        Whatever comes back is masked first: a server may repeat the key that it was sent.
        """
        from anthropic import AnthropicError

        assert self._client is not None
        cost, attempt = 0, None
        try:
            attempt = self._ledger.record_intent(
                request.id, reserved_nano=bound, endpoint=self._endpoint or ANTHROPIC, keep=keep or ""
            )
            cost = bound  # until the outcome is known, the reservation counts as spent
            with self._waiting():
                response = self._client.messages.with_raw_response.create(**request.wire(keep=keep))
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
            if keep is not None:
                self._caching[keep].count(BilledTokens.of_usage(usage), model=request.model)
            return read_answer(raw, schema=request.schema, way=request.way)
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


def _today() -> date:
    return datetime.now(tz=UTC).date()
