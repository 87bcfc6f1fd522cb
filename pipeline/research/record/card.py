"""A card: one experiment as it is written down before it runs, and what became of it.

A card's id is the hash of what is asked: the incumbent's recipe, the edits and the kind of question. So the same idea
has the same id whoever has it, and is found again. Results are events of their own and change no card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pipeline.core.identity import identity_of
from pipeline.recipe.edits import Edit, key_of

Kind = Literal["tune", "bundle", "ablation", "replication", "structural", "control", "factorial"]
Status = Literal["written", "done", "failed", "refused", "waiting", "approved", "rejected"]
ID = 10  # characters of a card's id


@dataclass(frozen=True, slots=True)
class Prediction:
    """The gain over the incumbent that is expected, in bits per byte, with the bounds of 80 %."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What a card forces to be done again, before it runs.

    `redo` is of re-decide, re-measure, re-gather, re-label, re-generate, re-train; `nodes` counts results to build;
    `paid` are the folders of those that cost money, by which it is counted once whatever happens in between, and
    `buyers` the steps that buy for them, by which it is counted where they are never finished.
    """

    redo: tuple[str, ...] = ()
    nodes: int = 0
    lanes: int = 1
    usd: float = 0.0
    paid: tuple[str, ...] = ()
    buyers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """One experiment. `edits` are against the incumbent; what the card adds to its parent's is `new`."""

    id: str
    number: int
    kind: Kind
    edits: tuple[Edit, ...]
    parent: str  # id of the card whose edits it builds on, or "incumbent"
    proposer: str
    hypothesis: str
    mechanism: str
    falsifier: str
    prediction: Prediction | None
    cost: Cost
    seeds: tuple[int, ...] = ()
    hint: str = ""  # what its proposer was told to look at
    needs: str = ""  # why it waits for a person; nothing where it does not
    plan: str = ""  # hash of the plan that a person approves
    claim: str = ""  # id of the finding of an error analysis that it tries to use

    @property
    def told(self) -> dict[str, Any]:
        """The card as JSON."""
        return asdict(self)

    @property
    def key(self) -> tuple[str, ...]:
        """What cards of one mixture have in common."""
        return key_of(self.edits)

    @property
    def words(self) -> str:
        """What it changes, in a line."""
        return "; ".join(edit.words for edit in self.edits) or "nothing: the incumbent again"


def card_of(told: Mapping[str, Any]) -> Card:
    """Return the card that an event tells."""
    rest = dict(told)
    rest["edits"] = tuple(Edit(**edit) for edit in rest["edits"])
    rest["prediction"] = None if rest["prediction"] is None else Prediction(**rest["prediction"])
    rest["cost"] = cost_of(rest["cost"])
    rest["seeds"] = tuple(rest["seeds"])
    return Card(**rest)


def cost_of(told: Mapping[str, Any]) -> Cost:
    """Return the cost that an event tells."""
    listed = {key: tuple(told.get(key, ())) for key in ("redo", "paid", "buyers")}
    return Cost(**{**told, **listed})


def card_id(base: str, edits: Sequence[Edit], kind: Kind) -> str:
    """Return the id of a question: what is edited, how, and whether it is asked for the first time or again."""
    return identity_of([base, list(key_of(edits)), kind])[:ID]


def hypothesis_of(card: Card, incumbent: str) -> str:
    """Return what a card says where nobody had words for it."""
    if not card.edits:
        return f"Proxies of {incumbent} differ by chance alone."
    if card.prediction is None:
        return f"{incumbent} is better with {card.words}."
    told = card.prediction
    return f"{incumbent} gains {told.median:+.4f} bits per byte ({told.low:+.4f} to {told.high:+.4f}) by {card.words}."


def falsifier_of(card: Card) -> str:
    """Return what would show that a card's prediction is wrong."""
    if card.prediction is None or not card.edits:
        return ""
    return f"A gain outside {card.prediction.low:+.4f} to {card.prediction.high:+.4f}."


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a card: bits per byte of each proxy by seed and held-out set, or why there are none."""

    card: str
    status: Status
    values: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # seed -> held-out set -> bits per byte
    goals: Mapping[str, float] = field(default_factory=dict)  # seed -> weighted bits per byte
    why: str = ""
    health: Sequence[str] = ()
    usd: float = 0.0

    @property
    def told(self) -> dict[str, Any]:
        """The result as JSON."""
        return asdict(self)
