"""Dollars from tokens: an effective-dated, user-editable price file, and exact arithmetic on it.

Money is counted in whole nanodollars, so sums are exact (the cheapest rate, 0.01 USD per million cached tokens, is 10
nanodollars a token). The band is chosen for every request by its own prompt size: above 100,000 prompt tokens Haiku
5.5 costs five times as much, which a price applied to totals would miss. A model without a price is refused.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.core.errors import RecipeError, nearest_names
from pipeline.core.identity import identity_of

PACKAGED = Path(__file__).with_name("prices.toml")
NANO = 1_000_000_000

Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Price(BaseModel):
    """One row of the price file; rates in US dollars per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    effective_from: date
    up_to_prompt_tokens: int | None = Field(default=None, gt=0)
    input: Rate
    output: Rate
    cache_write_5m: Rate
    cache_write_1h: Rate
    cache_read: Rate
    cache_from_tokens: int | None = Field(default=None, ge=0)  # a shorter prefix is not kept; None: not known
    batch_multiplier: float = Field(default=1.0, gt=0, le=1)
    us_multiplier: float = Field(default=1.1, ge=1)  # inference_geo "us", as third parties report it
    source: str
    checked_on: date

    @property
    def largest_prompt(self) -> float:
        return math.inf if self.up_to_prompt_tokens is None else self.up_to_prompt_tokens

    @property
    def stamp(self) -> str:
        """Name the row in the ledger, so that an old answer keeps the price at which it was bought."""
        band = "" if self.up_to_prompt_tokens is None else f" up to {self.up_to_prompt_tokens}"
        return f"{self.model} from {self.effective_from}{band}"


@dataclass(frozen=True, slots=True)
class BilledTokens:
    """What a request used, split as the API bills it."""

    input: int
    output: int
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    batch: bool = False
    us_only: bool = False

    @property
    def prompt(self) -> int:
        return self.input + self.cache_write_5m + self.cache_write_1h + self.cache_read

    @staticmethod
    def of_usage(usage: Mapping[str, object], *, batch: bool = False) -> BilledTokens | None:
        """Read the `usage` object of an answer; absent and null counts are zero. None if a count cannot be one."""
        written = usage.get("cache_creation")
        split = written if isinstance(written, Mapping) else {}
        found = [usage.get(key) for key in COUNTED] + [split.get("ephemeral_1h_input_tokens")]
        counts = [_count(value) for value in found]
        if None in counts:
            return None
        input, output, cache_written, cache_read, one_hour = (count or 0 for count in counts)
        return BilledTokens(
            input=input,
            output=output,
            cache_write_5m=max(cache_written - one_hour, 0),
            cache_write_1h=one_hour,
            cache_read=cache_read,
            batch=batch or usage.get("service_tier") == "batch",
            us_only=usage.get("inference_geo") == "us",
        )


COUNTED = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
MOST_TOKENS = 1_000_000_000  # in one request; no model reads or writes a thousandth of it


def _count(value: object) -> int | None:
    """Return a count of tokens, 0 where none is given, None where it cannot be one."""
    if value is None:
        return 0
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS
    return value if fits and isinstance(value, int) else None


@dataclass(frozen=True, slots=True)
class Prices:
    """All rows of one price file."""

    path: Path
    rows: Sequence[Price]

    def bands(self, model: str, *, on: date) -> list[Price]:
        """Return the rows of `model` in force on a day, smallest band first; RecipeError if there are none."""
        in_force: dict[int | None, Price] = {}
        for row in sorted(self.rows, key=lambda row: row.effective_from):
            if row.model == model and row.effective_from <= on:
                in_force[row.up_to_prompt_tokens] = row
        if not in_force:
            known = sorted({row.model for row in self.rows})
            raise RecipeError(
                f"{self.path}: has no price for model {model!r} on {on}; a model without a price is never asked. "
                f"Nearest: {nearest_names(model, known)}. Add a [[price]] row to a copy and name the copy as `prices`."
            )
        return sorted(in_force.values(), key=lambda row: row.largest_prompt)

    def identity(self, model: str) -> str:
        """Return what stands for all prices of a model: neither words about them nor another model's count."""
        unpriced = {"source", "checked_on", "cache_from_tokens"}
        rows = [row.model_dump(mode="json", exclude=unpriced) for row in self.rows if row.model == model]
        return identity_of(sorted(rows, key=lambda row: (row["effective_from"], row["up_to_prompt_tokens"] or 0)))

    def price_of(self, model: str, *, prompt_tokens: int, on: date) -> Price:
        """Return the row that a prompt of this size is billed by."""
        bands = self.bands(model, on=on)
        return next((row for row in bands if prompt_tokens <= row.largest_prompt), bands[-1])


def cost_nano(price: Price, tokens: BilledTokens) -> int:
    """Return what `tokens` cost in nanodollars, rounded up."""
    per_million = (
        _rate(price.input) * tokens.input
        + _rate(price.output) * tokens.output
        + _rate(price.cache_write_5m) * tokens.cache_write_5m
        + _rate(price.cache_write_1h) * tokens.cache_write_1h
        + _rate(price.cache_read) * tokens.cache_read
    )
    if tokens.batch:
        per_million *= _rate(price.batch_multiplier)
    if tokens.us_only:
        per_million *= _rate(price.us_multiplier)
    return math.ceil(per_million * NANO / 1_000_000)


@cache  # a price file has few
def _rate(value: float) -> Fraction:
    """Return the decimal that the user wrote, not its nearest binary fraction."""
    return Fraction(str(value))


def dollars(value: float, *, up: bool = False, more: int = 0) -> str:
    """Return `$0.42`, below a cent two digits that count: `$0.0040`, and `more`.

    `up` rounds up, for what something may cost.
    """
    if value == 0:
        return "$0"
    size = abs(value)
    digits = more + (2 if size >= 0.01 else 1 - math.floor(math.log10(size)))
    rounded = math.ceil(size * 10**digits - 1e-9) / 10**digits if up else size
    return f"{'-' if value < 0 else ''}${rounded:,.{digits}f}"


def dollars_between(value: float, low: float, high: float) -> str:
    """Return `$0.03 ($0.02 to $0.06)`, with as many digits as tell the three apart, four more at most."""
    if low == value == high:
        return dollars(value)
    for more in range(5):
        texts = [dollars(each, more=more) for each in (value, low, high)]
        if len(set(texts)) == len({value, low, high}):
            break
    return f"{texts[0]} ({texts[1]} to {texts[2]})"


def load_prices(path: Path | None = None) -> Prices:
    """Read a price file; without a path, the packaged one."""
    path = PACKAGED if path is None else path
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        return Prices(path=path, rows=[Price.model_validate(row) for row in data["price"]])
    except (OSError, tomllib.TOMLDecodeError, ValidationError, KeyError, TypeError) as error:
        raise RecipeError(f"{path}: is not a price file ({error}). Follow the rows of {PACKAGED}.") from error
