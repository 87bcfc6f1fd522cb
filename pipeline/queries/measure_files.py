"""`measure`: files in, a row out for every document: its signals, verdict and first reason, without a recipe.

The same readers, steps and rules as in a run, so the same values; but nothing is stored beside the one file that is
asked for, and nothing is reused. Rows keep the order of the files and of the rows in them. A slice of input (about
64 MiB) is the unit of work and memory: its rows wait in a hidden folder beside the output until all are there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.arrow import as_flags
from pipeline.core.errors import RecipeError, nearest_names
from pipeline.core.files.parquet.shards import read_table, windows, write_table, write_tables
from pipeline.core.files.writing.output import parts_folder, require_free, unfinished
from pipeline.core.step import MeasuringStep, Rule
from pipeline.core.text.batch import Batch
from pipeline.engine.executors import Executor
from pipeline.engine.measure import StepRef, measure_batch, prepared
from pipeline.engine.progress import Progress
from pipeline.engine.single_step import Caller, ready_step
from pipeline.recipe.names import label_of, reader_class, step_class, steps_of
from pipeline.recipe.python_recipe import plain_copy
from pipeline.recipe.settings import head, put
from pipeline.sources.files import matches
from pipeline.sources.quarantine import refuse_empty
from pipeline.sources.reader import Reader, Slice
from pipeline.store.dataset.chain import ERROR, TEXT
from pipeline.store.dataset.decide import Reasons, failures, named

CALLER = Caller(name="measure", place="measure: ", sees="one document at a time")
SOURCE = "files"
WARC = "warc"  # the reader whose documents are no rows with columns
QUARANTINED = pa.schema([(name, pa.string()) for name in ("id", "place", "reason", "excerpt")])


@dataclass(frozen=True, slots=True)
class LabelledStep:
    """A measuring step with its rules; `label` begins the names of its columns."""

    label: str
    ref: StepRef
    rules: tuple[Rule, ...]
    fields: tuple[tuple[str, pa.DataType], ...]


@dataclass(frozen=True, slots=True)
class SliceTask:
    """Measure one slice of one file."""

    label: str
    number: int
    reader: Reader
    slice: Slice
    steps: tuple[LabelledStep, ...]
    schema: pa.Schema
    folder: Path


@dataclass(frozen=True, slots=True)
class MeasuredSlice:
    """What one slice gave: files of rows and of quarantined rows, in order, and counts."""

    files: tuple[str, ...]
    refused: tuple[str, ...]
    rows_in: int
    kept: int
    reasons: Mapping[str, int]
    quarantined: Mapping[str, int]
    first: str  # place of the first row quarantined


def measure(
    files: Sequence[Path],
    *,
    steps: Sequence[str | Mapping[str, Any]],
    out: Path,
    settings: Mapping[str, Any],
    text: bool,
    columns: Mapping[str, Any],
    executor: Executor,
    progress: Progress,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write one row per document of `files` to `out`, over what is there only with `overwrite`; return counts.

    A step is its name, or a name with its parameters as in a recipe. `settings` maps `step.parameter` to values;
    `columns` are the readers' parameters `text` and `id`. With `text` the output also has each document's text as the
    steps left it: a dropped document's as the step that dropped it read it, since a step's edits are for those that it
    keeps, and the steps behind it would not see this one.
    """
    given = [str(file.absolute()) for file in files]
    command = [given, repr(list(steps)), repr(sorted(settings.items())), text, dict(columns), overwrite]
    folder = parts_folder(out, command)
    files = _expanded(files)
    chosen = chosen_steps(steps, settings, shared=folder / "prepared")
    schema = _schema(chosen.steps, text=text)
    if out.resolve() in [file.resolve() for file in files]:
        raise RecipeError(f"{out}: is also an input. Give the output another name.")
    require_free(out, parts=folder, overwrite=overwrite)
    tasks = [
        SliceTask(f"{out.name} from {piece.label}", number, reader, piece, chosen.steps, schema, folder)
        for number, (reader, piece) in enumerate(_slices(files, {**columns, "metadata": _metadata(chosen.steps)}))
    ]
    with unfinished(out, parts=folder):
        progress.begin("measure", total=len(tasks), unit="slices")
        found: list[MeasuredSlice] = executor.map(
            measure_slice,
            tasks,
            label="measure",
            done=lambda result: progress.advance(1, documents=result.rows_in),
            apart=lambda task: task.reader.may_break(task.slice),
        )
        _refuse_empty(files, found, [task.reader for task in tasks])
        progress.end()
        refused = [folder / name for done in found for name in done.refused]
        place = out.with_name(f"{out.name}.quarantined.parquet")
        place.unlink(missing_ok=True)
        if refused:
            write_tables(place, (read_table(path) for path in refused), schema=QUARANTINED)
        write_tables(out, (read_table(folder / name) for done in found for name in done.files), schema=schema)
    return {
        "out": str(out),
        "rows_in": sum(done.rows_in for done in found),
        "kept": sum(done.kept for done in found),
        "dropped": _total([done.reasons for done in found]),
        "quarantined": _total([done.quarantined for done in found]),
        "quarantined_rows": str(place) if refused else None,
        "columns": schema.names,
        "left_out": list(chosen.left_out),
    }


