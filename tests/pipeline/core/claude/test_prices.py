"""Dollars from tokens."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pipeline.core.claude.prices import PACKAGED, BilledTokens, cost_nano, dollars_between, load_prices
from pipeline.core.errors import RecipeError

TODAY = date(2026, 11, 20)

ROW = """
[[price]]
model = "m"
effective_from = {day}
input = {rate}
output = 1
cache_write_5m = 1
cache_write_1h = 1
cache_read = 1
source = "s"
checked_on = 2026-11-20
"""


def cost_usd(model: str, tokens: BilledTokens) -> float:
    price = load_prices().price_of(model, prompt_tokens=tokens.prompt, on=TODAY)
    return cost_nano(price, tokens) / 1e9


def test_a_million_tokens_cost_the_list_price() -> None:
    assert cost_usd("claude-sonnet-5-5", BilledTokens(input=1_000_000, output=0)) == 2.0
    assert cost_usd("claude-sonnet-5-5", BilledTokens(input=0, output=1_000_000)) == 10.0
    assert cost_usd("claude-sonnet-5-5", BilledTokens(input=0, output=1_000_000, batch=True)) == 5.0


def test_the_band_is_chosen_by_the_whole_prompt_with_cached_tokens() -> None:
    below = cost_usd("claude-haiku-5-5", BilledTokens(input=60_000, output=0, cache_read=40_000))
    above = cost_usd("claude-haiku-5-5", BilledTokens(input=60_001, output=0, cache_read=40_000))

    assert below == pytest.approx((60_000 * 0.10 + 40_000 * 0.01) / 1e6)
    assert above == pytest.approx((60_001 * 0.50 + 40_000 * 0.05) / 1e6)


def test_usage_is_read_by_how_it_is_billed() -> None:
    usage = {
        "input_tokens": 5, "output_tokens": 7, "cache_creation_input_tokens": 30, "cache_read_input_tokens": None,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}, "service_tier": "batch",
    }  # fmt: skip

    assert BilledTokens.of_usage(usage) == BilledTokens(
        input=5, output=7, cache_write_5m=10, cache_write_1h=20, batch=True
    )


def test_the_newest_price_in_force_on_the_day_counts(tmp_path: Path) -> None:
    rows = [ROW.format(day=day, rate=rate) for day, rate in (("2026-01-01", 1), ("2026-06-01", 2), ("2027-01-01", 3))]
    (tmp_path / "prices.toml").write_text("".join(rows))
    prices = load_prices(tmp_path / "prices.toml")

    assert prices.price_of("m", prompt_tokens=1, on=date(2026, 5, 31)).input == 1
    assert prices.price_of("m", prompt_tokens=1, on=TODAY).input == 2
    with pytest.raises(RecipeError, match="no price for model 'm' on 2025-12-31"):
        prices.price_of("m", prompt_tokens=1, on=date(2025, 12, 31))


def test_an_unknown_model_is_never_free() -> None:
    with pytest.raises(RecipeError, match="Nearest: claude-haiku"):
        load_prices().bands("claude-haiku-55", on=TODAY)


def test_a_broken_price_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text('[[price]]\nmodel = "m"\n')

    with pytest.raises(RecipeError, match=r"prices\.toml: is not a price file"):
        load_prices(tmp_path / "prices.toml")


def test_every_packaged_price_says_where_it_is_from() -> None:
    assert all(row.source and row.checked_on <= TODAY for row in load_prices().rows)
    assert PACKAGED.exists()


def test_an_interval_is_printed_with_as_many_digits_as_tell_its_ends_apart() -> None:
    assert dollars_between(0.03, 0.02, 0.06) == "$0.03 ($0.02 to $0.06)"
    assert dollars_between(0.0301, 0.0298, 0.0304) == "$0.0301 ($0.0298 to $0.0304)"
    assert dollars_between(0.0, 0.0, 0.0) == "$0"
