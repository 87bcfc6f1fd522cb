"""The graded documents of a dataset, and which of them are held out: those that every figure of a card is measured on.

A near-duplicate of a training document is never held out, or a classifier that remembers would look like one that
learnt. `sources` holds out whole sources besides: how well it does on sources that it never saw. Where some documents
were drawn as a sample and others chosen, by doubt or because they had grades already, only the sample is held out: what
was chosen is learnt from, and says nothing of how well the classifier does on a dataset.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from filters.dedup.minhash import cluster_documents
from pipeline.core.errors import DataError
from pipeline.core.rng import derive
from pipeline.core.text.batch import Batch

MIN_GRADED = 50  # below this a held-out fifth says nothing
MIN_MEASURED = 10  # held-out documents of the sample, below which figures are of all that are held out: 0.2 of 50
GRADE, TEACHER, STATUS, CHOSEN = "label.grade", "label.teacher", "label.status", "label.chosen"
PEOPLE = "label.people"  # there where people's grades were brought
SAMPLE = "sample"  # chosen so that it stands for the documents that had no grade
KNOWN = "known"  # those that had one

SplitBy = Literal["clusters", "sources"]


@dataclass(frozen=True, slots=True)
class Graded:
    """The documents that have a grade, in the order of their ids, so that shards do not matter."""

    batch: Batch
    grades: np.ndarray  # float64[num_docs], within the scale of the rubric
    sources: np.ndarray  # str[num_docs]
    chosen: np.ndarray  # str[num_docs]: how each came to be graded
    teachers: dict[str, int]  # who graded -> documents
    people: np.ndarray  # float64[num_docs], what people graded it; NaN where they did not

    @property
    def by_both(self) -> np.ndarray:
        """Return bool[num_docs]: graded by people and by the teacher. A known grade is neither's, but a file's."""
        both: np.ndarray = ~np.isnan(self.people) & (self.chosen != KNOWN)
        return both

    def describe(self) -> dict[str, Any]:
        """Return who graded what, as plain JSON."""
        values, counts = np.unique(np.round(self.grades), return_counts=True)
        return {
            "teacher": ", ".join(sorted(self.teachers)),
            "graded_by": self.teachers,
            "graded_by_choice": counted(self.chosen),
            "graded_documents": len(self.grades),
            "documents_by_grade": {f"{value:g}": int(count) for value, count in zip(values, counts, strict=True)},
        }


def counted(names: np.ndarray) -> dict[str, int]:
    """Return how often each name stands there."""
    return dict(zip(*(column.tolist() for column in np.unique(names, return_counts=True)), strict=True))


@dataclass(frozen=True, slots=True)
class TrainingSplit:
    """Rows to train on and rows held out; no cluster has documents on both sides."""

    train: np.ndarray
    held: np.ndarray
    clusters: np.ndarray  # int64[num_docs]
    ranks: np.ndarray  # int64[num_docs]: the cluster's place in the seeded order
    judged: np.ndarray  # rows that people graded, of clusters that nothing was learnt from

    def describe(self) -> dict[str, int]:
        """Return the sizes of the split."""
        return {
            "train_documents": len(self.train),
            "held_out_documents": len(self.held),
            "clusters": len(np.unique(self.clusters)),
            "held_out_clusters": len(np.unique(self.clusters[self.held])),
        } | ({"people_documents": len(self.judged)} if len(self.judged) else {})

    def inner(self) -> tuple[np.ndarray, np.ndarray]:
        """Return rows to fit and rows to check a penalty on: a fifth of the clusters that are trained on."""
        ranks = self.ranks[self.train]
        inside = ranks <= np.quantile(np.unique(ranks), 0.2)
        return self.train[~inside], self.train[inside]


def load_graded(parts: Any, *, by_people: bool = False) -> Graded:
    """Read the graded documents, and what people graded them; DataError when they are too few, or have one grade."""
    names = [GRADE, TEACHER, CHOSEN, *([PEOPLE] if by_people else [])]
    tables, without = [], Counter[str]()
    for part in parts:
        marks = part.load_signals([STATUS, *names])
        has_grade = marks.column(GRADE).is_valid()
        without.update(status for status in marks.column(STATUS).drop_null().to_pylist() if status != "graded")
        if has_grade.to_numpy().any():
            table = part.load(("id", "text", "source"))
            for name in names:
                table = table.append_column(name, marks.column(name))
            tables.append(table.filter(has_grade))
    found = sum(table.num_rows for table in tables)
    if found < MIN_GRADED:
        why = "".join(f", {count} {status}" for status, count in sorted(without.items()))
        raise DataError(
            f"quality: {found} documents have a grade{why}; at least {MIN_GRADED} are needed. Why grades are missing "
            "stands in labels.parquet beside the card of `label` (tamis status names its folder): ask for them again "
            "(ask_again of `label`), or raise its `documents`."
        )
    table = pa.concat_tables(tables).sort_by("id").combine_chunks()
    grades = table.column(GRADE).to_numpy().astype(np.float64)
    if grades.min() == grades.max():
        raise DataError(
            f"quality: all {found} grades are {grades[0]:g}, so there is nothing to learn. Use another rubric, or "
            "leave `quality` out."
        )
    teachers = Counter(str(name) for name in table.column(TEACHER).to_pylist())
    return Graded(
        batch=Batch.from_table(table),
        grades=grades,
        sources=np.array(table.column("source").to_pylist(), dtype=str),
        chosen=np.array(table.column(CHOSEN).to_pylist(), dtype=str),
        teachers=dict(sorted(teachers.items())),
        people=table.column(PEOPLE).to_numpy().astype(np.float64) if by_people else np.full(found, np.nan),
    )


def split(graded: Graded, *, by: SplitBy, share: float, seed: int) -> TrainingSplit:
    """Hold out whole clusters of near-duplicates, or whole sources; which ones depends on seed and names alone.

    Up to the same share again is kept from training because people graded it: what it learnt, it cannot be judged by.
    """
    clusters = cluster_documents(graded.batch)
    order = [derive(seed, "quality", identity) for identity in graded.batch.ids.to_pylist()]
    rank = np.full(len(clusters), np.iinfo(np.int64).max)
    np.minimum.at(rank, clusters, np.array(order, np.int64))  # a cluster comes where its first document comes
    ranks = rank[clusters]
    if by == "clusters":
        held = _of_the_sample(graded, hold_out(ranks, most=share * len(clusters)))
        train = ~np.isin(clusters, clusters[held])
    else:
        names, place = np.unique(graded.sources, return_inverse=True)
        turns = np.array([derive(seed, "quality", "source", name) for name in names.tolist()], np.int64)
        held = hold_out(turns[place], most=share * len(clusters))
        train = ~held & ~np.isin(clusters, clusters[held])  # a near-duplicate in another source is left out
        if not held.any() or not train.any():
            raise DataError(
                f"quality: the graded documents are of {len(names)} source(s), none of which is a share of {share:g} "
                "or less, so none can be held out whole. Raise `held_out`, or leave `split` out."
            )
        held = _of_the_sample(graded, held)
    if not held.any():
        raise DataError(
            f"quality: the {len(clusters)} graded documents are near-duplicates of each other, so none can be held "
            "out. Put `minhash_dedup` before `label`."
        )
    by_people = graded.by_both
    judged = by_people & np.isin(clusters, clusters[held])
    others = np.isin(clusters, clusters[by_people]) & train
    if others.any():
        apart = np.flatnonzero(others)[hold_out(ranks[others], most=min(share, (1 - share) / 2) * len(clusters))]
        train &= ~np.isin(clusters, clusters[apart])
        judged |= by_people & np.isin(clusters, clusters[apart])
    return TrainingSplit(
        train=np.flatnonzero(train), held=np.flatnonzero(held), clusters=clusters, ranks=ranks,
        judged=np.flatnonzero(judged),
    )  # fmt: skip


def _of_the_sample(graded: Graded, held: np.ndarray) -> np.ndarray:
    """Return bool[num_docs]: of the held-out those that were drawn; all of them where these are too few, or none."""
    drawn = held & (graded.chosen == SAMPLE)
    return drawn if int(drawn.sum()) >= MIN_MEASURED else held


def hold_out(ranks: np.ndarray, *, most: float) -> np.ndarray:
    """Return bool[num_docs]: whole clusters in the order of their ranks, at most `most` documents of them."""
    turns, cluster, sizes = np.unique(ranks, return_inverse=True, return_counts=True)
    taken, held = np.zeros(len(turns), bool), 0
    for turn, size in enumerate(sizes.tolist()):
        if held + size <= most:  # a cluster too large to hold out is trained on
            taken[turn], held = True, held + size
    return taken[cluster]
