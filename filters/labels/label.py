"""A sample of the documents graded 0 to 5 by a teacher against a written rubric: the standard for the classifier.

Which documents are graded depends on the seed, their ids, sources and lengths and on nothing else: each id has a place
in a seeded order, and every stratum (source x length) gives its first ones in proportion to its size. So the sample is
the same however the dataset is cut into shards, a share found in it is an estimate for the whole, and asking for more
documents keeps those that were already paid for. 2,000 documents of 6,000 characters and the 200 readings
beside them cost about 0.75 USD with Claude Haiku 5.5 (calculated from its list price, not measured) and nothing with
the offline rubric. With a file of grades the sample is what the file grades: all its documents that reach this step,
counted, and those that do not, named. The card says what is known of the grades' quality (`label_card`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from filters.labels.asking.canaries import longest_order, num_canaries
from filters.labels.asking.injections import find_injections
from filters.labels.asking.questions import Texts, Wishes
from filters.labels.asking.twins import TWINS, padded
from filters.labels.card import label_card
from filters.labels.card.rows import Row, columns_of, counts, labels_table
from filters.labels.label_params import OF_ROUNDS, LabelParams
from filters.labels.obtain import First, Labels, ask, take
from filters.labels.rubrics.rubric import Rubric, excerpt, is_excerpt, load_rubric
from filters.labels.sample.brought import look
from filters.labels.sample.rounds import LEAST_GRADED, Rounds
from filters.labels.teachers.claude import ClaudeTeacher, request_of
from filters.labels.teachers.grade_file import count_rows, grade_files
from filters.labels.teachers.grading import CHUNK, Teacher
from filters.labels.teachers.offline import OfflineTeacher, check_offline, languages_of
from pipeline.core.claude.prices import load_prices
from pipeline.core.claude.server.endpoint import foreign_endpoint
from pipeline.core.errors import DataError, RecipeError, did_you_mean
from pipeline.core.files.parquet.shards import write_table
from pipeline.core.step import Gathering, GatheringStep, Quantile, Rule, Signal, Step

if TYPE_CHECKING:
    from pipeline.core.claude.accounting.forecast import Forecast, Outlook
    from pipeline.core.claude.messages.request import Request

LABELS = "labels.parquet"
TOLD_BY = ("language.language", "topics.topic_name")  # signals whose values outcomes are told by, where they exist
MOST_LOOKED_AT = 200_000  # documents whose sample a plan draws beforehand: some seconds
LARGE_CHARACTER = "\N{GRINNING FACE}"  # four bytes, as large as one gets
BY_PEOPLE = Signal("people", pa.float32(), "0 to 5", "the grade that people gave; null: none was brought")


class Label(GatheringStep):
    """Grades a sample; documents outside of it, and those without a valid grade, have a null grade. Drops nothing."""

    name: ClassVar[str] = "label"
    version: ClassVar[int] = 6  # bump when the packaged `educational`, a frame, FAMILIES or the offline scorer changes
    Params = LabelParams
    signals: tuple[Signal, ...] = (
        Signal("grade", pa.float32(), "0 to 5", "what the answers by the rubric add up to; null: no grade"),
        Signal(
            "status",
            pa.string(),
            "",
            "graded, unsupported, refused, truncated, invalid or errored (rejected); null: not in the sample",
        ),
        Signal("teacher", pa.string(), "", "who graded, by which rubric; null: not in the sample"),
        Signal("chosen", pa.string(), "", "sample, unsure, known, people or file: why it was graded; null: it was not"),
        Signal("injections", pa.int8(), "families", "known ways of giving orders to a model; null: not in the sample"),
        Signal(
            "unsupported",
            pa.int8(),
            "answers",
            "without the quote that they need, standing in the document; null: no grade",
        ),
    )

    def __init__(self, *, params: LabelParams) -> None:
        super().__init__(params=params)
        self.params: LabelParams = params
        own = params.rubric_file
        if own is None or Path(own).is_file():  # a file that is not there is the recipe's mistake, which it notes
            rubric = load_rubric(params.rubric, file=None if own is None else Path(own))
            if params.teacher == "offline":
                check_offline(rubric)
            told = "a further grade by the same questions; null: no grade"
            grades = [Signal(name, pa.float32(), "0 to 5", told) for name in rubric.more_scores]
            grades += [] if params.people is None else [BY_PEOPLE]
            self.signals = (*type(self).signals, *grades)

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return the rule on injections, if there is one; documents outside of the sample have no value and pass."""
        most = self.params.max_injections
        return () if most is None else (Rule("injection", "injections", "<=", most, "max_injections"),)

    @property
    def most_asked(self) -> int | None:
        """Return how many documents are graded at most; None where files bring grades or documents to grade."""
        if self.params.teacher == "file" or self.params.known is not None or self.params.people is not None:
            return None
        if self.params.documents < LEAST_GRADED:  # no round begins
            return self.params.documents
        return self.params.documents + self.params.rounds * self.params.round_documents

    def check_environment(self) -> None:
        if self.params.teacher == "claude":
            from pipeline.core.claude.server.connection import check_credentials

            check_credentials()

    def identity_extras(self) -> dict[str, Any]:
        """Name a packaged rubric by its content, and a server that is not Anthropic's: names say nothing of either."""
        extras = super().identity_extras()
        if self.params.rubric_file is None and (rubric := load_rubric(self.params.rubric)).quotes:
            extras |= {"rubric": rubric.hash}
        endpoint = foreign_endpoint() if self.params.teacher == "claude" else ""
        extras |= {"endpoint": endpoint} if endpoint else {}
        if self.params.rounds and (self.params.round_by == "unsure" or self.params.min_gain_per_usd):
            extras["torch"] = installed("torch")  # trains what a round is chosen or refused by
        if self.params.min_gain_per_usd:
            model = self.model_of(self._planned_rubric())
            extras["prices"] = load_prices(self._prices()).identity(model)
        return extras

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
        seen = look(work, files=grade_files(work.inputs, rubric=rubric), signals=signals)
        survey, here = seen.survey, seen.here
        texts = Texts(work.parts, survey, max_chars=self.excerpt_of(rubric))
        if self.params.teacher == "file":
            self._check_enough(len(here["path"].keys), work.wanted)
            labels = take(survey, here, work)
        else:
            with self._teacher(work, rubric) as teacher:
                labels = ask(
                    survey, here, work, teacher=teacher, texts=texts, wishes=self._wishes(rubric),
                    check_enough=lambda count: self._check_enough(count, work.wanted),
                )  # fmt: skip
        rows = self._looked_at(work, labels, texts)
        write_table(work.output / LABELS, labels_table(rows, rubric=rubric))
        by_people = here["people"].grades(survey) if "people" in here else None
        for part in work.parts:
            work.write(part, columns_of(part, rows, rubric=rubric, people=by_people))
        work.cost_usd = labels.account.cost_usd
        work.details |= {"teacher": labels.title, "rubric": rubric.name, "rubric_blake3": rubric.hash}
        work.details |= {"rubric_version": rubric.head.version} if rubric.quotes else {}
        work.details |= label_card.outcomes(survey, labels.asked, signals=signals)
        work.details |= counts(list(rows.values()), rubric=rubric)
        work.details |= labels.found | dict(labels.account.note)

    def _looked_at(self, work: Gathering, labels: Labels, texts: Texts) -> dict[str, Row]:
        """Look at what the teacher saw; return every graded document with the orders that stand in it, by id."""
        specimens = texts.specimens(list(labels.gradings))
        shown = [specimen.text for specimen in specimens]
        chunks = [shown[start : start + CHUNK] for start in range(0, len(shown), CHUNK)]
        found = [each for chunk in work.map(find_injections, chunks, label="label (injections)") for each in chunk]
        if self.params.teacher == "offline":
            own = texts.specimens(list(labels.asked))
            labels.found["languages"] = languages_of(own, any_language=self.params.any_language, say=work.say)
        return {
            specimen.id: Row(labels.gradings[position], labels.titles[position], labels.chosen[position], families)
            for position, specimen, families in zip(labels.gradings, specimens, found, strict=True)
        }

    def _wishes(self, rubric: Rubric) -> Wishes:
        params, paid = self.params, self.params.teacher == "claude"
        return Wishes(
            documents=params.documents, stratified=params.sample == "stratified",
            strata=range(len(params.strata)), anchors=params.anchors, twins=params.twins,
            second_reading=params.second_reading if paid else 0.0,
            canaries=params.canaries if paid else 0.0, best_answer=rubric.best_answer(),
            rounds=Rounds(params.rounds, params.round_documents, params.round_by, params.min_gain_per_usd),
        )  # fmt: skip

    def _check_enough(self, count: int, wanted: Mapping[str, int]) -> None:
        """Stop before anything is bought that a later step cannot use."""
        least = wanted.get("grade", 0)
        if count < least:
            raise DataError(
                f"label: {count} documents can be graded; a later step needs {least} grades. Nothing was bought. Raise "
                "`documents` where more reach `label`, let more through to it, or leave the later step out."
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
        probes += num_canaries(count, share=self.params.canaries)
        return count + probes + beside + self._num_further(num_documents)

    def _num_further(self, num_documents: int) -> int:
        """Return how many documents the rounds ask for, at most."""
        further = self.params.rounds * self.params.round_documents
        return min(further, max(num_documents - self.params.documents, 0)) if num_documents > 0 else further

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
        outcomes = details.get("answers_by_outcome", details.get("outcomes", {}))  # further readings among them
        return sum(outcomes.get(status, 0) * times for status, times in self.params.ask_again.items())

    def _bound_usd(self, count: int) -> float:
        from pipeline.core.claude.abilities.self_test import most_usd

        rubric = self._planned_rubric()
        added = max(longest_order(rubric.best_answer()), len(padded("")))
        longest = LARGE_CHARACTER * self.excerpt_of(rubric) + "x" * added
        request = rubric.request(longest, model=self.model_of(rubric))
        how: dict[str, Any] = {"demand": self.params.ask_by, "cache": self.params.cache, "prices": self._prices()}
        return min(self.params.max_usd, most_usd(request, count=count, **how))

    def model_of(self, rubric: Rubric) -> str:
        """Return the model that is asked."""
        return rubric.head.model if self.params.model is None else self.params.model

    def excerpt_of(self, rubric: Rubric) -> int:
        """Return the characters of a document that are shown."""
        return rubric.head.excerpt if self.params.excerpt_chars is None else self.params.excerpt_chars

    def forecast(self, outlook: Outlook) -> Forecast | None:
        """Return what the grades will probably cost, useless answers that are asked again left out."""
        if self.params.teacher != "claude":
            return None
        from pipeline.core.claude.abilities.self_test import known_abilities
        from pipeline.core.claude.accounting.forecast import forecast

        rubric = self._planned_rubric()
        most, model, earlier = self.excerpt_of(rubric), self.model_of(rubric), outlook.earlier
        count = self._count(outlook.num_documents) if earlier is None else self._count_more(earlier)
        abilities = known_abilities(outlook.ledger, model=model)
        way = abilities.likely(self.params.ask_by)
        wanted = [replace(request, way=way) for request in self._wanted(outlook, rubric)] if earlier is None else []
        fewest = count - round(self.params.twins * self.params.documents)  # no Markdown: no such twin
        if wanted:
            fewest = len(wanted)  # rounds may end early
            count = fewest + self._num_further(outlook.num_documents)
        found = forecast(
            outlook, lambda text: replace(rubric.request(excerpt(text, max_chars=most), model=model), way=way),
            count=count, fewest=fewest, wanted=wanted, output_tokens=rubric.output_tokens(),
            num_before=0 if earlier is None else earlier.get("from_ledger", 0) + earlier.get("bought", 0),
            asked_so=lambda prompt: is_excerpt(prompt, max_chars=most),
            prices=self._prices(), batch=self.params.batches, cache=self.params.cache,
        )  # fmt: skip
        return None if found is None else replace(
            found, note=abilities.told(self.params.ask_by), cap_usd=self.params.max_usd
        )  # fmt: skip

    def _wanted(self, outlook: Outlook, rubric: Rubric) -> list[Request]:
        """Return what would be asked before any round; nothing where that is not known, or takes long to find out."""
        if outlook.num_documents > MOST_LOOKED_AT or self.params.documents > MOST_LOOKED_AT:
            return []
        work = outlook.work()
        if work is None:
            return []
        named = {name: work.inputs[name] for name in ("known", "people") if name in work.inputs}
        seen = look(work, files=grade_files(named, rubric=rubric), signals=self.params.strata)
        texts, wishes = Texts(work.parts, seen.survey, max_chars=self.excerpt_of(rubric)), self._wishes(rubric)
        asked = First.of(seen.survey, seen.here, wishes).questions(texts, wishes, seed=work.seed)
        return [request_of(each.specimen, rubric=rubric, model=self.model_of(rubric)) for each in asked]

    def _planned_rubric(self) -> Rubric:
        return self._rubric(() if self.params.rubric_file is None else (Path(self.params.rubric_file),))

    def _rubric(self, files: Sequence[Path]) -> Rubric:
        return load_rubric(self.params.rubric, file=files[0] if files else None)

    def _prices(self) -> Path | None:
        return None if self.params.prices is None else Path(self.params.prices)

    def _teacher(self, work: Gathering, rubric: Rubric) -> Teacher:
        if self.params.teacher == "offline":
            return OfflineTeacher(map=work.map)
        return ClaudeTeacher(
            rubric=rubric, model=self.model_of(rubric), ledger=work.ledger, max_usd=self.params.max_usd,
            prices=self._prices(), concurrency=self.params.concurrency, max_useless=self.params.max_useless,
            ask_again=self.params.ask_again, batches=self.params.batches, wait=work.wait, say=work.say,
            buyer=work.buyer, ask_by=self.params.ask_by, cache=self.params.cache,
        )  # fmt: skip
