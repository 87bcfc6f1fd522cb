"""The bill: the server's own, by who bought, with what batches and the cache saved."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.bill import bill_text
from pipeline.core.claude.accounting.bill import bill_of, usd_by_step
from pipeline.core.claude.client import ClaudeClient
from pipeline.core.claude.ledger.ledger import Ledger
from pipeline.core.claude.messages.request import Buyer
from pipeline.core.claude.prices import load_prices
from pipeline.core.errors import DataError, PendingError
from tests.claude_server import HangUp, Reply, Server, claude_server
from tests.pipeline.core.claude.batching import rows

WEB, BOOKS = Buyer("web", "good.label"), Buyer("books", "good.label")


def usd(server: Server) -> float:
    return (server.input_tokens * 0.10 + server.output_tokens * 0.50) / 1e6


def test_money_is_told_by_who_bought_and_adds_up_to_the_servers_bill(buy: Callable[..., Any], tmp_path: Path) -> None:
    with claude_server() as server:
        buy(server, 4, batches=False, buyer=WEB)
        first = usd(server)
        buy(server, 10, batches=False, buyer=BOOKS)  # the first four are there
        found = bill_of(tmp_path / "ledger.sqlite", prices=load_prices())

    books, web = found.lines
    assert [(line.recipe, line.step, line.answers) for line in found.lines] == [
        ("books", "good.label", 6), ("web", "good.label", 4),
    ]  # fmt: skip
    assert web.spent_usd == pytest.approx(first, abs=1e-8)
    assert found.total.spent_usd == pytest.approx(usd(server), abs=1e-8)
    assert (found.total.input_tokens, found.total.output_tokens) == (server.input_tokens, server.output_tokens)
    by_step = usd_by_step(tmp_path / "ledger.sqlite", recipes=("web", "nobody"))
    assert by_step == {"good.label": pytest.approx(first, abs=1e-8)}
    assert usd_by_step(tmp_path / "none.sqlite", recipes=("web",)) == {}
    assert books.saved_by_batches_usd == books.saved_by_cache_usd == books.in_doubt == books.on_its_way == 0


def test_batches_save_as_much_as_they_cost(buy: Callable[..., Any], tmp_path: Path) -> None:
    with claude_server() as server:
        buy(server, 10)

    (line,) = bill_of(tmp_path / "ledger.sqlite", prices=load_prices()).lines
    assert line.saved_by_batches_usd == pytest.approx(line.spent_usd, abs=1e-8)
    assert line.spent_usd == pytest.approx(usd(server) / 2, abs=1e-8)


def test_counts_that_are_not_believed_are_in_no_sum_of_tokens_and_no_riddle(
    buy: Callable[..., Any], tmp_path: Path
) -> None:
    with claude_server(script=[Reply(usage={"input_tokens": 10**15})]) as server:
        buy(server, 3, batches=False)

    found = bill_of(tmp_path / "ledger.sqlite", prices=load_prices())
    told = bill_text(found, place=Path("prices.toml"))
    assert (found.total.answers, found.total.not_believed, found.unknown_prices) == (3, 1, ())
    assert found.total.input_tokens < 10**6
    assert "1 answers came with counts of tokens that cannot be right" in told and "upper bound" not in told


@pytest.mark.parametrize(("written", "read", "saved"), [(0, 1000, 0.09e-3), (1000, 0, -0.025e-3)])
def test_a_cache_that_is_read_saves_and_one_that_is_only_written_costs(
    written: int, read: int, saved: float, buy: Callable[..., Any], tmp_path: Path
) -> None:
    usage = {"input_tokens": 100, "cache_creation_input_tokens": written, "cache_read_input_tokens": read}
    with claude_server(default=Reply(usage=usage)) as server:
        buy(server, 3, batches=False)

    (line,) = bill_of(tmp_path / "ledger.sqlite", prices=load_prices()).lines
    assert line.input_tokens == 3300
    assert line.saved_by_cache_usd == pytest.approx(3 * saved)


def test_what_is_on_its_way_is_reserved_and_what_was_lost_is_in_doubt(buy: Callable[..., Any], tmp_path: Path) -> None:
    with claude_server(script=[HangUp()]) as server:
        buy(server, 1, batches=False, buyer=WEB)
        server.batches.takes_seconds = 1000
        with pytest.raises(PendingError):
            buy(server, 5, wait=False, buyer=BOOKS)
        found = bill_of(tmp_path / "ledger.sqlite", prices=load_prices())

    books, web = found.lines
    assert (books.on_its_way, books.answers, books.in_doubt) == (4, 0, 0)
    assert (web.on_its_way, web.answers, web.in_doubt) == (0, 1, 1)
    ((reserved, doubted),) = rows(
        tmp_path,
        "SELECT sum(reserved_nano) FILTER (WHERE outcome IS NULL), "
        "sum(reserved_nano) FILTER (WHERE outcome = 'in_doubt') FROM attempts",
    )
    assert (books.reserved_usd, web.in_doubt_usd) == (reserved / 1e9, doubted / 1e9)


def test_a_ledger_of_before_is_read_as_it_is_and_upgraded_by_the_next_run(tmp_path: Path, buy: Any) -> None:
    ledger = tmp_path / "ledger.sqlite"
    with claude_server() as server:
        buy(server, 3, batches=False, buyer=WEB)
        older = sqlite3.connect(ledger)
        older.executescript(
            "ALTER TABLE attempts DROP COLUMN recipe; ALTER TABLE attempts DROP COLUMN step; "
            "ALTER TABLE attempts DROP COLUMN keep; PRAGMA user_version=2;"
        )
        older.close()
        (before,) = bill_of(ledger, prices=load_prices()).lines
        buy(server, 4, batches=False, buyer=WEB)

    old, new = bill_of(ledger, prices=load_prices()).lines
    assert (before.recipe, before.step, before.answers) == ("", "test", 3)
    assert old == before
    assert (new.recipe, new.answers) == ("web", 1)


def test_a_price_that_the_file_lacks_leaves_the_saving_unknown_and_is_named(tmp_path: Path, buy: Any) -> None:
    with claude_server() as server:
        buy(server, 2)
    other = tmp_path / "prices.toml"
    other.write_text(load_prices().path.read_text(encoding="utf-8").replace("2026-10-07", "2026-10-08"))

    found = bill_of(tmp_path / "ledger.sqlite", prices=load_prices(other))

    assert found.total.spent_usd > 0 and found.total.saved_by_batches_usd is None
    assert found.unknown_prices == ("claude-haiku-5-5 from 2026-10-07 up to 100000",)


def test_a_bill_is_read_while_a_run_holds_the_ledger(tmp_path: Path) -> None:
    with ClaudeClient(tmp_path / "ledger.sqlite", max_usd=1):
        assert bill_of(tmp_path / "ledger.sqlite", prices=load_prices()).lines == ()


def test_without_a_ledger_there_is_nothing_and_a_broken_one_is_named(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    assert bill_of(ledger, prices=load_prices()).lines == ()

    ledger.write_bytes(b"no ledger at all " * 100)
    with pytest.raises(DataError, match="cannot be read as a ledger"):
        bill_of(ledger, prices=load_prices())
    ledger.unlink()
    Ledger(ledger).close()
    assert bill_of(ledger, prices=load_prices()).total.spent_usd == 0
