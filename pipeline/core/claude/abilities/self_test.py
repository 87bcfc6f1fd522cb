"""What a server can do, found out by asking it: how it gives JSON, and whether it has Message Batches.

Servers that speak the Messages protocol differ: some have no JSON schemas, some ignore them, some reject the request;
few have batches. So before the first paid request to a model at an address other than Anthropic's, one tiny question is
asked in the best way, and in the next one where the answer does not meet the schema: three requests at most. They are
in the ledger like all others, under the cap, each bought once. An answer that was cut off or refused shows nothing: if
no way is seen to work, the most robust one that may is taken. What was found is kept by address and model until the
server answers unlike it, or a run is told to test anew; that nothing works is never kept. Anthropic's own abilities are
documented and never tested.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.core.claude.buying.caching import may_cache
from pipeline.core.claude.ledger.layout import KNOWS_ABILITIES, layout_of, reading
from pipeline.core.claude.ledger.ledger import Ledger
from pipeline.core.claude.messages.answer import Reading
from pipeline.core.claude.messages.request import WAYS, Demand, Keep, Request, Way, Wish, estimate_bound_usd
from pipeline.core.claude.server.endpoint import VARIABLE, foreign_endpoint, shown
from pipeline.core.claude.server.setbacks import Setback
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
MAX_TOKENS = 1024  # a model that thinks before it answers needs some
SENT_BY: dict[Way, str] = {  # how a body in the ledger shows in which way it asks
    "schema": "json_type(body, '$.output_config.format') IS NOT NULL",
    "tool": "json_type(body, '$.tools') IS NOT NULL",
    "prompt": "json_type(body, '$.output_config') IS NULL AND json_type(body, '$.tools') IS NULL",
}  # fmt: skip
IN_WORDS: dict[Way, str] = {
    "schema": "JSON by a schema", "tool": "JSON by a strict tool", "prompt": "JSON asked for in the prompt",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of one ability of a server's. `works` is None where that is not known: with a reason, a test did
    not show it; without, it must be tested (again), for the `turn`."""

    works: bool | None = None
    reason: str = ""
    turn: int = 0

    @property
    def tested(self) -> bool:
        return self.works is not None or bool(self.reason)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What is known of a model at an address, by ability: the ways to ask for JSON, and `batches`."""

    model: str
    endpoint: str
    found: Mapping[str, Found]

    def best(self, demand: Demand = "best") -> Way | None:
        """Return the best way of those demanded that works, else the last that may; None: not known, or none does."""
        for way in ways_for(demand):
            if self.of(way).works:
                return way
            if not self.of(way).tested:
                return None
        return next((way for way in reversed(ways_for(demand)) if self.of(way).works is None), None)

    def of(self, ability: str) -> Found:
        return self.found.get(ability, Found())

    def known(self, demand: Demand = "best") -> bool:
        """Say whether nothing is left to be tested."""
        return self.of(BATCHES).tested and self.best(demand) is not None

    def fails(self, demand: Demand = "best") -> bool:
        """Say whether the last test found that no way works."""
        return all(self.of(way).works is False for way in ways_for(demand))

    def likely(self, demand: Demand = "best") -> Way:
        """Return the way by which this model will be asked, as far as is known."""
        return self.best(demand) or ways_for(demand)[0]

    def told(self, demand: Demand = "best") -> str:
        """Say in one sentence how this model is asked, and what it falls back to; nothing of Anthropic's own."""
        if not self.endpoint:
            return ""
        where = f"{self.model}{shown(self.endpoint)}"
        if self.fails(demand):
            return f"{where} gave no answer that can be used ({self.reasons(demand)}); the next run tests it anew"
        if not self.known(demand):
            return f"what {where} can do is not known yet; the run first asks it at most {len(WAYS)} tiny questions"
        best = self.best(demand)
        assert best is not None
        tried = ways_for(demand)[: ways_for(demand).index(best) + (not self.of(best).works)]
        lacking = " or ".join(f"{IN_WORDS[way]} ({self.of(way).reason})" for way in tried)
        not_shown = any(self.of(way).works is None for way in tried)
        verb = "was not seen to give" if not_shown else "does not give"
        way = f"{verb} {lacking}, so it is asked for" if tried else "gives"
        return f"{where} {way} {IN_WORDS[best]}; {self._batches_told()}"

    def _batches_told(self) -> str:
        batches = self.of(BATCHES)
        if batches.works is None:
            return f"whether it has Message Batches is not known ({batches.reason})"
        lacking = "it has no Message Batches, so requests are sent one by one, at the full price"
        return "it has Message Batches" if batches.works else lacking

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

    def gave(self, model: str, endpoint: str, way: Way) -> bool:
        """Say whether a server was ever seen to give JSON in a way."""
        query = f"""
            SELECT EXISTS (SELECT 1 FROM attempts JOIN requests ON requests.id = attempts.request
            WHERE endpoint = ? AND model = ? AND outcome = 'answered' AND state = 'PARSED' AND {SENT_BY[way]})"""
        with self._ledger.transaction() as database:
            return bool(database.execute(query, (endpoint, model)).fetchone()[0])

    def forget(
        self, endpoint: str, models: Sequence[str] | None = None, *, abilities: Sequence[str] = (*WAYS, BATCHES)
    ) -> int:
        """Have what is known of an address (of some models) tested anew; return how many models that is."""
        clear = """
            UPDATE abilities SET works = NULL, reason = '', turn = turn + 1
            WHERE endpoint = ? AND model = ? AND ability = ? AND (works IS NOT NULL OR reason != '')"""
        with self._ledger.transaction() as database:
            known = {
                model for (model,) in database.execute("SELECT model FROM abilities WHERE endpoint=?", (endpoint,))
            }
            chosen = known if models is None else known.intersection(models)
            rows = [(endpoint, model, ability) for model in chosen for ability in abilities]
            database.executemany(clear, rows)
        return len(chosen)


