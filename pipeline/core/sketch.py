"""What a gathering step keeps of every document's text, made while a pass has the text in memory.

Reading and cutting all text again for each dedup costs more than the hashing. So a step may hand the pass before it a
*sketcher*; its arrays, a row for each document that the pass left alive, lie in the step's scratch folder when `gather`
begins. Thresholds that are target shares are not known during a pass, so a sketch may hold documents that are dead by
then. Where no pass went before, `sketch_of` reads the part's text and makes the same arrays of it.

A step that also wants to see some documents whole, drawn blindly, says how many: every id has a place in a seeded
order, the pass keeps the texts of each part's first live documents, and the first ones of all parts are among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import xxhash

from pipeline.core.files.writing.scratch import write_scratch
from pipeline.core.files.writing.sums import is_whole
from pipeline.core.rng import derive
from pipeline.core.step import Sketcher

if TYPE_CHECKING:
    from pipeline.core.step import Part

ROWS = "rows"  # which of the part's base rows the step's own arrays describe, ascending
SAMPLED = "sampled"  # int64[2, num_texts]: the base rows that are kept whole, and the ends of their texts
TEXTS = "texts"  # uint8, one text after the other


def sketch_of(part: Part, *, scratch: Path, sketcher: Sketcher) -> Mapping[str, np.ndarray]:
    """Return the sketch of a part's live documents: as the pass before left it, or made now."""
    if is_sketched(scratch, part.index):
        with np.load(sketch_file(scratch, part.index)) as stored:
            sketched, alive = stored[ROWS], part.rows()
            places = np.searchsorted(sketched, alive)
            if len(alive) == 0 or (places[-1] < len(sketched) and (sketched[places] == alive).all()):
                return {kind: stored[kind][places] for kind in stored.files if kind not in (ROWS, SAMPLED, TEXTS)}
    return sketcher(part.batch())


def order_of(ids: pa.Array | pa.ChunkedArray, *, seed: int) -> np.ndarray:
    """Return uint64[num_docs]: the place of each id in the seeded order, which no cutting into parts changes."""
    own = derive(seed, "order")
    return np.array([xxhash.xxh3_64_intdigest(id, seed=own) for id in ids.cast(pa.binary()).to_pylist()], np.uint64)


def texts_of(part: Part, positions: np.ndarray, *, scratch: Path) -> list[str]:
    """Return the texts of the live documents at some positions: as the pass before kept them, or read now."""
    found: dict[int, str] = {}
    rows = part.rows()[positions].tolist() if len(positions) else []
    if rows and sketch_file(scratch, part.index).exists():  # `sketch_of` has looked whether it is whole
        with np.load(sketch_file(scratch, part.index)) as stored:
            sampled, ends = stored[SAMPLED]
            texts = stored[TEXTS]
        starts, wanted = np.concatenate([[0], ends]), set(rows)
        places = zip(sampled.tolist(), starts, ends, strict=False)
        found = {row: texts[a:b].tobytes().decode() for row, a, b in places if row in wanted}
    missing = [place for place, row in enumerate(rows) if row not in found]
    if missing:
        read = part.load_some(("text",), positions[missing]).column("text").to_pylist()
        found |= dict(zip([rows[place] for place in missing], read, strict=True))
    return [found[row] for row in rows]


def save_sketch(
    scratch: Path, index: int, *, arrays: Mapping[str, np.ndarray], rows: np.ndarray, texts: Mapping[int, bytes]
) -> None:
    """Keep the sketch of base rows `rows` of a part, and the texts of some of them, durably in one file."""
    whole = sorted(texts)
    ends = np.cumsum([len(texts[row]) for row in whole], dtype=np.int64)
    found = {
        **arrays,
        ROWS: rows,
        SAMPLED: np.stack([np.array(whole, np.int64), ends]),
        TEXTS: np.frombuffer(b"".join(texts[row] for row in whole), np.uint8),
    }
    write_scratch(sketch_file(scratch, index), lambda file: np.savez(file, allow_pickle=False, **found))


def is_sketched(scratch: Path, index: int) -> bool:
    """Say whether the sketch of a part is there, as it was written."""
    return is_whole(sketch_file(scratch, index))


def sketch_file(scratch: Path, index: int) -> Path:
    """Return the file that holds the sketch of a part."""
    return scratch / f"sketch-{index:05d}.npz"
