"""How each model is asked through one client: as the ledger has all that is wanted, else in the server's best way.

What is all there is never bought again because a server changed. Where something is missing and it is not known what
the server can do, its test is bought first: below the cap, which counts what was bought before by then.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pipeline.core.claude.abilities.self_test import AbilityLog, Found, broke, find_out, probe, ways_for
from pipeline.core.claude.batches.wire import BatchWire, WireError
from pipeline.core.claude.buying.bought import STATES, bought_answer
from pipeline.core.claude.buying.purse import Purse
from pipeline.core.claude.ledger.ledger import Ledger, Planned
from pipeline.core.claude.messages.answer import Reading
from pipeline.core.claude.messages.request import WAYS, Demand, Request, Way
from pipeline.core.claude.server.setbacks import Setback
from pipeline.core.errors import ServiceError


@dataclass(slots=True)
class Fitting:
    """The ways of one client."""

    ledger: Ledger
    purse: Purse
    endpoint: str
    recorded: bool  # nothing may be asked
    needs_batches: bool
    pause_seconds: float  # before a test at which the server broke is sent once more
    buy: Callable[[Request], Setback | Reading]  # sends until it is answered, but what is lost only once
    wire: Callable[[], BatchWire]
    collect: Callable[[], None]  # stores what has ended of earlier runs' batches
    say: Callable[[str], None]
    _ways: dict[str, Way] = field(default_factory=dict)  # by model
    _sure: set[str] = field(default_factory=set)  # models whose way is not just that by which the ledger had all

    @property
    def log(self) -> AbilityLog:
        return AbilityLog(self.ledger)

    def fitted(self, requests: Sequence[Request], *, demand: Demand) -> list[Request]:
        """Return requests as the endpoint can answer them; see `ClaudeClient.fitted`."""
        for model in sorted({each.model for each in requests} - self._sure):
            self._ways[model] = self._way(model, demand, [each for each in requests if each.model == model])
        return [replace(request, way=self._ways[request.model]) for request in requests]

    def _way(self, model: str, demand: Demand, requests: Sequence[Request]) -> Way:
        if not self.endpoint:
            return ways_for(demand)[0]  # Anthropic's abilities are documented
        known = self.log.of(model, self.endpoint)
        before = self._ways.get(model)  # by which all that was asked before is in the ledger
        if before is not None and known.of(before).works is not False:
            demand = before  # all of a result are asked alike
        probes = [probe(model, way, turn=known.of(way).turn) for way in WAYS]
        self.purse.count_earlier([replace(each, endpoint=self.endpoint) for each in probes])
        asked = {way: [replace(each, endpoint=self.endpoint, way=way) for each in requests] for way in ways_for(demand)}
        for way, fitting in asked.items():
            if self.ledger.has_all({each.id for each in fitting}):
                return way  # whatever the server can do now
        if self.recorded:
            return known.likely(demand)
        if not known.known(demand):
            self.purse.count_earlier([each for fitting in asked.values() for each in fitting])
            self.collect()
        way = find_out(
            self.log, model=model, endpoint=self.endpoint, demand=demand, ask=self._test,
            find_batches=self._find_batches, needs_batches=self.needs_batches, say=self.say,
        )  # fmt: skip
        self._sure.add(model)
        return way

    def _test(self, request: Request) -> Setback | Reading:
        """Ask one question of the self-test: what is lost is not sent again in this run, but for HTTP 500, once."""
        request = replace(request, endpoint=self.endpoint)
        self.purse.asked.add(request.id)
        if not self.ledger.has_all({request.id}):
            self.ledger.plan([Planned(request.id, request.model, request.purpose, json.dumps(request.body()))])
            outcome = self.buy(request)
            if broke(outcome):  # a fault of the moment is not believed
                time.sleep(self.pause_seconds)
                outcome = self.buy(request)
            if isinstance(outcome, Setback):
                return outcome
        answer = bought_answer(request, self.ledger.answers([request.id])[request.id], from_ledger=False)
        self.ledger.conclude([(request.id, STATES[answer.status], answer.reason)])
        return Reading(answer.status, text=answer.text, data=answer.data, reason=answer.reason)

    def _find_batches(self) -> Found:
        """Ask whether there are batches; a run that needs none goes on where that cannot be told now."""
        try:
            why = self.wire().lacking()
        except WireError as trouble:
            reason = trouble.setback.reason
            if not self.needs_batches:
                return Found(None, reason[:200])
            raise trouble.setback.error or ServiceError(f"Claude: cannot be reached ({reason}). Run again.") from None
        return Found(not why, why)
