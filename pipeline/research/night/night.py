"""One night of a search: propose, write down, try, write down, until the budget is spent; then one claim.

    began -> (batch -> results)* -> search_ended -> claim_opened -> claimed -> attributed -> ended -> (reopened -> ...)

Each arrow is one event of the ledger and follows from those before it, so a night that was killed goes on with the
arrow that it was at. What proxies say of cards chooses the next ones and claims nothing: the working head is free. The
claim is one comparison of the head with the incumbent by fresh seeds of both, on what no card was scored on, judged by
the recipe's gate, for which a part of the budget is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.core.errors import RecipeError
from pipeline.plan.sweep import FIRST_SEED
from pipeline.research.edits.space import space_of
from pipeline.research.night.claiming import ATTRIBUTED, attribute, open_claim, paid_by_claim
from pipeline.research.night.power import detectable
from pipeline.research.night.promoting import Promoter, is_unanswered, promote_head
from pipeline.research.night.proposing import Batch, next_cards
from pipeline.research.night.transfer import Judge, judged
from pipeline.research.night.weighing import weigh
from pipeline.research.people.approvals import has_approved, take_in
from pipeline.research.proposers.ideas import Adviser
from pipeline.research.proposers.tripwires import note_judge, watched
from pipeline.research.record.card import Card, Result
from pipeline.research.record.clock import Clock
from pipeline.research.search.bench import Asked, Tried
from pipeline.research.search.bill import paid_for
from pipeline.research.search.search import Search, changed_rules, rule_of

SHORT_OF = {"budget": "experiments", "hours": "hours", "exhausted": "usd"}  # why a search ended -> what more would help
NOTHING_LEFT = ("exhausted", "plateau")  # ends after which a person's yes gives something to try
PATIENCE = 6  # batches in a row of a search that is stuck, after which it ends
RESERVE = 0.1  # of the hours, at least, for the claim and its attribution


@dataclass(slots=True)
class Night:
    """A night under way. `judge` runs the claim, by code that no proposer can reach."""

    search: Search
    clock: Clock
    judge: Judge
    hours: float  # of this night
    advisers: Sequence[Adviser] = ()
    promoter: Promoter | None = None

    def go_on(self) -> bool:
        """Do everything that the budget and this night's hours allow; say whether the search is at its end."""
        begin(self.search)
        with self.clock.running():
            if self.search.standing.ended:
                self.promote()
                if not self.may_reopen():
                    return True
                self.search.write("reopened", **self.budget)
            note_judge(self.search)
            while not self.search.standing.ended:
                if not self.search.standing.open_cards and self.search.standing.search_ended is None:
                    take_in(self.search)
                if self.search.standing.open_cards:
                    self.try_cards()
                elif self.clock.tonight > self.hours * 3600:
                    return False
                else:
                    self.step()
                self.clock.keep()
            self.promote()
        return True

    @property
    def budget(self) -> dict[str, float]:
        """What a search may take in all: experiments, hours and dollars."""
        room = self.search.research.budget
        return {"experiments": room.experiments, "hours": room.hours, "usd": self.search.usd}

    def promote(self) -> None:
        if self.promoter is not None:
            promote_head(self.search, self.promoter)

    def may_reopen(self) -> bool:
        """Say whether to go on with a search that ended: its next claim is a further look.

        That is so where what it was short of has grown, and where one that had nothing left to try has a card by now
        that a person approved. Not while a person has yet to say whether its head is promoted: another claim would take
        that question away.
        """
        at = self.search.standing
        if at.search_ended is None or at.tripped or is_unanswered(self.search):
            return False
        grown = {name for name, most in self.budget.items() if most > at.search_ended.get(name, most)}
        if at.claim_short_of in grown:
            return True
        why = at.search_ended["why"]
        return self.limit() is None and (
            SHORT_OF.get(why) in grown or (why in NOTHING_LEFT and has_approved(self.search))
        )

    def step(self) -> None:
        """Take the next step that is not the trying of cards."""
        search, at = self.search, self.search.standing
        if weigh(search):
            return
        if at.search_ended is None:
            why = self.why_end()
            if why is None:
                self.propose()
            else:
                search.write("search_ended", **why, **self.budget)
        elif at.claim is None:
            open_claim(search)
        elif at.verdict is None:
            note_judge(search)
            verdict = judged(search, at.claim, self.judge)
            search.write("claimed", **verdict, paid=paid_by_claim(search, at.claim))
        elif at.attribution is None:
            attribute(search)
        else:
            search.write("ended", why=str(at.verdict["sentence"]))

    def why_end(self) -> Mapping[str, Any] | None:
        """Return why the search ends here, or None."""
        from eval.loop.state import plateau

        at = self.search.standing
        if (limit := self.limit()) is not None:
            return limit
        if at.exhausted:
            return {"why": "exhausted", "words": at.exhausted}
        state = self.search.state(self.search.space())
        stuck = plateau(state, detectable=detectable(self.search, state))
        if stuck is not None and at.stuck_since is not None and at.batches - at.stuck_since >= PATIENCE:
            return {"why": "plateau", "words": stuck.sentence, "at_limits": list(stuck.at_limits)}
        return None

    def limit(self) -> Mapping[str, Any] | None:
        """Return what ends the search whatever is left to try, or None."""
        from eval.loop.state import head

        budget, at = self.search.research.budget, self.search.standing
        if at.tripped:
            return {"why": "tripped", "words": at.tripped}
        if at.tried >= budget.experiments:
            return {"why": "budget", "words": f"All {budget.experiments} experiments of the budget were run."}
        space = self.search.space()
        edits = len(space.edits_of(head(self.search.state(space)).point))
        if self.clock.seconds >= budget.hours * 3600 - self.seconds_to_come(edits):
            return {"why": "hours", "words": f"{budget.hours:g} hours are nearly over; the rest is kept for the claim."}
        return None

    def seconds_to_come(self, edits: int) -> float:
        """Return what one more batch takes, and then the claim of a head of some edits and its attribution.

        For the last two a tenth of the hours is kept, or what their proxies take if that is more.
        """
        search, per_lane = self.search, self.clock.per_lane
        batch = min(search.research.batch, search.research.budget.experiments - search.standing.tried)
        lanes = 2 * search.proxy.seeds * len(search.proxy.learning_rates)
        lanes += ATTRIBUTED * (edits + 1) if edits > 1 else 0
        return max(RESERVE * search.research.budget.hours * 3600, lanes * per_lane) + batch * per_lane

    def propose(self) -> None:
        """Write down the next batch of cards."""
        from eval.loop.state import plateau

        search = self.search
        number = search.standing.batches
        state, remarks = search.state(search.space()), list[dict[str, Any]]()
        stuck = plateau(state, detectable=detectable(search, state))
        if stuck is not None and search.standing.stuck_since is None:
            remarks.append(
                {
                    "what": "plateau", "batch": number, "rule": stuck.rule, "words": stuck.sentence,
                    "at_limits": list(stuck.at_limits),
                }
            )  # fmt: skip
        room = search.research.budget.experiments - search.standing.tried
        widen = stuck.at_limits if remarks and stuck is not None and "widening" in search.research.person else ()
        batch = next_cards(
            search, min(search.research.batch, room), advisers=watched(search, self.advisers), widen=widen
        )
        search.write(
            "batch", batch=number, cards=[card.told for card in batch.cards], refused=batch.refused,
            remarks=[*remarks, *batch.remarks], stuck=stuck is not None, exhausted=why_nothing(batch),
        )  # fmt: skip

    def try_cards(self) -> None:
        """Try the open cards together, and write down what became of them."""
        search, cards = self.search, self.search.standing.open_cards
        by_name: dict[str, list[Card]] = {}
        for card in cards:
            by_name.setdefault(search.name_of(card), []).append(card)
        asked = [
            Asked(name, same[0].edits, tuple(sorted({seed for card in same for seed in card.seeds})))
            for name, same in by_name.items()
        ]
        before, lanes = self.clock.seconds, sum(len(each.seeds) for each in asked)
        tried = search.bench.run(asked)
        self.clock.tried(lanes, seconds=self.clock.seconds - before)
        paid = paid_for(search, cards)
        results = [
            {
                "number": card.number,
                "result": result_of(search, card, tried[search.name_of(card)], usd=paid.cards[card.number]).told,
            }
            for card in cards
        ]
        supply = next((tried[search.name_of(card)].supply for card in cards if not card.edits), {})
        supply = {name: round(share, 6) for name, share in supply.items()}
        search.write("results", results=results, supply=supply, paid=paid.results)
        self.say(cards)

    def say(self, cards: Sequence[Card]) -> None:
        """Tell how the search stands after a batch."""
        from eval.loop.state import head

        search, standing = self.search, self.search.standing
        best = head(search.state(search.space()))
        failed = sum(standing.results[card.number].status == "failed" for card in cards)
        search.progress.say(
            f"batch {standing.batches}: {standing.tried} of {search.research.budget.experiments} experiments"
            f"{f', {failed} failed' if failed else ''}; head {best.gain:+.4f} bits per byte over "
            f"{search.research.incumbent} as far as is known (chance of being better {best.probability_better:.2f})"
        )


