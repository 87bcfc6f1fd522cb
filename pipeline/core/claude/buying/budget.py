"""Money reserved before it is spent, so that no interleaving of workers can cross the cap.

A worker reserves the most that its request can cost, sends, and settles what it did cost; the rest is free again. When
the cap is too near for the next reservation the worker waits for those in flight, and only when none is left is the
budget called spent. What earlier runs sent in batches is held apart until somebody here collects it: nobody waits for
money that nobody here can free. All amounts are nanodollars.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from pipeline.core.claude.prices import NANO, dollars
from pipeline.core.errors import BudgetError, CapError


class Budget:
    """A cap shared by threads."""

    def __init__(self, *, max_usd: float) -> None:
        self.cap_nano = round(max_usd * NANO)
        self.spent_nano = 0  # settled or in doubt
        self._reserved_nano = 0  # for what this process waits for
        self._held_nano = 0  # for batches on their way that it does not wait for
        self._changed = threading.Condition()

    def charge(self, amount: int) -> None:
        """Count money that earlier runs spent on the same requests."""
        with self._changed:
            self.spent_nano += amount

    def reserve(self, amount: int, *, stopped: Callable[[], bool]) -> bool:
        """Hold `amount` back; wait while others in flight may free it, BudgetError once none can. False if stopped."""
        with self._changed:
            while not self._fits(amount):
                if stopped():
                    return False
                if self._reserved_nano == 0:
                    raise self._spent(amount)
                self._changed.wait(0.5)
            self._reserved_nano += amount
            return True

    def _fits(self, amount: int) -> bool:
        return self.spent_nano + self._reserved_nano + self._held_nano + amount <= self.cap_nano

    def _spent(self, amount: int) -> BudgetError:
        held = dollars(self._held_nano / NANO)
        batches = f", {held} are held for batches that are on their way," if self._held_nano else ""
        way_out = " Or wait until the batches have ended, or stop them (`tamis cancel`)." if self._held_nano else ""
        return CapError(
            f"max_usd is {self.cap_nano / NANO:g}; {dollars(self.spent_nano / NANO)} are spent or in doubt{batches} "
            f"and the next request could cost {dollars(amount / NANO, up=True)}. All answers so far are "
            f"kept: raise max_usd and run again.{way_out}"
        )

    def hold(self, amount: int) -> None:
        """Hold back what earlier runs reserved and is still on its way, whatever the cap."""
        with self._changed:
            self._held_nano += amount

    def adopt(self, amount: int) -> None:
        """Take what is held for reserved: it is being collected, so it is worth waiting for."""
        with self._changed:
            self._held_nano -= amount
            self._reserved_nano += amount

    def leave(self, amount: int) -> None:
        """Take what was adopted for held again: it is collected no longer."""
        self.adopt(-amount)
        with self._changed:
            self._changed.notify_all()

    def reserve_now(self, amount: int) -> bool:
        """Hold `amount` back if it fits; False if what is in flight may free it, BudgetError if nothing can."""
        with self._changed:
            in_flight = self._reserved_nano > 0
            fits = self._fits(amount)
        return (fits or not in_flight) and self.reserve(amount, stopped=lambda: False)

    def settle(self, reserved: int, *, cost: int) -> None:
        """Replace a reservation by what was spent."""
        with self._changed:
            self._reserved_nano -= reserved
            self.spent_nano += cost
            self._changed.notify_all()
