"""What the threads that buy answers share: the rounds, the pace, the counts, and the reasons to stop.

Nothing is final that another try could change. A request that merely failed (a time-out, an overloaded server) leaves
the run with an error when all others have landed, and the next run asks for it alone. So does a request that the
service rejects, unless the request itself is at fault, and that takes evidence: rejected twice, with another one
answered in between. The last request is kept back to be that witness; then the rejected ones are sent again, which
costs nothing. Where rejections are the rule the service is at fault: five failures in a row, or five that are more than
a fifth of all, stop the run, with all answers in flight awaited and kept. Answers that are useless as a rule stop it
too, before they are all paid for. Which thread asks what never shows in a result: answers are collected by request.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.core.claude.messages.answer import Reading, Status
from pipeline.core.claude.messages.request import Request
from pipeline.core.claude.server.setbacks import Setback
from pipeline.core.errors import ServiceError, TamisError

FAILURES_THAT_STOP = 5  # in a row
MOST_REJECTED = 0.2  # share of what came back, from FAILURES_THAT_STOP on
REASONS_TOLD = 3
WINDOW = 50  # answers over which uselessness is judged
EARLY = 10  # useless answers and no other stop at once
ENOUGH = 30  # answers from which on a share counts

Judge = Callable[[Request, Mapping[str, Any]], str]  # what makes a parsed answer useless: `kind (why)`; else empty


class Read(Protocol):
    """An answer that was read."""

    @property
    def status(self) -> Status: ...

    @property
    def data(self) -> Mapping[str, Any] | None: ...

    @property
    def reason(self) -> str: ...


def no_complaint(request: Request, data: Mapping[str, Any]) -> str:
    """Take every parsed answer for useful."""
    return ""


class Pace:
    """A moment before which nobody sends."""

    def __init__(self) -> None:
        self._until = 0.0

    def hold(self, seconds: float) -> bool:
        """Send nothing for so long; a longer hold stays. Say whether this one is the longest."""
        until = time.monotonic() + seconds
        longer = until > self._until + 0.5
        self._until = max(self._until, until)
        return longer

    def await_turn(self, stopped: threading.Event) -> bool:
        """Wait until sending is allowed; False when stopped."""
        while (left := self._until - time.monotonic()) > 0:
            if stopped.wait(left):
                return False
        return not stopped.is_set()


class Usefulness:
    """Judges the last answers of a purchase: do they say what was asked for?"""

    def __init__(self, *, most_useless: float, judge: Judge = no_complaint) -> None:
        self._most_useless, self._judge = most_useless, judge
        self._last: deque[str] = deque(maxlen=WINDOW)  # what is wrong with each; empty: nothing

    def wrong(self, request: Request, answer: Read) -> str:
        """Return what makes an answer useless, as `kind (why)`; empty for a useful one."""
        if answer.status != "parsed":
            return f"{answer.status} ({answer.reason})"
        return "" if answer.data is None else self._judge(request, answer.data)

    def count(self, request: Request, answer: Read, *, pardoned: Collection[str] = ()) -> None:
        """Count one answer, unless it is useless in a way that is pardoned."""
        wrong = self.wrong(request, answer)
        if wrong.partition(" ")[0] not in pardoned:
            self._last.append(wrong)

    def complaint(self) -> str:
        """Return how many of the last answers are useless and why, if they are too many; else an empty text."""
        useless = [wrong for wrong in self._last if wrong]
        share = len(useless) / max(len(self._last), 1)
        early = len(useless) == len(self._last) >= EARLY
        if share <= self._most_useless or not (early or len(self._last) >= ENOUGH):
            return ""
        return f"{len(useless)} of the last {len(self._last)} answers are useless: {_told(Counter(useless))}"


@dataclass(slots=True)
class Purchase:
    """The state of one `ask`, shared by its threads."""

    requests: Sequence[Request]
    num_known: int  # answers that the ledger already had
    usefulness: Usefulness
    num_bought: int = 0
    failures: dict[str, Setback] = field(default_factory=dict)
    fatal: TamisError | None = None
    crash: BaseException | None = None  # of a thread: our bug
    unlike: bool = False  # stopped as what came back is as a rule not in the form that was asked for, or rejected
    stopped: threading.Event = field(default_factory=threading.Event)
    _queue: Iterator[Request] = field(default_factory=lambda: iter(()))
    _mutex: threading.Lock = field(default_factory=threading.Lock)
    _failed_in_a_row: int = 0
    _once_more: bool = False

    def rounds(self, requests: Sequence[Request], *, most: Callable[[], int | None] = lambda: None) -> Iterator[int]:
        """Fill the queue, again and again; yield its length. All but the last request, the last one, what was rejected.

        The first come in portions, as long as `most` says of how many.
        """
        start = 0
        while start < len(requests) - 1:
            portion = most()
            end = len(requests) - 1 if portion is None else min(start + portion, len(requests) - 1)
            self._queue = iter(requests[start:end])
            yield end - start
            start = end
        self._queue = iter(requests[-1:])
        yield len(requests[-1:])
        again = [request for request in requests if self._rejected(request.id)]
        self._once_more, self._queue = True, iter(again)
        yield len(again)

    def _rejected(self, id: str) -> bool:
        return id in self.failures and self.failures[id].kind == "reject"

    def next(self) -> Request | None:
        """Return the next request of this round, None when there is none or all is stopped."""
        with self._mutex:
            return None if self.stopped.is_set() else next(self._queue, None)

    def halt(self, error: TamisError) -> None:
        """Stop all threads; the first error is the one that is raised."""
        with self._mutex:
            self.fatal = self.fatal or error
        self.stopped.set()

    def count_answer(self, request: Request, reading: Reading) -> None:
        """Count one answer bought; halt when the answers are useless as a rule."""
        with self._mutex:
            self.num_bought += 1
            self._failed_in_a_row = 0
            self.failures.pop(request.id, None)
            self.usefulness.count(request, reading)
        self.halt_if_useless()

    def halt_if_useless(self) -> None:
        """Stop all threads when the last answers are useless as a rule."""
        with self._mutex:
            complaint = self.usefulness.complaint()
        if complaint:
            self.unlike = "x invalid" in complaint
            self.halt(
                ServiceError(
                    f"Claude: {complaint}. They are paid for and kept, and no more are bought. Try another `model` or "
                    "`rubric_file`; or ask for these once more (ask_again: {invalid: 1}, see the reference); or go on "
                    "regardless (max_useless: 1)."
                )
            )

    def count_failure(self, request: Request, setback: Setback) -> None:
        """Count a request that has no answer; halt when the service, not the request, seems to be at fault."""
        with self._mutex:
            self.failures[request.id] = setback
            if self._once_more and setback.kind == "reject":
                return
            self._failed_in_a_row += 1
            rejected = sum(failure.kind == "reject" for failure in self.failures.values())
            too_many = rejected > MOST_REJECTED * (self.num_bought + len(self.failures))
            hopeless = self._failed_in_a_row >= FAILURES_THAT_STOP or (rejected >= FAILURES_THAT_STOP and too_many)
        if hopeless:
            self.halt(self._out_of_service(setback))

    def judge_batch(self) -> None:
        """Halt when rejections are the rule, by what came back so far."""
        rejected = [failure for failure in self.failures.values() if failure.kind == "reject"]
        came_back = self.num_bought + len(self.failures)
        if len(rejected) >= FAILURES_THAT_STOP and len(rejected) > MOST_REJECTED * came_back:
            self.halt(self._out_of_service(rejected[-1]))

    def finish(self, *, at_fault: Iterable[str]) -> dict[str, Setback]:
        """Return what was rejected, by request id; raise what stopped the threads, or left a request unanswered.

        `at_fault` are the requests of which there is evidence that they, not the service, are the reason.
        """
        final = {id for id in at_fault if self._rejected(id)}
        unanswered = [setback for id, setback in self.failures.items() if id not in final]
        if self.fatal is None and unanswered:
            self.fatal = self._incomplete(unanswered)
        if self.fatal is not None:
            self.fatal.add_note(
                f"{self.num_bought} of {len(self.requests)} requests were answered in this run and are kept"
            )
            raise self.fatal
        return self.failures

    def _out_of_service(self, last: Setback) -> ServiceError:
        self.unlike = last.kind == "reject"
        tried = self.num_bought + len(self.failures)
        return ServiceError(
            f"Claude: {len(self.failures)} of {tried} requests failed, the last with {last.reason}. That is the "
            "service's fault or that of all requests alike, so the run stops. Answers so far are kept; fix the cause "
            "and run again to resume."
        )

    def _incomplete(self, unanswered: Sequence[Setback]) -> ServiceError:
        reasons = Counter(setback.reason for setback in unanswered)
        rejected = sum(setback.kind == "reject" for setback in unanswered)
        doubt = (
            f" Of {rejected} it cannot be told whether the document or the service is at fault, as no other request "
            "was answered after them; if the next run says so again, raise `documents` by one, or drop these "
            "documents before."
            if rejected
            else ""
        )
        return ServiceError(
            f"Claude: {len(unanswered)} of {len(self.requests)} requests have no answer: {_told(reasons)}. All other "
            f"answers are kept; run again to ask for these only.{doubt}"
        )


def _told(reasons: Counter[str]) -> str:
    """Return the commonest reasons with their counts."""
    told = [f"{count} x {reason}" for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))]
    more = f"; {len(told) - REASONS_TOLD} more reasons" if len(told) > REASONS_TOLD else ""
    return f"{'; '.join(told[:REASONS_TOLD])}{more}"
