"""What requests begin with is kept by the server where that saves money, and never makes a bill much dearer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.claude.accounting.bill import bill_of
from pipeline.core.claude.accounting.recost import recost
from pipeline.core.claude.buying.caching import SHARD, promise
from pipeline.core.claude.client import ClaudeClient
from pipeline.core.claude.messages.request import Request
from pipeline.core.claude.prices import NANO, BilledTokens, Prices, cost_nano, dollars, load_prices
from pipeline.core.errors import PendingError, ServiceError
from tests.claude_server import HangUp, Reply, Server, Status, claude_server
from tests.pipeline.core.claude.asking import KEY, requests_for
from tests.pipeline.core.claude.batching import FAST, outcomes, rows

ON = date(2026, 11, 30)
LONG = "Grade by these words. " + "Every word of a rubric is read again for each document. " * 60


@pytest.fixture
def prices() -> Prices:
    return load_prices()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def buy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> Callable[..., Any]:
    """Return what buys so many answers under long instructions, with the ledger in `tmp_path`."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def under(server: Server, count: int, *, system: str = LONG, model: str = "claude-haiku-5-5", **how: Any) -> Any:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        how = {"max_usd": 5.0, "backoff_seconds": 0.02, "pacing": FAST, "say": said.append, "cache": "always"} | how
        with ClaudeClient(tmp_path / "ledger.sqlite", **how) as client:
            return client.ask(long_requests(count, system=system, model=model))

    return under


def long_requests(count: int, *, system: str = LONG, model: str = "claude-haiku-5-5") -> list[Request]:
    return [replace(request, system=system, model=model) for request in requests_for(count)]


def billed(server: Server, prices: Prices, *, cached: bool = True, batch: bool = False) -> float:
    """Return the server's own bill in dollars, or what it would have been without a cache."""
    written, read = server.written["5m"] + server.written["1h"], server.read_tokens
    tokens = BilledTokens(
        input=server.input_tokens + (0 if cached else written + read), output=server.output_tokens,
        cache_write_5m=server.written["5m"] * cached, cache_write_1h=server.written["1h"] * cached,
        cache_read=read * cached, batch=batch,
    )  # fmt: skip
    return cost_nano(prices.price_of("claude-haiku-5-5", prompt_tokens=0, on=ON), tokens) / NANO


def test_one_request_goes_first_and_all_others_read_what_it_wrote(
    buy: Any, said: list[str], tmp_path: Path, prices: Prices
) -> None:
    with claude_server() as server:
        answers = buy(server, 120)

    assert {answer.status for answer in answers} == {"parsed"}
    assert server.marks == ["5m"] * 120
    assert server.read_tokens == 119 * server.written["5m"] > 0  # written once
    assert billed(server, prices) < 0.75 * billed(server, prices, cached=False)
    total = bill_of(tmp_path / "ledger.sqlite", prices=prices).total
    assert total.spent_usd == pytest.approx(billed(server, prices), abs=1e-6)
    saved = billed(server, prices, cached=False) - billed(server, prices)
    assert total.saved_by_cache_usd == pytest.approx(saved, abs=1e-6)
    (line,) = said
    assert line.startswith(f"claude: prompt caching works: {SHARD} of {SHARD + 1} requests read what they begin with")


def test_a_cache_that_is_never_read_costs_the_first_shard_and_no_more(
    buy: Any, said: list[str], tmp_path: Path, prices: Prices
) -> None:
    with claude_server() as server:
        server.cache_works = False
        buy(server, 150)
        surcharge = billed(server, prices) - billed(server, prices, cached=False)
        buy(server, 200)  # another run does not try again

    assert server.marks[: SHARD + 1] == ["5m"] * (SHARD + 1) and set(server.marks[SHARD + 1 :]) == {""}
    assert 0 < surcharge < 0.25 * 0.10e-6 * (SHARD + 1) * len(LONG) / 3
    assert said == [
        f"claude: prompt caching is off for the rest: 0 of {num} requests read what they begin with, which cost "
        f"{dollars(surcharge * num / (SHARD + 1))} more than it saved"
        for num in (SHARD + 1, SHARD)
    ]
    total = bill_of(tmp_path / "ledger.sqlite", prices=prices).total
    assert total.saved_by_cache_usd is not None and total.saved_by_cache_usd < 0


def test_a_cache_that_stops_working_is_off_after_as_many_requests_again(buy: Any, prices: Prices) -> None:
    with claude_server() as server:

        def breaks(body: Mapping[str, Any]) -> Reply:
            server.cache_works = len(server.arrivals) <= 2 * SHARD
            return Reply()

        server.default = breaks
        buy(server, 6 * SHARD, workers=4)

    assert set(server.marks[4 * SHARD :]) == {""}
    assert billed(server, prices) < billed(server, prices, cached=False) + 2 * SHARD * 1e-5


def test_what_is_kept_too_short_a_time_is_written_again(buy: Any) -> None:
    with claude_server() as server:
        buy(server, 30)
        server.batches.forward(400)
        buy(server, 60)

    assert server.written["5m"] == 2 * server.read_tokens // 58


