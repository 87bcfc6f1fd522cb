"""What a gathering step found for the living documents of a part -> a file of signals, row for row with the base.

A step that holds one part's values at a time has them written where they are made (`Gathering.write_by`), so they
never pass through the process that runs the recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipeline.core.step import Part, Signal, as_column
from pipeline.store.dataset.chain import EDIT, ERROR, TEXT, part_name, write_signals

if TYPE_CHECKING:
    from pipeline.plan.graph import PlannedStep


@dataclass(frozen=True, slots=True)
class SignalWriter:
    """Writes the signals files of a gathering step. Picklable."""

    folder: Path
    signals: tuple[Signal, ...]
    edits: bool

    @staticmethod
    def of(step: PlannedStep) -> SignalWriter:
        found = step.spec.step
        return SignalWriter(step.node.folder, found.signals, found.edits)

    def __call__(self, part: Part, columns: Mapping[str, Any]) -> int:
        """Spread one value per living document over the base rows, null for the others; return how many are alive."""
        alive = part.reader.alive()
        position = np.where(alive, np.cumsum(alive) - 1, -1)
        spread = pa.array(position, mask=~alive)
        found = {signal.name: as_column(columns[signal.name], signal=signal).take(spread) for signal in self.signals}
        if self.edits:
            found[TEXT] = as_column(columns[TEXT], signal=EDIT).take(spread)
        found[ERROR] = pa.nulls(len(alive), pa.string())
        ids = part.reader.load_all(("id",)).column("id")
        write_signals(self.folder / part_name(part.index), found, ids=ids)
        return part.num_rows


@dataclass(frozen=True, slots=True)
class WriteBy:
    """A job about a part -> its signals, written. Picklable where the function is."""

    function: Callable[[Any], Mapping[str, Any]]
    writer: SignalWriter

    def __call__(self, job: Any) -> int:
        return self.writer(job.part, self.function(job))
