"""What requests will probably cost, with an interval: by the tokens of like answers in the ledger, or of a pilot.

Answers by the same model to the same system prompt tell best: their tokens at today's price, scaled by the size of the
documents to come where some of these are at hand. Without 20 of them, tokens are guessed from the bytes of a pilot's
requests; how many bytes make a token, what the API adds and how long an answer is are assumptions then, and their
range is in the interval. A 95 % interval for the sum of all requests, not for one of them. Where the very requests are
known, as the documents are there and the seed says which are asked for, those that the ledger has are counted, and the
others by their own sizes. Else what the same step of the same recipe bought before is taken for a part of what it will
ask for, as a sample that grows keeps what it had; a changed seed does not, so the interval reaches up to none of it.
"""

from __future__ import annotations

import json
import math
import sqlite3
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pipeline.core.claude.batches.desk import Pacing
from pipeline.core.claude.buying.caching import SHARD, promise
from pipeline.core.claude.ledger.layout import SAYS_BUYER, layout_of, reading
from pipeline.core.claude.messages.request import BYTES_PER_TOKEN, NOBODY, WAYS, Buyer, Keep, Request, Wish
from pipeline.core.claude.prices import NANO, BilledTokens, Prices, cost_nano, load_prices
from pipeline.core.claude.server.endpoint import ANTHROPIC, foreign_endpoint

FEWEST = 20  # answers that a forecast is made from
MOST_ANSWERS = 2000  # the latest ones
AT_ONCE = 500  # requests looked for in one query
MET_AT_LEAST = 3  # documents of the pilot that were to be in the ledger, where none is: these are others
Z = 1.96
ELSEWHERE = 1.15  # assumed: instructions have so many times the tokens that documents have, for the same bytes
ADDED_TOKENS = (0, 200, 600)  # assumed, low, middle, high: that the API adds for a schema

LIKE = """
SELECT body, usage FROM answers JOIN attempts USING (attempt) JOIN requests ON requests.id = answers.request
WHERE model = ? AND endpoint = ? AND purpose = ? AND json_extract(body, '$.system') = ?
ORDER BY attempt DESC LIMIT ?
"""
OWN = """
SELECT json_extract(body, '$.messages[0].content'), cost_nano
FROM answers JOIN attempts USING (attempt) JOIN requests ON requests.id = answers.request
WHERE model = ? AND endpoint = ? AND purpose = ? AND json_extract(body, '$.system') = ?
AND recipe IN ('', ?) AND step IN ('', ?)
"""

ALIKE = """
WITH alike AS (
    SELECT DISTINCT requests.id FROM attempts JOIN requests ON requests.id = attempts.request
    WHERE recipe = ? AND step = ? AND model = ? AND json_extract(body, '$.system') IN (SELECT value FROM json_each(?))
)
SELECT (SELECT coalesce(sum(max(cost_nano, 0)), 0) FROM answers WHERE request IN alike)
     + (SELECT coalesce(sum(reserved_nano), 0) FROM attempts WHERE request IN alike AND outcome = 'in_doubt')
"""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What some requests will probably cost, and by what that is known."""

    requests: int  # answers that are wanted
    there: int  # of them in the ledger, and so paid; probably, unless `looked_up`
    there_usd: float  # what these cost
    usd: float  # of the others
    low_usd: float  # of a 95 % interval
    high_usd: float
    basis: str
    note: str = ""  # on who is asked, and how
    looked_up: bool = False  # whether `there` was
    counted_usd: float = 0.0  # what a cap counts already: these, or all that the step bought by the same instructions
    cap_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Pilot:
    """Some texts, how many documents each stands for, and of what they are."""

    texts: Sequence[str] = ()
    weights: Sequence[float] = ()
    place: str = ""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a plan knows of the documents that a step will get."""

    num_documents: int  # 0 before that is known
    pilot: Callable[[], Pilot]  # texts like theirs; perhaps none
    ledger: Path
    buyer: Buyer = NOBODY  # the step
    earlier: Mapping[str, Any] | None = None  # details of the result that the step would add to
    work: Callable[[], Any] = lambda: None  # the step's `Gathering` as of now; None before its documents are known


@dataclass(frozen=True, slots=True)
class _Like:
    """One answer of before: bytes of its request, and tokens."""

    size: int
    input: int
    output: int


@dataclass(frozen=True, slots=True)
class _There:
    """What of the wanted answers is in the ledger, or probably is."""

    answers: int
    usd: float
    sure: bool  # whether they were looked up, and not guessed


