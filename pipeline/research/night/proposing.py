"""Where a search stands -> the next batch of cards, each priced and checked before it is written down.

Our own proposers see points, advisers see a view and answer in edits. Both come out as cards; what cannot be done, was
asked before or touches what judges is a card too, refused with the reason, and found again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import RecipeError
from pipeline.core.rng import derive
from pipeline.plan.sweep import FIRST_SEED
from pipeline.recipe.edits import Edit, key_of, refuse_forbidden
from pipeline.research.edits.space import EditSpace, OutsideError
from pipeline.research.night.power import detectable
from pipeline.research.night.weighing import PROXIES
from pipeline.research.proposers.ideas import Advice, Adviser, Idea
from pipeline.research.proposers.remedies import remedy_of
from pipeline.research.proposers.said import to_try
from pipeline.research.proposers.view import view_of
from pipeline.research.record.card import Card, Cost, Kind, Prediction, Result, card_id, falsifier_of, hypothesis_of
from pipeline.research.search.bill import usd_left
from pipeline.research.search.search import Search

if TYPE_CHECKING:
    from eval.loop.propose import Proposed
    from eval.loop.space import Point
    from eval.loop.state import Head, State

BLEND = 16  # experiments after which a proposer's record counts as much as the share that it began with
MOST_WAITING = 5  # cards for a person at a time; ideas outside the space beyond that are not asked about
ATTEMPTS = 3  # to fill a batch whose cards were refused
SILENT = 3  # batches in a row without a usable idea, after which an adviser rests for as many
CLAIMS = "claims"  # who proposes cards that try to use them
MOST_TOLD = 300  # characters of what was no idea
_OF_AN_IDEA = (  # what an idea raises is its own refusal, never the night's end; what hits any card as well goes on
    RecipeError, ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
)  # fmt: skip
KINDS: Mapping[str, Kind] = {
    "replicate": "replication", "ablation": "ablation", "control": "control", "factorial": "factorial",
}  # fmt: skip


@dataclass(slots=True)
class Batch:
    """Cards to write down together, those of them that are refused, and what proposers had to be told."""

    cards: list[Card] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    remarks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def sound(self) -> int:
        """How many cards can be tried."""
        return len(self.to_try)

    @property
    def to_try(self) -> list[Card]:
        """Cards that are neither refused nor waiting for a person."""
        refused = {each["number"] for each in self.refused}
        return [card for card in self.cards if not card.needs and card.number not in refused]


@dataclass(slots=True)
class Proposing:
    """The making of one batch."""

    search: Search
    advisers: Sequence[Adviser]
    space: EditSpace
    state: State
    best: Head
    batch: Batch = field(default_factory=Batch)
    ideas: dict[Point, Idea] = field(default_factory=dict)
    hints: dict[Point, str] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)  # advisers, each once a batch

    def fill(self, count: int) -> Batch:
        """Return a batch of `count` cards that can be tried, fewer where the space holds no more."""
        standing = self.search.standing
        blocked = set(self._known(result.status for result in standing.results.values()))
        for attempt in range(ATTEMPTS):
            wanted = count - self.batch.sound
            if wanted <= 0:
                break
            for proposed in self._proposed(wanted, attempt=attempt, blocked=blocked):
                blocked.add(proposed.point)
                self._add(proposed)
        return self.batch

    def use_claims(self, most: int) -> None:
        """Put cards that try to use claims of error analyses into the batch: each claim once, `most` of them."""
        standing, workspace = self.search.standing, self.search.bench.workspace
        known = {card.claim for card in self._cards()} | {mark.get("claim") for mark in standing.remarks}
        untried = [told["id"] for told in self.search.findings if told["id"] not in known]
        for found in to_try(self.search.recipe, workspace) if untried else ():
            if most < 1 or found.claim.id not in untried:
                continue
            idea, told = remedy_of(found, self.space, workspace), list[str]()
            if isinstance(idea, str):
                told.append(idea)
            elif (proposed := self._taken(CLAIMS, idea, "", told, 1)) is not None:
                self._add(proposed)
                most -= 1
            if told:
                self.batch.remarks.append(
                    {
                        "what": "claim", "batch": standing.batches, "proposer": CLAIMS, "claim": found.claim.id,
                        "words": told[0][:MOST_TOLD],
                    }
                )  # fmt: skip

    def _known(self, statuses: Any) -> list[Point]:
        """Return the points of cards that were refused or rejected, or wait."""
        found = []
        for card in self.search.standing.cards.values():
            result = self.search.standing.results.get(card.number)
            if (result is None or result.status in ("refused", "rejected")) and card.edits:
                try:
                    found.append(self.space.point_of(card.edits))
                except RecipeError:  # outside the space, where no model proposes
                    continue
        return found

    def _proposed(self, count: int, *, attempt: int, blocked: set[Point]) -> Sequence[Proposed]:
        from eval.loop.batch import next_batch
        from eval.loop.propose import PROPOSERS

        given, standing = self.search.research.proposers, self.search.standing
        known = {name: PROPOSERS[name] for name in given if name in PROPOSERS}
        for adviser in self.advisers:
            known[adviser.name] = self._asking(adviser)
        seed = derive(self.search.recipe.seed, "night", standing.batches, attempt)
        return next_batch(
            self.state,
            count,
            shares_of(self.search, self.state, list(known), seed=seed),
            seed,
            proposers=known,
            blocked=blocked,
            detectable=detectable(self.search, self.state),
            left=self.search.research.budget.experiments - standing.tried,
        )

    def _asking(self, adviser: Adviser) -> Any:
        """Return a proposer that asks an adviser, once a batch; ideas outside the space wait for a person."""

        def proposer(state: State, count: int, seed: int) -> list[Proposed]:
            if count < 1 or adviser.name in self.asked or self._rests(adviser.name):
                return []
            self.asked.add(adviser.name)
            advice = adviser.ideas(view_of(self.search, self.space, state, adviser=adviser.name), count, seed)
            told = list(advice.unusable)
            found = self._proposed_by(adviser.name, advice, count, told)
            self._remark(adviser.name, advice, unusable=told, usable=len(found))
            return found

        return proposer

    def _proposed_by(self, name: str, advice: Advice, count: int, told: list[str]) -> list[Proposed]:
        """Return the ideas that can be tried at once; the others become cards that wait or are refused, or are told."""
        found: list[Proposed] = []
        for idea in advice.ideas:
            if len(found) == count:
                break
            try:
                proposed = self._taken(name, idea, advice.hint, told, count)
            except _OF_AN_IDEA as error:
                told.append(f"an idea that cannot be taken in: {type(error).__name__}: {error}")
                continue
            if proposed is not None:
                found.append(proposed)
        return found

    def _taken(self, name: str, idea: Idea, hint: str, told: list[str], count: int) -> Proposed | None:
        """Return an idea that can be tried at once; None for one that became a card already, or that `told` tells."""
        from eval.loop.propose import Proposed
        from eval.loop.state import Prediction as Predicted

        words = "; ".join(edit.words for edit in idea.edits)
        if idea.claim not in {found["id"] for found in self.search.findings}:
            idea = replace(idea, claim="")
        try:
            self._refuse_bad(idea)
            point = self.space.point_of(idea.edits)
        except OutsideError as error:
            if why := self._add_outside(name, idea, str(error), hint=hint, most=count):
                told.append(f"{why}: {words}")
            return None
        except RecipeError as error:
            if not self._refuse(name, idea, str(error), hint=hint):
                told.append(f"a repetition of what was refused: {words}")
            return None
        if point in self.ideas or self._is_known(point):
            told.append(f"a repetition: {words}")
            return None
        tried = self.space.edits_of(point)
        if key_of(tried) != key_of(idea.edits):  # a number between two that the space tells apart
            asked = "; ".join(edit.words for edit in idea.edits if edit not in tried)
            idea = replace(idea, mechanism=f"{idea.mechanism} (Asked for: {asked}; this is the nearest in the space.)")
        given = idea.prediction
        prediction = None if given is None else Predicted(given.median, given.low, given.high)
        self.ideas[point] = idea
        self.hints[point] = hint
        return Proposed(point, name, prediction, idea.mechanism)

    def _refuse_bad(self, idea: Idea) -> None:
        """Raise RecipeError for edits of what judges, and for more of them than a card may have beside the head's."""
        refuse_forbidden(self.search.recipe, idea.edits)
        own = {edit.key for edit in self.space.edits_of(self.best.point)}
        new, most = [edit for edit in idea.edits if edit.key not in own], self.search.research.most_edits
        if len(new) > most:
            raise RecipeError(
                f"{len(new)} edits beside those of the head, and research.most_edits is {most}: what each is worth "
                "could not be told apart."
            )

    def _is_known(self, point: Point) -> bool:
        """Whether a point was asked for before, or is the incumbent."""
        key = key_of(self.space.edits_of(point))
        return not key or any(card.key == key for card in self._cards())

    def _rests(self, name: str) -> bool:
        """Whether an adviser whose last `SILENT` batches held nothing is left alone, as it is for that many more."""
        standing = self.search.standing
        told = [mark for mark in standing.remarks if mark["what"] == "advice" and mark["proposer"] == name]
        silent = len(told) >= SILENT and not any(mark["ideas"] for mark in told[-SILENT:])
        return silent and standing.batches - told[-1]["batch"] <= SILENT

    def _remark(self, name: str, advice: Advice, *, unusable: Sequence[str], usable: int) -> None:
        """Note what came of asking, and say what went wrong unless it was said before."""
        why = advice.why_none
        if why and all(mark.get("words") != why for mark in self.search.standing.remarks):
            self.search.progress.say(f"{name}: {why} The others go on.")
        self.batch.remarks.append(
            {
                "what": "advice", "batch": self.search.standing.batches, "proposer": name, "words": why,
                "unusable": [line[:MOST_TOLD] for line in unusable], "ideas": usable, "usd": advice.usd,
                "hint": advice.hint,
            }
        )  # fmt: skip

    def _add(self, proposed: Proposed) -> None:
        """Put a proposal's card into the batch, unless its question was asked before."""
        edits = self.space.edits_of(proposed.point)
        kind = KINDS.get(proposed.kind, "bundle" if proposed.proposer == "combine" else "tune")
        key = key_of(edits)
        seen = sum(len(card.seeds) for card in self._cards() if card.key == key)
        if kind in ("tune", "bundle") and seen:
            return
        idea, told = self.ideas.get(proposed.point), proposed.prediction
        prediction = None if told is None else Prediction(told.median, told.low, told.high)
        card = Card(
            id=card_id(self.search.standing.base, edits, kind), number=self._number(), kind=kind, edits=edits,
            parent=self._parent(), proposer=proposed.proposer, hypothesis=idea.hypothesis if idea else "",
            mechanism=idea.mechanism if idea else proposed.reason, falsifier=idea.falsifier if idea else "",
            prediction=prediction, cost=Cost(), seeds=self._seeds(idea, seen), hint=self.hints.get(proposed.point, ""),
            claim=idea.claim if idea else "",
        )  # fmt: skip
        if not card.hypothesis:
            card = replace(card, hypothesis=hypothesis_of(card, self.search.research.incumbent))
        self._checked(card if card.falsifier else replace(card, falsifier=falsifier_of(card)))

    def _checked(self, card: Card) -> None:
        """Price a card and put it into the batch, refused where it cannot be done."""
        search = self.search
        try:
            refuse_forbidden(search.recipe, card.edits)
            cost, plan = search.bench.price(card.edits, name=search.name_of(card), seeds=card.seeds)
        except _OF_AN_IDEA as error:
            self._put(
                card, refused=str(error) if isinstance(error, RecipeError) else f"{type(error).__name__}: {error}"
            )
            return
        needs, most = card.needs, search.research.usd_without_person
        if cost.usd > most:
            needs += f"{' And ' if needs else ''}it costs up to ${cost.usd:.2f}, more than ${most:g}"
        elif cost.usd > (left := usd_left(search, beside=self.batch.to_try, remarks=self.batch.remarks)):
            needs += f"{' And ' if needs else ''}it costs up to ${cost.usd:.2f}, and ${max(left, 0):.2f} are left"
        self._put(replace(card, cost=cost, plan=plan, needs=needs))

    def _put(self, card: Card, *, refused: str = "") -> None:
        self.batch.cards.append(card)
        if refused:
            result = Result(card.id, "refused", why=refused)
            self.batch.refused.append({"number": card.number, "result": result.told})

    def _add_outside(self, name: str, idea: Idea, why: str, *, hint: str = "", most: int = MOST_WAITING) -> str:
        """Let an idea outside the space wait for a person, or refuse it where none is to be asked.

        Return why it became no card, where it did not: it is known, or the person has enough to read.
        """
        card = self._of_idea(name, idea, hint=hint)
        if any(card.id == other.id for other in self._cards()):
            return "a repetition"
        if "outside" not in self.search.research.person:
            self._put(card, refused=why)
            return ""
        new = [other for other in self.batch.cards if other.needs]
        if sum(other.proposer == name for other in new) >= most:
            return f"refused, as {most} ideas were asked for, and as many of this answer wait for a person"
        if (waiting := len(self.search.standing.waiting) + len(new)) >= MOST_WAITING:
            return f"refused, as {waiting} cards wait for a person already, and no more are asked"
        self._checked(replace(card, needs=why))
        return ""

    def widen(self, names: Sequence[str]) -> None:
        """Ask a person for what lies beyond the range of settings at whose end the head is."""
        for axis, place in zip(self.space.axes, self.best.point.knobs, strict=True):
            if axis.knob.name in names and axis.knob.is_ordered:
                value = axis.knob.beyond(place)
                edit = Edit("set", axis.place, round(value) if axis.knob.kind == "int" else float(f"{value:.4g}"))
                others = (other for other in self.space.edits_of(self.best.point) if other.place != axis.place)
                end = axis.knob.from_unit(place)
                idea = Idea(
                    (*others, edit), f"{axis.place} is best beyond {end:g}, where its range ends.",
                    "the head lies at the end of the range, and the search found nothing better inside",
                    f"With {edit.value:g} it is no better than with {end:g}.",
                )  # fmt: skip
                if self._is_valid(idea):
                    self._add_outside("plateau", idea, f"{edit.words}: lies outside the space.")

    def _is_valid(self, idea: Idea) -> bool:
        """Whether a recipe takes an idea's edits: beyond a range there may be no value that a step takes."""
        try:
            self.search.bench.price(idea.edits, name="beyond", seeds=(FIRST_SEED,))
        except RecipeError:
            return False
        return True

    def _refuse(self, name: str, idea: Idea, why: str, *, hint: str) -> bool:
        card = self._of_idea(name, idea, hint=hint)
        if any(card.id == other.id for other in self._cards()):
            return False
        self._put(card, refused=why)
        return True

    def _of_idea(self, name: str, idea: Idea, *, hint: str) -> Card:
        return Card(
            id=card_id(self.search.standing.base, idea.edits, "structural"), number=self._number(), kind="structural",
            edits=idea.edits, parent="incumbent", proposer=name, hypothesis=idea.hypothesis, mechanism=idea.mechanism,
            falsifier=idea.falsifier, prediction=idea.prediction, cost=Cost(), seeds=self._seeds(idea, 0), hint=hint,
            claim=idea.claim,
        )  # fmt: skip

    def _seeds(self, idea: Idea | None, seen: int) -> tuple[int, ...]:
        """Return the seeds of a card: several where it is the first to try a claim."""
        first = idea is not None and idea.claim and all(card.claim != idea.claim for card in self._cards())
        return tuple(range(FIRST_SEED + seen, FIRST_SEED + seen + (PROXIES if first else 1)))

    def _cards(self) -> list[Card]:
        return [*self.search.standing.cards.values(), *self.batch.cards]

    def _number(self) -> int:
        return len(self.search.standing.cards) + len(self.batch.cards)

    def _parent(self) -> str:
        """Return the card of the head, on whose edits the batch builds."""
        key = key_of(self.space.edits_of(self.best.point))
        return next((card.id for card in self.search.standing.cards.values() if card.key == key and key), "incumbent")


