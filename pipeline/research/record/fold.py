"""A ledger's events -> where a search stands: its cards, what became of each, the head, the claim, who waits.

Nothing is remembered but the ledger, so a night that is taken up again, on another machine or after a kill, knows what
the first one knew and decides as it would have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from pipeline.core.errors import RecipeError
from pipeline.recipe.edits import Edit, key_of
from pipeline.research.record.card import Card, Result, card_of, cost_of
from pipeline.research.record.ledger import Event, Ledger

if TYPE_CHECKING:
    from eval.loop.state import State
    from pipeline.research.edits.space import EditSpace

KINDS: Mapping[str, Literal["replicate", "ablation", "control", "factorial"]] = {
    "replication": "replicate", "ablation": "ablation", "control": "control", "factorial": "factorial",
}  # fmt: skip


@dataclass(slots=True)
class Standing:
    """Where a search stands after some events."""

    base: str = ""  # hash of the incumbent's plan: another recipe or other text is another search
    rule: Mapping[str, Any] = field(default_factory=dict)  # what no night may change: space, gate, on
    lane: Mapping[str, float] | None = None  # variance and freedom of single proxies, as it was known at the beginning
    judge: Mapping[str, Any] | None = None  # hash of the judging code, and what proposers are held to
    tripped: str = ""  # that a proposer took the bait; such a search claims nothing
    supply: dict[str, float] = field(default_factory=dict)  # the most that each dataset's text allows it to weigh
    cards: dict[int, Card] = field(default_factory=dict)  # by number, in the order in which they were written
    batch_of: dict[int, int] = field(default_factory=dict)
    tried_with: dict[int, int] = field(default_factory=dict)  # the last batch by then: later than its own if approved
    results: dict[int, Result] = field(default_factory=dict)
    weighed: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # claim -> what its card did to its documents
    let_in: list[tuple[str, tuple[Edit, ...]]] = field(default_factory=list)  # card -> its edits from outside the space
    answers: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # card -> a person's answer
    remarks: list[Mapping[str, Any]] = field(default_factory=list)  # plateaus, proposers that failed
    stuck_since: int | None = None  # first of the last batches that were all proposed by a search at a plateau
    exhausted: str = ""  # why the last batch held nothing to try
    search_ended: Mapping[str, Any] | None = None
    claim: Mapping[str, Any] | None = None  # what was opened
    verdict: Mapping[str, Any] | None = None
    promoted: Mapping[str, Any] | None = None
    attribution: list[Mapping[str, Any]] | None = None
    ended: bool = False
    claim_short_of: str = ""  # what of the budget no claim was made for the lack of
    paid: dict[str, float] = field(default_factory=dict)  # folder of a result -> dollars
    usd: float = 0.0

    @property
    def batches(self) -> int:
        """How many batches were written down."""
        return 1 + max(self.batch_of.values(), default=-1)

    @property
    def open_cards(self) -> list[Card]:
        """Cards that were written down, and have no result yet; those that a person has not approved are none."""
        approved = {name for name, body in self.answers.items() if body["answer"] == "approved"}
        return [
            card
            for number, card in self.cards.items()
            if number not in self.results and (not card.needs or card.id in approved)
        ]

    @property
    def waiting(self) -> list[Card]:
        """Cards that wait for a person."""
        return [card for card in self.cards.values() if card.needs and card.id not in self.answers]

    @property
    def tried(self) -> int:
        """How many experiments were run, those that broke too; what a claim's attribution took is none of them."""
        return sum(
            result.status in ("done", "failed") and self.cards[number].parent != "head"
            for number, result in self.results.items()
        )

    def taken_in(self, event: Event) -> None:
        """Take in the next event."""
        getattr(self, f"_{event.kind}")(event.body)

    def _began(self, body: Mapping[str, Any]) -> None:
        self.base, self.rule, self.lane = body["base"], body["rule"], body["lane"]

    def _judge(self, body: Mapping[str, Any]) -> None:
        self.judge = body

    def _tripped(self, body: Mapping[str, Any]) -> None:
        self.tripped = str(body["words"])

    def _batch(self, body: Mapping[str, Any]) -> None:
        for told in body["cards"]:
            card = card_of(told)
            self.cards[card.number] = card
            self.batch_of[card.number] = body["batch"]
        for told in body["refused"]:
            self._resulted(told)
        self.remarks += body["remarks"]
        if not body.get("stuck", False):
            self.stuck_since = None
        elif self.stuck_since is None:
            self.stuck_since = body["batch"]
        self.exhausted = body.get("exhausted", "")
        self.usd += math.fsum(remark.get("usd", 0.0) for remark in body["remarks"])

    def _results(self, body: Mapping[str, Any]) -> None:
        for told in body["results"]:
            self._resulted(told)
            self.tried_with[told["number"]] = self.batches - 1
        self.supply = self.supply or dict(body["supply"])
        self.paid |= body.get("paid", {})
        self.exhausted = ""  # what was learned may show what to try next

    def _weighed(self, body: Mapping[str, Any]) -> None:
        self.weighed[body["claim"]] = body

    def _resulted(self, told: Mapping[str, Any]) -> None:
        result = Result(**{**told["result"], "health": tuple(told["result"]["health"])})
        self.results[told["number"]] = result
        self.usd += result.usd

    def _answered(self, body: Mapping[str, Any]) -> None:
        self.answers[body["card"]] = body
        card = next(card for card in self.cards.values() if card.id == body["card"])
        if body["answer"] == "approved":
            outside = tuple(edit for edit in card.edits if edit.key in body["outside"])
            if outside and key_of(outside) not in {key_of(edits) for _, edits in self.let_in}:
                self.let_in.append((card.id, outside))
        else:
            self.results[card.number] = Result(card.id, "rejected", why=body["why"])

    def _repriced(self, body: Mapping[str, Any]) -> None:
        card = self.cards[body["number"]]
        self.cards[card.number] = replace(card, plan=body["plan"], cost=cost_of(body["cost"]))

    def _search_ended(self, body: Mapping[str, Any]) -> None:
        self.search_ended = body

    def _claim_opened(self, body: Mapping[str, Any]) -> None:
        self.claim = body

    def _claimed(self, body: Mapping[str, Any]) -> None:
        self.verdict = body
        paid = dict(body.get("paid", {}))
        self.usd += math.fsum(usd - self.paid.get(place, 0.0) for place, usd in paid.items())
        self.paid |= paid

    def _asked(self, body: Mapping[str, Any]) -> None:
        assert self.verdict is not None
        self.verdict = {**self.verdict, "waits": True}

    def _attributed(self, body: Mapping[str, Any]) -> None:
        self.attribution = list(body["edits"])

    def _promoted(self, body: Mapping[str, Any]) -> None:
        self.promoted = body

    def _ended(self, body: Mapping[str, Any]) -> None:
        self.ended, self.claim_short_of = True, body.get("short_of", "")

    def _reopened(self, body: Mapping[str, Any]) -> None:
        self.search_ended = self.claim = self.verdict = self.attribution = self.promoted = self.stuck_since = None
        self.exhausted = self.claim_short_of = ""
        self.ended = False


