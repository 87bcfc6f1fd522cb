"""What a round of claims found, as one record: for words, data and a page, and for whoever tries to use a finding.

An association is not a cause: a claim says what the worst documents have in common. Only an experiment with the edit
that it suggests can say that the edit helps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from eval.claims.slices import Slice

Which = Literal["lost", "gained", "hard"]
Status = Literal["void", "not verified", "associated"]


@dataclass(frozen=True, slots=True)
class Quote:
    """What a claim points at: words of a document, personal data masked."""

    doc_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Effect:
    """How often the answer was yes on both sides, and by how much more on the worst one."""

    worst: float
    neutral: float
    low: float  # of the difference, 95 %
    high: float
    pairs: int  # of a worst and a neutral document

    @property
    def difference(self) -> float:
        return self.worst - self.neutral


@dataclass(frozen=True, slots=True)
class Claim:
    """One property of texts that is said to be more (or less) frequent among the worst documents."""

    id: str
    question: str  # a yes tells that a text has the property
    more: bool  # frequent among the worst documents; False: less
    by: str  # who stated it
    status: Status
    why: str = ""  # of a void one
    pattern: str = ""  # by which a yes is found, where no model is asked
    predicted: tuple[float, float] | None = None  # shares of worst and neutral documents
    step: str = ""  # of the recipe that is suspected
    edit: Mapping[str, Any] = field(
        default_factory=dict
    )  # of the recipe, that it would justify; data, not instructions
    quotes: tuple[Quote, ...] = ()
    tested: Effect | None = None  # where the p value is from
    measured: Effect | None = None  # on documents that no test has seen; None where there were too few
    p_value: float | None = None
    adjusted: float | None = None  # for all claims and controls of all rounds of the pair of mixtures

    @property
    def effect(self) -> Effect | None:
        """The effect to quote: where it was not also chosen by, if it was measured there."""
        return self.measured if self.measured is not None else self.tested


@dataclass(frozen=True, slots=True)
class ControlResult:
    """A question with known answers, and whether it passed as a claim would."""

    question: str
    must_pass: bool
    p_value: float
    adjusted: float
    passed: bool


@dataclass(frozen=True, slots=True)
class Judging:
    """Who answered, and how far the answers can be believed."""

    judge: str
    sensitivity: float  # on what is known
    specificity: float
    agreement: float | None  # of two readings of the same documents; None where one is enough
    reread: int  # documents that were read twice
    unanswered: Mapping[str, int]  # "side of set: outcome" -> documents


@dataclass(frozen=True, slots=True)
class Round:
    """One round: what was asked of which documents, what they have in common, and what that rests on."""

    experiment: str  # identity of the two mixtures and of what they were scored on
    identity: str
    first: str
    other: str
    which: Which
    on: tuple[str, ...]  # sets of documents
    documents: int
    groups: int
    pairs: Mapping[str, int]  # split -> pairs of a worst and a neutral document
    slices: tuple[Slice, ...]
    proposer: str
    claims: tuple[Claim, ...]
    void: str = ""  # why nothing of the round counts
    controls: tuple[ControlResult, ...] = ()
    judging: Judging | None = None
    detectable: float | None = None  # share on the worst side that would show beside 10 % on the neutral one
    notes: tuple[str, ...] = ()
    cost_usd: float = 0.0
    number: int = 1  # of the rounds of this pair of mixtures, the oldest first; as it is read
    held: int = 1  # rounds of the pair, which all p values are adjusted for; as it is read

    @property
    def findings(self) -> tuple[Claim, ...]:
        """The claims that count."""
        return () if self.void else tuple(claim for claim in self.claims if claim.status == "associated")