def shares_of(search: Search, state: State, names: Sequence[str], *, seed: int) -> dict[str, float]:
    """Return each proposer's share: what it began with, and more and more what its cards were worth."""
    from eval.loop.state import shares

    given = {name: search.research.proposers[name] for name in names}
    total = math.fsum(given.values())
    own = BLEND / (BLEND + len(state.trials))
    earned = shares(state, names, seed=seed)
    return {name: own * given[name] / total + (1 - own) * earned[name] for name in names}


def next_cards(
    search: Search, count: int, *, advisers: Sequence[Adviser] = (), widen: Sequence[str] = (),
    state: State | None = None,
) -> Batch:  # fmt: skip
    """Return the next batch of a search; empty where nothing is left that was not tried.

    `widen` are settings at an end of their range: for each, a card beyond it waits for a person. `state` is the
    search's own, where its models are fitted already.
    """
    from eval.loop.batch import ANCHORS
    from eval.loop.state import head

    space = search.space()
    state = search.state(space) if state is None else state
    wanted = (
        count if state.trials else min(ANCHORS, count)
    )  # the incumbent first: what its text allows, what chance does
    proposing = Proposing(search, advisers if state.trials else (), space, state, head(state))
    proposing.widen(widen)
    if state.trials:
        proposing.use_claims(min(1, wanted - 1))
    return proposing.fill(wanted)
