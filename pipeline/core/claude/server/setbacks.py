"""What to do about a failed request: every way the API says no, sorted into five reactions.

    wait     429: not a failure; hold all traffic for `retry-after`, up to ten minutes
    again    503, 529, 501, no connection: turned away before any work, so not billed; try again
    lost     500, 502, 504, 408, 499, time-out, cut connection: the work may have been done and billed; in doubt, sent
             once more
    reject   400, 413, 422: this request will not do, or so it is said; see `purchase` for whom that is believed of
    stop     401, 403, 404, 402, spend limits, a wait beyond ten minutes: no request will do now; stop at once

That requests turned away are not billed is Anthropic's practice as far as known, not a promise (assumption). The SDK
would repeat a reached spend limit three times and send lost requests again without a word, so it runs with
max_retries=0.
"""

from __future__ import annotations

import email.utils
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.core.errors import BudgetError, BusyError, ServiceError, TamisError

SPENT_CODES = (
    "enforced_spend_limit_reached",
    "contract_spend_limit_reached",
    "linked_organization_spend_limit_reached",
    "linked_organization_billing_unavailable",
)
# The API's words to an account that prepaid too little, or reached a limit that its owner set; 400 and no code.
SPENT_WORDS = ("credit balance is too low", "api usage limits", "spend limit", "spending limit")
HALT_CODES = ("organization_on_hold",)
LOST_STATUSES = (408, 409, 499)
TURNED_AWAY = (501, 503, 529)  # of the 5xx: before any work
UNSENT = ("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol")  # of httpx2
LONGEST_WAIT_SECONDS = 600.0  # beyond it, ending the run and coming back is better than a process that waits


@dataclass(frozen=True, slots=True)
class Setback:
    """How one attempt failed, in words that may be stored: never a header, never a key."""

    kind: Literal["wait", "again", "lost", "reject", "stop"]
    reason: str
    wait_seconds: float | None = None  # what the server asked for
    error: TamisError | None = None  # what to raise for `stop`


def connection_setback(cause: str) -> Setback:
    """Sort a failure without any HTTP answer; `cause` names the exception classes."""
    return Setback("again" if any(name in cause for name in UNSENT) else "lost", cause)


def status_setback(status: int, *, code: str, message: str, headers: Mapping[str, str]) -> Setback:
    """Sort an HTTP error by its status and the API's stable error code; the message is passed on.

    The message is read for one thing: an account without credit, or at a limit of its owner's, is told so with 400 and
    no code of its own.
    """
    reason = f"HTTP {status} {code}: {message[:300]}"
    if code in SPENT_CODES or status == 402 or _says_spent(status, message):
        way_out = "The account's own limit is reached; raise it or wait, then run again to resume."
        return Setback("stop", reason, error=BudgetError(f"Claude: {reason}. {way_out}"))
    if status in (401, 403, 404) or code in HALT_CODES:
        way_out = "Check ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL and the model's name, then run again to resume."
        return Setback("stop", reason, error=ServiceError(f"Claude: {reason}. {way_out}"))
    if status == 429 or status in TURNED_AWAY:
        return _waiting("wait" if status == 429 else "again", reason, seconds=retry_after(headers))
    if status in LOST_STATUSES or status >= 500:
        return Setback("lost", reason)
    return Setback("reject", reason)


def _says_spent(status: int, message: str) -> bool:
    return status in (400, 403, 429) and any(words in message.lower() for words in SPENT_WORDS)


def _waiting(kind: Literal["wait", "again"], reason: str, *, seconds: float | None) -> Setback:
    if seconds is None or seconds <= LONGEST_WAIT_SECONDS:
        return Setback(kind, reason, wait_seconds=seconds)
    asked = f"{reason}. It asks to come back in {spoken(seconds)}"
    way_out = f"A run waits {spoken(LONGEST_WAIT_SECONDS)} at most; all answers so far are kept. Run again then."
    return Setback("stop", reason, error=BusyError(f"Claude: {asked}. {way_out}"))


def spoken(seconds: float) -> str:
    """Return a time as `45 s`, `10 min`, `5 h 20 min` or `11 d 13 h`."""
    whole = round(seconds)
    for size, unit, below, smaller in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the server asked for (`retry-after-ms`, `retry-after` as seconds or date), if any.

    What is no time at all (words, `inf`, a date of the year 99999) is as good as no header.
    """
    for key, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(key)
        seconds = None if value is None else _seconds(value, scale=scale)
        if seconds is not None and math.isfinite(seconds):
            return max(seconds, 0.0)
    return None


def _seconds(value: str, *, scale: float) -> float | None:
    try:
        return float(value) * scale
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_tz(value)
        return None if moment is None else email.utils.mktime_tz(moment) - time.time()
    except (ValueError, OverflowError):
        return None
