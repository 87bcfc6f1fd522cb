"""A pass over a part -> the sketches of the gathering steps that follow it, while the text is in memory.

Only documents that the pass leaves alive are sketched, as far as it can know: it applies every rule whose threshold
stands in the recipe, and takes for met those whose threshold is a share of all documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.chain import ERROR
from pipeline.core.sketch import Sketcher, is_sketched, save_sketch
from pipeline.core.step import Rule, Step
from pipeline.core.text import Batch
from pipeline.decide import as_flags, failures


@dataclass(frozen=True, slots=True)
class SketchRef:
    """A gathering step to sketch for, as a worker gets it."""

    sketcher: Sketcher
    scratch: Path


def fixed_rules(step: Step) -> tuple[Rule, ...]:
    """Return the rules of a step whose thresholds are known before any document is."""
    rules = step.rules(quantile=lambda signal, fraction: float("nan"))
    return tuple(rule for rule in rules if not np.isnan(rule.threshold))


def survives(rules: Sequence[Rule], columns: Mapping[str, pa.Array]) -> np.ndarray:
    """Return bool[num_docs]: who broke no step and meets the rules."""
    table = pa.table({name: columns[name] for name in {ERROR, *(rule.signal for rule in rules)}})
    return as_flags(table.column(ERROR).is_null()) & ~failures(rules, table).any(axis=0)


@dataclass(slots=True)
class Sketching:
    """Collects the sketches of one part."""

    refs: Sequence[SketchRef]
    index: int  # of the part
    _arrays: list[list[Mapping[str, np.ndarray]]] = field(default_factory=list)
    _rows: list[np.ndarray] = field(default_factory=list)

    @staticmethod
    def of(refs: Sequence[SketchRef], *, index: int) -> Sketching:
        """Leave out the steps whose sketch of this part is there."""
        missing = [ref for ref in refs if not is_sketched(ref.scratch, index)]
        return Sketching(missing, index, _arrays=[[] for _ in missing])

    def add(self, batch: Batch, *, alive: np.ndarray, first_row: int) -> None:
        """Sketch the live documents of a batch that begins at a base row; `batch` holds their final text."""
        if not self.refs:
            return
        if not alive.all():
            keep = pa.array(alive)
            text = pa.concat_arrays([batch.text.filter(keep), batch.text[:0]])
            batch = Batch(ids=batch.ids.filter(keep), text=text)
        self._rows.append(first_row + np.flatnonzero(alive))
        for ref, arrays in zip(self.refs, self._arrays, strict=True):
            arrays.append(ref.sketcher(batch))

    def save(self) -> None:
        """Write the part's sketches."""
        for ref, arrays in zip(self.refs, self._arrays, strict=True):
            joined = {kind: np.concatenate([piece[kind] for piece in arrays]) for kind in arrays[0]} if arrays else {}
            ref.scratch.mkdir(parents=True, exist_ok=True)
            save_sketch(ref.scratch, self.index, arrays=joined, rows=np.concatenate(self._rows or [np.zeros(0, int)]))
