"""A sample of the documents graded 0 to 5 by a teacher against a written rubric: the standard for the classifier.

Which documents are graded depends on the seed, their ids, sources and lengths and on nothing else: each id has a place
in a seeded order, and every stratum (source x length) gives its first ones in proportion to its size. So the sample is
the same however the dataset is cut into shards, a share found in it is an estimate for the whole, and asking for more
documents keeps those that were already paid for. 2,000 documents of 6,000 characters cost about 0.70 USD with Claude
Haiku 5.5 (calculated from its list price, not measured) and nothing with the offline rubric. With a file of grades the
sample is what the file grades: all its documents that reach this step, counted, and those that do not, named. The card
says what is known of the grades' quality (`label_card`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import pyarrow as pa
from pydantic import Field, model_validator

from filters.labels import label_card
from filters.labels.asking import Texts, Wishes
from filters.labels.brought import Here
from filters.labels.grade_file import GradeFile, count_rows, read_grades
from filters.labels.obtain import ask, take
from filters.labels.rounds import By, Rounds
from filters.labels.rubric import NUM_CRITERIA, Rubric, excerpt, load_rubric
from filters.labels.sampling import Survey, SurveyTask, survey_part
from filters.labels.teachers import ClaudeTeacher, Grading, OfflineTeacher, Teacher, Useless
from filters.labels.twins import TWINS
from pipeline.core.claude.endpoint import foreign_endpoint
from pipeline.core.claude.prices import PACKAGED
from pipeline.core.errors import DataError, RecipeError, did_you_mean
from pipeline.core.files.shards import write_table
from pipeline.core.identity import hash_file
from pipeline.core.rng import derive
from pipeline.core.step import Gathering, GatheringStep, Params, Part, Signal, Step, how, input_names

if TYPE_CHECKING:
    from pipeline.core.claude.forecast import Forecast, Outlook

LABELS = "labels.parquet"
OF_ROUNDS = ("rounds", "round_documents", "round_by", "min_gain_per_usd")
TOLD_BY = ("language.language", "topics.topic_name")  # signals whose values outcomes are told by, where they exist
LARGE_CHARACTER = "\N{GRINNING FACE}"  # four bytes, as large as one gets
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
    strata: tuple[str, ...] = Field(
        default=(), description="Signals of earlier steps whose values are strata too, such as language.language."
    )
    known: str | None = input_names(
        None, description="A file of grades that are there already (as of `teacher: file`): taken, and not asked for."
    )
    anchors: int = Field(
        default=50, ge=0, le=10_000, description="Documents of `known` that are asked for all the same, for drift."
    )
    people: str | None = input_names(
        None, description="A file of people's grades: asked for, to tell how far the teacher agrees with them."
    )
    earlier: str | None = input_names(
        None, description="An earlier label set of these documents (its labels.parquet, or a file): how grades moved."
    )
    second_reading: float = Field(
        default=0.05, ge=0, le=1, description="Share of the sample that Claude reads twice, for agreement; paid for."
    )
    twins: float = Field(
        default=0.02, ge=0, le=1, description="Share of the sample sent again padded and without Markdown; paid for."
    )
    rounds: int = Field(
        default=0, ge=0, le=50, description="Rounds after the sample, each of `round_documents` more documents."
    )
    round_documents: int = Field(default=500, ge=1, le=1_000_000, description="Documents of each round.")
    round_by: By = Field(
        default="stratified",
        description="More of the sample, or what classifiers of the grades so far agree on least (unsure).",
    )
    min_gain_per_usd: float = Field(
        default=0.0, ge=0,
        description="Buy no further round that promises less rank correlation (Spearman) per US dollar; 0: buy all.",
    )  # fmt: skip
    prices: str | None = how(
        None, description="A price file of your own; without it, pipeline/core/claude/prices.toml."
    )

    @model_validator(mode="after")
    def _every_setting_has_an_effect(self) -> Self:
        if (self.teacher == "file") != (self.path is not None):
            raise ValueError("`path` goes with `teacher: file`, and only with it")
        paid = {"model", "max_usd", "concurrency", "batches", "prices", "max_useless", "ask_again", "second_reading"}
        paid |= {"min_gain_per_usd"}
        idle = set() if self.teacher == "claude" else paid
        idle |= (
            {"excerpt_chars", "documents", "sample", "strata", "known", "twins", "rounds"}
            if self.teacher == "file"
            else set()
        )
        without_effect = sorted(idle & self.model_fields_set)
        if without_effect:
            raise ValueError(f"`{'`, `'.join(without_effect)}` has no effect with `teacher: {self.teacher}`")
        idle_without = {"`known`": ["anchors"] * (self.known is None)}
        idle_without["`rounds`"] = [name for name in OF_ROUNDS if name != "rounds"] * (self.rounds == 0)
        idle_without["`sample: stratified`"] = ["strata"] * (self.sample == "uniform")
        for what, names in idle_without.items():
            if set(names) & self.model_fields_set:
                raise ValueError(f"`{min(set(names) & self.model_fields_set)}` has no effect without {what}")
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
        extras = {"endpoint": endpoint} if endpoint else {}
        if self.params.rounds and (self.params.round_by == "unsure" or self.params.min_gain_per_usd):
            extras["torch"] = installed("torch")  # trains what a round is chosen or refused by
        if self.params.min_gain_per_usd:
            extras["prices"] = hash_file(self._prices() or PACKAGED)
        return super().identity_extras() | extras

    def check(self, earlier: Mapping[str, Step]) -> None:
        there = [f"{label}.{signal.name}" for label, step in earlier.items() for signal in step.signals]
        for name in self.params.strata:
            if name not in there:
                raise RecipeError(
                    f"`label` has the stratum `{name}`, and no step before it measures that.{did_you_mean(name, there)}"
                )

    def gather(self, work: Gathering) -> None:
        rubric = self._rubric(work.inputs.get("rubric_file", ()))
        signals = self.params.strata + tuple(name for name in TOLD_BY if name in work.signals_before)
        signals = tuple(dict.fromkeys(signals))
        files = {
            name: read_grades(work.inputs[name][0], rubric=rubric)
            for name in ("path", "known", "people", "earlier") if work.inputs.get(name)
        }  # fmt: skip
        survey = self._survey(work, files.get("path"), signals=signals)
        here = {name: self._here(work, file, survey) for name, file in files.items()}
        if self.params.teacher == "file":
            self._check_enough(len(here["path"].keys), work.wanted)
            labels = take(survey, here, work)
        else:
            texts = Texts(work.parts, survey, max_chars=self.params.excerpt_chars)
            with self._teacher(work, rubric) as teacher:
                labels = ask(
                    survey, here, work, teacher=teacher, texts=texts, wishes=self._wishes(),
                    check_enough=lambda count: self._check_enough(count, work.wanted),
                )  # fmt: skip
        gradings = {str(survey.ids[position]): each for position, each in labels.gradings.items()}
        titles = {str(survey.ids[position]): title for position, title in labels.titles.items()}
        write_table(work.output / LABELS, _labels(gradings))
        for part in work.parts:
            work.write(part, _columns(part, gradings, titles=titles))
        work.cost_usd = labels.account.cost_usd
        grades = Counter(round(each.grade) for each in gradings.values() if each.grade is not None)
        work.details |= {"teacher": labels.title, "rubric": rubric.name, "rubric_blake3": rubric.hash}
        work.details |= label_card.outcomes(survey, labels.asked, signals=signals)
        work.details |= {"grades": {str(grade): grades[grade] for grade in range(NUM_CRITERIA + 1)}}
        work.details |= labels.found | dict(labels.account.note)

    def _here(self, work: Gathering, file: GradeFile, survey: Survey) -> Here:
        if file.key == "id":
            return Here.found(file, survey.ids.tolist())
        return Here.found(file, self._survey(work, file).keys.tolist())

    def _wishes(self) -> Wishes:
        params = self.params
        return Wishes(
            documents=params.documents, stratified=params.sample == "stratified",
            strata=range(len(params.strata)), anchors=params.anchors, twins=params.twins,
            second_reading=params.second_reading if params.teacher == "claude" else 0.0,
            rounds=Rounds(params.rounds, params.round_documents, params.round_by, params.min_gain_per_usd),
        )  # fmt: skip

    def _check_enough(self, count: int, wanted: Mapping[str, int]) -> None:
        """Stop before anything is bought that a later step cannot use."""
        least = wanted.get("grade", 0)
        if count < least:
            raise DataError(
                f"label: {count} documents can be graded; a later step needs {least} grades. Nothing was bought. Let "
                "more documents through to `label`, or leave the later step out."
            )

    def estimate_usd(self, num_documents: int) -> float:
        """Return the most that the grades can cost, capped by `max_usd`."""
        if self.params.teacher != "claude":
            return 0.0
        times = 1 + max(self.params.ask_again.values(), default=0)
        return self._bound_usd(self._count(num_documents) * times)

    def _count(self, num_documents: int) -> int:
        """Return how many gradings are asked for; 0 documents are a number that is not known yet."""
        count = min(self.params.documents, num_documents) if num_documents > 0 else self.params.documents
        probes = round(self.params.second_reading * count) + len(TWINS) * round(self.params.twins * count)
        beside = (self.params.anchors if self.params.known is not None else 0) + self._num_people()
        further = self.params.rounds * self.params.round_documents
        further = min(further, num_documents - count) if num_documents > 0 else further
        return count + probes + beside + further

    def _num_people(self) -> int:
        """Return how many rows the file of people's grades has at most."""
        path = self.params.people
        if path is None or not Path(path).is_file():
            return 0
        return count_rows(Path(path))

    def params_before(self) -> dict[str, Any] | None:
        measured = self.params.of_role("measure")
        if self.params.ask_again:
            return {key: value for key, value in measured.items() if key != "ask_again"}
        if self.params.rounds > 1:
            return measured | {"rounds": self.params.rounds - 1}
        if self.params.rounds == 1:
            return {key: value for key, value in measured.items() if key not in OF_ROUNDS}
        return None

    def estimate_more_usd(self, details: Mapping[str, Any]) -> float:
        return self._bound_usd(self._count_more(details))

    def _count_more(self, details: Mapping[str, Any]) -> int:
        """Return how many gradings this step would add to the result that it adds to."""
        if not self.params.ask_again:
            return self.params.round_documents
        outcomes = details.get("outcomes", {})
        return sum(outcomes.get(status, 0) * times for status, times in self.params.ask_again.items())

    def _bound_usd(self, count: int) -> float:
        from pipeline.core.claude.client import estimate_bound_usd

        longest = LARGE_CHARACTER * self.params.excerpt_chars
        request = self._planned_rubric().request(longest, model=self.params.model)
        bound = estimate_bound_usd(request, prices=self._prices())
        return min(self.params.max_usd, count * bound)

    def forecast(self, outlook: Outlook) -> Forecast | None:
        """Return what the grades will probably cost, useless answers that are asked again left out."""
        if self.params.teacher != "claude":
            return None
        from pipeline.core.claude.forecast import forecast

        rubric, most = self._planned_rubric(), self.params.excerpt_chars
        return forecast(
            outlook, lambda text: rubric.request(excerpt(text, max_chars=most), model=self.params.model),
            count=self._count(outlook.num_documents) if outlook.earlier is None else self._count_more(outlook.earlier),
            prices=self._prices(), batch=self.params.batches,
        )  # fmt: skip

    def _planned_rubric(self) -> Rubric:
        return self._rubric(() if self.params.rubric_file is None else (Path(self.params.rubric_file),))

    def _rubric(self, files: Sequence[Path]) -> Rubric:
        return load_rubric(self.params.rubric, file=files[0] if files else None)

    def _prices(self) -> Path | None:
        return None if self.params.prices is None else Path(self.params.prices)

    def _survey(self, work: Gathering, file: GradeFile | None, *, signals: tuple[str, ...] = ()) -> Survey:
        """Look at every document's id, source, length and signals, and at what a file knows it by."""
        seed = derive(work.seed, "label", "sample")
        key = "id" if file is None else file.key
        hash = file.hash_kind if file is not None and key == "id" else None
        tasks = [SurveyTask(part, seed, key=key, hash=hash, signals=signals) for part in work.parts]
        return Survey.concatenate(work.map(survey_part, tasks, label="label (sampling)"))

    def _teacher(self, work: Gathering, rubric: Rubric) -> Teacher:
        if self.params.teacher == "offline":
            return OfflineTeacher(rubric=rubric, map=work.map)
        return ClaudeTeacher(
            rubric=rubric, model=self.params.model, ledger=work.ledger, max_usd=self.params.max_usd,
            prices=self._prices(), concurrency=self.params.concurrency, max_useless=self.params.max_useless,
            ask_again=self.params.ask_again, batches=self.params.batches, wait=work.wait, say=work.say,
            buyer=work.buyer,
        )  # fmt: skip


def _columns(part: Part, gradings: dict[str, Grading], *, titles: Mapping[str, str]) -> dict[str, list[Any]]:
    ids = part.load(("id",)).column("id").to_pylist()
    found = [gradings.get(id) for id in ids]
    return {
        "grade": [None if grading is None else grading.grade for grading in found],
        "status": [None if grading is None else grading.status for grading in found],
        "teacher": [titles.get(id) for id in ids],
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