def folded(ledger: Ledger) -> Standing:
    """Return where a search stands by its ledger."""
    standing = Standing()
    for event in ledger.events:
        standing.taken_in(event)
    return standing


def state_of(standing: Standing, space: EditSpace) -> State:
    """Return what models and proposers see: numbers of the open held-out sets, and nothing of a claim."""
    from eval.loop.state import Prediction, State, Trial
    from eval.verdict.deviation import Deviation

    trials = []
    for number, card, result in _told(standing):
        try:
            point = space.point_of(card.edits)
        except RecipeError:  # of a space that was wider then: models see what this one holds
            continue
        given = card.prediction
        prediction = None if given is None else Prediction(given.median, given.low, given.high)
        for seed in card.seeds:
            value = result.goals.get(str(seed))
            why = None if value is not None else result.why or "; ".join(result.health) or "no result"
            trials.append(
                Trial(
                    point,
                    seed,
                    value,
                    why,
                    card.proposer,
                    prediction,
                    standing.tried_with.get(number, standing.batch_of[number]),
                    KINDS.get(card.kind, "fresh"),
                )
            )
    lane = None if standing.lane is None else Deviation(**standing.lane)
    return State(space.space, space.base, tuple(trials), lane)


def _told(standing: Standing) -> Iterator[tuple[int, Card, Result]]:
    """Yield the cards that proxies tried, in the order in which they were written down."""
    for number, card in standing.cards.items():
        result = standing.results.get(number)
        if result is not None and result.status in ("done", "failed"):
            yield number, card, result


def incumbent_goals(standing: Standing) -> Mapping[str, float]:
    """Return the weighted bits per byte of the incumbent's proxies, by seed."""
    found: dict[str, float] = {}
    for _, card, result in _told(standing):
        if not card.edits:
            found |= result.goals
    return found


def gain_of(standing: Standing, number: int) -> float | None:
    """Return what a card measured less than the incumbent's mean, in bits per byte; None where either has no value."""
    result, base = standing.results.get(number), incumbent_goals(standing)
    if result is None or not result.goals or not base:
        return None
    return math.fsum(base.values()) / len(base) - math.fsum(result.goals.values()) / len(result.goals)