def begin(search: Search) -> None:
    """Write down what is searched; refuse a ledger of another recipe or other text, and a budget of no search."""
    from eval.loop.batch import ANCHORS

    space = space_of(search.recipe)
    research = search.research
    least = ANCHORS + research.batch
    if research.budget.experiments < least:
        raise RecipeError(
            f"{search.recipe.place}: research.budget.experiments is {research.budget.experiments}; {ANCHORS} show "
            f"what chance does, so a search needs {least} at least with batches of {research.batch}. Raise it."
        )
    _, base = search.bench.price((), name=research.incumbent, seeds=[FIRST_SEED])
    rule = rule_of(search.recipe)
    if not search.ledger.events:
        from pipeline.experiment.chance.power import noise_of

        incumbent = search.recipe.mixtures[research.incumbent]
        noise = noise_of(search.bench.workspace, search.proxy, [incumbent.weights])
        lane = None if noise is None else {"variance": noise.variance, "freedom": noise.freedom}
        search.write("began", base=base, rule=rule, lane=lane, space=[knob.name for knob in space.space.knobs])
        return
    changed = changed_rules(search.recipe, search.standing.rule)
    if changed or base != search.standing.base:
        what = ", ".join(changed) if changed else "the incumbent's text, code or versions"
        raise RecipeError(
            f"{search.ledger.path}: is the ledger of another search: {what} changed since. Give the recipe another "
            "`name:` to begin anew (what was measured is found again), or take the change back to go on."
        )


