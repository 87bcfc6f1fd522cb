"""`quality`: a small classifier learns the teacher's grades and scores every document with the grade it expects.

Hashed words and word pairs into a linear model (the fastText idea) read 200 MB/s a core (measured; fastText itself
about 16), so a teacher is paid for 2,000 documents and millions are scored. Near-duplicates of a training document
are never among the held-out ones, on which all figures in the card are measured. A classifier that cannot be told from
chance there selects nothing: the run stops, unless `min_spearman` says otherwise; one that agrees weakly is called out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from filters.classifier import agreement as report
from filters.classifier.model import L2_GRID, Features, GradeModel, Settings, loss_of, train
from filters.dedup.minhash import cluster_documents
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.rng import derive
from pipeline.core.step import Gathering, GatheringStep, Params, Part, Quantile, Rule, Signal, Step, decides
from pipeline.core.text.batch import Batch

WEAK_SPEARMAN = 0.3  # below it a classifier is called out (assumption: length alone reaches 0.46 on documentation)
MIN_GRADED = 50  # below this a held-out fifth says nothing
GRADE, TEACHER, STATUS = "label.grade", "label.teacher", "label.status"


class QualityParams(Params):
    """What is learnt, and which documents are kept."""

    keep_fraction: float | None = decides(
        None, gt=0, le=1, description="Keep this share of the documents, those with the highest scores."
    )
    min_score: float | None = decides(None, ge=0, le=5, description="Keep documents with at least this score, 0 to 5.")
    buckets: int = Field(default=2**18, ge=2**10, le=2**24, description="Hash buckets, a power of two (fastText).")
    ngrams: int = Field(default=2, ge=1, le=3, description="Longest run of words that is a feature, words.")
    epochs: int = Field(default=60, ge=1, le=1000, description="Passes over the graded documents, at most (L-BFGS).")
    excerpt_chars: int = Field(
        default=6000, ge=200, description="Characters read of a document, from its start: what the teacher saw (label)."
    )
    held_out: float = Field(default=0.2, gt=0, lt=0.9, description="Share of graded documents kept for measuring.")
    positive_grade: float = Field(
        default=3.0, gt=0, le=5, description="Grade from which on a document counts as good in F1 (FineWeb-Edu: 3)."
    )

    min_spearman: float = Field(
        default=0.0, ge=-1, lt=1, json_schema_extra={"role": "alarm"},
        description="Stop unless the held-out rank correlation with the grades is surely above this; -1: never stop.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.keep_fraction is not None and self.min_score is not None:
            raise ValueError("give `keep_fraction` or `min_score`, not both")
        if self.buckets & (self.buckets - 1):
            raise ValueError(f"`buckets` is {self.buckets}; it must be a power of two, such as 262144")
        return self


class Quality(GatheringStep):
    """Train on the grades of an earlier `label` step; score every document; keep the best."""

    name: ClassVar[str] = "quality"
    version: ClassVar[int] = 1
    leans_on: ClassVar[tuple[str, ...]] = ("torch",)
    wants: ClassVar[Mapping[str, int]] = {GRADE: MIN_GRADED}
    Params: ClassVar[type[Params]] = QualityParams
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("score", pa.float32(), "grade, 0 to 5", "Grade that the classifier expects the teacher to give."),
    )
    params: QualityParams

    def check(self, earlier: Mapping[str, Step]) -> None:
        if GRADE.partition(".")[0] not in earlier:
            raise RecipeError("`quality` learns grades, and no step before it gives any. Put `label` before it.")
        documents = getattr(earlier["label"].params, "documents", MIN_GRADED)
        if documents < MIN_GRADED:
            raise RecipeError(
                f"`label` grades {documents} documents, and `quality` needs {MIN_GRADED} grades at least. Raise its "
                "`documents`."
            )

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        if self.params.keep_fraction is not None:
            threshold = quantile("score", 1 - self.params.keep_fraction)
            return (Rule("low_quality", "score", ">=", threshold, "keep_fraction"),)
        if self.params.min_score is not None:
            return (Rule("low_quality", "score", ">=", self.params.min_score, "min_score"),)
        return ()

    def gather(self, work: Gathering) -> None:
        graded = load_graded(work.parts)
        settings = Settings(self.params.buckets, self.params.ngrams, self.params.excerpt_chars)
        lesson = self._split(graded, seed=work.seed)
        inputs = Features.of(graded.batch, settings=settings)
        work.say(f"quality: training on {len(lesson.train)} graded documents, {len(lesson.held)} held out")
        l2, tried = self._choose_l2(inputs, graded.grades, lesson, settings=settings)
        fitted = inputs.take(lesson.train)
        model = train(fitted, graded.grades[lesson.train], settings=settings, l2=l2, epochs=self.params.epochs)
        model.save(work.output)
        jobs = [ScoreJob(part=part, folder=work.output) for part in work.parts]
        scores: list[np.ndarray] = work.map(score_part, jobs, label="quality scores")
        for part, column in zip(work.parts, scores, strict=True):
            work.write(part, {"score": column})
        work.details |= graded.describe() | lesson.describe()
        work.details |= {"l2": l2, "l2_loss": tried, "features": len(np.unique(fitted.buckets))}
        found = self._evaluate(model, graded, lesson, all_scores=np.concatenate(scores), seed=work.seed)
        work.details |= found
        work.details |= {"warnings": self._doubts(found["agreement"], found["baselines"], held=len(lesson.held))}

    def _doubts(self, found: Mapping[str, float], baselines: Mapping[str, Any], *, held: int) -> list[str]:
        """Return what speaks against selecting by these scores; DataError if they cannot be told from chance."""
        low, value, by_length = found["spearman_low"], found["spearman"], baselines["length"]["spearman"]
        told = (
            f"quality: on {held} held-out documents the classifier agrees with the grades at Spearman {value:.2f} "
            f"({low:.2f} to {found['spearman_high']:.2f}), length alone at {by_length:.2f}"
        )
        if low <= self.params.min_spearman:
            raise DataError(
                f"{told}; the lower end must be above {self.params.min_spearman:g} (min_spearman), or it selects by "
                "chance. Grade more documents, look at the grades (labels.parquet), or set min_spearman: -1 to go on."
            )
        if low <= 0:
            return [f"{told}: what it learnt cannot be told from chance"]
        return [f"{told}: that is weak, and selects little more than chance"] if value < WEAK_SPEARMAN else []

    def _split(self, graded: Graded, *, seed: int) -> TrainingSplit:
        """Hold out whole clusters of near-duplicates; which ones depends on seed and ids alone."""
        clusters = cluster_documents(graded.batch)
        order = [derive(seed, "quality", identity) for identity in graded.batch.ids.to_pylist()]
        rank = np.full(len(clusters), np.iinfo(np.int64).max)
        np.minimum.at(rank, clusters, np.array(order, np.int64))  # a cluster comes where its first document comes
        ranks = rank[clusters]
        held = hold_out(ranks, most=self.params.held_out * len(clusters))
        if not held.any():
            raise DataError(
                f"quality: the {len(clusters)} graded documents are near-duplicates of each other, so none can be held "
                "out. Put `minhash_dedup` before `label`."
            )
        return TrainingSplit(train=np.flatnonzero(~held), held=np.flatnonzero(held), clusters=clusters, ranks=ranks)

    def _choose_l2(
        self, inputs: Features, grades: np.ndarray, lesson: TrainingSplit, *, settings: Settings
    ) -> tuple[float, dict[str, float]]:
        """Return the penalty with the lowest loss on a fifth of the training clusters, and all losses."""
        ranks = lesson.ranks[lesson.train]
        inner = ranks <= np.quantile(np.unique(ranks), 0.2)
        fit, check = lesson.train[~inner], lesson.train[inner]
        if len(fit) == 0 or len(check) == 0:
            return L2_GRID[0], {}
        fit_inputs, check_inputs = inputs.take(fit), inputs.take(check)
        losses: dict[float, float] = {}
        model: GradeModel | None = None
        for l2 in L2_GRID:  # from the strongest on, each fit beginning where the last one ended
            model = train(fit_inputs, grades[fit], settings=settings, l2=l2, epochs=self.params.epochs, start=model)
            losses[l2] = loss_of(model, check_inputs, grades[check])
        return min(losses, key=lambda l2: losses[l2]), {f"{l2:g}": loss for l2, loss in losses.items()}

    def _evaluate(
        self, model: GradeModel, graded: Graded, lesson: TrainingSplit, *, all_scores: np.ndarray, seed: int
    ) -> dict[str, Any]:
        scores = model.score(graded.batch)[lesson.held]
        grades, train_grades = graded.grades[lesson.held], graded.grades[lesson.train]
        sizes = np.diff(graded.batch.offsets)
        by_length = report.length_baseline(sizes[lesson.train], train_grades, sizes[lesson.held])
        constant = np.full(len(grades), train_grades.mean())
        return {
            "agreement": report.agreement(scores, grades, clusters=lesson.clusters[lesson.held], seed=seed),
            "baselines": {
                "mean_grade": {"spearman": 0.0, **report.errors(constant, grades)},
                "length": {"spearman": report.spearman(by_length, grades), **report.errors(by_length, grades)},
            },
            "positive_grade": self.params.positive_grade,
            "operating_points": report.operating_points(
                scores, grades, all_scores=all_scores, positive_grade=self.params.positive_grade
            ),
            "calibration": report.calibration(scores, grades),
            "held_out_scores": sorted(
                [score, grade] for score, grade in zip(scores.tolist(), grades.tolist(), strict=True)
            ),
        }


def hold_out(ranks: np.ndarray, *, most: float) -> np.ndarray:
    """Return bool[num_docs]: whole clusters in the order of their ranks, at most `most` documents of them."""
    turns, cluster, sizes = np.unique(ranks, return_inverse=True, return_counts=True)
    taken, held = np.zeros(len(turns), bool), 0
    for turn, size in enumerate(sizes.tolist()):
        if held + size <= most:  # a cluster too large to hold out is trained on
            taken[turn], held = True, held + size
    return taken[cluster]


@dataclass(frozen=True, slots=True)
class Graded:
    """The documents that have a grade, in the order of their ids, so that shards do not matter."""

    batch: Batch
    grades: np.ndarray  # float64[num_docs], 0 to 5
    teachers: dict[str, int]  # who graded -> documents

    def describe(self) -> dict[str, Any]:
        """Return who graded what, as plain JSON."""
        values, counts = np.unique(np.round(self.grades), return_counts=True)
        return {
            "teacher": ", ".join(sorted(self.teachers)),
            "graded_by": self.teachers,
            "graded_documents": len(self.grades),
            "documents_by_grade": {f"{value:g}": int(count) for value, count in zip(values, counts, strict=True)},
        }


@dataclass(frozen=True, slots=True)
class TrainingSplit:
    """Rows to train on and rows held out; no cluster has documents on both sides."""

    train: np.ndarray
    held: np.ndarray
    clusters: np.ndarray  # int64[num_docs]
    ranks: np.ndarray  # int64[num_docs]: the cluster's place in the seeded order

    def describe(self) -> dict[str, int]:
        """Return the sizes of the split."""
        return {
            "train_documents": len(self.train),
            "held_out_documents": len(self.held),
            "clusters": len(np.unique(self.clusters)),
            "held_out_clusters": len(np.unique(self.clusters[self.held])),
        }


def load_graded(parts: Any) -> Graded:
    """Read the graded documents; DataError when there are too few, or all have one grade."""
    tables, without = [], Counter[str]()
    for part in parts:
        marks = part.load_signals([GRADE, TEACHER, STATUS])
        has_grade = marks.column(GRADE).is_valid()
        without.update(status for status in marks.column(STATUS).drop_null().to_pylist() if status != "graded")
        if has_grade.to_numpy().any():
            table = part.load(("id", "text"))
            for name in (GRADE, TEACHER):
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
    return Graded(batch=Batch.from_table(table), grades=grades, teachers=dict(sorted(teachers.items())))


@dataclass(frozen=True, slots=True)
class ScoreJob:
    """One part to score with the model in `folder`. Picklable."""

    part: Part
    folder: Path


def score_part(job: ScoreJob) -> np.ndarray:
    """Return float32[num_rows], the scores of one part's live documents."""
    if job.part.num_rows == 0:
        return np.zeros(0, np.float32)
    return GradeModel.load(job.folder).score(job.part.batch())
