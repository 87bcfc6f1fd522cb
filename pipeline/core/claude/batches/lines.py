"""One line of a batch's results: whose it is, and what it means for the ledger.

An answer is stored as the message that a single request would have got, so one reader serves both. What the server
refused for its own sake is rejected; what failed on its side is asked again; what was canceled or expired was not
billed (Anthropic's practice as far as known, not a promise) and is asked again by a later run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal

from pipeline.core.claude.batches.log import Landed, Sent
from pipeline.core.claude.messages.answer import usage_of
from pipeline.core.claude.prices import BilledTokens, Prices, cost_nano
from pipeline.core.claude.server.setbacks import Setback

AT_FAULT = ("invalid_request_error", "request_too_large")
REJECTED = "rejected: "  # before the server's words; the ledger looks for it
NOT_BELIEVED = "upper bound, as the counts of tokens cannot be right"


@dataclass(frozen=True, slots=True)
class Heard:
    """A line that names a request."""

    id: str
    kind: str
    result: Mapping[str, Any] = field(default_factory=dict)


def told(line: bytes) -> Heard | None:
    """Read a line of results; None if it is none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("custom_id"), str):
        return None
    result = found.get("result")
    result = result if isinstance(result, dict) else {}
    return Heard(found["custom_id"], str(result.get("type")), result)


def landed_of(heard: Heard, sent: Sent, *, prices: Prices, on: date) -> Landed:
    """Return what a line makes of its request."""
    if heard.kind == "succeeded":
        return _answered(heard, sent, prices=prices, on=on)
    if heard.kind == "errored":
        return _failed(sent, "rejected", _errored(heard.result))
    if heard.kind in ("canceled", "expired"):
        return _failed(sent, "rejected", Setback("wait", f"{heard.kind} in its batch"))
    return _failed(sent, "in_doubt", Setback("lost", f"its batch's results say {heard.kind[:40]!r} of it"))


def billed_nano(
    usage: Mapping[str, Any], *, model: str, prices: Prices, on: date, bound: int, batch: bool = False
) -> tuple[int, str]:
    """Return what an answer cost in nanodollars and by which price; counts that cannot be right cost the bound."""
    tokens = BilledTokens.of_usage(usage)
    if tokens is None:
        return bound, NOT_BELIEVED
    price = prices.price_of(model, prompt_tokens=tokens.prompt, on=on)
    return cost_nano(price, replace(tokens, batch=batch or tokens.batch)), price.stamp


def _answered(heard: Heard, sent: Sent, *, prices: Prices, on: date) -> Landed:
    raw = json.dumps(heard.result.get("message")).encode()
    usage = usage_of(raw)
    if not usage:
        return _failed(sent, "in_doubt", Setback("lost", "succeeded without a message"))
    cost, price = billed_nano(usage, model=sent.model, prices=prices, on=on, bound=sent.reserved_nano, batch=True)
    return Landed(sent, "answered", raw=raw, usage=usage, cost_nano=cost, price=price)


def _errored(result: Mapping[str, Any]) -> Setback:
    outer = result.get("error")
    inner = outer.get("error") if isinstance(outer, dict) else None
    error = inner if isinstance(inner, dict) else outer if isinstance(outer, dict) else {}
    reason = f"{error.get('type')}: {str(error.get('message'))[:300]}"
    return Setback("reject", REJECTED + reason) if error.get("type") in AT_FAULT else Setback("again", reason)


def _failed(sent: Sent, outcome: Literal["rejected", "in_doubt"], setback: Setback) -> Landed:
    return Landed(sent, outcome, setback=setback)
