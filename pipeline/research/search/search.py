"""A search under way: its recipe, bench and ledger, and where it stands. Every change of that is one event."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.core.identity import identity_of
from pipeline.engine.progress import Progress
from pipeline.recipe.research import ResearchSection
from pipeline.recipe.sections import GateSection, ProxySection
from pipeline.recipe.spec import Recipe
from pipeline.research.edits.space import EditSpace, space_of
from pipeline.research.edits.variants import plain_data
from pipeline.research.record.card import Card, card_id
from pipeline.research.record.fold import Standing, folded, state_of
from pipeline.research.record.ledger import Event, Ledger
from pipeline.research.search.bench import Bench

if TYPE_CHECKING:
    from eval.loop.state import State


@dataclass(slots=True)
class Search:
    """One search of one recipe, whatever night it is."""

    recipe: Recipe
    bench: Bench
    ledger: Ledger
    progress: Progress
    max_usd: float | None = None  # of a night's caller; lowers what the recipe allows
    findings: Sequence[Mapping[str, Any]] = ()  # verified claims of error analyses, as plain JSON, for advisers
    standing: Standing = field(init=False)
    _made: dict[str, tuple[int, Any]] = field(default_factory=dict)  # what is slow to find, after so many events

    def __post_init__(self) -> None:
        self.standing = folded(self.ledger)

    @property
    def research(self) -> ResearchSection:
        assert self.recipe.research is not None
        return self.recipe.research

    @property
    def gate(self) -> GateSection:
        assert self.recipe.gate is not None
        return self.recipe.gate

    @property
    def proxy(self) -> ProxySection:
        assert self.recipe.proxy is not None
        return self.recipe.proxy

    @property
    def usd(self) -> float:
        """Dollars that all nights together may take: of the recipe's budget, or fewer where the caller says so."""
        most = self.research.budget.usd
        return most if self.max_usd is None else min(most, self.max_usd)

    def write(self, kind: str, **body: Any) -> Event:
        """Make an event durable, and take it in."""
        event = self.ledger.append(kind, body)
        self.standing.taken_in(event)
        return event

    def once(self, name: str, make: Callable[[], Any], *, forever: bool = False) -> Any:
        """Return what `make` gives, made once for each event, or once for all where no event changes it."""
        events = 0 if forever else len(self.ledger.events)
        if name not in self._made or self._made[name][0] != events:
            self._made[name] = events, make()
        return self._made[name][1]

    def space(self) -> EditSpace:
        """Return the space as it stands: with what text allows and what people let in; made once for each event."""
        let_in, supply = self.standing.let_in, self.standing.supply
        found: EditSpace = self.once("space", lambda: space_of(self.recipe, supply=supply, let_in=let_in))
        return found

    def state(self, space: EditSpace) -> State:
        """Return what models see of the search in its space; made once for each event, as fits are slow."""
        found: State = self.once("state", lambda: state_of(self.standing, space))
        return found

    def goal_of(self, scored: dict[str, float]) -> float:
        """Return the weighted bits per byte of one proxy, of what it scored on each held-out set."""
        total = math.fsum(self.research.on.values())
        return math.fsum(share / total * scored[name] for name, share in self.research.on.items())

    def name_of(self, card: Card) -> str:
        """Return what a card's mixture is called: by its edits, so that a second seed is a second proxy of one."""
        return card_id(self.standing.base, card.edits, "tune") if card.edits else self.research.incumbent


def rule_of(recipe: Recipe) -> dict[str, str]:
    """Return hashes of what no night may change beside the incumbent's plan: how it is judged, and what may move.

    The budget may grow from one night to the next.
    """
    data = plain_data(recipe)
    research = {f"research.{key}": value for key, value in data["research"].items() if key != "budget"}
    parts = {"gate": data["gate"], "proxy": data["proxy"], **research}
    return {key: identity_of(value) for key, value in parts.items()}


def changed_rules(recipe: Recipe, rule: Mapping[str, Any]) -> list[str]:
    """Return what of a search's rule a recipe has otherwise than its ledger."""
    own = rule_of(recipe)
    return sorted(key for key in {*own, *rule} if own.get(key) != rule.get(key))
