"""What the threads that buy answers share: the queue, the pace, the count of failures, and the reason to stop.

A request that the service refuses to take is an outcome. One that merely failed, by a time-out or an overloaded server,
is not: when all others have landed the run ends with an error, so that no result is written that another try would
change, and the next run asks for these only. A service that fails every request is a reason to stop at once, with all
answers in flight awaited and kept. Which thread asks what never shows in a result: answers are collected by request.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pipeline.core.errors import ServiceError, TamisError
from pipeline.core.request import Request
from pipeline.core.setbacks import Setback

FAILURES_THAT_STOP = 5  # given up in a row, or of any kind before the first answer
REASONS_TOLD = 3


class Pace:
    """A moment before which nobody sends."""

    def __init__(self) -> None:
        self._until = 0.0

    def hold(self, seconds: float) -> None:
        """Send nothing for so long; a longer hold stays."""
        self._until = max(self._until, time.monotonic() + seconds)

    def await_turn(self, stopped: threading.Event) -> bool:
        """Wait until sending is allowed; False when stopped."""
        while (left := self._until - time.monotonic()) > 0:
            if stopped.wait(left):
                return False
        return not stopped.is_set()


@dataclass(slots=True)
class Purchase:
    """The state of one `ask`, shared by its threads."""

    queue: Iterator[Request]
    num_total: int
    num_known: int  # answers that the ledger already had
    num_bought: int = 0
    failures: dict[str, Setback] = field(default_factory=dict)
    fatal: TamisError | None = None
    stopped: threading.Event = field(default_factory=threading.Event)
    _mutex: threading.Lock = field(default_factory=threading.Lock)
    _given_up_in_a_row: int = 0

    def next(self) -> Request | None:
        """Return the next request to send, None when there is none or all is stopped."""
        with self._mutex:
            return None if self.stopped.is_set() else next(self.queue, None)

    def halt(self, error: TamisError) -> None:
        """Stop all threads; the first error is the one that is raised."""
        with self._mutex:
            self.fatal = self.fatal or error
        self.stopped.set()

    def count_answer(self) -> None:
        """Count one answer bought."""
        with self._mutex:
            self.num_bought += 1
            self._given_up_in_a_row = 0

    def count_failure(self, request: Request, setback: Setback) -> None:
        """Count a request that has no answer; halt when the service, not the request, seems to be at fault."""
        with self._mutex:
            self.failures[request.id] = setback
            self._given_up_in_a_row += setback.kind != "reject"
            none_works = self.num_bought + self.num_known == 0 and len(self.failures) >= FAILURES_THAT_STOP
            hopeless = none_works or self._given_up_in_a_row >= FAILURES_THAT_STOP
        if hopeless:
            self.halt(self._out_of_service(setback))

    def finish(self) -> dict[str, Setback]:
        """Return what was rejected, by request id; raise what stopped the threads, or left a request unanswered."""
        unanswered = [setback for setback in self.failures.values() if setback.kind != "reject"]
        if self.fatal is None and unanswered:
            self.fatal = self._incomplete(unanswered)
        if self.fatal is not None:
            self.fatal.add_note(
                f"{self.num_bought} of {self.num_total} requests were answered in this run and are kept"
            )
            raise self.fatal
        return self.failures

    def _out_of_service(self, last: Setback) -> ServiceError:
        return ServiceError(
            f"Claude: {len(self.failures)} requests failed, the last with {last.reason}. "
            "Answers so far are kept; run again to resume."
        )

    def _incomplete(self, unanswered: Sequence[Setback]) -> ServiceError:
        reasons = Counter(setback.reason for setback in unanswered)
        told = [
            f"{count} x {reason}" for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        ]
        more = f"; {len(told) - REASONS_TOLD} more reasons" if len(told) > REASONS_TOLD else ""
        return ServiceError(
            f"Claude: {len(unanswered)} of {self.num_total} requests have no answer: "
            f"{'; '.join(told[:REASONS_TOLD])}{more}. All other answers are kept; run again to ask for these only."
        )
