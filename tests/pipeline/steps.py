"""Steps that exist for tests: a length, an editor, one that breaks on a word, a gatherer, a maker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.core.document import SCHEMA
from pipeline.core.errors import DataError
from pipeline.core.rng import generator
from pipeline.core.step import (
    EditingStep,
    Gathering,
    GatheringStep,
    Making,
    MakingStep,
    Measured,
    MeasuringStep,
    Params,
    Quantile,
    Rule,
    Signal,
    Step,
    decides,
    input_names,
)
from pipeline.core.text.batch import Batch

POISON = "POISON"


class LengthParams(Params):
    min_length: float = decides(5, ge=0)
    max_length: float = decides(10_000, ge=0)
    unit: int = Field(default=1, ge=1)
    against: tuple[str, ...] = input_names(())


class Length(MeasuringStep):
    """Measures the length of a text; null for an empty list of files, else the number of words found there too."""

    name: ClassVar[str] = "length"
    Params: ClassVar[type[Params]] = LengthParams
    signals = (
        Signal("length", pa.float64(), "characters", "Length of the text."),
        Signal("shared", pa.int64(), "words", "Words that stand in the files of `against` as well."),
    )
    params: LengthParams

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        return (
            Rule("too_short", "length", ">=", self.params.min_length, "min_length"),
            Rule("too_long", "length", "<=", self.params.max_length, "max_length"),
            Rule("contaminated", "shared", "<=", 0),
        )

    def prepare(self, inputs: Mapping[str, Sequence[Path]]) -> None:
        paths = inputs.get("against", ())
        self.known = {word for path in paths for word in path.read_bytes().decode("utf-8", "replace").split()}

    def measure(self, batch: Batch) -> Measured:
        texts = batch.strings()
        shared = [len(set(text.split()) & self.known) if self.known else None for text in texts]
        return Measured({"length": np.array([len(text) / self.params.unit for text in texts]), "shared": shared})


class LongestParams(LengthParams):
    keep_fraction: float = decides(1.0, gt=0, le=1)


class Longest(Length):
    """Keeps a share of the documents that reach it, the longest."""

    name: ClassVar[str] = "longest"
    Params: ClassVar[type[Params]] = LongestParams
    params: LongestParams

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        return (Rule("not_long", "length", ">=", quantile("length", 1 - self.params.keep_fraction), "keep_fraction"),)


class Poisoned(Length):
    """Breaks on every batch that holds the poison, and measures the others."""

    name: ClassVar[str] = "poisoned"

    def measure(self, batch: Batch) -> Measured:
        for text in batch.strings():
            if POISON in text:
                raise ValueError(f"cannot stand {text[:12]!r}")
        return super().measure(batch)


class Broken(Length):
    """Breaks on everything."""

    name: ClassVar[str] = "broken"

    def measure(self, batch: Batch) -> Measured:
        raise ImportError("no module named oracle")


class Shout(EditingStep):
    """Edits: writes texts that ask for it in capitals."""

    name: ClassVar[str] = "shout"
    signals = (Signal("changed", pa.int8(), "0 or 1", "Whether the text was changed."),)

    def measure(self, batch: Batch) -> Measured:
        texts = [text.upper() + "!" if "loud" in text else None for text in batch.strings()]
        changed = np.array([text is not None for text in texts], np.int8)
        return Measured({"changed": changed}, text=pa.array(texts, pa.large_string()))


class CountParams(Params):
    min_rank: float = decides(0, ge=0)
    noise: int = Field(default=1, ge=0)


class Count(GatheringStep):
    """Ranks living documents by a seeded draw and their text; says in its card whom it saw."""

    name: ClassVar[str] = "count"
    Params: ClassVar[type[Params]] = CountParams
    signals = (Signal("rank", pa.float64(), "documents", "Living documents before it."),)
    params: CountParams

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        return (Rule("low_rank", "rank", ">=", self.params.min_rank, "min_rank"),)

    def gather(self, work: Gathering) -> None:
        seen = 0
        draw = generator(work.seed, "count").integers(0, 1000)
        for part in work.parts:
            work.write(part, {"rank": np.arange(seen, seen + part.num_rows, dtype=np.float64)})
            seen += part.num_rows
        work.details.update(seen=seen, draw=int(draw), noise=self.params.noise)


class Forgetful(Count):
    """Forgets to write its last part."""

    name: ClassVar[str] = "forgetful"

    def gather(self, work: Gathering) -> None:
        for part in work.parts[:-1]:
            work.write(part, {"rank": np.zeros(part.num_rows)})


class WriteParams(Params):
    documents: int = Field(default=4, ge=0)


class Write(MakingStep):
    """Makes documents of seeded numbers."""

    name: ClassVar[str] = "write"
    Params: ClassVar[type[Params]] = WriteParams
    params: WriteParams

    def make(self, work: Making) -> None:
        numbers = generator(work.seed, "write").integers(0, 10**9, self.params.documents)
        rows = [
            {
                "id": f"made-{index}", "text": f"the number {number} was drawn", "source": "write",
                "origin": "procedural", "lineage": "[]", "metadata": "{}",
            }
            for index, number in enumerate(numbers)
        ]  # fmt: skip
        work.write(0, pa.Table.from_pylist(rows, schema=SCHEMA))
        work.details["made"] = len(rows)


class Refusing(Write):
    """Stops half-way."""

    name: ClassVar[str] = "refusing"

    def make(self, work: Making) -> None:
        super().make(work)
        raise DataError("refusing: half of it is missing. Bring it.")


STEPS: tuple[type[Step], ...] = (Length, Longest, Poisoned, Broken, Shout, Count, Forgetful, Write, Refusing)
