"""A sample of the documents graded 0 to 5 by a teacher against a written rubric: the standard for the classifier.

Which documents are graded depends on the seed, their ids, sources and lengths and on nothing else: each id has a place
in a seeded order, and every stratum (source x length) gives its first ones in proportion to its size. So the sample is
the same however the dataset is cut into shards, a share found in it is an estimate for the whole, and asking for more
documents keeps those that were already paid for. 2,000 documents of 6,000 characters cost about 0.70 USD with Claude
Haiku 5.5 (calculated from its list price, not measured) and nothing with the offline rubric. With a file of grades the
sample is what the file grades: all its documents that reach this step, counted, and those that do not, named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from filters.labels.grade_file import GradeFile, read_grades
from filters.labels.rubric import NUM_CRITERIA, Rubric, excerpt, load_rubric
from filters.labels.sampling import Survey, SurveyTask, choose, survey_part
from filters.labels.teachers import ClaudeTeacher, Grading, Lesson, OfflineTeacher, Specimen, Teacher, Useless
from pipeline.core.claude.endpoint import foreign_endpoint
from pipeline.core.errors import DataError
from pipeline.core.files.shards import write_table
from pipeline.core.rng import derive
from pipeline.core.step import Gathering, GatheringStep, Params, Part, Signal, how, input_names

LABELS = "labels.parquet"
EXAMPLES = 3
Times = Annotated[int, Field(ge=1, le=5)]


class LabelParams(Params):
    """Who grades what, by which standard, for how much."""

    rubric: str = Field(default="educational", min_length=1, description="Packaged rubric (filters/rubrics).")
    rubric_file: str | None = input_names(None, description="A rubric of your own, Markdown, in place of `rubric`.")
    teacher: Literal["offline", "claude", "file"] = Field(
        default="offline", description="Who grades: signals (no model), Claude, or a file of grades."
    )
    path: str | None = input_names(
        None, description="For `teacher: file`: parquet or JSONL with `grade` and `id` or `text_hash`."
    )
    documents: int = Field(
        default=2000, ge=1, le=10_000_000, description="Documents to grade; a file's are all those that it grades."
    )
    sample: Literal["stratified", "uniform"] = Field(
        default="stratified", description="In proportion by source and length, or blind to both."
    )
    model: str = Field(default="claude-haiku-5-5", min_length=1, description="For `teacher: claude`: the model's id.")
    excerpt_chars: int = Field(
        default=6000, ge=200, le=200_000, description="Characters of a document that the teacher sees, from its start."
    )
    max_usd: float = how(1.0, ge=0, description="US dollars that these grades may cost in all runs together.")
    concurrency: int = how(8, ge=1, le=256, description="Requests in flight at once.")
    batches: bool = how(False, description="Send Message Batches: half the price, answers within a day.")
    max_useless: float = how(
        0.6, gt=0, le=1,
        description="Stop when a larger share of the last answers is useless (invalid, refused, truncated); 1: never.",
    )  # fmt: skip
    ask_again: dict[Useless, Times] = Field(
        default={}, description="Useless answers to pay for once more, by kind and how often: {invalid: 1}."
    )
    prices: str | None = how(
        None, description="A price file of your own; without it, pipeline/core/claude/prices.toml."
    )

    @model_validator(mode="after")
    def _every_setting_has_an_effect(self) -> Self:
        if (self.teacher == "file") != (self.path is not None):
            raise ValueError("`path` goes with `teacher: file`, and only with it")
        paid = {"model", "max_usd", "concurrency", "batches", "prices", "max_useless", "ask_again"}
        idle = set() if self.teacher == "claude" else paid
        idle |= {"excerpt_chars", "documents", "sample"} if self.teacher == "file" else set()
        without_effect = sorted(idle & self.model_fields_set)
        if without_effect:
            raise ValueError(f"`{'`, `'.join(without_effect)}` has no effect with `teacher: {self.teacher}`")
        if self.rubric_file is not None and "rubric" in self.model_fields_set:
            raise ValueError("give `rubric` or `rubric_file`, not both")
        return self


class Label(GatheringStep):
    """Grades a sample; documents outside of it, and those without a valid grade, have a null grade. Drops nothing."""

    name: ClassVar[str] = "label"
    version: ClassVar[int] = 2  # bump when a packaged rubric, its frame or the offline scorer changes
    Params = LabelParams
    signals = (
        Signal("grade", pa.float32(), "0 to 5", "criteria of the rubric that the document meets; null: no grade"),
        Signal(
            "status",
            pa.string(),
            "",
            "graded, refused, truncated, invalid or errored (rejected); null: not in the sample",
        ),
        Signal("teacher", pa.string(), "", "who graded, by which rubric; null: not in the sample"),
    )

    def __init__(self, *, params: LabelParams) -> None:
        super().__init__(params=params)
        self.params: LabelParams = params

    def check_environment(self) -> None:
        if self.params.teacher == "claude":
            from pipeline.core.claude.connection import check_credentials

            check_credentials()

    def identity_extras(self) -> dict[str, Any]:
        """Name the server that answers, where it is not Anthropic's: the same model's name says nothing there."""
        endpoint = foreign_endpoint() if self.params.teacher == "claude" else ""
        return super().identity_extras() | ({"endpoint": endpoint} if endpoint else {})

    def gather(self, work: Gathering) -> None:
        rubric = self._rubric(work.inputs.get("rubric_file", ()))
        brought = read_grades(work.inputs["path"][0], rubric=rubric) if self.params.teacher == "file" else None
        survey = self._survey(work, brought)
        count = self.params.documents if brought is None else len(survey.ids)
        chosen = choose(survey, count=count, stratified=self.params.sample == "stratified")
        self._check_enough(len(chosen), work.wanted)
        if brought is not None:
            lesson, title = _lesson_of(brought, survey, chosen, work), brought.title
        else:
            teacher = self._teacher(work, rubric)
            specimens = load_specimens(work.parts, wanted=survey.ids[chosen], max_chars=self.params.excerpt_chars)
            lesson, title = teacher.grade(specimens), teacher.title
        gradings = dict(zip(survey.ids[chosen].tolist(), lesson.gradings, strict=True))
        write_table(work.output / LABELS, _labels(gradings))
        for part in work.parts:
            work.write(part, _columns(part, gradings, title=title))
        work.cost_usd = lesson.cost_usd
        work.details |= {"teacher": title, "rubric": rubric.name, "rubric_blake3": rubric.hash}
        work.details |= _summary(survey.sources[chosen].tolist(), lesson.gradings) | lesson.note

    def _check_enough(self, count: int, wanted: Mapping[str, int]) -> None:
        """Stop before anything is bought that a later step cannot use."""
        least = wanted.get("grade", 0)
        if count < least:
            raise DataError(
                f"label: {count} documents can be graded; a later step needs {least} grades. Nothing was bought. Let "
                "more documents through to `label`, or leave the later step out."
            )

    def estimate_usd(self, num_documents: int, mean_bytes: float) -> float:
        """Return the most that the grades can cost, capped by `max_usd`."""
        if self.params.teacher != "claude":
            return 0.0
        # Before the dataset exists its number of documents is unknown and given as 0.
        count = min(self.params.documents, num_documents) if num_documents > 0 else self.params.documents
        times = 1 + max(self.params.ask_again.values(), default=0)
        return self._bound_usd(count * times, mean_bytes)

    def params_before(self) -> dict[str, Any] | None:
        if not self.params.ask_again:
            return None
        return {key: value for key, value in self.params.of_role("measure").items() if key != "ask_again"}

    def estimate_more_usd(self, details: Mapping[str, Any], mean_bytes: float) -> float:
        outcomes = details.get("outcomes", {})
        count = sum(outcomes.get(status, 0) * times for status, times in self.params.ask_again.items())
        return self._bound_usd(count, mean_bytes)

    def _bound_usd(self, count: int, mean_bytes: float) -> float:
        from pipeline.core.claude.client import estimate_bound_usd

        shown = "x" * int(min(mean_bytes, self.params.excerpt_chars))
        own = () if self.params.rubric_file is None else (Path(self.params.rubric_file),)
        request = self._rubric(own).request(shown, model=self.params.model)
        bound = estimate_bound_usd(request, prices=self._prices())
        return min(self.params.max_usd, count * bound)

    def _rubric(self, files: Sequence[Path]) -> Rubric:
        return load_rubric(self.params.rubric, file=files[0] if files else None)

    def _prices(self) -> Path | None:
        return None if self.params.prices is None else Path(self.params.prices)

    def _survey(self, work: Gathering, brought: GradeFile | None) -> Survey:
        """Look at every document's id, source and length; with a file, keep those that it grades."""
        seed = derive(work.seed, "label", "sample")
        key = "id" if brought is None else brought.key
        hash = brought.hash_kind if brought is not None and key == "id" else None
        tasks = [SurveyTask(part, seed, key=key, hash=hash) for part in work.parts]
        survey = Survey.concatenate(work.map(survey_part, tasks, label="label (sampling)"))
        if brought is None:
            return survey
        return survey.where(np.array([key in brought.first for key in survey.keys], dtype=bool))

    def _teacher(self, work: Gathering, rubric: Rubric) -> Teacher:
        if self.params.teacher == "offline":
            return OfflineTeacher(rubric=rubric, map=work.map)
        return ClaudeTeacher(
            rubric=rubric, model=self.params.model, ledger=work.ledger, max_usd=self.params.max_usd,
            prices=self._prices(), concurrency=self.params.concurrency, max_useless=self.params.max_useless,
            ask_again=self.params.ask_again, batches=self.params.batches, wait=work.wait, say=work.say,
            buyer=work.buyer,
        )  # fmt: skip


