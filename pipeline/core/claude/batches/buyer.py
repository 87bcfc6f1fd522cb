"""Requests sent in Message Batches, at half price: each once, whatever crashes.

Creating a batch cannot be repeated safely, as the server takes the same batch twice. So the intent is in the ledger
first, and a creation whose answer was lost is never sent again before the server's own list was asked (`desk`).
Several batches are in flight, as nothing of one can be seen before all of it has ended. What is on its way stays
reserved, in later runs too, so the cap holds; a batch is as large as what is left of the cap allows. Requests that are
in a batch are collected from there even by a run that sends none. So are batches of other requests whose money counts
below the same cap, as of an earlier seed: what they did not cost is free again. They are waited for only where a batch
waits for that money.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from datetime import date

from pipeline.core.claude.batches.desk import BatchDesk, Pacing
from pipeline.core.claude.batches.log import BatchLog, Landed, LoggedBatch, Sent
from pipeline.core.claude.batches.wire import NO_BATCHES, BatchWire, WireError
from pipeline.core.claude.buying.budget import Budget
from pipeline.core.claude.buying.caching import Caching
from pipeline.core.claude.buying.purchase import Purchase
from pipeline.core.claude.messages.answer import read_answer
from pipeline.core.claude.messages.request import Request, bound_nano
from pipeline.core.claude.prices import BilledTokens, Prices
from pipeline.core.claude.server.setbacks import Setback
from pipeline.core.errors import PendingError, ServiceError

MOST_BYTES = 200_000_000  # of one batch; the API takes 256 MB
MOST_REQUESTS = 100_000  # of one batch, and of all that are in flight together
MAX_TRIES = 4  # to create a batch in a row, and to ask for one request


class BatchBuyer:
    """Buys the requests of one purchase in batches. The owner of its desk."""

    def __init__(
        self, *, log: BatchLog, wire: BatchWire, budget: Budget, prices: Prices, endpoint: str,
        today: Callable[[], date], say: Callable[[str], None], pacing: Pacing, counted: Collection[str],
        purchase: Purchase, requests: dict[str, Request], caching: Caching,
    ) -> None:  # fmt: skip
        self.desk = BatchDesk(
            log=log, wire=wire, prices=prices, endpoint=endpoint, today=today, say=say, pause=purchase.stopped.wait,
            pacing=pacing, owner=self,
        )  # fmt: skip
        self._budget, self._purchase, self._requests = budget, purchase, requests
        self._caching = caching
        self._counted = counted  # ids of the requests whose money the budget counts
        self._queue: deque[Request] = deque()
        self.offered = True  # False once the server turned out to have no batches
        self._own: set[int] = set()  # batches of this run
        self._tried: Counter[str] = Counter()  # times that a request failed on the server's side
        self._failed_creations = 0  # in a row
        self._most = min(pacing.most_requests, MOST_REQUESTS)  # requests that the next batch may have
        self._num_landed = 0

    def buy(self, *, create: bool, wait: bool) -> list[Request]:
        """Collect what is on its way and, with `create`, send the rest; return what is left to be asked one by one.

        Without `wait`, PendingError says what is on its way.
        """
        desk, stopped = self.desk, self._purchase.stopped
        unsettled = desk.log.unsettled(sorted(self._counted))
        desk.open = {batch.key: batch for batch in unsettled if batch.endpoint == desk.endpoint}
        self._budget.adopt(self._held_nano())
        holds = {key: {id for id, sent in desk.log.sent(key).items() if sent.outcome is None} for key in desk.open}
        awaited = {key for key, ids in holds.items() if not ids.isdisjoint(self._requests)}
        on_its_way = set().union(*holds.values())
        self._queue = deque(request for id, request in self._requests.items() if id not in on_its_way)
        self.offered = create and (not self._queue or self._is_offered())
        delay = desk.pacing.poll_seconds
        while not stopped.is_set():
            num_before = self._num_landed
            desk.find_doubted()
            desk.collect_ended()
            if self.offered:
                self._submit()
            if not (desk.open.keys() & (awaited | self._own) or (desk.open and self.offered and self._queue)):
                break
            if not wait:
                raise self._pending()
            delay = desk.pacing.poll_seconds if self._num_landed > num_before else delay
            stopped.wait(delay)
            delay = min(2 * delay, desk.pacing.longest_poll_seconds)
        self._budget.leave(self._held_nano())
        return list(self._queue)

    def _held_nano(self) -> int:
        """Return what is reserved for open batches, of the requests whose money is counted."""
        sent = (sent for key in self.desk.open for sent in self.desk.log.sent(key).values())
        return sum(one.reserved_nano for one in sent if one.outcome is None and one.request in self._counted)

    def _is_offered(self) -> bool:
        """Ask for the list before anything is sent: without one, a lost batch could not be found again."""
        try:
            next(iter(self.desk.wire.listed(since=time.time())), None)
        except WireError as trouble:
            if trouble.status in (200, *NO_BATCHES):  # 200: what it answers is no list
                return self._say_not_offered(trouble)
            self.desk.bear(trouble)
        return True

    def _say_not_offered(self, trouble: WireError) -> bool:
        self.desk.say(
            f"claude: {self.desk.endpoint} has no Message Batches (HTTP {trouble.status}), so requests are sent one by "
            "one, at the full price"
        )
        return False

    def _pending(self) -> PendingError:
        count = sum(batch.size for batch in self.desk.open.values())
        rest = f"; {len(self._queue):,} more wait for money or room" if self._queue else ""
        return PendingError(
            f"claude: {count:,} requests in {len(self.desk.open)} batches are on their way{rest}. Most end within an "
            "hour, all within a day. Run the same command again to collect, without --no-wait to wait for them; "
            "`tamis cancel` stops them."
        )

    def _submit(self) -> None:
        """Send batches while requests, money and room are left."""
        while self._queue and self.offered and not self._purchase.stopped.is_set():
            room = MOST_REQUESTS - sum(batch.size for batch in self.desk.open.values())
            if room <= 0 or any(batch.server_id is None for batch in self.desk.open.values()):
                return  # what is in doubt is found first: a server that lost one answer may lose the next
            most = self._caching.most
            if most is not None and self._own & self.desk.open.keys():
                return  # by what comes back the rest is marked or not
            shard = self._next_shard(most=min(room, self._most, room if most is None else most))
            if not shard:
                return  # what is in flight holds the money
            self._create(shard)

    def _next_shard(self, *, most: int) -> list[tuple[Request, int]]:
        """Take requests from the queue and reserve their money: as many as the cap and the API's limits allow."""
        shard: list[tuple[Request, int]] = []
        size = 0
        while self._queue and len(shard) < most:
            request = self._queue[0]
            size += request.size_bytes
            if shard and size > MOST_BYTES:
                break
            bound = bound_nano(
                request, prices=self.desk.prices, on=self.desk.today(), batch=True, keep=self._caching.mark
            )
            if not self._budget.reserve_now(bound):
                break
            shard.append((self._queue.popleft(), bound))
        return shard

    def _create(self, shard: Sequence[tuple[Request, int]]) -> None:
        desk = self.desk
        keep = self._caching.mark
        batch = desk.log.record_intent(
            [(request.id, bound) for request, bound in shard], endpoint=desk.endpoint, keep=keep or ""
        )
        desk.open[batch.key] = batch
        self._own.add(batch.key)
        try:
            created = desk.wire.create(
                [{"custom_id": request.id, "params": request.wire(keep=keep)} for request, _ in shard]
            )
        except WireError as trouble:
            return self._not_created(batch, trouble)
        self._failed_creations = 0
        desk.opened(batch, created.id)
        desk.say(f"claude: batch {created.id} of {batch.size:,} requests is on its way")

    def _not_created(self, batch: LoggedBatch, trouble: WireError) -> None:
        """Sort a creation that failed: the server said no, or nobody knows."""
        setback, status = trouble.setback, trouble.status
        never_sent = status is None and setback.kind == "again"
        said_no = status in NO_BATCHES or (status is not None and 400 <= status < 500 and setback.kind != "lost")
        if not never_sent and not said_no:
            self.desk.lost_at[batch.key] = time.time()
            self.desk.say(
                f"claude: it is not known whether a batch of {batch.size:,} requests was created ({setback.reason}); "
                "nothing of it is sent again before the server's list says so"
            )
            return
        self._take_back(self.desk.refuse(batch, setback.reason))
        if status in NO_BATCHES:
            self.offered = self._say_not_offered(trouble)
        elif setback.error is not None:
            raise setback.error
        elif status == 413 and batch.size > 1:
            self._most = batch.size // 2
        elif status == 413:
            request = self._queue.popleft()
            self._purchase.failures[request.id] = setback
        else:
            self._count_failed_creation(setback.reason)
            seconds = setback.wait_seconds
            self.desk.pause(self.desk.pacing.poll_seconds * 2**self._failed_creations if seconds is None else seconds)

    def _take_back(self, left: Sequence[Sent]) -> None:
        """Free the money of requests that were not sent, and put them first in the queue again."""
        for sent in reversed(left):
            self._settle(sent, cost=0)
            if sent.request in self._requests:
                self._queue.appendleft(self._requests[sent.request])

    def _count_failed_creation(self, reason: str) -> None:
        self._failed_creations += 1
        if self._failed_creations >= MAX_TRIES:
            raise ServiceError(
                f"Claude: no batch can be created ({reason}, given up after {self._failed_creations} tries). Answers "
                "so far are kept; run again to resume, or without `batches`."
            )

    def _settle(self, sent: Sent, *, cost: int) -> None:
        if sent.request in self._counted:
            self._budget.settle(sent.reserved_nano, cost=cost)

    # What the desk tells

    def landed(self, batch: LoggedBatch, landed: Landed) -> None:
        """Count one result: an answer, a request to send again, or a failure."""
        self._num_landed += 1
        self._settle(landed.sent, cost=landed.spent_nano)
        if batch.key in self._own and landed.outcome == "answered":
            self._caching.count(BilledTokens.of_usage(landed.usage, batch=True), model=landed.sent.model)
        request = self._requests.get(landed.sent.request)
        if request is None:
            return  # another recipe's
        if landed.setback is None:
            self._purchase.count_answer(request, read_answer(landed.raw, schema=request.schema, way=request.way))
        elif self._may_be_sent_again(batch, landed.setback, request):
            self._queue.append(request)
        else:
            self._purchase.failures[request.id] = landed.setback

    def _may_be_sent_again(self, batch: LoggedBatch, setback: Setback, request: Request) -> bool:
        """Say whether this run sends it again: where the server failed, or an earlier run's batch ended unbilled."""
        self._tried[request.id] += setback.kind == "again"
        sent_before = setback.kind == "wait" and batch.key not in self._own
        return sent_before or (setback.kind == "again" and self._tried[request.id] < MAX_TRIES)

    def absent(self, batch: LoggedBatch, left: Sequence[Sent]) -> None:
        """Send requests again whose batch was not created."""
        self._take_back(left)
        if batch.key in self._own:
            self._count_failed_creation("its answer was lost, and the server's list does not have it")

    def lost(self, left: Sequence[Sent], setback: Setback) -> None:
        """Leave requests unanswered that may be paid for; the next run asks for them."""
        for sent in left:
            self._settle(sent, cost=sent.reserved_nano)
            if sent.request in self._requests:
                self._purchase.failures[sent.request] = setback

    def ended(self, batch: LoggedBatch) -> None:
        """Stop sending where rejections are the rule, and marking where that costs more than it saves."""
        self._purchase.judge_batch()
        if batch.key in self._own:
            self._caching.end_round()
