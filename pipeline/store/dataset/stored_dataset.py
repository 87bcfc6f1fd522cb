"""What a dataset's card holds of the documents, steps and rules behind it: one record for who writes and who reads it.

`engine/publish.py` writes it. From it a dataset is questioned, compared, reported and exported years later, without its
recipe or the code that measured it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.core.files.card import Card
from pipeline.core.step import Operator, Params, Rule

ALARMS = frozenset(Params.model_fields)  # what every step takes: when to stop the run


@dataclass(frozen=True, slots=True)
class StoredRule:
    """One rule of a step, with the threshold that counted."""

    step: str  # its label in the recipe
    rule: str
    signal: str
    op: Operator
    threshold: float
    parameter: str

    @classmethod
    def of(cls, rule: Rule, *, step: str) -> StoredRule:
        return cls(step, rule.name, rule.signal, rule.op, rule.threshold, rule.parameter)

    def as_rule(self) -> Rule:
        return Rule(self.rule, self.signal, self.op, self.threshold, self.parameter)


@dataclass(frozen=True, slots=True)
class StoredStep:
    """One step, with all of its parameters."""

    label: str
    step: str  # its name in the catalog
    folder: str  # of its result, inside the workspace
    identity: str
    edits: bool
    params: Mapping[str, Any]

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters without the alarms, which say nothing about the result."""
        return {name: value for name, value in self.params.items() if name not in ALARMS}


@dataclass(frozen=True, slots=True)
class StoredPart:
    """One file of documents that the first step read."""

    file: str  # inside the workspace
    rows: int

    @property
    def folder(self) -> str:
        """Return the folder of the source or dataset that the file belongs to, inside the workspace."""
        return str(Path(self.file).parent)


@dataclass(frozen=True, slots=True)
class StoredDataset:
    """All of it, in the order in which it happened. Other results than datasets have none of it."""

    rules: tuple[StoredRule, ...] = ()
    steps: tuple[StoredStep, ...] = ()
    base: tuple[StoredPart, ...] = ()
    inputs: tuple[str, ...] = ()  # names of sources or datasets, as in the recipe
    kept_bytes: int | None = None  # of text; cards that were written before it was counted do not say

    @classmethod
    def from_card(cls, card: Card) -> StoredDataset:
        found = card.details
        return cls(
            rules=tuple(StoredRule(**rule) for rule in found.get("rules", ())),
            steps=tuple(StoredStep(**step) for step in found.get("steps", ())),
            base=tuple(StoredPart(**part) for part in found.get("base", ())),
            inputs=tuple(map(str, found.get("inputs", ()))),
            kept_bytes=found.get("kept_bytes"),
        )

    def details(self) -> dict[str, Any]:
        """Return it as a card's details, plain JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def rules_of(self, label: str) -> tuple[Rule, ...]:
        """Return the rules of a step."""
        return tuple(rule.as_rule() for rule in self.rules if rule.step == label)

    def parents(self) -> list[str]:
        """Return the folders of what the documents come from, inside the workspace, each once."""
        return list(dict.fromkeys(part.folder for part in self.base))
