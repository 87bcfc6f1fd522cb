"""Which documents to look at: a seeded order of ids, cut by stratum, blind to how the dataset lies in shards.

A document's place in the order is XXH3 of its id under a derived seed, so a larger sample contains a smaller one up to
rounding between strata. Strata are source x length (edges at 500, 2,000 and 8,000 bytes) and give in proportion to
their size, so that shares estimated on the sample hold for the whole with less noise than a blind draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import pyarrow as pa
import xxhash
from blake3 import blake3

from filters.labels.grade_file import KeyKind
from pipeline.core.step import Part

LENGTH_EDGES = (500, 2_000, 8_000)  # bytes


@dataclass(frozen=True, slots=True)
class Survey:
    """What sampling knows of each document; all arrays have one entry per document."""

    ids: np.ndarray  # object: str
    sources: np.ndarray  # object: str
    sizes: np.ndarray  # int64 bytes of text
    places: np.ndarray  # uint64, the seeded order
    keys: np.ndarray  # object: str, what a file of grades knows the document by
    hashes: np.ndarray  # object: str, of the text, where a file of grades says what text was graded; else empty

    @classmethod
    def concatenate(cls, surveys: Sequence[Self]) -> Self:
        """Join surveys of several parts."""
        joined = {field.name: [getattr(survey, field.name) for survey in surveys] for field in fields(cls)}
        return cls(
            **{name: np.concatenate(arrays) if arrays else np.empty(0, object) for name, arrays in joined.items()}
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


def survey_part(task: SurveyTask) -> Survey:
    """Survey one part; runs in a worker process."""
    import pyarrow.compute as pc  # 0.04 s, which steps that are only planned need not

    table = task.part.load(("id", "source", "text"))
    ids = table.column("id").to_pylist()
    keys = ids if task.key == "id" else _hashes(table, task.key)
    return Survey(
        ids=_objects(ids), sources=_objects(table.column("source").to_pylist()),
        sizes=pc.binary_length(table.column("text")).to_numpy().astype(np.int64),
        places=np.array([xxhash.xxh3_64_intdigest(id.encode(), seed=task.seed) for id in ids], dtype=np.uint64),
        keys=_objects(keys), hashes=_objects([""] * len(ids) if task.hash is None else _hashes(table, task.hash)),
    )  # fmt: skip


def _hashes(table: pa.Table, kind: KeyKind) -> list[str]:
    texts = (text.encode() for text in table.column("text").to_pylist())
    return [blake3(text).hexdigest() if kind == "blake3" else xxhash.xxh3_128_hexdigest(text) for text in texts]


def choose(survey: Survey, *, count: int, stratified: bool) -> np.ndarray:
    """Return the positions of `count` documents (or all there are), in the seeded order."""
    order = np.argsort(survey.places, kind="stable")  # two ids with one 64-bit hash do not occur
    if count >= len(order) or not stratified:
        return order[:count]
    buckets = np.searchsorted(LENGTH_EDGES, survey.sizes, side="right").tolist()
    strata = list(zip(survey.sources.tolist(), buckets, strict=True))
    members: dict[tuple[str, int], list[int]] = {stratum: [] for stratum in sorted(set(strata))}
    for position in order.tolist():
        members[strata[position]].append(position)
    quotas = shares(np.array([len(each) for each in members.values()]), count=count)
    chosen = np.zeros(len(order), dtype=bool)
    for positions, quota in zip(members.values(), quotas.tolist(), strict=True):
        chosen[positions[:quota]] = True
    return order[chosen[order]]


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
