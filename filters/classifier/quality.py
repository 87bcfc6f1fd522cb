"""`quality`: a small classifier learns the teacher's grades and scores every document with the grade it expects.

Hashed words and word pairs into a linear model (the fastText idea) read 8 times as fast as fastText itself in one run
(eval/LOG.md), so a teacher is paid for 2,000 documents and millions are scored. Near-duplicates of a training document
are never among the held-out ones, on which all figures in the card are measured. A classifier that cannot be told from
chance there, or agrees no better than length alone or than one that learnt shuffled grades, selects nothing: the run
stops, unless `min_spearman: -1` says otherwise. One that agrees weakly, or whose gain over these two may be chance, is
called out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from filters.classifier import agreement as report
from filters.classifier.course import Student, teach, teach_at_random
from filters.classifier.graded import (
    GRADE,
    KNOWN,
    MIN_GRADED,
    MIN_MEASURED,
    PEOPLE,
    SAMPLE,
    Graded,
    SplitBy,
    TrainingSplit,
    counted,
    load_graded,
    split,
)
from filters.classifier.model import Settings
from filters.classifier.operating import Keep, check_scale, rule_for
from filters.classifier.students import Kind, course_of, load_student
from filters.classifier.triangle import triangle
from filters.classifier.weighed import Census
from filters.topics.embedding import files_of_folder, folder_of
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.step import (
    Gathering,
    GatheringStep,
    Params,
    Part,
    Quantile,
    Rule,
    Scale,
    Signal,
    Step,
    decides,
    input_names,
)

WEAK_SPEARMAN = 0.3  # below it a classifier is called out (assumption: length alone reaches 0.46 on documentation)
GRADES = Scale(0, 5)  # of a rubric whose grade says no other
SCORE = "Grade that the classifier expects the teacher to give."


class QualityParams(Params):
    """What is learnt, and which documents are kept."""

    keep: Keep | None = decides(
        None,
        description="Where the line is: {share: 0.2}, {score: 3}, {precision: 0.8} of good documents among the kept, "
        "surely by the held-out grades, or {tokens: 1B} of 4 bytes.",
    )
    keep_fraction: float | None = decides(
        None, gt=0, le=1, description="Short for `keep: {share: ...}`: the documents with the highest scores."
    )
    min_score: float | None = decides(
        None, ge=0, description="Short for `keep: {score: ...}`, on the scale of the grades."
    )
    student: Kind = Field(
        default="linear",
        description="What learns: a weight for each n-gram, a `hidden` layer over them, or a weight for each dimension "
        "of an `embedding`.",
    )
    model: str | tuple[str, ...] | None = input_names(
        None, description="For `student: embedding`: folder of a model2vec or sentence-transformers model (`[topics]`)."
    )
    pinned: tuple[str, ...] = input_names(
        (), description="Files of a `quality` result (model.json, model.safetensors): it scores, and nothing is learnt."
    )
    buckets: int = Field(default=2**18, ge=2**10, le=2**24, description="Hash buckets, a power of two (fastText).")
    ngrams: int = Field(default=2, ge=1, le=3, description="Longest run of words that is a feature, words.")
    epochs: int = Field(default=60, ge=1, le=1000, description="Passes over the graded documents, at most (L-BFGS).")
    excerpt_chars: int = Field(
        default=6000, ge=200, description="Characters read of a document, from its start: what the teacher saw (label)."
    )
    held_out: float = Field(
        default=0.2,
        gt=0,
        lt=0.9,
        description="Share of graded documents kept for measuring; where a sample stands beside others, of it alone.",
    )
    split: SplitBy = Field(
        default="clusters",
        description="What is held out whole: near-duplicates, or `sources` too, to see how it does on ones never seen.",
    )
    positive_grade: float = Field(
        default=3.0, gt=0, description="Grade from which on a document counts as good in F1 (FineWeb-Edu: 3)."
    )

    min_spearman: float = Field(
        default=0.0, ge=-1, lt=1, json_schema_extra={"role": "alarm"},
        description="Stop unless the held-out rank correlation with the grades is surely above this and, on those "
        "documents, above that of length and of shuffled grades; -1: never stop.",
    )  # fmt: skip

    @field_validator("model", mode="before")
    @classmethod
    def _files_of_the_folder(cls, given: Any) -> Any:
        """Take a folder for the files in it, so that it counts by its content."""
        return files_of_folder(given)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.student == "embedding") != (self.model is not None):
            raise ValueError("`model` goes with `student: embedding`, and only with it")
        idle = {"buckets", "ngrams"} & self.model_fields_set if self.student == "embedding" else set()
        if idle:
            raise ValueError(f"`{'`, `'.join(sorted(idle))}` has no effect with `student: embedding`")
        given = [key for key in ("keep", "keep_fraction", "min_score") if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(f"give `{given[0]}` or `{given[1]}`, not both")
        if self.buckets & (self.buckets - 1):
            raise ValueError(f"`buckets` is {self.buckets}; it must be a power of two, such as 262144")
        return self


class Quality(GatheringStep):
    """Train on the grades of an earlier `label` step; score every document; keep the best."""

    name: ClassVar[str] = "quality"
    version: ClassVar[int] = 2
    leans_on: ClassVar[tuple[str, ...]] = ("torch",)
    wants: ClassVar[Mapping[str, int]] = {GRADE: MIN_GRADED}
    Params: ClassVar[type[Params]] = QualityParams
    signals = (Signal("score", pa.float32(), "grade, 0 to 5", SCORE, GRADES),)
    params: QualityParams

    def check(self, earlier: Mapping[str, Step]) -> None:
        label = earlier.get(GRADE.partition(".")[0])
        if self.params.pinned:
            return
        if label is None:
            raise RecipeError("`quality` learns grades, and no step before it gives any. Put `label` before it.")
        documents = getattr(label, "most_asked", None)  # None: how many there are is known when they are counted
        if documents is not None and documents < MIN_GRADED:
            raise RecipeError(
                f"`label` grades {documents} documents, and `quality` needs {MIN_GRADED} grades at least. Raise its "
                "`documents`."
            )
        scale = next((signal.scale for signal in label.signals if signal.name == "grade"), None) or GRADES
        self.signals = (  # the grades' scale is the rubric's
            Signal("score", pa.float32(), f"grade, {scale}", SCORE, scale),
        )
        check_scale(self.params.keep, scale=scale, where="keep.score")
        least = self.params.min_score
        check_scale(None if least is None else {"score": least}, scale=scale, where="min_score")
        check_scale({"score": self.params.positive_grade}, scale=scale, where="positive_grade")

    @property
    def top(self) -> int:
        """Return the highest grade."""
        scale = self.signals[0].scale
        return round(scale.high) if scale is not None else round(GRADES.high)

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        params = self.params
        if params.keep is not None:
            return (rule_for(params.keep, quantile=quantile),)
        if params.keep_fraction is not None:
            threshold = quantile("score", 1 - params.keep_fraction)
            return (Rule("low_quality", "score", ">=", threshold, "keep_fraction"),)
        if params.min_score is not None:
            return (Rule("low_quality", "score", ">=", params.min_score, "min_score"),)
        return ()

    def gather(self, work: Gathering) -> None:
        if self.params.pinned:
            return self._score_only(work)
        graded = load_graded(work.parts, by_people=PEOPLE in work.signals_before)
        lesson = split(graded, by=self.params.split, share=self.params.held_out, seed=work.seed)
        params = self.params
        embedding = folder_of(work.inputs["model"]) if params.student == "embedding" else None
        settings = Settings(params.buckets, params.ngrams, params.excerpt_chars)
        course = course_of(
            params.student, graded, settings=settings, epochs=params.epochs, top=self.top, seed=work.seed,
            embedding=embedding,
        )  # fmt: skip
        work.say(f"quality: training on {len(lesson.train)} graded documents, {len(lesson.held)} held out")
        trained = teach(course, graded, lesson)
        trained.student.save(work.output)
        jobs = [ScoreJob(part=part, folder=work.output, embedding=embedding) for part in work.parts]
        scores: list[np.ndarray] = work.map(score_part, jobs, label="quality scores")
        for part, column in zip(work.parts, scores, strict=True):
            work.write(part, {"score": column})
        work.details |= graded.describe() | lesson.describe()
        work.details |= {"l2": trained.penalty, "l2_loss": trained.losses, **course.describe(lesson.train)}
        luck = teach_at_random(course, graded, lesson, penalty=trained.penalty, seed=work.seed)
        of_graded, all_scores = trained.student.score(graded.batch), np.concatenate(scores)
        held = Held.of(graded, lesson, of_graded, luck)
        census = census_of(graded, held.chosen, of_graded, num_documents=len(all_scores))
        found = self._evaluate(held, all_scores=all_scores, census=census, seed=work.seed)
        sides = triangle(graded, lesson, of_graded, seed=work.seed)
        work.details |= found | ({"triangle": sides} if sides else {})
        doubts = self._doubts(found["agreement"], found["baselines"], held=len(lesson.held))
        work.details |= {"warnings": doubts + _not_drawn(held.chosen)}

    def _score_only(self, work: Gathering) -> None:
        """Score every document with the classifier that is given."""
        embedding = folder_of(work.inputs["model"]) if self.params.student == "embedding" else None
        jobs = [ScoreJob(part, folder_of(work.inputs["pinned"]), embedding) for part in work.parts]
        for part, column in zip(work.parts, work.map(score_part, jobs, label="quality scores"), strict=True):
            work.write(part, {"score": column})

    def _doubts(self, found: Mapping[str, float], baselines: Mapping[str, Any], *, held: int) -> list[str]:
        """Return what speaks against selecting by these scores; DataError if they are no better than none."""
        low, value = found["spearman_low"], found["spearman"]
        by_length = baselines["length"]["spearman"]
        told = (
            f"quality: on {held} held-out documents the classifier agrees with the grades at Spearman {value:.2f} "
            f"({low:.2f} to {found['spearman_high']:.2f}), length alone at {by_length:.2f}"
        )
        way_out = "Grade more documents, look at the grades (labels.parquet), or set min_spearman: -1 to go on."
        never = self.params.min_spearman == -1
        if not never and low <= self.params.min_spearman:
            raise DataError(
                f"{told}; the lower end must be above {self.params.min_spearman:g} (min_spearman), or it selects by "
                f"chance. {way_out}"
            )
        unbeaten = [name for name, each in baselines.items() if each["spearman"] >= value]
        if not never and unbeaten:
            names = " and ".join(BASELINES.get(name, name) for name in unbeaten)
            raise DataError(f"{told}; it does no better than {names}, so it adds nothing to that. {way_out}")
        if low <= 0:
            return [f"{told}: what it learnt cannot be told from chance"]
        unsure = [name for name, each in baselines.items() if each.get("gain_low", 1.0) <= 0]
        if unsure:
            names = " and ".join(BASELINES.get(name, name) for name in unsure)
            return [f"{told}: that it agrees better than {names} cannot be told from chance"]
        return [f"{told}: that is weak, and selects little more than chance"] if value < WEAK_SPEARMAN else []

    def _evaluate(
        self, held: Held, *, all_scores: np.ndarray, census: Census | None, seed: int
    ) -> dict[str, Any]:  # fmt: skip
        scores, grades, positive = held.scores, held.grades, self.params.positive_grade
        constant = np.full(len(grades), held.mean_grade)
        beside = partial(report.beside, scores=scores, grades=grades, clusters=held.clusters, seed=seed)
        bins = report.calibration(scores, grades, top=self.top)
        measured = {
            "documents": len(grades), "clusters": len(np.unique(held.clusters)), "chosen": counted(held.chosen)
        }  # fmt: skip
        alone = report.alone({"measured_on": measured})
        weigh: dict[str, Any] = {"positive_grade": positive, "alone": alone, "census": census}
        return {
            "measured_on": measured,
            "agreement": report.agreement(scores, grades, clusters=held.clusters, seed=seed),
            "baselines": {
                "mean_grade": {"spearman": 0.0, **report.errors(constant, grades)},
                "length": beside(held.by_length),
                "random_grades": beside(held.by_luck),
            },
            "by_source": report.by_source(scores, grades, sources=held.sources, clusters=held.clusters, seed=seed),
            "scale": [0, self.top],
            "positive_grade": positive,
            "top_tenth": report.top_tenth(scores, grades, **weigh),
            "operating_points": report.operating_points(scores, grades, all_scores=all_scores, top=self.top, **weigh),
            "calibration": bins,
            "calibration_error": report.calibration_error(bins),
            "held_out_scores": sorted(
                [score, grade] for score, grade in zip(scores.tolist(), grades.tolist(), strict=True)
            ),
        } | ({"census": census.told()} if census is not None else {})


def census_of(graded: Graded, held: np.ndarray, scores: np.ndarray, *, num_documents: int) -> Census | None:
    """Return the documents that had a grade, where what is held out is a sample of the others; else None."""
    known = graded.chosen == KNOWN
    if not known.any() or (held != SAMPLE).any():
        return None
    return Census(scores[known].astype(np.float64), graded.grades[known], num_documents - int(known.sum()))


def _not_drawn(chosen: np.ndarray) -> list[str]:
    """Say that figures are of documents that were chosen, unless a file of grades says nothing of how they were."""
    by_choice = counted(chosen)
    if len(by_choice) == 1 and by_choice.keys() <= {SAMPLE, "file"}:
        return []
    told = ", ".join(f"{count} {name}" for name, count in by_choice.items())
    return [
        f"quality: fewer than {MIN_MEASURED} held-out documents are of the sample ({told}), so its figures are of "
        "documents that were chosen, and may not hold for the dataset"
    ]


BASELINES = {"mean_grade": "one grade for all", "length": "length alone", "random_grades": "shuffled grades"}


@dataclass(frozen=True, slots=True)
class Held:
    """The documents held out: their grades, and what the classifier and those that read nothing say of them."""

    scores: np.ndarray
    grades: np.ndarray
    by_length: np.ndarray
    by_luck: np.ndarray
    clusters: np.ndarray
    sources: np.ndarray
    chosen: np.ndarray
    mean_grade: float  # of the documents trained on

    @staticmethod
    def of(graded: Graded, lesson: TrainingSplit, scores: np.ndarray, luck: Student) -> Held:
        """Score the held-out documents in every way; `scores` are the classifier's of all graded ones."""
        rows, sizes = lesson.held, np.diff(graded.batch.offsets)
        taught = graded.grades[lesson.train]
        return Held(
            scores=scores[rows],
            grades=graded.grades[rows],
            by_length=report.length_baseline(sizes[lesson.train], taught, sizes[rows]),
            by_luck=luck.score(graded.batch)[rows],
            clusters=lesson.clusters[rows],
            sources=graded.sources[rows],
            chosen=graded.chosen[rows],
            mean_grade=float(taught.mean()),
        )


@dataclass(frozen=True, slots=True)
class ScoreJob:
    """One part to score with the model in `folder`. Picklable."""

    part: Part
    folder: Path
    embedding: Path | None = None


def score_part(job: ScoreJob) -> np.ndarray:
    """Return float32[num_rows], the scores of one part's live documents."""
    if job.part.num_rows == 0:
        return np.zeros(0, np.float32)
    return load_student(job.folder, embedding=job.embedding).score(job.part.batch())
