"""Prompt caching for requests that begin alike: marked where it pays, and off once it costs more than it saves.

What all requests of a rubric begin with, its instructions, can be kept by the server: written at 1.25 times the price
of the prompt for five minutes, or at twice for an hour, and read at a tenth or less. Nothing can be read before an
answer has begun, so one request goes first (the primer); then a first shard is sent, and by what it cost the rest is
marked or not. A prefix below the model's least length is silently not kept, which the primer shows. In batches, where
hits are a matter of luck, the hour is used, and it must promise to be worth the wait for the primer. A mark changes
no answer, so it is no part of a request's id, and what was bought with it is found without.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

from pipeline.core.claude.ledger.ledger import Ledger
from pipeline.core.claude.messages.request import BYTES_PER_TOKEN, Keep, Request, Wish
from pipeline.core.claude.prices import NANO, BilledTokens, Price, Prices, cost_nano, dollars
from pipeline.core.claude.server.endpoint import foreign_endpoint

Stage = Literal["off", "primer", "trial", "on"]

SHARD = 50  # single requests after the primer by which caching is judged, and again after as many
# Shares of requests after the primer that read, as assumed: low, middle, high. Batches are best effort (30 to 98 %).
HITS: dict[Keep, tuple[float, float, float]] = {"5m": (0.5, 0.9, 1.0), "1h": (0.3, 0.64, 0.98)}
FEWEST = 5  # answers of earlier runs by which caching is judged
REMEMBERED_SECONDS = 86_400.0
LEAST_SAVING_USD = {"5m": 0.0, "1h": 1.0}  # a primer of batches takes up to an hour or so


@dataclass(frozen=True, slots=True)
class Outcome:
    """What caching would do to the money of some requests, in nanodollars: positive numbers are saved."""

    low: float  # may be below zero
    middle: float
    high: float


def promise(
    request: Request, *, count: int, price: Price, keep: Keep, wish: Wish, shard: int,
    bytes_per_token: tuple[float, float, float] = BYTES_PER_TOKEN,
) -> Outcome | None:  # fmt: skip
    """Return what caching will probably save in so many requests like this one; None where it is not tried.

    `bytes_per_token` is what is assumed where all costs little, in the middle, and where it costs much.
    """
    least = price.cache_from_tokens
    cheap, middle, dear = (request.prefix_bytes / each for each in bytes_per_token)
    if not may_cache(wish) or count < 2 or (least is None and wish != "always") or middle < (least or 0):
        return None
    written = price.cache_write_5m if keep == "5m" else price.cache_write_1h
    part = price.batch_multiplier if keep == "1h" else 1.0
    premium, gain = (written - price.input) * part, (price.input - price.cache_read) * part  # dollars of a million

    def saved(hits: float, tokens: float, count: int) -> float:
        """Return nanodollars."""
        return ((hits * gain - (1 - hits) * premium) * (count - 1) - premium) * tokens * NANO / 1e6

    few, some, most = HITS[keep]
    found = Outcome(
        low=min(saved(few, dear, count), saved(0.0, dear, min(count, 1 + shard))),
        middle=saved(some, middle, count),
        high=saved(most, cheap, count),
    )
    return found if wish == "always" or found.middle > LEAST_SAVING_USD[keep] * NANO else None


def may_cache(wish: Wish) -> bool:
    """Say whether anything may be marked at the address in force: other servers keep what they like."""
    return wish == "always" or (wish == "auto" and not foreign_endpoint())


@dataclass(slots=True)
class Caching:
    """Whether the requests of one purchase are marked now. Methods may be called from any thread."""

    ledger: Ledger
    prices: Prices
    on: date
    keep: Keep
    shard: int  # requests that are sent before they are judged, and after the first ones again
    say: Callable[[str], None]
    stage: Stage = "off"
    works: bool | None = None  # as far as was tried
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _window: list[tuple[int, BilledTokens]] = field(default_factory=list)  # saved nanodollars and tokens of each

    def begin(self, requests: Sequence[Request], *, wish: Wish) -> None:
        """Decide whether these requests, which are about to be bought, begin with a primer."""
        alike = len({(each.model, each.instructions, each.way) for each in requests}) == 1
        outcome = None
        if alike and self.works is not False:
            price = self.prices.price_of(requests[0].model, prompt_tokens=0, on=self.on)
            outcome = promise(
                requests[0], count=len(requests), price=price, keep=self.keep, wish=wish, shard=self.shard
            )
        self._window.clear()
        self.stage = "off" if outcome is None else "primer"
        if self.stage == "primer" and self.works is None:
            self._look_back(requests[0])
        if outcome is not None and self.stage == "primer" and self.keep == "1h":
            self.say(
                "claude: a batch of one request goes first, so that all others can read what they begin with: that "
                f"takes up to an hour or so, and will probably save {dollars(outcome.middle / NANO)} (`cache: never` "
                "sends all at once)"
            )

    def _look_back(self, request: Request) -> None:
        """Do not try again what an earlier run has just tried in vain."""
        usages = self.ledger.kept_since(
            time.time() - REMEMBERED_SECONDS, request.model, request.body(), keep=self.keep, most=self.shard
        )
        for usage in usages:
            self.count(BilledTokens.of_usage(usage, batch=self.keep == "1h"), model=request.model)
        if len(self._window) >= FEWEST and self._saved() < 0:
            self._judge()
        self._window.clear()

    @property
    def mark(self) -> Keep | None:
        """How long what a request begins with is to be kept; None: not marked."""
        return None if self.stage == "off" else self.keep

    @property
    def most(self) -> int | None:
        """How many requests may be sent before `end_round`; None: no limit of this."""
        return {"primer": 1, "trial": self.shard}.get(self.stage)

    def count(self, tokens: BilledTokens | None, *, model: str) -> None:
        """Count one answer to a marked request."""
        if tokens is None or self.stage == "off":
            return
        price = self.prices.price_of(model, prompt_tokens=tokens.prompt, on=self.on)
        plain = replace(tokens, input=tokens.prompt, cache_write_5m=0, cache_write_1h=0, cache_read=0)
        with self._lock:
            self._window.append((cost_nano(price, plain) - cost_nano(price, tokens), tokens))
            if self.stage == "on" and self.keep == "5m" and len(self._window) >= self.shard:
                self._judge()

    def end_round(self) -> None:
        """Judge by what has come back since the last time."""
        with self._lock:
            if self.stage == "primer" and not self._window:
                self._stop("the request that was to be kept has no answer")
            elif self.stage == "primer":
                tokens = self._window[-1][1]
                kept = tokens.cache_read + tokens.cache_write_5m + tokens.cache_write_1h
                if kept:
                    self.stage = "on" if self.works else "trial"
                else:
                    self._stop("the server kept nothing of the first request, which may be too short")
            elif self._window and (self.stage == "trial" or self.keep == "1h"):
                self._judge()

    def _saved(self) -> float:
        return sum(nano for nano, _ in self._window) / NANO

    def _judge(self) -> None:
        saved = self._saved()
        num_read = sum(tokens.cache_read > 0 for _, tokens in self._window)
        told = f"{num_read} of {len(self._window)} requests read what they begin with"
        if saved < 0:
            self._stop(f"{told}, which cost {dollars(-saved)} more than it saved")
        elif self.stage == "trial":
            self.stage, self.works = "on", True
            self.say(f"claude: prompt caching works: {told}, which saved {dollars(saved)}")
        self._window.clear()

    def _stop(self, why: str) -> None:
        self.stage, self.works = "off", False
        self.say(f"claude: prompt caching is off for the rest: {why}")
