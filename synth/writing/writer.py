"""The model behind a making step: its settings in a recipe, its answers bought once, and what a card tells of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field

from pipeline.core.claude.messages.request import Demand, Request, Wish
from pipeline.core.claude.server.endpoint import foreign_endpoint
from pipeline.core.document import Origin
from pipeline.core.step import Making, MakingStep, Params, how
from synth.writing.origins import writer_of

if TYPE_CHECKING:
    from pipeline.core.claude.buying.bought import Answer
    from pipeline.core.claude.client import ClaudeClient

MODEL = "claude-haiku-5-5"
LARGE_CHARACTER = "\N{GRINNING FACE}"  # four bytes, as large as one gets
Judge = Callable[[Request, Mapping[str, Any]], str]


class WriterParams(Params):
    """Which model writes, of which documents, and for how much."""

    documents: int = Field(default=1_000, ge=1, le=100_000_000, description="Rows to accept; exactly so many are made.")
    model: str = Field(default=MODEL, min_length=1, description="The id of the model that writes.")
    min_chars: int = Field(default=200, ge=1, description="Shortest document to write from, in characters.")
    max_chars: int = Field(
        default=6_000, ge=200, le=200_000, description="Characters of a document that the model sees, from its start."
    )
    max_usd: float = how(1.0, ge=0, description="US dollars that these texts may cost in all runs together.")
    concurrency: int = how(8, ge=1, le=256, description="Requests in flight at once.")
    batches: bool = how(False, description="Send Message Batches: half the price, answers within a day.")
    cache: Wish = how("auto", description="Have the server keep what all requests begin with, where that pays.")
    max_useless: float = how(
        0.6, gt=0, le=1, description="Stop when a larger share of the last answers cannot be used at all; 1: never."
    )
    prices: str | None = how(
        None, description="A price file of your own; without it, pipeline/core/claude/prices.toml."
    )


class WatchedParams(WriterParams):
    """Those of a step whose rows are watched (`watched.py`)."""

    watch_diversity: bool = Field(
        default=True, description="Use a prompt less, then no more, whose texts leave the band of real text."
    )


class WritingStep(MakingStep):
    """What steps share whose rows a model writes."""

    params: WriterParams

    def check_environment(self) -> None:
        from pipeline.core.claude.server.connection import check_credentials

        check_credentials()

    def origin(self) -> Origin:
        return writer_of(self.params.model)

    def identity_extras(self) -> dict[str, Any]:
        """Name a server that is not Anthropic's: any may answer under a model's name."""
        endpoint = foreign_endpoint()
        return super().identity_extras() | ({"endpoint": endpoint} if endpoint else {})

    def bound_usd(self, requests: Sequence[Request], *, demand: Demand = "best") -> float:
        """Return the most that one of each of these requests a row can cost, capped by `max_usd`."""
        from pipeline.core.claude.abilities.self_test import most_usd

        prices = None if self.params.prices is None else Path(self.params.prices)
        cost = sum(
            most_usd(request, count=self.params.documents, demand=demand, cache=self.params.cache, prices=prices)
            for request in requests
        )
        return min(self.params.max_usd, cost)


class Writer:
    """Buys answers for a making step and adds up what became of them. Use as a context manager."""

    def __init__(self, work: Making, params: WriterParams, *, name: str) -> None:
        from pipeline.core.claude.prices import load_prices

        self._work, self._params, self._name = work, params, name
        prices = None if params.prices is None else Path(params.prices)
        self.prices = load_prices(prices).identity(params.model)[:12]  # the version of the price list, for each row
        self._how: dict[str, Any] = {
            "max_usd": params.max_usd, "prices": prices, "workers": params.concurrency, "batches": params.batches,
            "cache": params.cache, "max_useless": params.max_useless, "say": work.say, "wait": work.wait,
            "buyer": work.buyer,
        }  # fmt: skip
        self._client: ClaudeClient | None = None
        self._answers: dict[str, Answer] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.__exit__()

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """Return one answer for each request, in order, each bought once and for ever."""
        from pipeline.core.claude.client import ClaudeClient

        if not requests:
            return []
        if self._client is None:
            self._client = ClaudeClient(self._work.ledger, **self._how).__enter__()
        answers = self._client.ask(self._client.fitted(requests))
        for answer in answers:
            self._answers.setdefault(answer.request_id, replace(answer, raw=b"", text="", data=None, usage={}))
        return answers

    def account(self, *, accepted: int) -> dict[str, Any]:
        """Return what the card tells of requests and money; what was paid is that of all runs together."""
        answers = list(self._answers.values())
        cost = sum(answer.cost_usd for answer in answers)
        note: dict[str, Any] = {
            "requests": len(answers),
            "answers_by_outcome": dict(sorted(Counter(answer.status for answer in answers).items())),
            "from_ledger": sum(answer.from_ledger for answer in answers),
            "paid_now_usd": sum(answer.cost_usd for answer in answers if not answer.from_ledger),
            "cost_usd": cost,
        }
        if accepted:
            note["usd_per_1000_accepted"] = 1000 * cost / accepted
        self._work.cost_usd = cost
        return note
