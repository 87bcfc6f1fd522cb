"""One night of a search: propose, write down, try, write down, until the budget is spent; then one claim.

    began -> (batch -> results)* -> search_ended -> claim_opened -> claimed -> attributed -> ended -> (reopened -> ...)

Each arrow is one event of the ledger and follows from those before it, so a night that was killed goes on with the
arrow that it was at. What proxies say of cards chooses the next ones and claims nothing: the working head is free. The
claim is one comparison of the head with the incumbent by fresh seeds of both, on what no card was scored on, judged by
the recipe's gate, for which a part of the budget is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.errors import RecipeError
from pipeline.plan.sweep import FIRST_SEED
from pipeline.research.approvals import take_in
from pipeline.research.bench import Asked, Tried
from pipeline.research.card import Card, Result
from pipeline.research.claiming import attribute, claim_recipe, open_claim
from pipeline.research.clock import Clock
from pipeline.research.ideas import Adviser
from pipeline.research.promoting import Promoter, promote_head, waits_for_person
from pipeline.research.proposing import next_cards
from pipeline.research.search import Search, rule_of
from pipeline.research.space import space_of
from pipeline.research.tripwires import note_judge, watched

RESERVE = 0.1  # of the hours, at least, for the claim

Judge = Callable[[Mapping[str, Any]], Mapping[str, Any]]  # the claim's recipe -> its verdict as JSON


@dataclass(slots=True)
class Night:
    """A night under way. `judge` runs the claim, by code that no proposer can reach."""

    search: Search
    clock: Clock
    judge: Judge
    hours: float  # of this night
    advisers: Sequence[Adviser] = ()
    promoter: Promoter | None = None
    lane_seconds: list[float] = field(default_factory=list)

    def go_on(self) -> bool:
        """Do everything that the budget and this night's hours allow; say whether the search is at its end."""
        begin(self.search)
        self.reopen()
        if not self.search.standing.ended:
            note_judge(self.search)
        while not self.search.standing.ended:
            if self.search.standing.search_ended is None:
                take_in(self.search)
            if self.search.standing.open_cards:
                self.try_cards()
            elif self.clock.tonight > self.hours * 3600:
                return False
            else:
                self.step()
            self.clock.keep()
        if self.promoter is not None:
            promote_head(self.search, self.promoter)
        return True

    def reopen(self) -> None:
        """Go on with a search that ended where its budget has grown since; its next claim is a further look."""
        ended, room = self.search.standing.search_ended, self.search.research.budget
        if not self.search.standing.ended or ended is None or ended["why"] not in ("budget", "hours"):
            return
        if self.search.standing.tried < room.experiments and self.clock.seconds < room.hours * 3600:
            self.search.write("reopened", experiments=room.experiments)

    def step(self) -> None:
        """Take the next step that is not the trying of cards."""
        search, at = self.search, self.search.standing
        if at.search_ended is None:
            why = self.why_end()
            if why is None:
                self.propose()
            else:
                search.write("search_ended", **why)
        elif at.claim is None:
            open_claim(search)
        elif at.verdict is None:
            note_judge(search)
            verdict = self.judge(claim_recipe(search, at.claim))
            search.write("claimed", **verdict, waits=waits_for_person(search))
        elif at.attribution is None:
            attribute(search)
        else:
            search.write("ended", why=str(at.verdict["sentence"]))

    def why_end(self) -> Mapping[str, Any] | None:
        """Return why the search ends here, or None."""
        from eval.loop.state import plateau

        budget, at = self.search.research.budget, self.search.standing
        if at.tripped:
            return {"why": "tripped", "words": at.tripped}
        if at.tried >= budget.experiments:
            return {"why": "budget", "words": f"All {budget.experiments} experiments of the budget were run."}
        if self.clock.seconds >= budget.hours * 3600 - self.reserve_seconds():
            return {"why": "hours", "words": f"{budget.hours:g} hours are nearly over; the rest is kept for the claim."}
        stuck = plateau(self.search.state(self.search.space()))
        if stuck is not None and at.batches - self.stuck_since() >= 2 * stuck.batches:
            return {"why": "plateau", "words": stuck.sentence, "at_limits": list(stuck.at_limits)}
        return None

    def stuck_since(self) -> int:
        """Return the batch at which the search was first found stuck; the next one where it is not."""
        marks = (mark["batch"] for mark in self.search.standing.remarks if mark["what"] == "plateau")
        return next(marks, self.search.standing.batches)

    def reserve_seconds(self) -> float:
        """Return what is kept for the claim: a tenth of the hours, or what its proxies take if that is more."""
        proxy = self.search.proxy
        per_lane = math.fsum(self.lane_seconds) / len(self.lane_seconds) if self.lane_seconds else 0.0
        lanes = 2 * proxy.seeds * len(proxy.learning_rates)
        return max(RESERVE * self.search.research.budget.hours * 3600, lanes * per_lane)

    def propose(self) -> None:
        """Write down the next batch of cards."""
        from eval.loop.state import plateau

        search = self.search
        number = search.standing.batches
        stuck, remarks = plateau(search.state(search.space())), list[dict[str, Any]]()
        if stuck is not None and self.stuck_since() == number:
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
            remarks=[*remarks, *batch.remarks],
        )  # fmt: skip
        if not batch.sound:
            search.write("search_ended", why="exhausted", words="Nothing is left in the space that was not tried.")

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
        self.lane_seconds += [(self.clock.seconds - before) / lanes] * lanes
        results = [
            {"number": card.number, "result": result_of(search, card, tried[search.name_of(card)]).told}
            for card in cards
        ]
        supply = next((tried[search.name_of(card)].supply for card in cards if not card.edits), {})
        search.write("results", results=results, supply={name: round(share, 6) for name, share in supply.items()})
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
    changed = sorted(key for key in {*rule, *search.standing.rule} if rule.get(key) != search.standing.rule.get(key))
    if changed or base != search.standing.base:
        what = ", ".join(changed) if changed else "the incumbent's text, code or versions"
        raise RecipeError(
            f"{search.ledger.path}: is the ledger of another search: {what} changed since. Give the recipe another "
            "`name:` to begin anew (what was measured is found again), or take the change back to go on."
        )


def result_of(search: Search, card: Card, tried: Tried) -> Result:
    """Return what became of a card."""
    values = {str(seed): dict(tried.values[seed]) for seed in card.seeds if seed in tried.values}
    goals = {seed: search.goal_of(scored) for seed, scored in values.items()}
    if not goals:
        why = tried.why or "; ".join(tried.health) or "its proxies gave no number"
        return Result(card.id, "failed", why=why, health=tried.health)
    return Result(card.id, "done", values=values, goals=goals, health=tried.health, usd=tried.usd)
