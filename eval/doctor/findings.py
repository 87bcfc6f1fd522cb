"""What a diagnosis is made of: a check that stands in the table, what it found, and the numbers to draw it from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["fault", "doubt", "advice"]  # the comparison is void; look before you believe it; it could be better
LEVELS: tuple[Level, ...] = ("fault", "doubt", "advice")


@dataclass(frozen=True, slots=True)
class Check:
    """One question to an experiment, and what it means where the answer is wrong."""

    id: str
    level: Level
    asks: str
    source: str  # of its limit
    meaning: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Series:
    """Numbers of one lane to be drawn, None where there is none, and the limits that they are held against."""

    x_text: str
    y_text: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    limits: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong, of one lane or of what several have in common."""

    check: Check
    lanes: tuple[str, ...]
    value: float | None
    limit: float
    sentence: str
    evidence: Series | None = None

    @property
    def id(self) -> str:
        return self.check.id

    @property
    def level(self) -> Level:
        return self.check.level


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A check that could not be made of some lanes."""

    check: Check
    lanes: tuple[str, ...]
    why: str


Outcome = Finding | Unchecked


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found in an experiment, the worst first, and what could not be looked for."""

    name: str
    lanes: tuple[str, ...]
    findings: tuple[Finding, ...]
    unchecked: tuple[Unchecked, ...] = field(default=())

    @property
    def alarms(self) -> tuple[Finding, ...]:
        """What speaks against the comparison, and not only for another setting."""
        return tuple(found for found in self.findings if found.level != "advice")

    @property
    def health(self) -> Literal["void", "doubtful", "sound"]:
        """How far the comparison can be believed."""
        levels = {found.level for found in self.findings}
        return "void" if "fault" in levels else "doubtful" if "doubt" in levels else "sound"


def joined(name: str, *, lanes: Sequence[str], outcomes: Sequence[Outcome]) -> Diagnosis:
    """Put what was found in order; what was not checked for one reason is told once."""
    findings = [found for found in outcomes if isinstance(found, Finding)]
    places = {lane: place for place, lane in enumerate(lanes)}
    findings.sort(key=lambda found: (LEVELS.index(found.level), found.id, places.get((found.lanes or ("",))[0], -1)))
    reasons: dict[tuple[str, str], list[Unchecked]] = {}
    for found in outcomes:
        if isinstance(found, Unchecked):
            reasons.setdefault((found.check.id, found.why), []).append(found)
    unchecked = (
        Unchecked(same[0].check, tuple(lane for found in same for lane in found.lanes), why)
        for (_, why), same in reasons.items()
    )
    return Diagnosis(name, tuple(lanes), tuple(findings), tuple(unchecked))
