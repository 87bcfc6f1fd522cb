"""How a round is held: about what, by whom, on how many documents, for how much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from eval.claims.record import Which

By = Literal["auto", "claude", "words"]
PROPOSER, JUDGE = "claude-opus-5-5", "claude-haiku-5-5"


def silence(line: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is asked about which documents, and what that may cost in all runs together."""

    which: Which = "lost"
    on: tuple[str, ...] = ()  # datasets to score anew; none: the held-out sets, as they were scored
    by: By = "auto"  # who states claims: Claude where there is a key, else words
    proposer: str = PROPOSER
    judge: str = JUDGE
    documents: int = 400  # most pairs of documents to test claims on
    seed: int = 0
    max_usd: float = 2.0
    concurrency: int = 8
    batches: bool = False  # ask by Message Batches: half the price, answers within a day
    wait: bool = True  # for them; else PendingError, and a later call collects
    threads: int = 1  # that score anew
    prices: Path | None = None
    say: Callable[[str], None] = silence
