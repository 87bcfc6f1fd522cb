"""The money of one client: its cap, and what its requests cost, in this run and in earlier ones.

A cap holds for all runs of a step together. So before anything is bought, what the requests cost before is counted,
and with it whatever the same buyer bought by the same instructions, in whatever way these are asked: when a server is
asked by a tool instead of a schema, or by other words in the prompt, the money that went before is not forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.core.claude.buying.budget import Budget
from pipeline.core.claude.ledger.ledger import Ledger
from pipeline.core.claude.messages.request import WAYS, Request
from pipeline.core.claude.prices import NANO


class Purse:
    """The budget of a client, and the requests whose money it counts."""

    def __init__(self, ledger: Ledger, *, max_usd: float) -> None:
        self.budget = Budget(max_usd=max_usd)
        self.asked: set[str] = set()  # ids
        self.charged: set[str] = set()  # whose money the budget counts
        self._ledger = ledger

    @property
    def spent_usd(self) -> float:
        """Dollars that the requests asked so far have cost in all runs together, doubtful ones at their upper bound."""
        spent = self._ledger.spending(sorted(self.asked))
        return (spent.settled_nano + spent.doubted_nano) / NANO

    @property
    def num_in_doubt(self) -> int:
        """Attempts on the requests asked so far that may have been billed without an answer, in all runs together."""
        return self._ledger.spending(sorted(self.asked)).num_in_doubt

    def count_earlier(self, requests: Sequence[Request]) -> None:
        """Charge what these cost before, and all that the buyer bought by their instructions, asked now or later."""
        told = {(request.model, request.told_by(way)) for request in requests for way in WAYS}
        alike: set[str] = set()
        for model in {model for model, _ in told}:
            systems = sorted(system for each, system in told if each == model)
            alike.update(self._ledger.bought_alike(model, systems))
        fresh = sorted({*(request.id for request in requests), *alike} - self.charged)
        self.charged.update(fresh)
        earlier = self._ledger.spending(fresh)
        self.budget.charge(earlier.settled_nano + earlier.doubted_nano)
        self.budget.hold(earlier.open_nano)
