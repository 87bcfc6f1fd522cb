"""What a page of a search tells: cards, claims, who proposed well, what waits, what it cost. Facts, no pictures.

Gains are bits per byte of held-out text less than the incumbent's: more is better. Whoever reads a ledger makes this
record (`pipeline.research.page.digest`); the page draws it, the terminal prints it, and neither counts anything itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["done", "failed", "refused", "rejected", "waiting", "open"]


@dataclass(frozen=True, slots=True)
class Range:
    """A value and the bounds of its interval."""

    value: float
    low: float
    high: float

    @property
    def settled(self) -> bool:
        """Say whether the interval leaves no doubt about the sign."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Told:
    """One card: what was asked, what was expected of it, and what came of it."""

    number: int
    id: str
    batch: int
    kind: str
    proposer: str
    parent: str
    status: Status
    words: str
    hypothesis: str
    mechanism: str
    falsifier: str
    predicted: Range | None  # of one proxy, 80 %
    measured: float | None
    expected: Range | None  # of its mixture, by the model of all cards, 80 %
    by_domain: Mapping[str, float]
    seeds: tuple[int, ...]
    why: str
    needs: str
    plan: str
    redo: tuple[str, ...]
    nodes: int
    lanes: int
    usd: float  # at most, before it ran
    paid: float
    hint: str = ""
    health: tuple[str, ...] = ()
    claim: str = ""  # id of the finding that it tries to use
    outcome: str = ""  # what that came to, in a sentence

    @property
    def held(self) -> bool | None:
        """Say whether what was measured lay inside of what was predicted; None where one of them is missing."""
        if self.measured is None or self.predicted is None:
            return None
        return self.predicted.low <= self.measured <= self.predicted.high

    @property
    def cost_class(self) -> str:
        """What of its making is dearest, beside its proxies."""
        other = [name for name in self.redo if name != "re-train"]
        return other[-1] if other else "proxies only"


@dataclass(frozen=True, slots=True)
class Mixture:
    """What all cards of one mixture say of it."""

    card: str
    words: str
    proposer: str
    proxies: int
    measured: float  # mean of its proxies
    expected: Range  # by the model of all cards, 80 %
    cost_class: str
    usd: float


@dataclass(frozen=True, slots=True)
class GuardTold:
    """A held-out set that must not lose: what it gained, at the least too, and what the gate makes of it."""

    domain: str
    gain: float
    low: float
    max_loss: float
    status: str


@dataclass(frozen=True, slots=True)
class ClaimTold:
    """A claim: what was opened by which seeds, and what the gate said."""

    edits: tuple[str, ...]
    expected: float
    sd: float
    probability_better: float
    seeds: tuple[int, int]  # first and last of both mixtures
    outcome: str  # promote, reject, undecided, or empty while it is not judged
    sentence: str
    next_step: str
    gain: Range | None  # by fresh proxies; None in ledgers that do not tell it
    confidence: float | None
    odds: float | None  # that there is such a gain; None if infinite or not told
    odds_needed: float | None
    look: int | None  # how many times the held-out sets were opened for this comparison
    guards: tuple[GuardTold, ...]
    report: str
    luck: float = 0.0  # of what was expected, by having been chosen
    power: float | None = None  # share of claims that find what was expected less that; None where it is not told
    detectable: float | None = None  # gain that is found in 80 of 100 claims


