"""A search's ledger -> what was tried, what came of it, what waits and what it cost: a record for a page and for words.

Everything is counted here from the ledger, by the same models as the night's, and never written by a model of words.
Reading needs no lock and trains nothing, so a night under way can be looked at.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pipeline.core.rng import derive
from pipeline.recipe.edits import edit_of, key_of
from pipeline.recipe.spec import Recipe
from pipeline.report.research.told import (
    Bill,
    ClaimTold,
    Controls,
    Digest,
    EffectTold,
    Finding,
    GuardTold,
    Mixture,
    Next,
    ProposerTold,
    Range,
    Together,
    Told,
)
from pipeline.research.night.proposing import next_cards, shares_of
from pipeline.research.page.effects import deviation_of, effect_of, part_of, worth_of
from pipeline.research.page.sentences import headline, learned, next_step, why_no_effects
from pipeline.research.page.telling import card_told, mean
from pipeline.research.people.approvals import reach_of, waiting_in, word_on, words_in
from pipeline.research.people.waiting import waiting_of
from pipeline.research.record.card import Card
from pipeline.research.record.clock import worked
from pipeline.research.record.fold import Standing, incumbent_goals
from pipeline.research.record.lock import is_under_way
from pipeline.research.search.reading import read_search
from pipeline.research.search.search import Search
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    from eval.loop.space import Point
    from eval.loop.state import State
    from pipeline.research.edits.space import EditSpace


def digest_of(recipe: Recipe, workspace: Workspace, *, findings: Sequence[Finding] = ()) -> Digest:
    """Return what a recipe's search comes to; errors where none was run, or one of another recipe."""
    return Reading(read_search(recipe, workspace), tuple(findings)).digest()


