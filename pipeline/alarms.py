"""When to stop: a step that drops or breaks more than it may, found before anything is published or paid for.

A recipe's mistake (a wrong column, a threshold in the wrong unit) shows as a share that no sound step reaches, so each
step may declare `max_drop_fraction`. A step that breaks on every document is broken itself; its documents are not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow.compute as pc

from pipeline.chain import Chain
from pipeline.core.card import Card
from pipeline.core.errors import DataError
from pipeline.core.shards import read_table
from pipeline.plan import PlannedStep
from pipeline.tasks import judge

EXAMPLES = 3


@dataclass(slots=True)
class Losses:
    """What became of the documents of a chain: losses by `step.rule`, or by step where they broke it."""

    documents: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)  # step -> ids

    def by(self, label: str) -> int:
        """Return how many documents one step cost."""
        return (
            sum(count for reason, count in self.dropped.items() if step_of(reason) == label) + self.quarantined[label]
        )

    def worst_of(self, label: str) -> str:
        """Return the rule that cost most, or the step's name where documents broke it."""
        of_step = {reason: count for reason, count in self.dropped.items() if step_of(reason) == label}
        of_step[label] = self.quarantined[label]
        return max(of_step, key=lambda reason: (of_step[reason], reason))


def step_of(reason: str) -> str:
    """Return the step of a reason `step.rule`."""
    return reason.partition(".")[0]


def losses_of(chain: Chain) -> Losses:
    """Judge every document of a chain as it stands."""
    found = Losses()
    for part in chain.base:
        verdicts = judge(part, chain.links, read_table(part.path, columns=["id"]).column("id"))
        found.documents += part.num_rows
        for verdict in verdicts.filter(pc.invert(verdicts.column("kept"))).to_pylist():
            reason = verdict["reason"] or verdict["quarantined"]
            (found.dropped if verdict["reason"] else found.quarantined)[reason] += 1
            examples = found.examples.setdefault(step_of(reason), [])
            if len(examples) < EXAMPLES:
                examples.append(verdict["id"])
    return found


def check_alarms(chain: Chain, steps: Sequence[PlannedStep], *, place: str) -> None:
    """Raise DataError if a finished step cost a larger share of what reached it than it may."""
    done = {link.label for link in chain.links}
    allowed = {step.spec.label: step.spec.step.params.max_drop_fraction for step in steps if step.spec.label in done}
    if all(share >= 1.0 for share in allowed.values()):
        return
    _sound(losses_of(chain), allowed, place=place)


def check_finished(steps: Sequence[PlannedStep], card: Card, *, place: str) -> None:
    """Raise DataError by a published dataset's counts: an alarm that was set after it was built."""
    allowed = {step.spec.label: step.spec.step.params.max_drop_fraction for step in steps}
    if any(share < 1.0 for share in allowed.values()):
        losses = Losses(documents=card.rows_in, dropped=Counter(card.dropped), quarantined=Counter(card.quarantined))
        _sound(losses, allowed, place=place)


def _sound(losses: Losses, allowed: Mapping[str, float], *, place: str) -> None:
    """Raise DataError for the first step that cost a larger share of what reached it than it may."""
    reached = losses.documents
    for label, share in allowed.items():
        count = losses.by(label)
        if reached and count / reached > share:
            examples = ", ".join(losses.examples.get(label, ()))
            raise DataError(
                f"{place}: {label} dropped {count} of {reached} documents ({count / reached:.1%}), most by "
                f"{losses.worst_of(label)}{f', such as {examples}' if examples else ''}; it may drop {share:.1%}. "
                "Mend the data or raise max_drop_fraction."
            )
        reached -= count
