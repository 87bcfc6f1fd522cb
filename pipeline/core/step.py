"""What a step is: parameters, signals, rules, and one of three ways to work.

A *measuring* step sees one batch of documents at a time and returns one value per document and signal (an *editing*
step also returns rewritten text). A *gathering* step sees a whole dataset. A *making* step writes new documents.
Deciding is never a step's own code: a rule is `signal op threshold`, stated as what a document must meet to be kept,
and the engine applies it to the stored signals. So parameters come in two kinds: those that change a measurement,
and those that only decide (`decides(...)`); editing the second kind measures nothing again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, get_args, runtime_checkable

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from pipeline.core.claude.messages.request import NOBODY, Buyer
from pipeline.core.document import Origin
from pipeline.core.errors import RecipeError
from pipeline.core.strict_model import StrictModel

if TYPE_CHECKING:
    from pipeline.core.claude.accounting.forecast import Forecast, Outlook
    from pipeline.core.text.batch import Batch

Operator = Literal[">=", ">", "<=", "<", "==", "!="]
# What a parameter does: it changes what is measured; it decides over what was measured; it names datasets or files
# (`input`) or a dedup store (`store`), which count by their content; it stops a run (`alarm`) or tells `how` to work,
# and changes no result.
Role = Literal["measure", "decide", "input", "store", "alarm", "how"]


class Params(StrictModel):
    """A step's parameters: frozen, strict, unknown keys refused."""

    max_drop_fraction: float = Field(
        default=1.0, ge=0, le=1, json_schema_extra={"role": "alarm"},
        description="Stop the run if this step alone drops a larger share of its input.",
    )  # fmt: skip
    max_drift: float = Field(
        default=1.0, ge=0, le=1, json_schema_extra={"role": "alarm"},
        description="Stop the run if that share lies further than this outside the band of the dataset's earlier runs.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _limits_meet(self) -> Self:
        for name in type(self).model_fields:
            other = name.replace("min_", "max_", 1)
            least, most = getattr(self, name), getattr(self, other, None)
            if not (name.startswith("min_") and isinstance(least, (int, float)) and isinstance(most, (int, float))):
                continue
            if least > most:
                raise ValueError(f"{name} {least:g} is above {other} {most:g}, and no document meets both")
        return self

    def of_role(self, role: Role) -> dict[str, Any]:
        """Return the parameters of one role that differ from their defaults."""
        changed = self.model_dump(mode="json", exclude_defaults=True)
        return {key: value for key, value in changed.items() if self.role_of(key) == role}

    @classmethod
    def role_of(cls, key: str) -> Role:
        """Return what a parameter does, `measure` unless it was declared otherwise."""
        extra = cls.model_fields[key].json_schema_extra
        role: Any = extra.get("role", "measure") if isinstance(extra, dict) else "measure"
        if role not in get_args(Role):
            raise ValueError(f"parameter `{key}` has the role {role!r}; it must be one of {', '.join(get_args(Role))}")
        found: Role = role
        return found


def decides(default: Any, **constraints: Any) -> Any:
    """Declare a parameter that only decides: a threshold, never part of a measurement's identity."""
    return Field(default=default, json_schema_extra={"role": "decide"}, **constraints)


def input_names(default: Any = ..., **constraints: Any) -> Any:
    """Declare a parameter that names datasets or files; its identity is their content, not the words."""
    return Field(default=default, json_schema_extra={"role": "input"}, **constraints)


def how(default: Any, **constraints: Any) -> Any:
    """Declare a parameter that paces or bounds a run and never changes a result, so it is not part of an identity."""
    return Field(default=default, json_schema_extra={"role": "how"}, **constraints)


ENGINE_COLUMNS = ("id", "text", "kept_ranges", "error")  # the engine's own beside the signals; no signal is called so


@dataclass(frozen=True, slots=True)
class Scale:
    """The least and the greatest value that a score can have."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Signal:
    """One measured column: its name inside the step (none of ENGINE_COLUMNS), Arrow type, unit and meaning."""

    name: str
    type: pa.DataType
    unit: str
    meaning: str
    scale: Scale | None = None  # of a score: a threshold outside of it is a mistake of the recipe


@dataclass(frozen=True, slots=True)
class Rule:
    """What a document must meet to be kept: `signal op threshold`. A null or NaN value passes: nothing was measured."""

    name: str  # the reason that a dropped document carries
    signal: str
    op: Operator
    threshold: float
    parameter: str = ""  # the recipe key that sets the threshold, for what-if and why


@dataclass(frozen=True, slots=True)
class Measured:
    """A measuring step's answer for one batch: every declared signal, and the new text where the step edits.

    `signals` maps each declared name to `num_docs` values (numpy array or Arrow array). `text` is None for a step that
    does not edit, else a large_string array of `num_docs`, null where the text stays as it is. A step that `cuts` also
    gives `kept`: which byte ranges of the old text the new one is made of, list<int32> as in `pipeline.core.text.cut`,
    null where `text` is null; they are stored instead of the text.
    """

    signals: Mapping[str, Any]
    text: pa.Array | None = None
    kept: pa.Array | None = None


class Quantile(Protocol):
    """Answers the value of a signal below which the given fraction of the live documents lies."""

    def __call__(self, signal: str, fraction: float) -> float: ...


@runtime_checkable
class Population(Quantile, Protocol):
    """A quantile of a finished step's signals that also knows how long the live documents are, and the step's card."""

    def holding(self, signal: str, num_bytes: float) -> float:
        """Return the least value from which on the live documents hold at most so many bytes of text."""
        ...

    def details(self) -> Mapping[str, Any]:
        """Return what the step noted in its card."""
        ...


class Step:
    """What all steps share. Subclass MeasuringStep, GatheringStep or MakingStep, never this."""

    name: ClassVar[str]  # as written in a recipe
    version: ClassVar[int] = 1  # bump whenever an output or a default changes
    Params: ClassVar[type[Params]] = Params
    signals: tuple[Signal, ...] = ()  # of a class, or of one step whose parameters say how many or what they are
    edits: bool = False
    cuts: ClassVar[bool] = False  # its edits only take away; `pipeline.core.text.cut`
    wants: ClassVar[Mapping[str, int]] = {}  # `step.signal` before this one -> documents that must have a value
    foreign: ClassVar[bool] = False  # runs code, models or expressions that are not ours and may cost the process
    leans_on: ClassVar[tuple[str, ...]] = ()  # distributions whose version can change a signal, such as py3langid

    def __init__(self, *, params: Any) -> None:
        self.params = params  # of this class's own Params

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return this step's rules in the order in which the first failure is reported."""
        return ()

    def check(self, earlier: Mapping[str, Step]) -> None:
        """Raise RecipeError if this step cannot work after `earlier`, the steps before it in its dataset, by label."""

    def check_environment(self) -> None:
        """Raise RecipeError if a run of this step would lack something, such as a key; called before any work."""

    def identity_extras(self) -> dict[str, Any]:
        """Return what else can change this step's output: versions of libraries that it leans on, an endpoint."""
        if not self.leans_on:
            return {}
        from importlib.metadata import PackageNotFoundError, version

        try:
            return {name: version(name) for name in self.leans_on}
        except PackageNotFoundError as error:
            raise RecipeError(
                f"step `{self.name}` needs the package {error.name}, and it is not installed. "
                f"Install it, or the extra that holds it (README): pip install {error.name}."
            ) from error


class MeasuringStep(Step):
    """Documents in, one value per document and signal out; knows one batch at a time and no files."""

    needs: ClassVar[tuple[Literal["metadata"], ...]] = ()  # columns that the batch must hold besides id and text
    shared: Path | None = None  # where `prepare` may leave files, named by their content, for all workers to map

    def prepare(self, inputs: Mapping[str, Sequence[Path]]) -> None:
        """Load what `measure` needs, once per worker. `inputs` maps each `input_names` field to readable files."""

    def measure(self, batch: Batch) -> Measured:
        """Measure every document of the batch; must not depend on batch boundaries or on other documents."""
        raise NotImplementedError


class EditingStep(MeasuringStep):
    """A measuring step that also rewrites: its `measure` returns the new texts too, null where one stays as it is."""

    edits = True


@dataclass(frozen=True, slots=True)
class Part:
    """One shard as a gathering step sees it: only the documents still alive, positions 0 to num_rows - 1. Picklable.

    `load(columns)` reads documents columns (id, text, source, origin, lineage, metadata) with all edits applied;
    `load_signals("step.signal", ...)` reads signals of earlier steps of the same chain, row for row with `load`.
    """

    index: int
    num_rows: int
    reader: Any  # pipeline-owned, picklable

    def load(self, columns: Sequence[str] = ("id", "text")) -> pa.Table:
        table: pa.Table = self.reader.load(columns)
        return table

    def load_signals(self, names: Sequence[str]) -> pa.Table:
        table: pa.Table = self.reader.load_signals(names)
        return table

    def load_some(self, columns: Sequence[str], positions: np.ndarray) -> pa.Table:
        """Return the documents at some positions, in this order; far apart, they cost little less than all."""
        unique, places = np.unique(positions, return_inverse=True)
        table: pa.Table = self.reader.load_rows(columns, self.rows()[unique].tolist())
        return table.take(pa.array(places))

    def rows(self) -> np.ndarray:
        """Return int64[num_rows]: the base row of each live document, ascending."""
        rows: np.ndarray = np.flatnonzero(self.reader.alive())
        return rows

    def batch(self) -> Batch:
        """Return the live documents as a Batch, for kernels."""
        from pipeline.core.text.batch import Batch

        return Batch.from_table(self.load(("id", "text")))


@dataclass(slots=True)
class Gathering:
    """All that a gathering step may touch. The engine makes it; the step returns nothing and writes through it.

    `map(function, items, label=..)` runs a module-level function on picklable items in worker processes and returns
    the results in item order. `scratch` is a folder that survives a crash and is deleted once the step's card is
    written: a step that saves a file there with `scratch.write_scratch` and finds it again with `sums.is_whole` has
    resumed. `write(part, ..)` stores one value per live document; a step that edits adds the column `text`, null where
    a document stays as it is. What the step puts into `details` (plain JSON) stands in its card.
    """

    parts: Sequence[Part]
    scratch: Path
    output: Path  # for files that stay beside the card: a model, a table of labels
    seed: int
    inputs: Mapping[str, Sequence[Path]]
    map: Callable[..., list[Any]]
    write: Callable[[Part, Mapping[str, Any]], None]
    say: Callable[[str], None]  # one line of progress
    ledger: Path  # the workspace's durable log of paid requests
    wanted: Mapping[str, int] = field(default_factory=dict)  # own signal -> documents that later steps need it of
    details: dict[str, Any] = field(default_factory=dict)
    cost_usd: float = 0.0
    memory_bytes: int = 2 << 30  # that the step may use besides Python itself, its workers together
    workers: int = 1  # processes that `map` may use at a time; neither number may change what is written
    wait: bool = True  # False: raise PendingError rather than wait hours for others
    buyer: Buyer = NOBODY  # for whom requests are paid
    signals_before: Sequence[str] = ()  # `label.signal` of the steps before it, which `Part.load_signals` reads
    spread_write: Callable[..., Any] | None = None  # the engine's own way for `write_by`

    def write_by(self, function: Callable[[Any], Mapping[str, Any]], jobs: Sequence[Any], *, label: str) -> None:
        """Have `write(job.part, function(job))` done for every job, in worker processes as `map` has its functions."""
        if self.spread_write is not None:
            self.spread_write(function, jobs, label)
            return
        for job, columns in zip(jobs, self.map(function, jobs, label=label), strict=True):
            self.write(job.part, columns)


class GatheringStep(Step):
    """A whole dataset in, one value per document and signal out: dedup, labelling, training a classifier."""

    def sketcher(self) -> Sketcher | None:
        """Return what makes of texts all that `gather` needs of each, for the pass before it; see `core/sketch.py`."""
        return None

    def gather(self, work: Gathering) -> None:
        raise NotImplementedError

    def estimate_usd(self, num_documents: int) -> float:
        """Return the dollars that this step may spend at most, for the plan; 0 documents: their number is unknown."""
        return 0.0

    def params_before(self) -> dict[str, Any] | None:
        """Return the measured parameters of the result that this step would add to, if it would add to one."""
        return None

    def estimate_more_usd(self, details: Mapping[str, Any]) -> float:
        """Return the dollars at most that adding to that result costs, by what its card says."""
        return 0.0

    def forecast(self, outlook: Outlook) -> Forecast | None:
        """Return what this step will probably spend; None where it spends nothing or nothing is known."""
        return None


@dataclass(slots=True)
class Making:
    """All that a making step may touch; see Gathering. `write(index, table)` stores one part of new documents."""

    parts: Sequence[Part]  # of the dataset named by `from`; empty without one
    scratch: Path
    output: Path
    seed: int
    inputs: Mapping[str, Sequence[Path]]
    map: Callable[..., list[Any]]
    write: Callable[[int, pa.Table], None]
    say: Callable[[str], None]
    ledger: Path
    details: dict[str, Any] = field(default_factory=dict)
    cost_usd: float = 0.0
    wait: bool = True  # False: raise PendingError rather than wait hours for others
    buyer: Buyer = NOBODY  # for whom requests are paid


class MakingStep(Step):
    """New documents out, each with its origin and lineage (schema: `pipeline.core.document.SCHEMA`)."""

    def make(self, work: Making) -> None:
        raise NotImplementedError

    def origin(self) -> Origin | None:
        """Return whose words all of its documents will be; None where nobody knows before they are made."""
        return None

    def estimate_usd(self) -> float:
        return 0.0


def as_column(values: Any, *, signal: Signal) -> pa.Array:
    """Return `values` (numpy, Arrow or list) as an Arrow array of the signal's type."""
    if isinstance(values, np.ndarray):
        return pa.array(values, type=signal.type, from_pandas=False)
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    return values.cast(signal.type) if isinstance(values, pa.Array) else pa.array(values, type=signal.type)


class Sketcher(Protocol):
    """Makes named arrays of a batch, a row for each document: picklable, and blind to the other documents."""

    @property
    def sampled(self) -> int:
        """Return how many documents of the dataset are wanted whole."""
        ...

    def __call__(self, batch: Batch) -> Mapping[str, np.ndarray]: ...
