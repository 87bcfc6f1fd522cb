"""What a gathering step keeps of every document's text, made while a pass has the text in memory.

Reading and cutting all text again for each dedup costs more than the hashing. So a step may hand the pass before it a
*sketcher*; its arrays, a row for each document that the pass left alive, lie in the step's scratch folder when `gather`
begins. Thresholds that are target shares are not known during a pass, so a sketch may hold documents that are dead by
then. Where no pass went before, `sketch_of` reads the part's text and makes the same arrays of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pipeline.core.scratch import save_array, scratch_file

if TYPE_CHECKING:
    from pipeline.core.step import Part
    from pipeline.core.text import Batch

ROWS = "rows"  # which of the part's base rows the others describe, ascending; written last


class Sketcher(Protocol):
    """Makes named arrays of a batch, a row for each document: picklable, and blind to the other documents."""

    def __call__(self, batch: Batch) -> Mapping[str, np.ndarray]: ...


def sketch_of(part: Part, *, scratch: Path, sketcher: Sketcher) -> Mapping[str, np.ndarray]:
    """Return the sketch of a part's live documents: as the pass before left it, or made now."""
    if is_sketched(scratch, part.index):
        sketched, alive = np.load(_file(scratch, ROWS, part.index)), part.rows()
        places = np.searchsorted(sketched, alive)
        if len(alive) == 0 or (places[-1] < len(sketched) and (sketched[places] == alive).all()):
            names = [path.name for path in scratch.glob(f"sketch-*-{part.index:05d}.npy")]
            kinds = {name.removeprefix("sketch-").rpartition("-")[0] for name in names} - {ROWS}
            return {kind: np.load(_file(scratch, kind, part.index))[places] for kind in kinds}
    return sketcher(part.batch())


def save_sketch(scratch: Path, index: int, *, arrays: Mapping[str, np.ndarray], rows: np.ndarray) -> None:
    """Keep the sketch of base rows `rows` of a part, durably."""
    for kind, array in arrays.items():
        save_array(_file(scratch, kind, index), array)
    save_array(_file(scratch, ROWS, index), rows)


def is_sketched(scratch: Path, index: int) -> bool:
    """Say whether the sketch of a part is there."""
    return _file(scratch, ROWS, index).exists()


def _file(scratch: Path, kind: str, index: int) -> Path:
    return scratch_file(scratch, f"sketch-{kind}", index)
