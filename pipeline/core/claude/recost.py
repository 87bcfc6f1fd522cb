"""Costs computed anew after a price was corrected: the ledger keeps the counts of tokens, so nothing is asked again.

An answer costs what the row in force on the day that it landed says, so a row that begins later changes nothing. What
is in doubt or on its way counts at the most that it can cost, by the day that it was sent. Cards of finished results
keep what they say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from pipeline.core.claude.batch_lines import billed_nano
from pipeline.core.claude.ledger import Ledger
from pipeline.core.claude.prices import NANO, Prices
from pipeline.core.claude.request import bound_of_body
from pipeline.core.errors import RecipeError

ANSWERS = """
SELECT model, answers.request, usage, cost_nano, price, landed_at, sent_in, body
FROM answers JOIN attempts USING (attempt) JOIN requests ON requests.id = answers.request ORDER BY model
"""
BOUNDS = """
SELECT model, attempt, reserved_nano, sent_at, sent_in, body FROM attempts JOIN requests ON requests.id = request
WHERE outcome IS NULL OR outcome = 'in_doubt' ORDER BY model
"""


@dataclass(frozen=True, slots=True)
class Recosted:
    """What new prices made of the money of one model: for its answers, and for what is in doubt or on its way."""

    model: str
    answers: int
    changed: int
    before_usd: float
    after_usd: float
    bounds_before_usd: float
    bounds_after_usd: float


@dataclass(frozen=True, slots=True)
class Recost:
    """What became of all models."""

    models: tuple[Recosted, ...]
    unpriced: tuple[str, ...]  # models without a row on a day of theirs; their costs stay


def recost(path: Path, *, prices: Prices) -> Recost:
    """Cost every answer of a ledger by these prices and store that, all or nothing. BusyError while a run buys."""
    if not path.exists():
        raise RecipeError(f"{path}: there is no ledger, so nothing was ever paid. Give --workspace.")
    done: list[Recosted] = []
    unpriced: list[str] = []
    with Ledger(path) as ledger, ledger.transaction() as database:
        answers = _by_model(database.execute(ANSWERS).fetchall())
        bounds = _by_model(database.execute(BOUNDS).fetchall())
        for model in sorted(answers.keys() | bounds.keys()):
            try:
                costs = [(_cost_of(row, prices), row) for row in answers.get(model, [])]
                reserved = [(_bound_of(row, prices), row) for row in bounds.get(model, [])]
            except RecipeError:
                unpriced.append(model)
                continue
            database.executemany(
                "UPDATE answers SET cost_nano=?, price=? WHERE request=?",
                [(*cost, row[1]) for cost, row in costs if cost != (row[3], row[4])],
            )
            database.executemany(
                "UPDATE attempts SET reserved_nano=? WHERE attempt=?",
                [(bound, row[1]) for bound, row in reserved if bound != row[2]],
            )
            done.append(
                Recosted(
                    model, answers=len(costs), changed=sum(cost[0] != row[3] for cost, row in costs),
                    before_usd=sum(row[3] for _, row in costs) / NANO,
                    after_usd=sum(cost[0] for cost, _ in costs) / NANO,
                    bounds_before_usd=sum(row[2] for _, row in reserved) / NANO,
                    bounds_after_usd=sum(bound for bound, _ in reserved) / NANO,
                )
            )  # fmt: skip
    return Recost(tuple(done), tuple(unpriced))


def _by_model(rows: Iterable[tuple[Any, ...]]) -> dict[str, list[tuple[Any, ...]]]:
    return {model: list(of_model) for model, of_model in groupby(rows, key=lambda row: str(row[0]))}


def _cost_of(row: tuple[Any, ...], prices: Prices) -> tuple[int, str]:
    model, _, usage, _, _, landed_at, sent_in, body = row
    on, batch = _day(landed_at), sent_in != "single"
    bound = bound_of_body(json.loads(body), prices=prices, on=on, batch=batch)
    return billed_nano(json.loads(usage), model=model, prices=prices, on=on, bound=bound, batch=batch)


def _bound_of(row: tuple[Any, ...], prices: Prices) -> int:
    _, _, _, sent_at, sent_in, body = row
    return bound_of_body(json.loads(body), prices=prices, on=_day(sent_at), batch=sent_in != "single")


def _day(moment: float) -> date:
    return datetime.fromtimestamp(moment, tz=UTC).date()