def _expanded(files: Sequence[Path]) -> list[Path]:
    """Return the files that paths and quoted globs name, those of a glob sorted."""
    found: list[Path] = []
    for file in files:
        if file.is_dir():
            raise RecipeError(f"{file}: is a folder; name its files, such as {file}/*.jsonl.")
        found += [file] if file.exists() else sorted(matches(str(file))) or [file]
    return found


def _refuse_empty(files: Sequence[Path], found: Sequence[MeasuredSlice], readers: Sequence[Reader]) -> None:
    reasons = _total([done.quarantined for done in found])
    first = next((done.first for done in found if done.first), "")
    refuse_empty(
        ", ".join(str(file) for file in files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else ""),
        rows_in=sum(done.rows_in for done in found), reasons=reasons, first=first, readers=readers,
        way_out="Give --text-column (and --id-column) the keys that hold the text and the id.",
    )  # fmt: skip


def _total(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(total.most_common())


@dataclass(frozen=True, slots=True)
class ChosenSteps:
    """The steps to measure with, and those of a preset that need a whole dataset and are left out."""

    steps: tuple[LabelledStep, ...]
    left_out: tuple[str, ...]


def chosen_steps(
    wanted: Sequence[str | Mapping[str, Any]], settings: Mapping[str, Any], *, shared: Path | None = None
) -> ChosenSteps:
    """Return the steps with the parameters that come with them and in `settings`; a repeated one gets a number.

    A preset stands for its steps; those that gather are left out of it, and refused where they are named themselves.
    """
    if not wanted:
        raise RecipeError("measure: no steps are given; name at least one measuring step, such as gopher_quality.")
    found: list[tuple[str, dict[str, Any]]] = []
    left_out: list[str] = []
    for entry in wanted:
        name, body = _entry(entry)
        for step, given in steps_of(name) if body is None else ((name, body),):
            if step != name and not issubclass(step_class(step), MeasuringStep):
                left_out.append(step)
            else:
                found.append((step, dict(given)))
    plain = [label_of(name) for name, _ in found]
    labels = [name if not (n := plain[:place].count(name)) else f"{name}_{n + 1}" for place, name in enumerate(plain)]
    bodies = dict(zip(labels, (body for _, body in found), strict=True))
    by_name = {name: body for name, body in reversed(found)} | bodies
    for place, value in settings.items():
        step, key = head(place, by_name)
        if step not in by_name or not key:
            raise RecipeError(
                f"--set {place}: it must begin with one of the steps and a dot. Did you mean "
                f"{nearest_names(step, labels)}?"
            )
        put(by_name[step], key.split("."), value, place=place)
    made = [_labelled(label, name, bodies[label], shared) for label, (name, _) in zip(labels, found, strict=True)]
    return ChosenSteps(steps=tuple(made), left_out=tuple(left_out))


def _entry(step: str | Mapping[str, Any]) -> tuple[str, Mapping[str, Any] | None]:
    """Return a step's name and the parameters that come with it, None for a name alone."""
    if isinstance(step, str):
        return step, None
    if len(step) == 1:
        name, body = next(iter(step.items()))
        if body is None or isinstance(body, Mapping):
            return name, plain_copy(body or {})
    raise RecipeError(f"measure: {step!r} must be a step's name, or one name with a mapping of its parameters.")


def _labelled(label: str, name: str, body: dict[str, Any], shared: Path | None) -> LabelledStep:
    ready = ready_step(name, body, caller=CALLER, label=label, shared=shared)
    fields = tuple((signal.name, _decoded(signal.type)) for signal in ready.step.signals)
    return LabelledStep(label=label, ref=ready.ref, rules=ready.rules, fields=fields)


def _decoded(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _schema(steps: Sequence[LabelledStep], *, text: bool) -> pa.Schema:
    fields = [("id", pa.string()), ("kept", pa.bool_()), ("reason", pa.string()), ("error", pa.string())]
    fields += [(f"{step.label}.{name}", kind) for step in steps for name, kind in step.fields]
    return pa.schema([*fields, *([("text", pa.large_string())] if text else [])])


def _metadata(steps: Sequence[LabelledStep]) -> str:
    """Return the readers' parameter `metadata`: turning columns into JSON takes time, so only where a step looks."""
    kinds = [step_class(step.ref.name) for step in steps]
    return "all" if any(issubclass(kind, MeasuringStep) and "metadata" in kind.needs for kind in kinds) else "none"


def _slices(files: Sequence[Path], columns: Mapping[str, Any]) -> list[tuple[Reader, Slice]]:
    """Return every slice with its reader, in the order of the files."""
    order: dict[str, int] = {}
    by_reader: dict[str, list[str]] = {}
    for file in files:
        if not file.is_file():
            raise RecipeError(f"{file}: no such file. Correct the path.")
        if str(file) not in order:
            order[str(file)] = len(order)
            by_reader.setdefault(_reader_of(file), []).append(str(file))
    found: list[tuple[Reader, Slice]] = []
    for name, paths in by_reader.items():
        kind = reader_class(name)
        if name == WARC and (columns.get("text", "text"), columns.get("id")) != ("text", None):
            raise RecipeError(f"{paths[0]}: a web archive has no columns. Take out --text-column and --id-column.")
        fields = dict(columns) if name != WARC else {}
        if "in_place" in kind.Params.model_fields:
            fields["in_place"] = False  # every text is at hand once, and none is stored
        reader = kind(params=kind.Params.parse({**fields, "path": paths}), source=SOURCE, base=Path.cwd())
        try:
            reader.check()
        except RecipeError as error:
            hint = " See --text-column." if name != WARC else ""
            raise RecipeError(f"{str(error).removeprefix(f'sources.{SOURCE}: ')}{hint}") from error
        found.extend((reader, piece) for piece in reader.slices())
    return sorted(found, key=lambda item: order[item[1].path])


def _reader_of(file: Path) -> str:
    """Return the name of the reader for a file: by its ending, or else by whether it begins as parquet does."""
    if file.suffix == ".parquet":
        return "parquet"
    if file.name.removesuffix(".gz").endswith(".warc"):
        return WARC
    with file.open("rb") as opened:
        return "parquet" if opened.read(4) == b"PAR1" else "jsonl"


def measure_slice(task: SliceTask) -> MeasuredSlice:
    """Measure and judge one slice; write its rows, and apart from them those that are no documents."""
    files: list[str] = []
    refused: list[str] = []
    reasons: Counter[str] = Counter()
    quarantined: Counter[str] = Counter()
    rows_in = kept = 0
    first = ""
    for number, chunk in enumerate(task.reader.read(task.slice)):
        rows_in += chunk.rows_in
        if chunk.quarantined:
            first = first or chunk.quarantined[0].place
            refused.append(f"refused-{task.number:05d}-{number:03d}.parquet")
            rows = [{name: getattr(row, name) for name in QUARANTINED.names} for row in chunk.quarantined]
            write_table(task.folder / refused[-1], pa.Table.from_pylist(rows, schema=QUARANTINED))
            quarantined.update(str(row.reason) for row in chunk.quarantined)
        if chunk.table.num_rows:
            files.append(f"rows-{task.number:05d}-{number:03d}.parquet")
            measured = pa.concat_tables(_measured(task, chunk.table))
            write_table(task.folder / files[-1], measured)
            told = measured.column("reason").value_counts().to_pylist()
            reasons.update({row["values"]: row["counts"] for row in told if row["values"] is not None})
            kept += measured.column("reason").null_count
    return MeasuredSlice(tuple(files), tuple(refused), rows_in, kept, reasons, quarantined, first)


def _measured(task: SliceTask, table: pa.Table) -> Iterator[pa.Table]:
    """Yield the output rows of one chunk, a few MB of text at a time."""
    for start, stop in windows(table):
        batch = Batch.from_table(table.slice(start, stop - start))
        found: list[dict[str, pa.Array]] = []
        read: list[pa.Array] = []
        for step in task.steps:
            read.append(batch.text)
            found.append(measure_batch(prepared(step.ref), batch))
            if TEXT in found[-1]:
                batch = batch.edited(found[-1][TEXT])
        dropped_by, verdicts = _verdicts(task.steps, found, len(batch))
        columns = {"id": batch.ids, **verdicts}
        for step, signals in zip(task.steps, found, strict=True):
            columns |= {f"{step.label}.{name}": signals[name].cast(kind) for name, kind in step.fields}
        if "text" in task.schema.names:
            columns["text"] = _texts_left([*read, batch.text], dropped_by)
        yield pa.table(columns, schema=task.schema)


def _texts_left(read: Sequence[pa.Array], dropped_by: np.ndarray) -> pa.Array:
    """Return for each row the text that the step of this number read; the last is what all steps left."""
    left = read[-1]
    for number, texts in enumerate(read[:-1]):
        if texts is not read[-1]:
            left = pc.if_else(pa.array(dropped_by == number), texts, left)
    return left


def _verdicts(
    steps: Sequence[LabelledStep], found: Sequence[Mapping[str, pa.Array]], rows: int
) -> tuple[np.ndarray, dict[str, pa.Array]]:
    """Return the number of the step that dropped each row, of no step for a kept one; and columns.

    They are kept, first reason (`step.rule`, or the step that the document broke) and what broke it.
    """
    reasons, told = Reasons(rows), pa.nulls(rows, pa.string())
    for number, (step, signals) in enumerate(zip(steps, found, strict=True)):
        failed = failures(step.rules, pa.table({name: signals[name] for name, _ in step.fields}))
        reasons.add(failed, broken=as_flags(signals[ERROR].is_valid()))
        told = pc.if_else(pa.array(reasons.broken == number), signals[ERROR], told)
    names = [(f"{step.label}.{rule.name}", number) for number, step in enumerate(steps) for rule in step.rules]
    step_of_rule = np.array([number for _, number in names] + [len(steps)])  # the last for rule -1: none
    dropped_by = np.where(reasons.broken < 0, step_of_rule[reasons.rule], reasons.broken)
    broken = named([step.label for step in steps], reasons.broken)
    return dropped_by, {
        "kept": pa.array(reasons.kept),
        "reason": pc.coalesce(named([name for name, _ in names], reasons.rule), broken),
        "error": told,
    }
