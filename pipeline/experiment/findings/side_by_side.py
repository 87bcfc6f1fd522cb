"""What finished proxies show of several mixtures beside the first of them: one record, for words, data and a page.

A question and not a verdict: no rule was fixed before, and more than one interval may be looked at, so each is as wide
as lets all of them hold at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.experiment.findings.changed import ChangedOn
from pipeline.experiment.findings.judged import uncounted
from pipeline.plan.lanes import LaneName

if TYPE_CHECKING:
    from eval.verdict.paired import Gain

REPEATED = 1.05  # epochs from which a dataset is said to be read more than once


@dataclass(frozen=True, slots=True)
class Part:
    """What one dataset gives to a mixture, as shares of its tokens; by its label, which no two datasets share."""

    dataset: str
    asked: float
    realised: float
    tokens: int
    epochs: float


@dataclass(frozen=True, slots=True)
class Made:
    """What one of the mixtures is made of."""

    name: str
    said: str  # what was meant by the name
    folder: str
    identity: str
    num_tokens: int
    max_epochs: float
    parts: tuple[Part, ...]  # the largest first

    @property
    def repeated(self) -> list[str]:
        """What a proxy reads more than once, and how often."""
        return [f"{part.dataset} {part.epochs:.2g} times" for part in self.parts if part.epochs > REPEATED]


@dataclass(frozen=True, slots=True)
class Beside:
    """One mixture beside the first: how many bits per byte fewer it needs, and which documents say so."""

    name: str
    overall: Gain
    domains: tuple[Gain, ...]
    seeds: tuple[int, ...]  # of the pairs of proxies
    left_out: tuple[tuple[str, str], ...]  # proxies that did not train soundly, and why
    rates: str  # whether the sign survives another learning rate, in a sentence
    more_seeds: int | None  # that would settle it, if the gain stays as it is; 0 if it is settled
    thin: tuple[str, ...]  # what there is too little of for a verdict
    mixed: str  # a warning, where not all proxies were trained alike
    changed: tuple[ChangedOn, ...]

    @property
    def gains(self) -> tuple[Gain, ...]:
        """Overall, then each held-out set; the one alone where there is only one."""
        return (self.overall, *self.domains) if len(self.domains) > 1 else self.domains

    @property
    def notes(self) -> list[str]:
        """What to know of the gains, in sentences."""
        lost = [f"{lane} did not train soundly and is left out with its pair: {why}." for lane, why in self.left_out]
        return [*lost, *self.thin, *([self.mixed] if self.mixed else []), self.rates, *self._way_on()]

    def _way_on(self) -> list[str]:
        """Say what would settle a gain that is not settled."""
        if self.more_seeds is None:
            return ["Not settled, and more seeds alone would not settle it: add held-out documents or tokens."]
        many = "s" if self.more_seeds > 1 else ""
        told = f"Not settled; about {self.more_seeds} more seed{many} would settle it, if the gain stays as it is."
        return [told] if self.more_seeds else []


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Several mixtures beside the first, the one that needs the fewest bits first."""

    first: str
    made: tuple[Made, ...]  # the first, then in the order of `others`
    others: tuple[Beside, ...]
    confidence: float  # that all intervals of one held-out set, or of overall, hold
    confidence_of_each: float
    tier: str
    parameters: int
    tokens_per_proxy: int
    learning_rate: float
    held_out: Mapping[str, str]  # name -> identity of its tokens
    not_compared: tuple[str, ...]  # held-out sets that not all were scored on, each with who lacks it
    judged_too: tuple[str, ...]  # held-out sets with documents that a gate judges by
    lanes: Mapping[LaneName, Path]  # folders of the proxies at the learning rate

    @property
    def num_documents(self) -> int:
        return self.others[0].overall.num_documents

    @property
    def unsealed(self) -> str:
        """What it means that a gate judges by what was read here, in words; nothing where none does."""
        return uncounted(self.judged_too) if self.judged_too else ""

    @property
    def promise(self) -> str:
        """How much an interval promises, and what several at once cost, in words."""
        held, number = f"{100 * self.confidence:g} of 100 such comparisons", len(self.others)
        if number == 1:
            return f"An interval holds the true gain in {held}."
        return (
            f"{number} mixtures are looked at at once, so each interval is one of {100 * self.confidence_of_each:.4g} "
            f"%: in {held} all {number} hold, of overall as of each held-out set. The best of several looks better "
            "than it is; proxies of another `seed` tell by how much."
        )


def says(gain: Gain) -> str:
    """Say in a word what an interval settles."""
    return "better" if gain.low > 0 else "worse" if gain.high < 0 else "not settled"


def shares_by_dataset(made: Sequence[Made]) -> dict[str, list[float]]:
    """Return the share that each dataset has in each mixture, 0 where it has none; what differs most comes first."""
    shares = [{part.dataset: part.realised for part in mixture.parts} for mixture in made]
    names = dict.fromkeys(name for found in shares for name in found)
    rows = {name: [found.get(name, 0.0) for found in shares] for name in names}
    return dict(sorted(rows.items(), key=lambda row: -(max(row[1]) - min(row[1]))))
