"""What a worker does with one part: read a slice, measure it, publish it. Module-level, picklable in and out.

Every task writes its files atomically and finds them again after a crash, so a task run twice writes once. Documents
that break a step are found by halving the batch, cost only themselves, and keep the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.core.arrow import from_zero
from pipeline.core.errors import DataError, TamisError
from pipeline.core.files.names import CARD
from pipeline.core.files.parquet.shards import windows
from pipeline.core.files.writing.sums import is_whole
from pipeline.core.step import Measured, MeasuringStep, Rule, as_column
from pipeline.core.text.batch import Batch
from pipeline.core.text.cut import RANGES
from pipeline.engine.sketching import Sketching, SketchRef, fixed_rules, survives
from pipeline.recipe.plugins import PluginFile
from pipeline.store.dataset.chain import (
    ERROR,
    KEPT,
    TEXT,
    ChainReader,
    Link,
    edited_text,
    passing,
    write_signals,
)
from pipeline.store.dataset.spool import Spool, Spooling


@dataclass(frozen=True, slots=True)
class StepRef:
    """A step as a worker rebuilds it: catalog name, parameters as JSON, readable input files by parameter."""

    name: str
    params: str
    inputs: tuple[tuple[str, tuple[str, ...]], ...]
    identity: str  # of the node: the same paths with other content are another step to prepare
    plugin: PluginFile | None = None  # unpickling it makes the step's name known
    shared: str | None = None  # folder of what workers prepare once for all; None: each for itself


@lru_cache(maxsize=64)
def prepared(ref: StepRef) -> MeasuringStep:
    """Return the step, made and prepared once per worker."""
    from pipeline.recipe.names import step_class

    kind = step_class(ref.name)
    step = kind(params=kind.Params.model_validate_json(ref.params))
    assert isinstance(step, MeasuringStep)
    step.shared = None if ref.shared is None else Path(ref.shared)
    step.prepare({key: [Path(path) for path in paths] for key, paths in ref.inputs})
    return step


@dataclass(frozen=True, slots=True)
class MeasureTask:
    """Measure one part with neighbouring steps, some of which may have their file of it already."""

    label: str
    reader: ChainReader  # base text with the edits made before these steps
    steps: tuple[tuple[StepRef, Link], ...]
    sketches: tuple[SketchRef, ...] = ()  # of the gathering steps that come next
    spool: Spool | None = None  # for what comes after
    num_parts: int = 1  # of the dataset, all of which may be spooled
    taken: frozenset[int] = frozenset()  # numbers of the steps whose file is an earlier result's


def measure_part(task: MeasureTask, *, tables: Iterable[pa.Table] | None = None) -> int:
    """Write one signals file per step, sketches and the spool for later ones; return the number of documents.

    `tables` are all documents of the part in order, where they are in memory.
    """
    part = task.reader.base
    todo = [
        number not in task.taken and not _is_measured(link, part.index) for number, (_, link) in enumerate(task.steps)
    ]
    sketching = Sketching.of(task.sketches, index=part.index)
    if not any(todo) and not sketching.refs:
        return part.num_rows
    columns: list[list[dict[str, pa.Array]]] = [[] for _ in task.steps]
    spooling = Spooling() if task.spool is not None else None
    last = max(
        index
        for index, wanted in enumerate([*todo, *sketching.refs, spooling])
        if wanted is not None and wanted is not False
    )
    choosing = bool(sketching.refs) or spooling is not None
    rules = [fixed_rules(prepared(ref)) if choosing else () for ref, _ in task.steps]
    alive = _alive_before(task, rules, todo=todo) if choosing else np.zeros(part.num_rows, bool)
    needs = {name for index, (ref, _) in enumerate(task.steps) if todo[index] for name in prepared(ref).needs}
    reader = ChainReader(base=part, links=tuple(link for link in task.reader.links if link.edits))
    stored = {
        index: reader.edit_by(link)
        for index, (_, link) in enumerate(task.steps[: last + 1])
        if link.edits and not todo[index]
    }
    ids, row = [], 0
    for table in reader.pieces(("id", "text", *sorted(needs))) if tables is None else tables:
        ids.append(table.column("id").combine_chunks())
        for start, stop in windows(table):
            batch = Batch.from_table(table.slice(start, stop - start))
            here = slice(row, row + len(batch))
            for index, (ref, link) in enumerate(task.steps[: last + 1]):
                if index in stored:  # what it measured stands: later steps must see the text that it left then
                    text = edited_text(pa.chunked_array([batch.text]), stored[index].slice(row, len(batch)))
                    batch = batch.edited(text.combine_chunks())
                if not todo[index]:
                    continue
                found = measure_batch(prepared(ref), batch)
                if choosing:
                    alive[here] &= survives(rules[index], found)
                if link.edits:
                    batch = batch.edited(found[TEXT])
                if KEPT in found:
                    del found[TEXT]
                columns[index].append(found)
            if choosing:
                living, rows = _living(batch, alive[here]), row + np.flatnonzero(alive[here])
                sketching.add(living, rows)
                if spooling is not None:
                    spooling.add(living.text, rows=rows, sizes=np.diff(batch.offsets))
            row += len(batch)
    sketching.save()
    if spooling is not None and task.spool is not None:
        spooling.save(task.spool, part.index, parts=task.num_parts)
    for index, (_, link) in enumerate(task.steps):
        if todo[index]:
            write_signals(link.file(part.index), _joined(columns[index]), ids=pa.chunked_array(ids))
    return part.num_rows


def _living(batch: Batch, alive: np.ndarray) -> Batch:
    """Return the documents of a batch that are alive."""
    if alive.all():
        return batch
    keep = pa.array(alive)
    return Batch(ids=batch.ids.filter(keep), text=batch.text.filter(keep))


def _is_measured(link: Link, index: int) -> bool:
    """Say whether a step's file of part `index` is there: the card answers for it, or else its sum."""
    return (link.folder / CARD).exists() or is_whole(link.file(index))


