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

from pipeline.core.arrow import as_flags
from pipeline.core.sketch import is_sketched, order_of, save_sketch
from pipeline.core.step import Rule, Sketcher, Step
from pipeline.core.text.batch import Batch
from pipeline.store.dataset.chain import ERROR
from pipeline.store.dataset.decide import failures

SAMPLED_BYTES = 1 << 16  # of a document that is kept whole; a larger one is read again if it is asked for
ALL = 1 << 64


@dataclass(frozen=True, slots=True)
class SketchRef:
    """A gathering step to sketch for, as a worker gets it."""

    sketcher: Sketcher
    scratch: Path
    seed: int  # of the step


def fixed_rules(step: Step) -> tuple[Rule, ...]:
    """Return the rules of a step whose thresholds are known before any document is; fewer only mean more sketches."""
    try:
        rules = step.rules(quantile=lambda signal, fraction: float("nan"))
    except (ValueError, OverflowError):  # a plugin that calculates with the share's value
        return ()
    return tuple(rule for rule in rules if not np.isnan(rule.threshold))


def survives(rules: Sequence[Rule], columns: Mapping[str, pa.Array]) -> np.ndarray:
    """Return bool[num_docs]: who broke no step and meets the rules."""
    found = pa.record_batch({name: columns[name] for name in {ERROR, *(rule.signal for rule in rules)}})
    return as_flags(found.column(ERROR).is_null()) & ~failures(rules, found).any(axis=0)


@dataclass(slots=True)
class Sample:
    """The texts of a part's live documents that come first in the seeded order, as far as they are known."""

    count: int
    seed: int
    found: list[tuple[int, int, bytes | None]] = field(default_factory=list)  # place in the order, base row, text

    def add(self, batch: Batch, rows: np.ndarray) -> None:
        """Offer the documents of a batch, which are these base rows."""
        if not self.count:
            return
        places = order_of(batch.ids, seed=self.seed)
        last = self.found[-1][0] if len(self.found) == self.count else ALL
        for doc in np.argsort(places, kind="stable")[: self.count].tolist():
            if places[doc] > last:
                break
            start, end = batch.offsets[doc : doc + 2].tolist()
            text = batch.data[start:end].tobytes() if end - start <= SAMPLED_BYTES else None
            self.found.append((int(places[doc]), int(rows[doc]), text))
        self.found = sorted(self.found, key=lambda entry: entry[:2])[: self.count]

    def texts(self) -> dict[int, bytes]:
        """Return the texts by base row."""
        return {row: text for _, row, text in self.found if text is not None}


@dataclass(slots=True)
class Sketching:
    """Collects the sketches of one part."""

    refs: Sequence[SketchRef]
    index: int  # of the part
    samples: Sequence[Sample]
    _arrays: list[list[Mapping[str, np.ndarray]]] = field(default_factory=list)
    _rows: list[np.ndarray] = field(default_factory=list)

    @staticmethod
    def of(refs: Sequence[SketchRef], *, index: int) -> Sketching:
        """Leave out the steps whose sketch of this part is there."""
        missing = [ref for ref in refs if not is_sketched(ref.scratch, index)]
        samples = [Sample(ref.sketcher.sampled, ref.seed) for ref in missing]
        return Sketching(missing, index, samples, _arrays=[[] for _ in missing])

    def add(self, living: Batch, rows: np.ndarray) -> None:
        """Sketch live documents, which are these base rows, as the pass leaves them."""
        if not self.refs:
            return
        self._rows.append(rows)
        for ref, arrays, sample in zip(self.refs, self._arrays, self.samples, strict=True):
            arrays.append(ref.sketcher(living))
            sample.add(living, rows)

    def save(self) -> None:
        """Write the part's sketches."""
        for ref, arrays, sample in zip(self.refs, self._arrays, self.samples, strict=True):
            joined = {kind: np.concatenate([piece[kind] for piece in arrays]) for kind in arrays[0]} if arrays else {}
            ref.scratch.mkdir(parents=True, exist_ok=True)
            rows = np.concatenate([np.zeros(0, np.int64), *self._rows])
            save_sketch(ref.scratch, self.index, arrays=joined, rows=rows, texts=sample.texts())