@dataclass(frozen=True)  # without slots, for what is computed once
class Reading:
    """One reading of a search."""

    search: Search
    findings: tuple[Finding, ...] = ()

    @property
    def standing(self) -> Standing:
        return self.search.standing

    @cached_property
    def space(self) -> EditSpace:
        return self.search.space()

    @cached_property
    def state(self) -> State:
        return self.search.state(self.space)

    @cached_property
    def points(self) -> dict[int, Point]:
        """The points of cards that proxies tried, by number."""
        return {
            number: self.space.point_of(self.standing.cards[number].edits)
            for number, result in self.standing.results.items()
            if result.status in ("done", "failed")
        }

    @cached_property
    def expected(self) -> dict[Point, Range]:
        """What the model of all cards expects of each mixture that trained, with bounds of 80 %."""
        from eval.loop.state import SD_TO_SIDE

        return {
            point: Range(mean, mean - SD_TO_SIDE * sd, mean + SD_TO_SIDE * sd)
            for point, (mean, sd) in self.state.gains.items()
        }

    @cached_property
    def cards(self) -> tuple[Told, ...]:
        return tuple(
            card_told(
                self.standing, card, expected=self.expected.get(point) if (point := self.points.get(number)) else None
            )
            for number, card in self.standing.cards.items()
        )

    def digest(self) -> Digest:
        """Return the record."""
        from eval.loop.state import head

        search, standing = self.search, self.standing
        best, mixtures = head(self.state), self.mixtures()
        found = next((m for point, m in mixtures.items() if point == best.point and point != self.space.base), None)
        claims = self.claims()
        claim = claims[-1] if claims and standing.claim is not None else None
        under_way = is_under_way(search.ledger.path.parent)
        state = "under way" if under_way else "ended" if standing.ended else "stopped"
        path = search.recipe.place
        made = Digest(
            name=search.recipe.name, recipe=path, incumbent=search.research.incumbent, on=dict(search.research.on),
            outcome=(claim.outcome or "none") if claim else "none", headline="", sentence="", state=state,
            cards=self.cards, mixtures=tuple(sorted(mixtures.values(), key=lambda each: -each.expected.value)),
            head=found, head_sure=best.probability_better, head_luck=self.luck_of(best.point),
            claim=claim, claims=claims,
            promoted=_registered(standing.promoted), proposers=self.proposers(),
            waiting=(), answered=len(self.answers), effects=self.effects(), controls=self.controls(), bill=self.bill(),
            next=self.next(), next_step="", no_effects="", plateaus=self.plateaus(), batches=standing.batches,
            ledger=search.ledger.hash, events=len(search.ledger.events), findings=self.findings,
            together=self.together(), not_modelled=len(self.state.measured) - len(self.state.modelled),
        )  # fmt: skip
        made = replace(made, waiting=waiting_of(made, self._unanswered(), reach=reach_of(search.ledger.path.parent)))
        head_line, sentence = headline(made, why=self._ended_why())
        made = replace(made, headline=head_line, sentence=sentence)
        return replace(made, learned=learned(made), next_step=next_step(made), no_effects=why_no_effects(made))

    def luck_of(self, point: Point) -> float:
        """Return how much of the head's expected gain is luck, as the last claim found it; 0 of another head."""
        claim = self.standing.claim
        if claim is None or key_of([edit_of(told) for told in claim["head"]]) != key_of(self.space.edits_of(point)):
            return 0.0
        return float(claim.get("optimism", 0.0))

    def mixtures(self) -> dict[Point, Mixture]:
        """Return every mixture that trained, but the incumbent."""
        first: dict[Point, Card] = {}
        goals: dict[Point, list[float]] = {}
        for number, point in self.points.items():
            first.setdefault(point, self.standing.cards[number])
            goals.setdefault(point, []).extend(self.standing.results[number].goals.values())
        base = incumbent_goals(self.standing)
        told = {card.number: card for card in self.cards}
        return {
            point: Mixture(
                card=card.id, words=card.words, proposer=card.proposer, proxies=len(goals[point]),
                measured=mean(list(base.values())) - mean(goals[point]), expected=self.expected[point],
                cost_class=told[card.number].cost_class, usd=told[card.number].usd,
            )
            for point, card in first.items()
            if point in self.expected and point != self.space.base and base and goals[point]
        }  # fmt: skip

    def claims(self) -> tuple[ClaimTold, ...]:
        """Return all claims in their order, the last perhaps not judged yet."""
        opened = [event.body for event in self.search.ledger.of("claim_opened")]
        verdicts: list[Mapping[str, Any]] = [event.body for event in self.search.ledger.of("claimed")]
        return tuple(_claim(body, verdicts[n] if n < len(verdicts) else {}) for n, body in enumerate(opened))

    def proposers(self) -> tuple[ProposerTold, ...]:
        """Return who proposed or may propose, those of the recipe first."""
        from eval.loop.predictions import scored_predictions
        from eval.loop.propose import PROPOSERS
        from eval.loop.state import credits

        given = dict(self.search.research.proposers)
        names = list(dict.fromkeys([*given, *(card.proposer for card in self.cards)]))
        scores = {score.proposer: score for score in scored_predictions(self.state)}
        known = credits(self.state, names)
        counts = {name: Counter(card.status for card in self.cards if card.proposer == name) for name in names}
        asked = [name for name in given if name in PROPOSERS or counts[name]]
        seed = derive(self.search.recipe.seed, "night", self.standing.batches, 0)
        coming = shares_of(self.search, self.state, asked, seed=seed) if asked else {}
        total = math.fsum(given.values())
        found = []
        for name in names:
            said = [remark for remark in self.standing.remarks if remark.get("proposer") == name]
            score = scores.get(name)
            found.append(
                ProposerTold(
                    name=name, counts={str(key): number for key, number in counts[name].items()},
                    began=given[name] / total if name in given else None,
                    next=coming.get(name), worth=worth_of(*known[name]) if known[name][1] else None,
                    inside=part_of(score.inside) if score else None,
                    sign=part_of(score.sign) if score and score.sign.count else None,
                    crps=score.crps if score else None, crps_of_no_change=score.crps_of_no_change if score else None,
                    usd=math.fsum(remark.get("usd", 0.0) for remark in said),
                    remarks=tuple(remark["words"] for remark in said if remark.get("words")),
                )
            )  # fmt: skip
        return tuple(found)

    def effects(self) -> tuple[EffectTold, ...]:
        """Return what each edit of the claimed head is worth, on each held-out set too."""
        told = self.standing.attribution or []
        if not told or self.standing.claim is None:
            return ()
        edits = tuple(edit_of(each) for each in self.standing.claim["head"])
        scored = {
            (card.key, int(seed)): values
            for number, card in self.standing.cards.items()
            if number in self.standing.results
            for seed, values in self.standing.results[number].values.items()
        }
        return tuple(effect_of(edits, each, scored) for each in told)

    def together(self) -> tuple[Together, ...]:
        """Return which settings depend on each other, the surest first."""
        from eval.loop.interactions import interactions

        return tuple(
            Together(each.changes, Range(each.gain, each.gain - each.side, each.gain + each.side), each.is_measured)
            for each in interactions(self.state)
        )

    def controls(self) -> Controls:
        """Return what chance does to proxies of the incumbent."""
        goals = {int(seed): value for seed, value in sorted(incumbent_goals(self.standing).items())}
        tried = len({card.key for card in self.standing.cards.values() if card.edits and self._is_done(card)})
        sd = deviation_of(list(goals.values()))
        luckiest = None
        if sd is not None and tried:
            from scipy.special import ndtri

            # Blom 1958. The mean that all are held against is one for all, and moves the luckiest up as often as down.
            luckiest = max(float(ndtri((tried - 0.375) / (tried + 0.25))), 0.0) * sd.value
        return Controls(goals, mean(list(goals.values())) if goals else None, sd, luckiest, tried)

    def bill(self) -> Bill:
        """Return what was spent by now."""
        budget, standing = self.search.research.budget, self.standing
        time = worked(self.search.ledger.path.parent)
        by: defaultdict[str, float] = defaultdict(float)
        for remark in standing.remarks:
            by[str(remark.get("proposer", "other"))] += remark.get("usd", 0.0)
        by["datasets of cards"] = math.fsum(result.usd for result in standing.results.values())
        claims = self.search.ledger.of("claimed")
        return Bill(
            usd=standing.usd, usd_allowed=budget.usd,
            usd_by={name: usd for name, usd in by.items() if usd}, hours=time.seconds / 3600,
            hours_allowed=budget.hours, nights=time.nights, experiments=standing.tried,
            experiments_allowed=budget.experiments,
            proxies=sum(len(card.seeds) for card in standing.cards.values() if self._is_done(card)),
            claim_proxies=2 * sum(
                int(opened.body["seeds"]) * len(claimed.body.get("sizes", (1,)))
                for opened, claimed in zip(self.search.ledger.of("claim_opened"), claims, strict=False)
            ) * len(self.search.proxy.learning_rates),
        )  # fmt: skip

    def next(self) -> Next:
        """Return the cards that would be tried next, as the next night would write them down."""
        open_ = tuple(card for card in self.cards if card.status == "open")
        if open_:
            return Next(open_, "They are written down and not tried yet.")
        batch = next_cards(self.search, self.search.research.batch, state=self.state)
        refused = {told["number"] for told in batch.refused}
        cards = tuple(card_told(self.standing, card) for card in batch.cards if card.number not in refused)
        advised = [name for name in self.search.research.proposers if name in ("claude", "script")]
        asked = f"; {' and '.join(advised)} would be asked when a night begins" if advised else ""
        if self.standing.search_ended is None:
            return Next(cards, f"The next night begins with these{asked}.")
        return Next(cards, f"The search is over; with a larger budget it would go on with these{asked}.")

    def plateaus(self) -> tuple[str, ...]:
        """Return when the search was stuck, and by which rule."""
        return tuple(
            f"Batch {remark['batch']}: {remark['words']}"
            for remark in self.standing.remarks
            if remark.get("what") == "plateau"
        )

    def _is_done(self, card: Card) -> bool:
        result = self.standing.results.get(card.number)
        return result is not None and result.status in ("done", "failed")

    def _ended_why(self) -> str:
        ended = self.search.ledger.of("ended")
        return str(ended[-1].body["why"]) if ended else ""

    @cached_property
    def answers(self) -> dict[str, str]:
        """What was said of what waits, and holds."""
        words = words_in(self.search.ledger.path.parent)
        said = {each.id: word_on(each, words) for each in waiting_in(self.standing)}
        return {id: word for id, word in said.items() if word in ("approved", "rejected")}

    def _unanswered(self) -> list[str]:
        return sorted({each.id for each in waiting_in(self.standing)} - self.answers.keys())