def _alive_before(task: MeasureTask, rules: Sequence[Sequence[Rule]], *, todo: Sequence[bool]) -> np.ndarray:
    """Return bool[base rows], writable: who passed the links before and, by these rules, the steps that are done."""
    alive = task.reader.alive().copy()
    for (_, link), known, wanted in zip(task.steps, rules, todo, strict=True):
        if not wanted:
            alive &= passing(replace(link, rules=tuple(known)), task.reader.base)
    return alive


def measure_batch(step: MeasuringStep, batch: Batch) -> dict[str, pa.Array]:
    """Return every signal of a batch plus `error`; a document that breaks the step gets nulls and its reason there."""
    if not len(batch):
        return _columns(step, step.measure(batch), pa.nulls(0, pa.string()))
    try:
        return _columns(step, step.measure(batch), pa.nulls(len(batch), pa.string()))
    except (TamisError, OSError):
        raise  # said for the user, or the machine's fault: no document's
    except Exception as error:  # a step may raise anything; the document pays, not the run
        if len(batch) == 1 and isinstance(error, MemoryError):
            raise  # the machine's fault too: elsewhere the document would be measured
        if len(batch) == 1:
            return _nulls(step, f"{type(error).__name__}: {error}"[:300])
    middle = len(batch) // 2
    halves = [
        Batch(
            ids=batch.ids[a:b],
            text=from_zero(batch.text[a:b]),
            metadata=None if batch.metadata is None else batch.metadata[a:b],
        )
        for a, b in ((0, middle), (middle, len(batch)))
    ]
    return _joined([measure_batch(step, half) for half in halves])


def _columns(step: MeasuringStep, measured: Measured, errors: pa.Array) -> dict[str, pa.Array]:
    found = {signal.name: as_column(measured.signals[signal.name], signal=signal) for signal in step.signals}
    if step.edits:
        found[TEXT] = measured.text if measured.text is not None else pa.nulls(len(errors), pa.large_string())
    if step.cuts:
        found[KEPT] = measured.kept if measured.kept is not None else pa.nulls(len(errors), RANGES)
    for name, column in found.items():
        if len(column) != len(errors):
            # no document's fault, so none may pay: halved down to one document, a step that counts wrong looks right
            raise DataError(
                f"step `{step.name}`: `{name}` has {len(column)} values for {len(errors)} documents. Return one for "
                "each document, in their order."
            )
    return {**found, ERROR: errors}


def _nulls(step: MeasuringStep, reason: str) -> dict[str, pa.Array]:
    found = {signal.name: pa.nulls(1, signal.type) for signal in step.signals}
    if step.edits:
        found[TEXT] = pa.nulls(1, pa.large_string())
    if step.cuts:
        found[KEPT] = pa.nulls(1, RANGES)
    return {**found, ERROR: pa.array([reason], type=pa.string())}


def _joined(pieces: Sequence[Mapping[str, pa.Array]]) -> dict[str, pa.Array]:
    return {name: pa.concat_arrays([_plain(piece[name]) for piece in pieces]) for name in pieces[0]} if pieces else {}


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column
