"""What to do about a failed request: every way the API says no, sorted into five reactions.

    wait     429: not a failure; hold all traffic for `retry-after`
    again    500, 502, 503, 529, no connection: answered with an error or never sent, so not billed; try again
    lost     504, 408, 499, time-out, cut connection: the server may have done the work; in doubt, sent once more
    reject   400, 413, 422: this request will not do; quarantine it and go on
    stop     401, 403, 404, 402 and spend limits: no request will do; stop at once

That error responses are not billed is Anthropic's practice as far as known, not a promise (assumption). The SDK would
repeat a reached spend limit three times and send lost requests again without a word, so it runs with max_retries=0.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.core.errors import BudgetError, ServiceError, TamisError

SPENT_CODES = (
    "enforced_spend_limit_reached",
    "contract_spend_limit_reached",
    "linked_organization_spend_limit_reached",
    "linked_organization_billing_unavailable",
)
NO_CREDIT = "credit balance is too low"  # the API's words to an account that prepaid too little
HALT_CODES = ("organization_on_hold",)
LOST_STATUSES = (408, 409, 499, 504)
UNSENT = ("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol")  # of httpx2


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

    One message is read: an account without credit is told so with 400 and no code of its own.
    """
    reason = f"HTTP {status} {code}: {message[:300]}"
    if code in SPENT_CODES or status == 402 or (status == 400 and NO_CREDIT in message.lower()):
        way_out = "The account's own limit is reached; raise it or wait, then run again to resume."
        return Setback("stop", reason, error=BudgetError(f"Claude: {reason}. {way_out}"))
    if status in (401, 403, 404) or code in HALT_CODES:
        way_out = "Check ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL and the model's name, then run again to resume."
        return Setback("stop", reason, error=ServiceError(f"Claude: {reason}. {way_out}"))
    if status == 429:
        return Setback("wait", reason, wait_seconds=retry_after(headers))
    if status in LOST_STATUSES:
        return Setback("lost", reason)
    if status >= 500:
        return Setback("again", reason, wait_seconds=retry_after(headers))
    return Setback("reject", reason)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the server asked for (`retry-after-ms`, `retry-after` as seconds or date), if any."""
    for key, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(key)
        if value is None:
            continue
        try:
            return max(float(value) * scale, 0.0)
        except ValueError:
            moment = email.utils.parsedate_tz(value)
            if moment is not None:
                return max(email.utils.mktime_tz(moment) - time.time(), 0.0)
    return None
