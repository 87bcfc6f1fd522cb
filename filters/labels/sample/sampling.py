"""Which documents to look at: a seeded order of ids, cut by stratum, blind to how the dataset lies in shards.

A document's place in the order is XXH3 of its id under a derived seed, so a larger sample contains a smaller one up to
rounding between strata. Strata are source x length (edges at 500, 2,000 and 8,000 bytes), and the values of signals of
earlier steps where these are named; they give in proportion to their size, so that shares estimated on the sample hold
for the whole with less noise than a blind draw.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import xxhash
from blake3 import blake3

from filters.labels.teachers.grade_file import KeyKind
from pipeline.core.step import Part

LENGTH_EDGES = (500, 2_000, 8_000)  # bytes
QUARTERS = (0.25, 0.5, 0.75)
MOST_VALUES = 15  # of a signal in words that are strata of their own, the commonest
OTHERS = "(others)"
# How a document came to be graded: drawn as the sample is, by doubt, or because others had graded it.
Choice = Literal["sample", "unsure", "known", "people", "file"]


@dataclass(frozen=True, slots=True)
class Survey:
    """What sampling knows of each document; all arrays have one entry per document."""

    ids: np.ndarray  # object: str
    sources: np.ndarray  # object: str
    sizes: np.ndarray  # int64 bytes of text
    places: np.ndarray  # uint64, the seeded order
    keys: np.ndarray  # object: str, what a file of grades knows the document by
    hashes: np.ndarray  # object: str, of the text, where a file of grades says what text was graded; else empty
    marks: np.ndarray  # object[num_docs, num_signals]: values of signals of earlier steps, as many as were asked for

    @classmethod
    def concatenate(cls, surveys: Sequence[Self]) -> Self:
        """Join surveys of several parts."""
        joined = {field.name: [getattr(survey, field.name) for survey in surveys] for field in fields(cls)}
        empty = {"marks": np.empty((0, 0), object)}
        return cls(
            **{
                name: np.concatenate(arrays) if arrays else empty.get(name, np.empty(0, object))
                for name, arrays in joined.items()
            }
        )

    def where(self, kept: np.ndarray) -> Survey:
        """Return the survey of some of the documents."""
        return Survey(*(getattr(self, field.name)[kept] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class SurveyTask:
    """Survey one part. Picklable."""

    part: Part
    seed: int  # of the order
    key: KeyKind = "id"
    hash: KeyKind | None = None  # of the texts, too
    signals: tuple[str, ...] = ()


def survey_part(task: SurveyTask) -> Survey:
    """Survey one part; runs in a worker process."""
    import pyarrow.compute as pc  # 0.04 s, which steps that are only planned need not

    table = task.part.load(("id", "source", "text"))
    ids = table.column("id").to_pylist()
    keys = ids if task.key == "id" else _hashes(table, task.key)
    marks = np.empty((len(ids), len(task.signals)), object)
    if task.signals:
        for number, column in enumerate(task.part.load_signals(task.signals).columns):
            marks[:, number] = column.to_pylist()
    return Survey(
        ids=_objects(ids), sources=_objects(table.column("source").to_pylist()),
        sizes=pc.binary_length(table.column("text")).to_numpy().astype(np.int64),
        places=np.array([xxhash.xxh3_64_intdigest(id.encode(), seed=task.seed) for id in ids], dtype=np.uint64),
        keys=_objects(keys), hashes=_objects([""] * len(ids) if task.hash is None else _hashes(table, task.hash)),
        marks=marks,
    )  # fmt: skip


def _hashes(table: pa.Table, kind: KeyKind) -> list[str]:
    texts = (text.encode() for text in table.column("text").to_pylist())
    return [blake3(text).hexdigest() if kind == "blake3" else xxhash.xxh3_128_hexdigest(text) for text in texts]


def choose(survey: Survey, *, count: int, stratified: bool, by: Sequence[int] = ()) -> np.ndarray:
    """Return the positions of `count` documents (or all there are), in the seeded order.

    `by` are the columns of `marks` whose values are strata too.
    """
    order = np.argsort(survey.places, kind="stable")  # two ids with one 64-bit hash do not occur
    if count >= len(order) or not stratified:
        return order[:count]
    buckets = np.searchsorted(LENGTH_EDGES, survey.sizes, side="right").tolist()
    values = [groups_of(survey.marks[:, column].tolist()) for column in by]
    strata = list(zip(survey.sources.tolist(), buckets, *values, strict=True))
    members: dict[tuple[str | int, ...], list[int]] = {stratum: [] for stratum in sorted(set(strata))}
    for position in order.tolist():
        members[strata[position]].append(position)
    quotas = shares(np.array([len(each) for each in members.values()]), count=count)
    chosen = np.zeros(len(order), dtype=bool)
    for positions, quota in zip(members.values(), quotas.tolist(), strict=True):
        chosen[positions[:quota]] = True
    return order[chosen[order]]


def groups_of(values: Sequence[Any]) -> list[str]:
    """Return the stratum of each value of a signal: a quarter of the range of a measure, or the word or whole number.

    Of words and whole numbers the commonest are strata of their own and the others one together; null is one too.
    """
    measures = [value for value in values if isinstance(value, float) and not math.isnan(value)]
    if measures:
        edges = np.quantile(measures, QUARTERS)
        known = [isinstance(value, float) and not math.isnan(value) for value in values]
        quarters = np.searchsorted(
            edges, [value if is_known else 0.0 for value, is_known in zip(values, known, strict=True)]
        )
        return [f"quarter {number + 1}" if is_known else "" for number, is_known in zip(quarters, known, strict=True)]
    words = ["" if value is None else str(value) for value in values]
    commonest = sorted(Counter(words).items(), key=lambda item: (-item[1], item[0]))[:MOST_VALUES]
    own = {word for word, _ in commonest}
    return [word if word in own else OTHERS for word in words]


def shares(sizes: np.ndarray, *, count: int) -> np.ndarray:
    """Split `count` in proportion to `sizes`, whole numbers by largest remainder; ties go to the earlier stratum."""
    exact = sizes * (count / sizes.sum())
    whole = np.floor(exact).astype(np.int64)
    short = count - int(whole.sum())
    whole[np.argsort(-(exact - whole), kind="stable")[:short]] += 1
    return np.minimum(whole, sizes)


def _objects(values: Sequence[str]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
