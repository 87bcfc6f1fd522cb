"""One question to a model: exactly what is sent, its address, and the most that it can cost.

JSON is asked for in one of three ways, by what the server can do (`self_test`): its own JSON schema, a tool whose input
is the answer, or words in the prompt. What is sent differs, so an answer got in one way is never used for another.

The address is the hash of the body, and of the server where it is not Anthropic's, so the same question from any run or
recipe is the same row of the ledger and is bought once. It leaves out the API version, which the SDK's major version
fixes: an upgrade must not buy everything anew. The body is also what one line of a Message Batch carries as `params`,
and the address fits its `custom_id`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pipeline.core.claude.prices import NANO, BilledTokens, Prices, cost_nano, load_prices
from pipeline.core.identity import identity_of

Way = Literal["schema", "tool", "prompt"]  # of asking for JSON, the best first
WAYS: tuple[Way, ...] = ("schema", "tool", "prompt")
Demand = Literal["best", "schema", "tool", "prompt"]  # `best` of those that work
Keep = Literal["5m", "1h"]  # how long a server is to keep what a request begins with
Wish = Literal[
    "auto", "always", "never"
]  # to have it kept: at Anthropic's address where that pays; anywhere; not at all
TOOL = "answer"  # the name of the tool whose input is the answer

IN_WORDS = """

Answer with one JSON object and nothing else: no other words, no Markdown. It meets this JSON schema:
{schema}"""
# Assumption, as (few, middle, many tokens): bytes of a request for a token. English prose has 3 to 4.5, Chinese 2 to 3.
BYTES_PER_TOKEN = (4.5, 3.2, 2.0)
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
    way: Way = "schema"  # of asking for `schema`; others than the first send no `output_config`, with the effort in it

    @property
    def instructions(self) -> str:
        """The system prompt as it is sent."""
        return self.told_by(self.way)

    def told_by(self, way: Way) -> str:
        """Return the system prompt as it is sent in a way: words in the prompt are a part of it."""
        in_words = way == "prompt" and self.schema is not None
        return self.system + (IN_WORDS.format(schema=json.dumps(self.schema)) if in_words else "")

    def body(self) -> dict[str, Any]:
        """Return what is sent."""
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "system": self.instructions,
            "messages": [{"role": "user", "content": self.prompt}],
            "thinking": {"type": self.thinking},
        }
        if self.way == "schema":
            body["output_config"] = {"effort": self.effort}
            if self.schema is not None:
                body["output_config"]["format"] = {"type": "json_schema", "schema": self.schema}
        elif self.way == "tool" and self.schema is not None:
            tool = {"name": TOOL, "description": "Give the answer.", "strict": True, "input_schema": self.schema}
            body |= {"tools": [tool], "tool_choice": {"type": "tool", "name": TOOL}}
        return body

    def wire(self, *, keep: Keep | None) -> dict[str, Any]:
        """Return what is sent, marked so that the server keeps its beginning; a mark changes no answer."""
        body = self.body()
        if keep is not None:
            control = {"type": "ephemeral"} | ({"ttl": keep} if keep != "5m" else {})
            body["system"] = [{"type": "text", "text": self.instructions, "cache_control": control}]
        return body

    @property
    def prefix_bytes(self) -> int:
        """Bytes of what all requests by the same instructions begin with."""
        return _prefix_bytes(self.body())

    @property
    def size_bytes(self) -> int:
        """At most what it takes in a batch, with its id and commas."""
        return len(json.dumps(self.body())) + 100

    @cached_property
    def id(self) -> str:
        """`r_` and 40 hex characters; fits a batch's custom_id."""
        body = self.body()
        # The order of a schema's properties is the order in which they are answered, and identity_of sorts keys.
        asked = body | {key: json.dumps(body[key]) for key in ("output_config", "tools") if key in body}
        unsent = {"endpoint": self.endpoint, "turn": self.turn}
        return "r_" + identity_of(asked | {key: value for key, value in unsent.items() if value})[:40]


@dataclass(frozen=True, slots=True)
class Buyer:
    """For whom answers are bought: a recipe, and a step of it as `dataset.step`. For the bill alone."""

    recipe: str = ""
    step: str = ""


NOBODY = Buyer()


def bound_nano(request: Request, *, prices: Prices, on: date, batch: bool = False, keep: Keep | None = None) -> int:
    """Return the most that a request can cost in nanodollars: a token is at least a byte, `max_tokens` are written."""
    return bound_of_body(request.body(), prices=prices, on=on, batch=batch, keep=keep)


def bound_of_body(body: Mapping[str, Any], *, prices: Prices, on: date, batch: bool, keep: Keep | None) -> int:
    """Return the same of what is sent; what is to be kept is written at a price of its own."""
    model = str(body["model"])
    prompt = len(json.dumps(body, ensure_ascii=False).encode()) + OVERHEAD_TOKENS
    kept = 0 if keep is None else _prefix_bytes(body) + OVERHEAD_TOKENS
    tokens = BilledTokens(
        input=prompt - kept, output=int(body["max_tokens"]), batch=batch,
        cache_write_5m=kept if keep == "5m" else 0, cache_write_1h=kept if keep == "1h" else 0,
    )  # fmt: skip
    fitting = prices.price_of(model, prompt_tokens=prompt, on=on)
    reachable = [band for band in prices.bands(model, on=on) if band.largest_prompt <= fitting.largest_prompt]
    return max(cost_nano(band, tokens) for band in reachable)


def _prefix_bytes(body: Mapping[str, Any]) -> int:
    return len(body["system"].encode()) + (len(json.dumps(body["tools"])) if "tools" in body else 0)


def estimate_bound_usd(request: Request, *, prices: Path | None = None, keep: Keep | None = None) -> float:
    """Return the most that one such request can cost, for a plan."""
    return bound_nano(request, prices=load_prices(prices), on=datetime.now(tz=UTC).date(), keep=keep) / NANO