def _lesson_of(brought: GradeFile, survey: Survey, chosen: np.ndarray, work: Gathering) -> Lesson:
    """Take the grades of a file; say which of them are of documents that are here, and of the text that is here."""
    keys = survey.keys[chosen].tolist()
    rows = [brought.first[key] for key in keys]
    here = set(keys)
    missing = sorted(key for key in brought.first if key not in here)
    note: dict[str, Any] = {
        "name": brought.path.name, "blake3": brought.blake3, "graded_documents": len(brought.first),
        "here": len(here), "not_here": len(missing), "not_here_examples": missing[:EXAMPLES],
    }  # fmt: skip
    told = f"label: {len(here):,} of {len(brought.first):,} graded documents are here"
    if brought.key == "id" and brought.hash_kind is not None:
        same = sum(row.text_hash == text for row, text in zip(rows, survey.hashes[chosen].tolist(), strict=True))
        note |= {"same_text": same, "other_text": len(rows) - same}
        told += f", {len(rows) - same:,} with another text than was graded (an earlier step edited it, or a version)"
    if missing:
        told += f"; {len(missing):,} are not (dropped earlier, or unknown), such as {', '.join(missing[:EXAMPLES])}"
    if not here:
        raise DataError(
            f"{brought.path}: none of its {len(brought.first):,} documents reaches `label`, such as "
            f"{', '.join(missing[:EXAMPLES])}. Grades are matched by {brought.key}: bring those of this dataset."
        )
    work.say(told)
    details: dict[str, Any] = {"file": note}
    details |= {"graded_by": brought.graded_by} if brought.graded_by else {}
    readings = brought.readings(seed=work.seed)
    details |= {"two_readings": readings} if readings else {}
    return Lesson([Grading("graded", grade=row.grade, justification=row.evidence) for row in rows], note=details)


