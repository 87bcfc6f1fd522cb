"""Costs by other prices: of the tokens that the ledger keeps, without asking anybody again."""

from __future__ import annotations

import sqlite3
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.claude.accounting.bill import bill_of
from pipeline.core.claude.accounting.recost import recost
from pipeline.core.claude.prices import load_prices
from pipeline.core.errors import BudgetError, RecipeError
from tests.claude_server import HangUp, Reply, claude_server
from tests.pipeline.core.claude.batching import rows

HAIKU = "claude-haiku-5-5"


def prices(folder: Path, *, input: float, starting: str = "2026-10-07") -> Any:
    """Write a price file in which a token of the prompt has another price from a day on."""
    path = folder / "prices.toml"
    text = load_prices().path.read_text(encoding="utf-8")
    first, rest = text[: text.index("[[price]]")], text[text.index("[[price]]") :]
    row = rest[: rest.index("[[price]]", 1)]
    changed = row.replace("input = 0.10", f"input = {input}").replace("2026-10-07", starting)
    path.write_text(first + (changed if starting == "2026-10-07" else row + changed) + rest[len(row) :])
    return load_prices(path)


def test_a_corrected_price_costs_every_answer_anew_and_the_old_one_brings_it_back(tmp_path: Path, buy: Any) -> None:
    ledger = tmp_path / "ledger.sqlite"
    with claude_server(script=[HangUp()]) as server:
        buy(server, 6, batches=False)
        buy(server, 9)
        asked = len(server.arrivals)
        before = rows(tmp_path, "SELECT * FROM answers"), rows(tmp_path, "SELECT * FROM attempts")
        (done,) = recost(ledger, prices=prices(tmp_path, input=0.30)).models
        after = bill_of(ledger, prices=load_prices(tmp_path / "prices.toml")).total
        (back,) = recost(ledger, prices=load_prices()).models

    single, batched = server.arrivals[1:], 0.5 * 0.20 / 1e6
    assert (done.model, done.answers, done.changed) == (HAIKU, 9, 9) and len(single) == asked - 1
    tokens = [(usage, sent_in) for usage, sent_in in rows(
        tmp_path, "SELECT json_extract(usage, '$.input_tokens'), sent_in FROM answers JOIN attempts USING (attempt)"
    )]  # fmt: skip
    more = sum(count * (0.20 / 1e6 if sent_in == "single" else batched) for count, sent_in in tokens)
    assert done.after_usd - done.before_usd == pytest.approx(more, abs=1e-7)
    assert after.spent_usd == pytest.approx(done.after_usd) and after.saved_by_batches_usd
    assert done.bounds_after_usd > done.bounds_before_usd > 0  # the request that was lost
    assert back.after_usd == pytest.approx(done.before_usd)
    assert (rows(tmp_path, "SELECT * FROM answers"), rows(tmp_path, "SELECT * FROM attempts")) == before


def test_costs_are_computed_in_less_memory_than_the_bodies_take(tmp_path: Path, buy: Any) -> None:
    with claude_server() as server:
        buy(server, 1, batches=False)
    database = sqlite3.connect(tmp_path / "ledger.sqlite")
    database.execute("UPDATE requests SET body = json_set(body, '$.system', ?)", ("s" * 100_000,))
    for table, key in (("requests", "id"), ("answers", "request")):
        names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        taken = ", ".join(f"{key} || '_' || n" if name == key else name for name in names)
        database.execute(
            f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 300) "
            f"INSERT INTO {table}({', '.join(names)}) SELECT {taken} FROM {table}, c"
        )
    database.commit()
    database.close()

    tracemalloc.start()
    (done,) = recost(tmp_path / "ledger.sqlite", prices=load_prices()).models
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert done.answers == 301 and most < 10_000_000  # of 30 MB


def test_a_price_that_begins_later_changes_nothing(tmp_path: Path, buy: Any) -> None:
    with claude_server() as server:
        buy(server, 3, batches=False)

    (done,) = recost(tmp_path / "ledger.sqlite", prices=prices(tmp_path, input=9.0, starting="2999-01-01")).models

    assert done.changed == 0 and done.before_usd == done.after_usd


def test_a_cap_counts_by_the_new_costs(tmp_path: Path, buy: Any) -> None:
    with claude_server() as server:
        buy(server, 3, batches=False, max_usd=0.003)
        recost(tmp_path / "ledger.sqlite", prices=prices(tmp_path, input=300.0))
        with pytest.raises(BudgetError, match="are spent or in doubt"):
            buy(server, 4, batches=False, max_usd=0.003)


def test_a_model_without_a_price_keeps_its_costs_and_is_named(tmp_path: Path, buy: Any) -> None:
    with claude_server() as server:
        buy(server, 2, batches=False)
    text = load_prices().path.read_text(encoding="utf-8")
    (tmp_path / "prices.toml").write_text(text.replace(HAIKU, "another"))
    before = rows(tmp_path, "SELECT * FROM answers")

    done = recost(tmp_path / "ledger.sqlite", prices=load_prices(tmp_path / "prices.toml"))

    assert (done.models, done.unpriced) == ((), (HAIKU,))
    assert rows(tmp_path, "SELECT * FROM answers") == before


def test_counts_that_cannot_be_right_cost_the_bound_by_the_new_price_too(tmp_path: Path, buy: Any) -> None:
    with claude_server(default=Reply(usage={"input_tokens": -5})) as server:
        buy(server, 1, batches=False)

    (done,) = recost(tmp_path / "ledger.sqlite", prices=prices(tmp_path, input=0.40)).models

    assert done.changed == 1 and done.after_usd > 2 * done.before_usd


def test_without_a_ledger_there_is_nothing_to_cost(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="nothing was ever paid"):
        recost(tmp_path / "ledger.sqlite", prices=load_prices())