@pytest.mark.parametrize("system", ["Grade.", LONG])
def test_below_the_least_length_nothing_is_marked_or_it_costs_nothing(
    system: str, buy: Any, said: list[str], prices: Prices
) -> None:
    with claude_server() as server:
        server.cache_minimum = 4096  # more than the price file says
        buy(server, 20, system=system)

    assert server.marks.count("5m") == (1 if system == LONG else 0)
    assert billed(server, prices) == billed(server, prices, cached=False)
    assert len(said) == (1 if system == LONG else 0)


def test_a_small_purchase_between_two_large_ones_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, buy: Any
) -> None:
    requests = long_requests(130)
    with claude_server() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        with ClaudeClient(tmp_path / "ledger.sqlite", max_usd=1.0, cache="always") as client:
            for some in (requests[:60], requests[60:61], requests[61:]):
                client.ask(some)

    assert [server.marks.count(mark) for mark in ("5m", "")] == [129, 1]
    assert server.read_tokens == 128 * server.written["5m"]


def test_at_another_address_than_anthropics_nothing_is_marked_unasked(buy: Any) -> None:
    with claude_server() as server:
        buy(server, 20, cache="auto")

    assert set(server.marks) == {""}


def test_an_answer_bought_with_a_mark_is_found_without_and_the_other_way_round(buy: Any) -> None:
    with claude_server() as server:
        buy(server, 20)
        again = buy(server, 20, cache="never")
        buy(server, 40, cache="never")
        more = buy(server, 40)

    assert all(answer.from_ledger for answer in (*again, *more))
    assert len(server.bill) == 40 and set(server.bill.values()) == {1}


def test_a_first_request_without_an_answer_turns_caching_off(buy: Any, said: list[str]) -> None:
    with claude_server(script=[Status(400, "invalid_request_error")]) as server:
        answers = buy(server, 20)

    assert {answer.status for answer in answers} == {"parsed"}  # the first is sent again without
    assert set(server.marks) == {""} and "the request that was to be kept has no answer" in said[0]


def test_the_cap_and_a_new_price_know_what_a_mark_can_cost(buy: Any, tmp_path: Path, prices: Prices) -> None:
    with (
        claude_server(script=[HangUp(), HangUp()]) as server,
        pytest.raises(ServiceError, match="1 of 3 requests have no answer"),
    ):
        buy(server, 3)

    assert outcomes(tmp_path)["in_doubt"] == 2
    query = "SELECT DISTINCT keep, reserved_nano FROM attempts WHERE outcome = 'in_doubt'"
    ((keep, reserved),) = rows(tmp_path, query)
    (done,) = recost(tmp_path / "ledger.sqlite", prices=prices).models
    assert keep == "5m" and done.bounds_before_usd == done.bounds_after_usd == pytest.approx(2 * reserved / NANO)


def test_batches_send_one_request_then_one_batch_then_the_rest(buy: Any, said: list[str], prices: Prices) -> None:
    with claude_server() as server:
        answers = buy(server, 40, batches=True)

    sizes = [len(batch.requests) for batch in server.batches.batches]
    assert sizes == [1, 8, 8, 8, 8, 7] and {answer.status for answer in answers} == {"parsed"}
    assert server.marks == ["1h"] * 40 and server.read_tokens == 39 * server.written["1h"]
    assert billed(server, prices, batch=True) < 0.85 * billed(server, prices, cached=False, batch=True)
    assert said[0].startswith("claude: a batch of one request goes first, so that all others can read what they begin")
    assert any(line.startswith("claude: prompt caching works: 8 of 9 requests") for line in said)


@pytest.mark.parametrize(("hits", "marked"), [(0.3, 9), (0.95, 40)])
def test_the_luck_of_batches_decides_after_the_first_one(hits: float, marked: int, buy: Any, prices: Prices) -> None:
    with claude_server() as server:
        server.batches.hits = hits
        buy(server, 40, batches=True)

    dearer = billed(server, prices, batch=True) - billed(server, prices, cached=False, batch=True)
    assert server.marks.count("1h") == marked
    assert dearer < 9 * 0.10e-6 * len(LONG) / 4  # the first shard written at twice the price, all of it


def test_a_run_that_does_not_wait_for_batches_marks_nothing(buy: Any) -> None:
    with claude_server() as server:
        server.batches.takes_seconds = 0.2
        with pytest.raises(PendingError):
            buy(server, 20, batches=True, wait=False)
        buy(server, 20, batches=True)

    assert set(server.marks) == {""}


def test_what_is_promised_grows_with_the_requests_and_a_little_is_not_worth_a_wait(
    monkeypatch: pytest.MonkeyPatch, prices: Prices
) -> None:
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    (request,) = long_requests(1)
    price = prices.price_of("claude-haiku-5-5", prompt_tokens=0, on=ON)

    def saved(count: int, **how: Any) -> float | None:
        found = promise(request, count=count, price=price, wish="auto", shard=SHARD, **{"keep": "5m"} | how)
        return None if found is None else found.middle

    assert saved(1) is None and 0 < saved(2) < saved(2000)
    assert saved(10_000, keep="1h") is None and saved(200_000, keep="1h") > 0
    short = replace(request, system="Grade.")
    assert promise(short, count=2000, price=price, wish="auto", shard=SHARD, keep="5m") is None
    unknown = price.model_copy(update={"cache_from_tokens": None})
    assert promise(request, count=2000, price=unknown, wish="auto", shard=SHARD, keep="5m") is None