def forecast(
    outlook: Outlook, request_of: Callable[[str], Request], *, count: int, fewest: int,
    output_tokens: Sequence[float], num_before: int, asked_so: Callable[[str], bool], prices: Path | None, batch: bool,
    cache: Wish, wanted: Sequence[Request] = (),
) -> Forecast | None:  # fmt: skip
    """Return what `count` requests, or at least the `fewest`, will cost; None without anything to tell it by.

    `wanted` are those of them that are known. `output_tokens` are those of an answer as assumed without any: low,
    middle, high. `num_before` answers in the ledger belong to the result that these are added to; `asked_so` tells of a
    prompt in it whether the step would ask like that.
    """
    like = request_of("")
    named = {request.id: request for request in (replace(each, endpoint=foreign_endpoint()) for each in wanted)}
    twice = len(wanted) - len(named)  # the same request again is answered with the first
    count, fewest = count - twice, fewest - twice
    with reading(outlook.ledger) as database:
        known = _like(database, like)
        paid = _paid(database, list(named))
        missing = [request for name, request in named.items() if name not in paid]
        pilot = Pilot() if missing else outlook.pilot()
        requests = missing or [request_of(text) for text in pilot.texts]
        there = _there(
            database, outlook, like, requests, count=count - len(named), num_before=num_before + len(paid),
            asked_so=asked_so,
        )  # fmt: skip
        alike = _alike_usd(database, outlook.buyer, like)
    there = _There(there.answers + len(paid), there.usd + sum(paid.values()) / NANO, there.sure)
    rows, on = load_prices(prices), datetime.now(tz=UTC).date()
    price = _Price(rows, on=on, model=like.model, batch=batch)
    sizes = _Sizes([_size(request) for request in requests], pilot, exact=bool(missing))

    def of(count: int) -> Forecast:
        if len(known) >= FEWEST:
            return _by_answers(known, sizes, count=count, price=price)
        return _by_pilot(sizes, output_tokens, count=count, price=price)

    if len(known) < FEWEST and not requests:
        return None
    found = of(count - there.answers)
    found = replace(found, requests=count, there=there.answers, there_usd=there.usd, looked_up=there.sure)
    found = replace(found, counted_usd=max(there.usd, alike))
    found = replace(found, low_usd=of(max(fewest - there.answers, 0)).low_usd)
    found = found if there.sure else replace(found, high_usd=of(count - len(paid)).high_usd)
    found = _cached(found, like, count=count - there.answers, price=price, wish=cache, known=known)
    return replace(found, basis=f"{found.basis}, at the price of batches") if batch else found


def _cached(
    found: Forecast, like: Request, *, count: int, price: _Price, wish: Wish, known: Sequence[_Like]
) -> Forecast:  # fmt: skip
    """Return a forecast with what the cache will give, where the run will try one."""
    sizes = BYTES_PER_TOKEN
    if len(known) >= FEWEST:
        size = sum(one.size for one in known) / max(sum(one.input for one in known), 1)
        sizes = (size / ELSEWHERE, size, size / ELSEWHERE)
    row = price.prices.price_of(price.model, prompt_tokens=0, on=price.on)
    keep: Keep = "1h" if price.batch else "5m"
    shard = Pacing().most_requests if price.batch else SHARD
    saved = promise(like, count=count, price=row, keep=keep, wish=wish, shard=shard, bytes_per_token=sizes)
    if saved is None:
        return found
    return replace(
        found, usd=max(found.usd - saved.middle / NANO, 0.0), low_usd=max(found.low_usd - saved.high / NANO, 0.0),
        high_usd=found.high_usd - min(saved.low, 0.0) / NANO, basis=f"{found.basis}, with what the cache saves",
    )  # fmt: skip


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


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Bytes of a pilot's requests, or of all that are to be sent."""

    bytes: Sequence[int]
    pilot: Pilot
    exact: bool

    @property
    def described(self) -> str:
        return "the documents to be asked for" if self.exact else f"{len(self.bytes):,} documents of {self.pilot.place}"


def _by_answers(known: Sequence[_Like], sizes: _Sizes, *, count: int, price: _Price) -> Forecast:
    """Take the known costs; where documents to come are at hand, scale the prompt by their size."""
    expected = _Mean.of(sizes.bytes, sizes.pilot.weights) if sizes.bytes else None
    scale = 1.0 if expected is None else expected.mean / statistics.fmean(one.size for one in known)
    costs = _Mean.of([price.of(one.input * scale, one.output) for one in known])
    spread = costs.spread(count)
    basis = f"the tokens of {len(known):,} answers to the same rubric and model"
    if expected is not None and abs(scale - 1) > 0.01:
        error = 0.0 if sizes.exact else expected.error
        spread = math.hypot(spread, count * costs.mean * Z * error / expected.mean)
        basis += f", for the size of {sizes.described}"
    middle = count * costs.mean
    return _of(count, middle, middle - spread, middle + spread, basis)


def _by_pilot(sizes: _Sizes, output_tokens: Sequence[float], *, count: int, price: _Price) -> Forecast:
    """Guess tokens from bytes, low, middle and high."""
    sums = []
    for assumed, sign in ((0, -1), (1, 0), (2, 1)):
        tokens = [size / BYTES_PER_TOKEN[assumed] + ADDED_TOKENS[assumed] for size in sizes.bytes]
        costs = _Mean.of([price.of(each, output_tokens[assumed]) for each in tokens], sizes.pilot.weights)
        sums.append(count * costs.mean + sign * costs.spread(count))
    low, middle, high = sums
    basis = f"a pilot of {sizes.described}, {BYTES_PER_TOKEN[1]} bytes a token assumed"
    return _of(count, middle, low, high, basis)


