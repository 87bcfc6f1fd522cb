"""Counted datasets and a budget -> a mixture in its order, ended where the budget is reached.

A budget by the recipe's tokenizer is what the shares are divided by, so the plan is the answer. One by the tokenizer
of a training run asks for a plan of another size: shares stay those of the recipe's tokenizer, which the gate judged,
so the documents are the same, in the same order, as without it; the size is what holds so many of the other tokens on
average, and the order ends with the document that reaches them. Where the average was not enough it is planned anew;
also where it was too much and a cap binds, since what a capped dataset gives is then spread over too large a mixture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core.errors import RecipeError
from pipeline.experiment.streams.mixture import MixturePlan
from pipeline.queries.export.counts import Counted
from pipeline.queries.export.order import Arranged, Budget, arrange, most_tokens, plan_shares
from pipeline.queries.export.written_counts import Written

MARGIN_TOKENS = 1000  # planned beyond what was short: the order ends where the budget is reached all the same
NEAR = 0.999  # of a plan, that an order has used when it ends


@dataclass(frozen=True, slots=True)
class Ordered:
    """A mixture's shares and its documents in order."""

    plan: MixturePlan
    arranged: Arranged


@dataclass(frozen=True, slots=True)
class Mixing:
    """What is mixed and where the work lies."""

    name: str
    datasets: Sequence[Counted]
    weights: dict[str, float]
    max_epochs: float
    seed: int
    scratch: Path
    shard_bytes: int

    def most(self) -> int:
        """Return all the tokens that the epochs allow."""
        return sum(int(self.max_epochs * found.num_tokens) for found in self.datasets)

    def plan(self, total: int) -> MixturePlan:
        return plan_shares(self.datasets, weights=self.weights, total_tokens=total, max_epochs=self.max_epochs)

    def ordered(self, total: int, budget: Budget | None = None) -> Ordered:
        """Plan so many tokens of the recipe's tokenizer and put the documents in order."""
        plan = self.plan(total)
        arranged = arrange(
            self.datasets, plan=plan, seed=self.seed, scratch=self.scratch, shard_bytes=self.shard_bytes, budget=budget
        )
        return Ordered(plan, arranged)


def order_mixture(mixing: Mixing, *, tokens: int | None) -> Ordered:
    """Order a mixture for a budget by the recipe's tokenizer; without one, for all that keeps every share."""
    most = most_tokens(mixing.datasets, weights=mixing.weights, max_epochs=mixing.max_epochs)
    try:
        return mixing.ordered(tokens if tokens is not None else max(1, most))
    except RecipeError as error:
        error.add_note(f"With the shares as its weights ask for them, {mixing.name} has {most} tokens.")
        error.add_note(_limits({found.name: found.num_tokens for found in mixing.datasets}, mixing.max_epochs))
        raise


def order_for_tokens(mixing: Mixing, written: dict[str, Written], *, tokens: int) -> Ordered:
    """Order a mixture until it holds so many written tokens; RecipeError if it never does."""
    totals = {found.name: _total(found, written[found.name]) for found in mixing.datasets}
    budget, most = Budget(written, tokens), mixing.most()
    total, enough = _equal_total(mixing, totals, tokens=tokens), 0
    while True:
        found = mixing.ordered(total, budget)
        got = sum(taken.written_tokens for taken in found.arranged.taken)
        used = sum(taken.num_tokens for taken in found.arranged.taken)
        if got >= tokens:
            if used >= total * NEAR or not any(share.capped for share in found.plan.shares):
                return found
            total, enough = used, total
        elif enough:
            return mixing.ordered(enough, budget)
        elif total < most:
            total = min(most, total + -(-(tokens - got) * total // max(got, 1)) + MARGIN_TOKENS)
        else:
            error = RecipeError(
                f"--tokens {tokens}: {mixing.name} has {got} tokens of this tokenizer, as its datasets may be repeated "
                f"{mixing.max_epochs:g} times at most. Ask for {got}, or raise max_epochs in the recipe and run it."
            )
            error.add_note(_limits(totals, mixing.max_epochs))
            raise error


def _limits(totals: dict[str, int], max_epochs: float) -> str:
    listed = "; ".join(
        f"{name} {count:,} x {max_epochs:g} = {int(count * max_epochs):,}" for name, count in totals.items()
    )
    return f"Tokens of each dataset x max_epochs: {listed}."


def _total(found: Counted, written: Written) -> int:
    """Return the written tokens of all documents that a mixture takes."""
    return sum(
        int(column()[part.num_tokens() > 0].sum()) for part, column in zip(found.parts, written.columns(), strict=True)
    )


def _equal_total(mixing: Mixing, totals: dict[str, int], *, tokens: int) -> int:
    """Return the smallest plan that holds so many written tokens if documents are alike, or the largest there is."""
    ratio = {found.name: totals[found.name] / max(found.num_tokens, 1) for found in mixing.datasets}
    low, high = 1, mixing.most()
    while low < high:
        middle = (low + high) // 2
        held = np.sum([share.num_tokens * ratio[share.name] for share in mixing.plan(middle).shares])
        low, high = (low, middle) if held >= tokens else (middle + 1, high)
    return low
