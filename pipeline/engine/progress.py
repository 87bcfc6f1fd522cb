"""How work in progress is told: an interface that the engine calls and `cli.py` draws."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """One job at a time: begun with its size, advanced, ended.

    `documents` tells how many came with `amount`, where the unit is another (slices of a source).
    `counted` is what was done in words, where that is more than a number.
    """

    def begin(self, label: str, *, total: int, unit: str) -> None: ...

    def advance(self, amount: int, *, documents: int = 0) -> None: ...

    def end(self, counted: str = "") -> None: ...

    def say(self, line: str) -> None: ...


class Silent:
    """Tells nobody; for tests and for use as a library."""

    def begin(self, label: str, *, total: int, unit: str) -> None: ...

    def advance(self, amount: int, *, documents: int = 0) -> None: ...

    def end(self, counted: str = "") -> None: ...

    def say(self, line: str) -> None: ...