@dataclass(frozen=True, slots=True)
class _Mean:
    """A mean, weighed, of values that differ."""

    mean: float
    deviation: float
    num: float  # of values as they would tell as much if all weighed the same

    @classmethod
    def of(cls, values: Sequence[float], weights: Sequence[float] = ()) -> _Mean:
        weights = weights or [1.0] * len(values)
        whole = math.fsum(weights)
        mean = math.fsum(value * weight for value, weight in zip(values, weights, strict=True)) / whole
        num = whole**2 / math.fsum(weight**2 for weight in weights)
        squares = math.fsum((value - mean) ** 2 * weight for value, weight in zip(values, weights, strict=True)) / whole
        return cls(mean, math.sqrt(squares * num / (num - 1)) if num > 1 else 0.0, num)

    @property
    def error(self) -> float:
        return self.deviation / math.sqrt(self.num)

    def spread(self, count: int) -> float:
        """Return half of the interval of a sum of `count` more: the mean is not known exactly, and they differ."""
        return Z * self.deviation * math.sqrt(count**2 / self.num + count)


def _of(count: int, middle: float, low: float, high: float, basis: str) -> Forecast:
    low, middle, high = max(low, 0) / NANO, middle / NANO, high / NANO
    return Forecast(count, there=0, there_usd=0.0, usd=middle, low_usd=low, high_usd=high, basis=basis)


def _size(request: Request) -> int:
    return len(json.dumps(request.body(), ensure_ascii=False).encode())


def _asked(request: Request) -> tuple[str, ...]:
    """Return what requests are alike in, at the address in force."""
    return request.model, foreign_endpoint() or ANTHROPIC, request.purpose, request.instructions


def _like(database: sqlite3.Connection | None, request: Request) -> list[_Like]:
    """Return the latest answers of the model to the same system prompt, from the address in force."""
    rows = [] if database is None else database.execute(LIKE, (*_asked(request), MOST_ANSWERS)).fetchall()
    found = []
    for body, usage in rows:
        tokens = BilledTokens.of_usage(json.loads(usage))
        if tokens is not None:  # the prompt counts as read anew: what the cache will give is not known
            size = len(json.dumps(json.loads(body), ensure_ascii=False).encode())
            found.append(_Like(size, tokens.prompt, tokens.output))
    return found


def _paid(database: sqlite3.Connection | None, wanted: Sequence[str]) -> dict[str, int]:
    """Return what of the wanted answers is in the ledger: what each cost, in nanodollars."""
    if database is None:
        return {}
    found: dict[str, int] = {}
    for start in range(0, len(wanted), AT_ONCE):
        ids = wanted[start : start + AT_ONCE]
        marks = ",".join("?" * len(ids))
        rows = database.execute(f"SELECT request, max(cost_nano, 0) FROM answers WHERE request IN ({marks})", ids)
        found |= dict(rows)
    return found


def _alike_usd(database: sqlite3.Connection | None, buyer: Buyer, like: Request) -> float:
    """Return what a run of the step would count below its cap before it asks, as `purse` does."""
    if database is None or layout_of(database) < SAYS_BUYER:
        return 0.0
    systems = json.dumps(sorted({like.told_by(way) for way in WAYS}))
    (nano,) = database.execute(ALIKE, (buyer.recipe, buyer.step, like.model, systems)).fetchone()
    return float(nano) / NANO


def _there(
    database: sqlite3.Connection | None, outlook: Outlook, like: Request, pilot: Sequence[Request], *, count: int,
    num_before: int, asked_so: Callable[[str], bool],
) -> _There:  # fmt: skip
    """Guess how much of `count` requests the step bought before: a sample that grows asks for it again and finds it."""
    nothing = _There(0, 0.0, sure=True)
    if database is None or outlook.buyer == NOBODY or not count or layout_of(database) < SAYS_BUYER:
        return nothing
    wanted = (*_asked(like), outlook.buyer.recipe, outlook.buyer.step)
    costs = [max(cost, 0) for prompt, cost in database.execute(OWN, wanted) if asked_so(prompt)]
    answers = min(max(len(costs) - num_before, 0), count)
    if not answers:
        return nothing
    ids = [replace(request, endpoint=foreign_endpoint()).id for request in pilot]
    marks = ",".join("?" * len(ids))
    (met,) = database.execute(f"SELECT count(*) FROM answers WHERE request IN ({marks})", ids).fetchone()
    among = outlook.num_documents or math.fsum(outlook.pilot().weights)
    if not met and len(pilot) * len(costs) >= MET_AT_LEAST * among > 0:
        return nothing  # another source, or other texts of it
    return _There(answers, answers * statistics.fmean(costs) / NANO, sure=False)
