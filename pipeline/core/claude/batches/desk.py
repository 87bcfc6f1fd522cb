"""Batches that were sent, or may have been: found again in the server's list, collected, given up or canceled.

A batch in doubt is looked for among those of its size and time that the ledger does not know. Which of them it is
decide the ids in its results, once it has ended: a batch cannot be tagged, and other batches of the same workspace may
have its size. It was not created when the list has no such batch after a while (assumption: what was created is listed
within `grace_seconds`). Results are stored as they arrive, in portions; after a cut they are downloaded again, and what
is stored is skipped. Nothing here sends a request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Protocol

from pipeline.core.claude.batches.lines import landed_of, told
from pipeline.core.claude.batches.log import BatchLog, Closed, Landed, LoggedBatch, Sent
from pipeline.core.claude.batches.wire import NO_BATCHES, BatchWire, ServerBatch, WireError
from pipeline.core.claude.prices import NANO, Prices, dollars
from pipeline.core.claude.server.setbacks import Setback
from pipeline.core.errors import ServiceError

MAX_DOWNLOADS = 5  # of one batch's results before it is looked up again
MAX_UNREACHED = 20  # failures in a row to look up, list or download
SKEW_SECONDS = 3600.0  # that our clock and the server's may differ; more only makes more batches be looked at
CREATION_SECONDS = 3600.0  # after the intent, in which a batch may have been created
PORTION = 200  # lines of results in one transaction


@dataclass(frozen=True, slots=True)
class Pacing:
    """How large batches are, and how often they are looked up."""

    most_requests: int = 2000
    poll_seconds: float = 2.0  # doubles up to `longest_poll_seconds`
    longest_poll_seconds: float = 60.0
    grace_seconds: float = 120.0  # after which a created batch is in the list


class Owner(Protocol):
    """Whoever sent the requests, told what became of them."""

    def landed(self, batch: LoggedBatch, landed: Landed) -> None:
        """Count one result, which is in the ledger."""

    def absent(self, batch: LoggedBatch, left: Sequence[Sent]) -> None:
        """Take back requests of a batch that was not created."""

    def lost(self, left: Sequence[Sent], setback: Setback) -> None:
        """Count requests that may be paid for and have no answer."""

    def ended(self, batch: LoggedBatch) -> None:
        """Know that all of a batch has landed."""


@dataclass(slots=True)
class BatchDesk:
    """The batches that are not settled. Keeps `open` and the ledger in step; tells `owner` what happens."""

    log: BatchLog
    wire: BatchWire
    prices: Prices
    endpoint: str
    today: Callable[[], date]
    say: Callable[[str], None]
    pause: Callable[[float], object]  # waits so many seconds, or less when all is stopped
    pacing: Pacing
    owner: Owner
    open: dict[int, LoggedBatch] = field(default_factory=dict)
    lost_at: dict[int, float] = field(default_factory=dict)  # when the answer to a creation was given up
    _strangers: set[str] = field(default_factory=set)  # the server's numbers of batches that are not ours
    _unreached: int = 0

    def opened(self, batch: LoggedBatch, server_id: str) -> None:
        """Record that a batch exists."""
        self.log.record_created(batch.key, server_id)
        self.open[batch.key] = LoggedBatch(batch.key, server_id, batch.endpoint, batch.intended_at, batch.size)

    def bear(self, trouble: WireError) -> None:
        """Raise what no later try will mend; let the rest pass, a number of times in a row."""
        if trouble.setback.error is not None:
            raise trouble.setback.error
        self._unreached += 1
        if self._unreached >= MAX_UNREACHED:
            raise ServiceError(
                f"Claude: batches cannot be looked up ({trouble.setback.reason}, {self._unreached} times in a row). "
                f"{len(self.open)} are on their way and in the ledger; run again to collect them."
            )

    def find_doubted(self) -> None:
        """Look in the server's list for batches whose creation was not answered."""
        doubted = [batch for batch in self.open.values() if batch.server_id is None]
        if not doubted:
            return
        asked_at = time.time()
        try:
            listed = list(self.wire.listed(since=min(batch.intended_at for batch in doubted) - SKEW_SECONDS))
        except WireError as trouble:
            if trouble.status not in NO_BATCHES:
                return self.bear(trouble)
            for batch in doubted:
                self.give_up(batch, f"there is no list of batches to find it in (HTTP {trouble.status})")
            return
        self._unreached = 0
        try:
            for batch in doubted:
                self._find(batch, listed, asked_at=asked_at)
        except WireError:
            return  # borne; looked at again in the next round

    def _find(self, batch: LoggedBatch, listed: Sequence[ServerBatch], *, asked_at: float) -> None:
        known = self.log.known_ids(batch.endpoint) | self._strangers
        undecided = []
        for candidate in (one for one in listed if one.id not in known and _may_be(one, batch)):
            verdict = self._is_ours(candidate, batch)
            if verdict:
                self.opened(batch, candidate.id)
                self.say(f"claude: batch {candidate.id} was created after all; its results are collected")
                return
            if verdict is None:
                undecided.append(candidate)
            else:
                self._strangers.add(candidate.id)
        if any(not candidate.ended for candidate in undecided):
            return  # one that is not over may be it
        if undecided:
            ids = ", ".join(candidate.id for candidate in undecided[:3])
            self.give_up(batch, f"it may be {ids}, whose results cannot be had")
        elif asked_at - self.lost_at.get(batch.key, batch.intended_at) >= self.pacing.grace_seconds:
            self.say(f"claude: a batch of {batch.size:,} requests is not in the server's list, so it was not created")
            self.owner.absent(batch, self._close(batch, "ABSENT", "not in the server's list, so it was not created"))

    def _is_ours(self, candidate: ServerBatch, batch: LoggedBatch) -> bool | None:
        """Tell by the ids in its results whether a batch is ours; None where they cannot be had (yet)."""
        if not candidate.ended or candidate.archived or not candidate.has_results:
            return None
        ours = self.log.sent(batch.key)
        lines = (told(line) for line in self.wire.lines(candidate.id))
        try:
            found = [heard.id in ours for heard in lines if heard is not None]
        except WireError as trouble:
            if trouble.status in (404, 410):
                return None
            self.bear(trouble)
            raise
        return 2 * sum(found) > len(found) if found else None

    def refuse(self, batch: LoggedBatch, reason: str) -> list[Sent]:
        """Settle a batch that the server did not take; return its requests."""
        return self._close(batch, "REFUSED", reason)

    def give_up(self, batch: LoggedBatch, reason: str) -> None:
        """Settle a batch whose results can no longer be had: what it cost is in doubt, and that is said aloud."""
        left = self._close(batch, "LOST", reason)
        name = batch.server_id or f"number {batch.key}, which was never confirmed"
        self.say(
            f"claude: LOST: {len(left):,} requests of batch {name} may be paid for and have no answer: {reason}. Up to "
            f"{dollars(sum(sent.reserved_nano for sent in left) / NANO, up=True)} count as spent, in doubt"
        )
        self.owner.lost(left, Setback("lost", f"batch {name}: {reason}"))

    def _close(self, batch: LoggedBatch, state: Closed, reason: str) -> list[Sent]:
        del self.open[batch.key]
        return self.log.close(batch.key, state, reason=reason)

    def collect_ended(self) -> None:
        """Look up every batch and store the results of those that have ended."""
        for batch in list(self.open.values()):
            if batch.server_id is None:
                continue
            try:
                found = self.wire.look_up(batch.server_id)
            except WireError as trouble:
                if trouble.status == 404:
                    raise self.unknown(batch) from None
                return self.bear(trouble)
            if found.ended:
                self._collect(batch, found)
            else:
                self._unreached = 0

    def unknown(self, batch: LoggedBatch) -> ServiceError:
        """Return what to say of a batch that was created and that the server does not know."""
        return ServiceError(
            f"Claude: batch {batch.server_id} of {batch.size:,} requests is not known to this key's workspace at "
            f"{self.endpoint}. Set the key that it was sent with and run again. If it was deleted there, `tamis cancel "
            f"--forget {batch.server_id}` counts it as spent, in doubt, so that its requests are asked again."
        )

    def _collect(self, batch: LoggedBatch, found: ServerBatch) -> None:
        """Store what was not stored before; what no line is for, in two whole downloads, is in doubt."""
        if found.archived:
            return self.give_up(batch, "its results are archived, as 29 days have passed since it was created")
        sent = self.log.sent(batch.key)
        waiting = {id: one for id, one in sent.items() if one.outcome is None}
        strange: set[str] = set()
        num_whole = 0
        for number in range(MAX_DOWNLOADS):
            try:
                lines = self.wire.lines(found.id)
                while portion := list(islice(lines, PORTION)):
                    strange |= self._store(batch, portion, waiting=waiting) - sent.keys()
                num_whole += 1
            except WireError as trouble:
                if trouble.status in (404, 410):
                    return self.give_up(batch, f"its results are gone (HTTP {trouble.status})")
                self.bear(trouble)
            if not waiting or num_whole == 2:
                return self._end(batch, num_strange=len(strange))
            self.pause(self.pacing.poll_seconds * 2**number)

    def _store(self, batch: LoggedBatch, portion: Sequence[bytes], *, waiting: dict[str, Sent]) -> set[str]:
        """Store the lines that are waited for; return the ids of all."""
        found, landed = set(), []
        for heard in map(told, portion):
            if heard is None:
                continue
            found.add(heard.id)
            if (sent := waiting.pop(heard.id, None)) is not None:
                landed.append(landed_of(heard, sent, prices=self.prices, on=self.today()))
        self.log.record_landed(landed)
        self._unreached = 0
        for one in landed:
            self.owner.landed(batch, one)
        return found

    def _end(self, batch: LoggedBatch, *, num_strange: int) -> None:
        reason = f"{num_strange} results were for requests that are not in it" if num_strange else ""
        if reason:
            self.say(f"claude: batch {batch.server_id}: {reason}; they are ignored")
        left = self._close(batch, "ENDED", reason or "no result was for it")
        if left:
            self.say(f"claude: batch {batch.server_id}: LOST: {len(left):,} requests have no result; in doubt")
            self.owner.lost(left, Setback("lost", "no result was for it in its batch"))
        self.owner.ended(batch)


def _may_be(found: ServerBatch, batch: LoggedBatch) -> bool:
    """Say whether a batch of the server's may be one that was meant, by size and time; what is unknown may be."""
    earliest, latest = batch.intended_at - SKEW_SECONDS, batch.intended_at + CREATION_SECONDS
    fits = found.created_at is None or earliest <= found.created_at <= latest
    return fits and found.size in (None, batch.size)
