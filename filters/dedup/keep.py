"""Which of several duplicates is kept, and how each of the others names it: what all kinds of deduplication share.

A global row counts the live documents through the parts in the order of their index. The kept document is named by its
id, never by position, so a verdict still makes sense after the parts are gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.core.errors import RecipeError, nearest_names
from pipeline.core.step import Gathering, Part, Step

KEEP_PATTERN = r"^(first|longest|-?[^\s.]\S*\.[^\s.]+)$"
KEEP_MEANING = (
    "Which of several duplicates is kept: `first` in part order, `longest` in bytes, the highest value of an earlier "
    "`step.signal`, or the lowest of `-step.signal`. Ties go to the first."
)


@dataclass(frozen=True, slots=True)
class Rows:
    """The global rows of a gathering's parts: part i holds rows starts[i] to starts[i + 1] - 1."""

    parts: Sequence[Part]  # by index
    starts: np.ndarray  # int64[num_parts + 1]

    @staticmethod
    def of(parts: Sequence[Part]) -> Rows:
        ordered = sorted(parts, key=lambda part: part.index)
        return Rows(parts=ordered, starts=np.cumsum([0, *(part.num_rows for part in ordered)], dtype=np.int64))

    def __len__(self) -> int:
        return int(self.starts[-1])

    def within(self, position: int) -> slice:
        """Return the global rows of the part at `position` among the ordered parts."""
        return slice(int(self.starts[position]), int(self.starts[position + 1]))


def check_keep(keep: str, *, earlier: Mapping[str, Step]) -> None:
    """Raise RecipeError unless `keep` is a word or a number that an earlier step measures."""
    if keep in ("first", "longest"):
        return
    name = keep.removeprefix("-")
    label, _, signal = name.rpartition(".")
    signals = {each.name: each for each in earlier[label].signals} if label in earlier else {}
    if signal not in signals:
        known = [f"{label}.{each.name}" for label, step in earlier.items() for each in step.signals]
        hint = f"Did you mean {nearest_names(name, known)}?" if known else "No step stands before; use `longest`."
        raise RecipeError(f"keep: `{name}` is not a signal of an earlier step. {hint}")
    kind = signals[signal].type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise RecipeError(f"keep: {name} holds {kind}; it must be numbers. Name another signal, or `longest`.")


def keep_scores(rows: Rows, *, keep: str, num_bytes: np.ndarray) -> np.ndarray:
    """Return float64[num_rows]: the document of the highest score is kept. Nulls become NaN, the lowest."""
    if keep == "first":
        return np.zeros(len(rows))
    if keep == "longest":
        return num_bytes.astype(np.float64)
    scores = [part_scores(part, keep=keep, num_bytes=num_bytes) for part in rows.parts]
    return np.concatenate([np.zeros(0), *scores])


def part_scores(part: Part, *, keep: str, num_bytes: np.ndarray) -> np.ndarray:
    """Return float64[num_docs] of one part, of which `num_bytes` are the sizes: the highest is kept, NaN is lowest."""
    if keep == "first":
        return np.zeros(part.num_rows)
    if keep == "longest":
        return num_bytes.astype(np.float64)
    name = keep.removeprefix("-")
    column = part.load_signals([name]).column(name)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise RecipeError(f"keep: {name} holds {column.type}; it must be numbers. Name another signal, or `longest`.")
    scores = column.cast(pa.float64()).to_numpy()
    return -scores if keep.startswith("-") else scores


@dataclass(frozen=True, slots=True)
class KeptIds:
    """The ids of the kept rows that have duplicates."""

    rows: np.ndarray  # int64[num_kept], ascending
    ids: pa.Array  # string[num_kept]

    @staticmethod
    def of(rows: Rows, *, kept: np.ndarray) -> KeptIds:
        """Read the ids of all rows that some other row is a duplicate of."""
        return KeptIds.at(rows, wanted=np.unique(kept[kept != np.arange(len(kept))]))

    @staticmethod
    def at(rows: Rows, *, wanted: np.ndarray) -> KeptIds:
        """Read the ids of these rows, ascending and each once."""
        found = [pa.array([], pa.string())]
        for position, part in enumerate(rows.parts):
            first, end = np.searchsorted(wanted, rows.starts[position : position + 2])
            if end > first:
                local = pa.array(wanted[first:end] - rows.starts[position])
                found.append(part.load(("id",)).column("id").take(local).combine_chunks().cast(pa.string()))
        return KeptIds(rows=wanted, ids=pa.concat_arrays(found))

    def kept_for(self, kept: np.ndarray, *, is_duplicate: np.ndarray) -> pa.Array:
        """Return string[num_rows]: the id of the kept document for duplicates, else null."""
        return self.ids.take(pa.array(np.searchsorted(self.rows, kept), mask=~is_duplicate))


def write_duplicates(work: Gathering, rows: Rows, *, kept: np.ndarray, columns: Mapping[str, np.ndarray]) -> None:
    """Write these columns of all rows, `duplicate_of` and `is_duplicate`, part by part."""
    ids = KeptIds.of(rows, kept=kept)
    for position, part in enumerate(rows.parts):
        here = rows.within(position)
        is_duplicate = kept[here] != np.arange(here.start, here.stop)
        found = {
            "duplicate_of": ids.kept_for(kept[here], is_duplicate=is_duplicate),
            "is_duplicate": is_duplicate.astype(np.int8),
        }
        work.write(part, {name: values[here] for name, values in columns.items()} | found)