def known_abilities(ledger: Path, *, model: str) -> Abilities:
    """Return what a ledger, which another process may hold, knows of a model at the address in force."""
    endpoint = foreign_endpoint()
    with reading(ledger) as database:
        if not endpoint or database is None or layout_of(database) < KNOWS_ABILITIES:
            return Abilities(model, endpoint, {})
        return _read(database, model, endpoint)


def forget_abilities(ledger: Path) -> None:
    """Have whatever a ledger knows of the address in force tested anew before it is used again."""
    if not foreign_endpoint():
        raise RecipeError(
            f"--test-endpoint: {VARIABLE} names no server but Anthropic's own, whose abilities are documented, so "
            "there is nothing to test. Set it, or leave the flag out."
        )
    if ledger.exists():
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
    find_batches: Callable[[], Found], needs_batches: bool, say: Callable[[str], None],
) -> Way:  # fmt: skip
    """Return the best way to ask, after a test of what is not known.

    ServiceError where no way works, RecipeError where the demanded one does not.
    """
    abilities = log.of(model, endpoint)
    if abilities.fails(demand):  # it may be another server by now, or have been out of order
        log.forget(endpoint, [model], abilities=ways_for(demand))
        abilities = log.of(model, endpoint)
    if not abilities.known(demand) or (needs_batches and abilities.of(BATCHES).works is None):
        for way in ways_for(demand):
            if not abilities.of(way).tested:
                request = probe(model, way, turn=abilities.of(way).turn)
                log.record(model, endpoint, way, _heard(ask(request), request, gave=log.gave(model, endpoint, way)))
            abilities = log.of(model, endpoint)
            if abilities.of(way).works:
                break
        if abilities.of(BATCHES).works is None:
            log.record(model, endpoint, BATCHES, replace(find_batches(), turn=abilities.of(BATCHES).turn))
        abilities = log.of(model, endpoint)
        say(f"claude: {abilities.told(demand)}")
    best = abilities.best(demand)
    if best is None:
        raise _useless(abilities, demand)
    return best


def broke(outcome: Reading | Setback) -> bool:
    """Say whether a server broke at a request: by a fault of the moment, or as some do at a schema."""
    return isinstance(outcome, Setback) and outcome.reason.startswith("HTTP 500 ")


def _heard(outcome: Reading | Setback, request: Request, *, gave: bool) -> Found:
    """Return what became of a test; ServiceError where it says nothing of the way that was tested.

    Where a server that `gave` answers in this way breaks, that is no reason to ask in another one.
    """
    if isinstance(outcome, Reading):
        works = None if outcome.status in ("truncated", "refused") else outcome.status == "parsed"
        return Found(works, f"{outcome.status} ({outcome.reason[:200]})", request.turn)
    if outcome.kind == "reject" or broke(outcome):
        return Found(gave and broke(outcome), outcome.reason[:200], request.turn)
    raise ServiceError(
        f"Claude: the self-test of a server has no answer ({outcome.reason}). Nothing else was asked; run again."
    )


def _useless(abilities: Abilities, demand: Demand) -> RecipeError | ServiceError:
    where, reasons = f"{abilities.model}{shown(abilities.endpoint)}", abilities.reasons(demand)
    anew = "or run again: the next run tests it anew"
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
