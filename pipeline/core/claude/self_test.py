"""What a server can do, found out by asking it: how it gives JSON, and whether it has Message Batches.

Servers that speak the Messages protocol differ: some have no JSON schemas, some ignore them, some reject the request;
few have batches. So before the first paid request to a model at an address other than Anthropic's, one tiny question is
asked in the best way, and in the next one where the answer does not meet the schema: three requests at most. They are
in the ledger like all others, under the cap, each bought once. What was found is kept by address and model until the
server answers unlike it, or a run is told to test anew. Anthropic's own abilities are documented and never tested.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.core.claude.answer import Reading
from pipeline.core.claude.caching import may_cache
from pipeline.core.claude.endpoint import foreign_endpoint, shown
from pipeline.core.claude.ledger import KNOWS_ABILITIES, Ledger
from pipeline.core.claude.request import WAYS, Demand, Keep, Request, Way, Wish, estimate_bound_usd
from pipeline.core.claude.setbacks import Setback
from pipeline.core.errors import RecipeError, ServiceError

PURPOSE = "self-test"
BATCHES = "batches"
SYSTEM = "You are asked one short question. Quote a word of it, and answer it."
QUESTION = "Is fresh snow white?"
# Shaped like a rubric's questions; the names are nowhere else, so who does not get the schema cannot guess them.
SCHEMA: dict[str, Any] = {
    "type": "object", "additionalProperties": False, "required": ["verdict_7d"],
    "properties": {
        "verdict_7d": {
            "type": "object", "additionalProperties": False, "required": ["quote", "answer"],
            "properties": {"quote": {"type": "string"}, "answer": {"type": "boolean"}},
        }
    },
}  # fmt: skip
MAX_TOKENS = 128
IN_WORDS: dict[Way, str] = {
    "schema": "JSON by a schema", "tool": "JSON by a strict tool", "prompt": "JSON asked for in the prompt",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of one ability of a server's. `works` is None where it must be tested (again), for the `turn`."""

    works: bool | None = None
    reason: str = ""
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Abilities:
    """What is known of a model at an address, by ability: the ways to ask for JSON, and `batches`."""

    model: str
    endpoint: str
    found: Mapping[str, Found]

    def best(self, demand: Demand = "best") -> Way | None:
        """Return the best way that works, or the one that is demanded if it works; None: not known, or none does."""
        for way in ways_for(demand):
            works = self.of(way).works
            if works is not False:
                return way if works else None
        return None

    def of(self, ability: str) -> Found:
        return self.found.get(ability, Found())

    def known(self, demand: Demand = "best") -> bool:
        """Say whether nothing is left to be tested."""
        all_fail = all(self.of(way).works is False for way in ways_for(demand))
        return self.of(BATCHES).works is not None and (self.best(demand) is not None or all_fail)

    def likely(self, demand: Demand = "best") -> Way:
        """Return the way by which this model will be asked, as far as is known."""
        return self.best(demand) or ways_for(demand)[0]

    def told(self, demand: Demand = "best") -> str:
        """Say in one sentence how this model is asked, and what it falls back to; nothing of Anthropic's own."""
        if not self.endpoint:
            return ""
        where = f"{self.model}{shown(self.endpoint)}"
        if not self.known(demand):
            return f"what {where} can do is not known yet; the run first asks it at most {len(WAYS)} tiny questions"
        best = self.best(demand)
        if best is None:
            return f"{where} gives no answer that can be used: {self.reasons(demand)}"
        worse = ways_for(demand)[: ways_for(demand).index(best)]
        lacking = [f"{IN_WORDS[way]} ({self.of(way).reason})" for way in worse]
        way = f"does not give {' or '.join(lacking)}, so it is asked for" if lacking else "gives"
        batches = (
            "it has Message Batches"
            if self.of(BATCHES).works
            else "it has no Message Batches, so requests are sent one by one, at the full price"
        )
        return f"{where} {way} {IN_WORDS[best]}; {batches}"

    def reasons(self, demand: Demand) -> str:
        """Return why each way does not work."""
        return "; ".join(f"{way}: {self.of(way).reason}" for way in ways_for(demand))


def ways_for(demand: Demand) -> tuple[Way, ...]:
    """Return the ways that are tried, best first."""
    return WAYS if demand == "best" else (demand,)


def probe(model: str, way: Way, *, turn: int) -> Request:
    """Return the request that tests a way."""
    return Request(
        model, system=SYSTEM, prompt=QUESTION, max_tokens=MAX_TOKENS, schema=SCHEMA, purpose=PURPOSE, turn=turn, way=way
    )