def load_specimens(parts: Sequence[Part], *, wanted: Sequence[str], max_chars: int) -> list[Specimen]:
    """Return excerpts of the wanted documents, in the order of `wanted`."""
    import pyarrow.compute as pc  # 0.04 s, which steps that are only planned need not

    values, texts = pa.array(wanted, type=pa.string()), {}
    for part in parts:
        table = part.load(("id", "text"))
        table = table.filter(pc.is_in(table.column("id"), value_set=values))
        for id, text in zip(table.column("id").to_pylist(), table.column("text").to_pylist(), strict=True):
            texts[id] = excerpt(text, max_chars=max_chars)
    return [Specimen(id=id, text=texts[id]) for id in values.to_pylist()]


def _columns(part: Part, gradings: dict[str, Grading], *, title: str) -> dict[str, list[Any]]:
    found = [gradings.get(id) for id in part.load(("id",)).column("id").to_pylist()]
    return {
        "grade": [None if grading is None else grading.grade for grading in found],
        "status": [None if grading is None else grading.status for grading in found],
        "teacher": [None if grading is None else title for grading in found],
    }


def _labels(gradings: dict[str, Grading]) -> pa.Table:
    """Return the graded sample as a table, by id."""
    rows = [(id, gradings[id]) for id in sorted(gradings)]
    return pa.table(
        {
            "id": pa.array([id for id, _ in rows], type=pa.string()),
            "grade": pa.array([grading.grade for _, grading in rows], type=pa.float32()),
            "status": pa.array([grading.status for _, grading in rows], type=pa.string()),
            "justification": pa.array([grading.justification for _, grading in rows], type=pa.string()),
        }
    )


def _summary(sources: Iterable[str], gradings: Sequence[Grading]) -> dict[str, Any]:
    """Count outcomes in all and by source, and grades by whole number."""
    by_source: dict[str, Counter[str]] = {}
    for source, grading in zip(sources, gradings, strict=True):
        by_source.setdefault(source, Counter())[grading.status] += 1
    grades = Counter(round(grading.grade) for grading in gradings if grading.grade is not None)
    return {
        "asked": len(gradings),
        "outcomes": dict(sorted(Counter(grading.status for grading in gradings).items())),
        "outcomes_by_source": {source: dict(sorted(by_source[source].items())) for source in sorted(by_source)},
        "grades": {str(grade): grades[grade] for grade in range(NUM_CRITERIA + 1)},
    }
