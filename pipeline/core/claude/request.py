"""One question to a model: exactly what is sent, its address, and the most that it can cost.

The address is the hash of the body, and of the server where it is not Anthropic's, so the same question from any run or
recipe is the same row of the ledger and is bought once. It leaves out the API version, which the SDK's major version
fixes: an upgrade must not buy everything anew. The body is also what one line of a Message Batch carries as `params`,
and the address fits its `custom_id`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Literal

from pipeline.core.claude.prices import BilledTokens, Prices, cost_nano
from pipeline.core.identity import identity_of

OVERHEAD_TOKENS = 2_000  # assumption: the most that the API adds to a prompt for a schema


@dataclass(frozen=True)  # without slots, so that the id is kept
class Request:
    """One question to a model. `purpose` is for the ledger's reader; it is neither sent nor part of the id.

    `endpoint` is the client's to set: who else than Anthropic is asked. `turn` counts how often the same was asked
    before and the answer was not wanted. Both are part of the id and are not sent.
    """

    model: str
    system: str
    prompt: str
    max_tokens: int
    schema: Mapping[str, Any] | None = None  # JSON schema of the answer; None asks for plain text
    thinking: Literal["disabled", "adaptive"] = "disabled"
    effort: Literal["low", "medium", "high"] = "low"
    purpose: str = ""
    endpoint: str = ""
    turn: int = 0

    def body(self) -> dict[str, Any]:
        """Return what is sent."""
        config: dict[str, Any] = {"effort": self.effort}
        if self.schema is not None:
            config["format"] = {"type": "json_schema", "schema": self.schema}
        return {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "system": self.system,
            "messages": [{"role": "user", "content": self.prompt}],
            "thinking": {"type": self.thinking},
            "output_config": config,
        }

    @property
    def size_bytes(self) -> int:
        """At most what it takes in a batch, with its id and commas."""
        return len(json.dumps(self.body())) + 100

    @cached_property
    def id(self) -> str:
        """`r_` and 40 hex characters; fits a batch's custom_id."""
        body = self.body()
        # The order of a schema's properties is the order in which they are answered, and identity_of sorts keys.
        asked = {**body, "output_config": json.dumps(body["output_config"])}
        unsent = {"endpoint": self.endpoint, "turn": self.turn}
        return "r_" + identity_of(asked | {key: value for key, value in unsent.items() if value})[:40]


@dataclass(frozen=True, slots=True)
class Buyer:
    """For whom answers are bought: a recipe, and a step of it as `dataset.step`. For the bill alone."""

    recipe: str = ""
    step: str = ""


NOBODY = Buyer()


def bound_nano(request: Request, *, prices: Prices, on: date, batch: bool = False) -> int:
    """Return the most that a request can cost in nanodollars: a token is at least a byte, `max_tokens` are written."""
    return bound_of_body(request.body(), prices=prices, on=on, batch=batch)


def bound_of_body(body: Mapping[str, Any], *, prices: Prices, on: date, batch: bool) -> int:
    """Return the same of what is sent."""
    model = str(body["model"])
    prompt = len(json.dumps(body, ensure_ascii=False).encode()) + OVERHEAD_TOKENS
    tokens = BilledTokens(input=prompt, output=int(body["max_tokens"]), batch=batch)
    fitting = prices.price_of(model, prompt_tokens=prompt, on=on)
    reachable = [band for band in prices.bands(model, on=on) if band.largest_prompt <= fitting.largest_prompt]
    return max(cost_nano(band, tokens) for band in reachable)