@dataclass(frozen=True, slots=True)
class Part:
    """A share of some cases, with a 90 % interval."""

    share: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class ProposerTold:
    """Whoever proposed: what became of the cards, what they are worth, and how well they were foretold."""

    name: str
    counts: Mapping[str, int]  # status -> cards
    began: float | None  # share of the cards by the recipe; None of who stands in no recipe
    next: float | None  # share of the next batch
    worth: Part | None  # of fresh mixtures: how likely they are to be better than the incumbent
    inside: Part | None  # predictions whose 80 % held
    sign: Part | None  # predictions with the right sign
    crps: float | None
    crps_of_no_change: float | None
    usd: float
    remarks: tuple[str, ...]

    @property
    def cards(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for a person, with the three numbers that decide it."""

    card: str  # its id, or `head` for the promotion of what was claimed
    what: str
    why: str
    hypothesis: str
    mechanism: str
    by: str
    gain: Range | None
    gain_is: str  # where the gain is from
    cost: str
    guard: str
    minutes: int
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A verified claim about texts, with quotes; made by the analysis of errors."""

    text: str
    effect: Range | None  # share of the worst documents that have it, less that of others like them
    quotes: tuple[tuple[str, str], ...]  # document, words
    source: str
    id: str = ""
    outcome: str = ""  # what came of acting on it, in a sentence; nothing where nobody did


@dataclass(frozen=True, slots=True)
class EffectTold:
    """One edit of a claimed head: how much worse the head is without it."""

    edit: str
    pairs: int
    overall: Range | None  # 95 %; None of fewer than two pairs
    mean: float | None
    by_domain: Mapping[str, Range]


@dataclass(frozen=True, slots=True)
class Together:
    """Two settings that depend on each other: what both bring beyond each alone."""

    changes: tuple[str, str]
    gain: Range  # 80 %
    is_measured: bool = False  # by lanes of all four combinations; else by the model of all cards


@dataclass(frozen=True, slots=True)
class Controls:
    """Proxies of the incumbent itself: what chance does."""

    goals: Mapping[int, float]  # seed -> weighted bits per byte
    mean: float | None
    sd: Range | None  # of one proxy, 90 %
    luckiest: float | None  # gain that the best of as many null cards as were tried would show
    tried: int  # mixtures that were tried


@dataclass(frozen=True, slots=True)
class Bill:
    """What was spent, and what the recipe allows."""

    usd: float
    usd_allowed: float
    usd_by: Mapping[str, float]
    hours: float
    hours_allowed: float
    nights: int
    experiments: int
    experiments_allowed: int
    proxies: int  # of cards, those of attribution too
    claim_proxies: int


@dataclass(frozen=True, slots=True)
class Next:
    """What would be tried next."""

    cards: tuple[Told, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Digest:
    """A search as far as its ledger tells."""

    name: str
    recipe: str  # as it is named in commands
    incumbent: str
    on: Mapping[str, float]
    outcome: str  # promote, reject, undecided or none
    headline: str
    sentence: str
    state: str  # under way, stopped or ended
    cards: tuple[Told, ...]
    mixtures: tuple[Mixture, ...]  # with a model's word, the best first
    head: Mixture | None
    head_sure: float  # chance of the head to be better than the incumbent
    head_luck: float  # of its expected gain, by having been chosen; 0 of a head that no claim was made of
    claim: ClaimTold | None  # the last one, unless the search was taken up again after it
    claims: tuple[ClaimTold, ...]
    promoted: str  # as what the claimed head is registered
    proposers: tuple[ProposerTold, ...]
    waiting: tuple[Waiting, ...]
    answered: int  # what a person has decided on and no night has taken in yet
    effects: tuple[EffectTold, ...]
    controls: Controls
    bill: Bill
    next: Next
    next_step: str
    no_effects: str  # why it is not known what each edit is worth
    plateaus: tuple[str, ...]
    batches: int
    ledger: str  # hash of all events
    events: int
    learned: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = field(default_factory=tuple)
    together: tuple[Together, ...] = ()
    not_modelled: int = 0  # proxies that the model of all cards leaves out: of thousands it takes the best and latest

    @property
    def minutes(self) -> int:
        """Minutes in which all that waits can be decided."""
        return sum(each.minutes for each in self.waiting)

    def count(self, status: str) -> int:
        """Return how many cards have a status."""
        return sum(card.status == status for card in self.cards)