def why_nothing(batch: Batch) -> str:
    """Say why a batch holds nothing that can be tried; nothing where it does."""
    if batch.sound:
        return ""
    if not batch.cards:
        return "Nothing is left in the space that was not tried."
    refused = [str(each["result"]["why"]) for each in batch.refused]
    waiting = len(batch.cards) - len(refused)
    told = [f"{_were(len(refused))} refused, the first as {refused[0].rstrip('.')}"] if refused else []
    told += [f"{waiting} {'wait' if waiting > 1 else 'waits'} for a person"] if waiting else []
    return f"Nothing that was proposed can be tried: {'; '.join(told)}."


def _were(count: int) -> str:
    return f"{count} {'was' if count == 1 else 'were'}"


def result_of(search: Search, card: Card, tried: Tried, *, usd: float) -> Result:
    """Return what became of a card."""
    values = {str(seed): dict(tried.values[seed]) for seed in card.seeds if seed in tried.values}
    goals = {seed: search.goal_of(scored) for seed, scored in values.items()}
    if not goals:
        why = tried.why or "; ".join(tried.health) or "its proxies gave no number"
        return Result(card.id, "failed", why=why, health=tried.health, usd=usd)
    return Result(card.id, "done", values=values, goals=goals, health=tried.health, usd=usd)
