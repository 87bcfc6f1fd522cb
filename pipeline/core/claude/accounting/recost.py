"""Costs computed anew after a price was corrected: the ledger keeps the counts of tokens, so nothing is asked again.

An answer costs what the row in force on the day that it landed says, so a row that begins later changes nothing. What
is in doubt or on its way counts at the most that it can cost, by the day that it was sent. Cards of finished results
keep what they say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pipeline.core.claude.batches.lines import billed_nano
from pipeline.core.claude.ledger.ledger import Ledger
from pipeline.core.claude.messages.request import bound_of_body
from pipeline.core.claude.prices import NANO, Prices
from pipeline.core.errors import RecipeError

ANSWERS = """
SELECT model, answers.request, cost_nano, price, usage, landed_at, sent_in, keep, body
FROM answers JOIN attempts USING (attempt) JOIN requests ON requests.id = answers.request
"""
BOUNDS = """
SELECT model, attempt, reserved_nano, sent_at, sent_in, keep, body FROM attempts JOIN requests ON requests.id = request
WHERE outcome IS NULL OR outcome = 'in_doubt'
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
    with Ledger(path) as ledger, ledger.transaction() as database:
        answers = _costed(database.execute(ANSWERS), lambda row: _cost_of(row, prices))
        bounds = _costed(database.execute(BOUNDS), lambda row: _bound_of(row, prices))
        models = sorted(answers.keys() | bounds.keys())
        unpriced = [model for model in models if None in (answers.get(model, []), bounds.get(model, []))]
        for model in sorted(set(models) - set(unpriced)):
            costs, reserved = answers.get(model) or [], bounds.get(model) or []
            database.executemany(
                "UPDATE answers SET cost_nano=?, price=? WHERE request=?",
                [(*one.after, one.key) for one in costs if one.after != one.before],
            )
            database.executemany(
                "UPDATE attempts SET reserved_nano=? WHERE attempt=?",
                [(*one.after, one.key) for one in reserved if one.after != one.before],
            )
            done.append(
                Recosted(
                    model, answers=len(costs), changed=sum(one.after[0] != one.before[0] for one in costs),
                    before_usd=sum(one.before[0] for one in costs) / NANO,
                    after_usd=sum(one.after[0] for one in costs) / NANO,
                    bounds_before_usd=sum(one.before[0] for one in reserved) / NANO,
                    bounds_after_usd=sum(one.after[0] for one in reserved) / NANO,
                )
            )  # fmt: skip
    return Recost(tuple(done), tuple(unpriced))


@dataclass(frozen=True, slots=True)
class _Costed:
    """What one row cost and costs: nanodollars first."""

    key: str | int
    before: tuple[Any, ...]
    after: tuple[Any, ...]


def _costed(
    rows: Iterable[tuple[Any, ...]], cost_of: Callable[[tuple[Any, ...]], _Costed]
) -> dict[str, list[_Costed] | None]:
    """Cost rows by model, each as it is read, as bodies of all together are large; None for a model without a price."""
    found: dict[str, list[_Costed] | None] = {}
    for row in rows:
        model = str(row[0])
        costs = found.setdefault(model, [])
        if costs is None:
            continue
        try:
            costs.append(cost_of(row))
        except RecipeError:
            found[model] = None
    return found


def _cost_of(row: tuple[Any, ...], prices: Prices) -> _Costed:
    model, request, cost, price, usage, landed_at, sent_in, keep, body = row
    on, batch = _day(landed_at), sent_in != "single"
    bound = bound_of_body(json.loads(body), prices=prices, on=on, batch=batch, keep=keep or None)
    after = billed_nano(json.loads(usage), model=model, prices=prices, on=on, bound=bound, batch=batch)
    return _Costed(request, (cost, price), after)


def _bound_of(row: tuple[Any, ...], prices: Prices) -> _Costed:
    _, attempt, reserved, sent_at, sent_in, keep, body = row
    batch = sent_in != "single"
    bound = bound_of_body(json.loads(body), prices=prices, on=_day(sent_at), batch=batch, keep=keep or None)
    return _Costed(attempt, (reserved,), (bound,))


def _day(moment: float) -> date:
    return datetime.fromtimestamp(moment, tz=UTC).date()