class AbilityLog:
    """What the ledger knows of servers."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def of(self, model: str, endpoint: str) -> Abilities:
        """Return what is known of a model at an address."""
        with self._ledger.transaction() as database:
            return _read(database, model, endpoint)

    def record(self, model: str, endpoint: str, ability: str, found: Found) -> None:
        """Keep what a test showed."""
        row = (endpoint, model, ability, found.turn, found.works, found.reason, time.time())
        with self._ledger.transaction() as database:
            database.execute("INSERT OR REPLACE INTO abilities VALUES (?,?,?,?,?,?,?)", row)

    def record_no_batches(self, endpoint: str) -> None:
        """Note that a server turned out to have no batches, whatever a test said."""
        with self._ledger.transaction() as database:
            note = "UPDATE abilities SET works = 0, reason = 'it said so when asked' WHERE endpoint = ? AND ability = ?"
            database.execute(note, (endpoint, BATCHES))

    def forget(self, endpoint: str, models: Sequence[str] | None = None) -> int:
        """Have everything that is known of an address (of some models) tested anew; return how many models that is."""
        clear = "UPDATE abilities SET works = NULL, turn = turn + 1 WHERE endpoint = ? AND works IS NOT NULL"
        with self._ledger.transaction() as database:
            known = {
                model for (model,) in database.execute("SELECT model FROM abilities WHERE endpoint=?", (endpoint,))
            }
            chosen = known if models is None else known.intersection(models)
            database.executemany(f"{clear} AND model = ?", [(endpoint, model) for model in chosen])
        return len(chosen)


def known_abilities(ledger: Path, *, model: str) -> Abilities:
    """Return what a ledger, which another process may hold, knows of a model at the address in force."""
    endpoint = foreign_endpoint()
    if not endpoint or not ledger.exists():
        return Abilities(model, endpoint, {})
    with closing(sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=ro", uri=True)) as database:
        (layout,) = database.execute("PRAGMA user_version").fetchone()
        return _read(database, model, endpoint) if layout >= KNOWS_ABILITIES else Abilities(model, endpoint, {})


def forget_abilities(ledger: Path) -> None:
    """Have whatever a ledger knows of the address in force tested anew before it is used again."""
    if ledger.exists() and foreign_endpoint():
        with Ledger(ledger) as opened:
            AbilityLog(opened).forget(foreign_endpoint())


def _read(database: sqlite3.Connection, model: str, endpoint: str) -> Abilities:
    query = "SELECT ability, works, reason, turn FROM abilities WHERE endpoint = ? AND model = ?"
    rows = database.execute(query, (endpoint, model)).fetchall()
    found = {
        ability: Found(None if works is None else bool(works), reason, turn) for ability, works, reason, turn in rows
    }
    return Abilities(model, endpoint, found)


def find_out(
    log: AbilityLog, *, model: str, endpoint: str, demand: Demand, ask: Callable[[Request], Reading | Setback],
    lacks_batches: Callable[[], str], say: Callable[[str], None],
) -> Way:  # fmt: skip
    """Return the best way to ask, after a test of what is not known.

    ServiceError where no way works, RecipeError where the demanded one does not.
    `lacks_batches` returns why there are none, or an empty text.
    """
    abilities = log.of(model, endpoint)
    if not abilities.known(demand):
        for way in ways_for(demand):
            if abilities.of(way).works is None:
                turn = abilities.of(way).turn
                log.record(model, endpoint, way, _heard(ask(probe(model, way, turn=turn)), turn=turn))
            abilities = log.of(model, endpoint)
            if abilities.of(way).works:
                break
        if abilities.of(BATCHES).works is None:
            why = lacks_batches()
            log.record(model, endpoint, BATCHES, Found(not why, why, abilities.of(BATCHES).turn))
        abilities = log.of(model, endpoint)
        say(f"claude: {abilities.told(demand)}")
    best = abilities.best(demand)
    if best is None:
        raise _useless(abilities, demand)
    return best


def _heard(outcome: Reading | Setback, *, turn: int) -> Found:
    """Return what became of a test; ServiceError where it says nothing of the way that was tested."""
    if isinstance(outcome, Reading):
        return Found(outcome.status == "parsed", f"{outcome.status} ({outcome.reason[:200]})", turn)
    if outcome.kind == "reject" or outcome.reason.startswith("HTTP 500 "):  # as some servers say of a schema
        return Found(False, outcome.reason[:200], turn)
    raise ServiceError(
        f"Claude: the self-test of a server has no answer ({outcome.reason}). Nothing else was asked; run again."
    )


def _useless(abilities: Abilities, demand: Demand) -> RecipeError | ServiceError:
    where, reasons = f"{abilities.model}{shown(abilities.endpoint)}", abilities.reasons(demand)
    anew = "or test it anew (--test-endpoint)"
    if demand == "best":
        return ServiceError(
            f"Claude: {where} gives no JSON, however it is asked ({reasons}). Nothing else was asked. Use another "
            f"model or server, {anew}."
        )
    return RecipeError(
        f"ask_by is {demand}, and {where} does not give {IN_WORDS[demand]} ({reasons}). Leave `ask_by` out for the "
        f"best way that works, {anew}."
    )


def most_usd(request: Request, *, count: int, demand: Demand, cache: Wish, prices: Path | None) -> float:
    """Return the most that so many such requests can cost, in whatever way they are asked, and the test before them."""
    keep: Keep | None = "5m" if may_cache(cache) else None  # an hour costs no more at the price of batches
    if not foreign_endpoint():
        return count * estimate_bound_usd(replace(request, way=ways_for(demand)[0]), prices=prices, keep=keep)
    bounds = [estimate_bound_usd(replace(request, way=way), prices=prices, keep=keep) for way in ways_for(demand)]
    tests = [estimate_bound_usd(probe(request.model, way, turn=0), prices=prices) for way in ways_for(demand)]
    return count * max(bounds) + sum(tests)
