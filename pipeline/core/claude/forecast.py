"""What requests will probably cost, with an interval: by the tokens of like answers in the ledger, or of a pilot.

Answers by the same model to the same system prompt tell best: their tokens at today's price, scaled by the size of the
documents to come where some of these are at hand. Without 20 of them, tokens are guessed from the bytes of a pilot's
requests; how many bytes make a token, what the API adds and how long an answer is are assumptions then, and their
range is in the interval. A 95 % interval for the sum of all requests, not for one of them.
"""

from __future__ import annotations

import json
import math
import sqlite3
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pipeline.core.claude.endpoint import ANTHROPIC, foreign_endpoint
from pipeline.core.claude.prices import NANO, BilledTokens, Prices, cost_nano, load_prices
from pipeline.core.claude.request import Request
from pipeline.core.errors import DataError

FEWEST = 20  # answers that a forecast is made from
MOST_ANSWERS = 2000  # the latest ones
Z = 1.96
# Assumptions, as (low, middle, high): bytes of a request for a token, tokens that the API adds for a schema, and tokens
# of an answer. English prose has 3 to 4.5 bytes a token and Chinese 2 to 3; a good label is about 100 tokens.
BYTES_PER_TOKEN = (4.5, 3.2, 2.0)
ADDED_TOKENS = (0, 200, 600)
OUTPUT_TOKENS = (40, 90, 160)

LIKE = """
SELECT body, usage FROM answers JOIN attempts USING (attempt) JOIN requests ON requests.id = answers.request
WHERE model = ? AND endpoint = ? AND purpose = ? AND json_extract(body, '$.system') = ?
ORDER BY attempt DESC LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What some requests will probably cost, and by what that is known."""

    requests: int
    usd: float
    low_usd: float  # of a 95 % interval
    high_usd: float
    basis: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a plan knows of the documents that a step will get."""

    num_documents: int  # 0 before that is known
    pilot: Callable[[], tuple[Sequence[str], str]]  # texts like theirs, and where they are from; perhaps none
    ledger: Path
    earlier: Mapping[str, Any] | None = None  # details of the result that the step would add to


@dataclass(frozen=True, slots=True)
class _Like:
    """One answer of before: bytes of its request, and tokens."""

    size: int
    input: int
    output: int


def forecast(
    outlook: Outlook, request_of: Callable[[str], Request], *, count: int, prices: Path | None, batch: bool
) -> Forecast | None:  # fmt: skip
    """Return what `count` requests will cost; None without anything to tell it by."""
    texts, place = outlook.pilot()
    requests = [request_of(text) for text in texts]
    known = _like(outlook.ledger, request_of(""))
    rows, on = load_prices(prices), datetime.now(tz=UTC).date()
    price = _Price(rows, on=on, model=request_of("").model, batch=batch)
    sizes = [_size(request) for request in requests]
    if len(known) >= FEWEST:
        found = _by_answers(known, sizes, count=count, price=price, place=place)
    elif sizes:
        found = _by_pilot(sizes, count=count, price=price, place=place)
    else:
        return None
    return replace(found, basis=f"{found.basis}, at the price of batches") if batch else found


@dataclass(frozen=True, slots=True)
class _Price:
    """Nanodollars of tokens, by today's row."""

    prices: Prices
    on: date
    model: str
    batch: bool

    def of(self, input: float, output: float) -> float:
        tokens = BilledTokens(input=round(input), output=round(output), batch=self.batch)
        return cost_nano(self.prices.price_of(self.model, prompt_tokens=tokens.prompt, on=self.on), tokens)


def _by_answers(
    known: Sequence[_Like], sizes: Sequence[int], *, count: int, price: _Price, place: str
) -> Forecast:  # fmt: skip
    """Take the known costs; where documents to come are at hand, scale the prompt by their size."""
    scale = statistics.fmean(sizes) / statistics.fmean(one.size for one in known) if sizes else 1.0
    costs = [price.of(one.input * scale, one.output) for one in known]
    spread = _spread(costs, count=count)
    basis = f"the tokens of {len(known):,} answers to the same rubric and model"
    if sizes and abs(scale - 1) > 0.01:
        spread = math.hypot(spread, count * statistics.fmean(costs) * _relative_error(sizes))
        basis += f", for the size of {len(sizes):,} documents of {place}"
    middle = count * statistics.fmean(costs)
    return _of(count, middle, middle - spread, middle + spread, basis)


def _by_pilot(sizes: Sequence[int], *, count: int, price: _Price, place: str) -> Forecast:
    """Guess tokens from bytes, low, middle and high."""
    sums = []
    for assumed, sign in ((0, -1), (1, 0), (2, 1)):
        costs = [
            price.of(size / BYTES_PER_TOKEN[assumed] + ADDED_TOKENS[assumed], OUTPUT_TOKENS[assumed]) for size in sizes
        ]
        sums.append(count * statistics.fmean(costs) + sign * _spread(costs, count=count))
    low, middle, high = sums
    basis = f"a pilot of {len(sizes):,} documents of {place}, {BYTES_PER_TOKEN[1]} bytes a token assumed"
    return _of(count, middle, low, high, basis)


def _of(count: int, middle: float, low: float, high: float, basis: str) -> Forecast:
    return Forecast(count, usd=middle / NANO, low_usd=max(low, 0) / NANO, high_usd=high / NANO, basis=basis)


def _spread(costs: Sequence[float], *, count: int) -> float:
    """Return half of the interval of a sum of `count` more: the mean is not known exactly, and they differ."""
    deviation = statistics.stdev(costs) if len(costs) > 1 else 0.0
    return Z * deviation * math.sqrt(count**2 / len(costs) + count)


def _relative_error(sizes: Sequence[int]) -> float:
    deviation = statistics.stdev(sizes) if len(sizes) > 1 else 0.0
    return Z * deviation / math.sqrt(len(sizes)) / statistics.fmean(sizes)


def _size(request: Request) -> int:
    return len(json.dumps(request.body(), ensure_ascii=False).encode())


def _like(ledger: Path, request: Request) -> list[_Like]:
    """Return the latest answers of the model to the same system prompt, from the address in force."""
    if not ledger.exists():
        return []
    wanted = (request.model, foreign_endpoint() or ANTHROPIC, request.purpose, request.system, MOST_ANSWERS)
    try:
        with closing(sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute(LIKE, wanted).fetchall()
    except sqlite3.Error as error:
        raise DataError(f"{ledger}: cannot be read as a ledger ({error}). Restore a copy, or move it away.") from error
    found = []
    for body, usage in rows:
        tokens = BilledTokens.of_usage(json.loads(usage))
        if tokens is not None:  # the prompt counts as read anew: what the cache will give is not known
            size = len(json.dumps(json.loads(body), ensure_ascii=False).encode())
            found.append(_Like(size, tokens.prompt, tokens.output))
    return found