def _registered(promoted: Mapping[str, Any] | None) -> str:
    return "" if promoted is None else f"{promoted['name']} version {promoted['version']}"


def _claim(opened: Mapping[str, Any], verdict: Mapping[str, Any]) -> ClaimTold:
    first = int(opened["first_seed"])
    gain = Range(verdict["gain"], verdict["low"], verdict["high"]) if "gain" in verdict else None
    return ClaimTold(
        edits=tuple(edit_of(told).words for told in opened["head"]), expected=opened["expected"], sd=opened["sd"],
        probability_better=opened["probability_better"], seeds=(first, first + int(opened["seeds"]) - 1),
        outcome=verdict.get("outcome") or "", sentence=verdict.get("sentence", ""),
        next_step=verdict.get("next_step", ""), gain=gain, confidence=verdict.get("confidence"),
        odds=verdict.get("odds"), odds_needed=verdict.get("odds_needed"), look=verdict.get("look"),
        guards=tuple(
            GuardTold(guard["domain"], guard["gain"], guard["low"], guard["max_loss"], guard["status"])
            for guard in verdict.get("guards", ())
        ),
        report=verdict.get("report", ""), luck=opened.get("optimism", 0.0), power=opened.get("power"),
        detectable=opened.get("detectable"),
    )  # fmt: skip
