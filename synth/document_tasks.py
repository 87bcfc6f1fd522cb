"""Has a model write questions about documents, and keeps those that a reader can answer and a guesser cannot.

A question is kept only if its quote stands in the document, its answer is short and stands there (or is computed), an
independent reader who sees question and document gives the same answer, one who sees the question alone does not, and
the checker refuses every planted wrong answer. Each refusal is counted by its reason; what was bought before it is paid
for, once. Exactly `documents` rows are made while documents and money last.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from pipeline.core.errors import DataError
from pipeline.core.step import Making, Params
from synth.writing.agreement import agree
from synth.writing.origins import lineage, writer_of
from synth.writing.questions import HASH, Question, accepts_wrong, fault, to_guess, to_solve, to_write
from synth.writing.rows import Rows, Tally, tell_shortage
from synth.writing.seeds import Seed, Seeds
from synth.writing.watched import Watch, shown_of
from synth.writing.writer import LARGE_CHARACTER, WatchedParams, Writer, WritingStep

if TYPE_CHECKING:
    from pipeline.core.claude.buying.bought import Answer

NAME = "document_tasks"
JUDGED = ("self_repetition", "near_duplicates")  # questions are alike in form, and of the topics of their documents
MOST_WORDS = 20  # of a question with its answer that its diversity is told by
MOST_AT_ONCE = 1_000  # documents asked about together, which bounds memory


class DocumentTasksParams(WatchedParams):
    """About which documents questions are written, and who answers them."""

    solver: str | None = Field(
        default=None, min_length=1, description="The model that answers, with and without the document; else `model`."
    )


class DocumentTasks(WritingStep):
    """Questions about documents with their answers, each answered again by readers who did not write it."""

    name: ClassVar[str] = NAME
    version: ClassVar[int] = 4
    Params: ClassVar[type[Params]] = DocumentTasksParams
    params: DocumentTasksParams

    @property
    def solver(self) -> str:
        return self.params.solver or self.params.model

    def identity_extras(self) -> dict[str, Any]:
        return super().identity_extras() | {"prompts": HASH}

    def estimate_usd(self) -> float:
        longest, question = LARGE_CHARACTER * self.params.max_chars, LARGE_CHARACTER * 300
        asked = [to_write(longest, model=self.params.model), to_solve(longest, question, model=self.solver)]
        return self.bound_usd([*asked, to_guess(question, model=self.solver)])

    def make(self, work: Making) -> None:
        if not work.parts:
            raise DataError(f"{NAME}: has no documents to ask about. Name a dataset by `from`, beside `make`.")
        params = self.params
        seeds = Seeds(work.parts, seed=work.seed, min_chars=params.min_chars, max_chars=params.max_chars)
        tally, rows = Tally(grouped_by="by_skill"), Rows(work)
        watch = Watch(work.parts, params, prompts=[NAME], judged=JUDGED, most_words=MOST_WORDS, seed=work.seed)
        with Writer(work, params, name=NAME) as writer:
            while (wanted := params.documents - rows.count) and tally.is_worth_it() and not watch.stop:
                most = watch.portion(MOST_AT_ONCE, kept=tally.kept)
                taken = seeds.take(tally.portion(wanted, most=most))
                if not taken:
                    break
                kept = self._verified(taken, writer=writer, tally=tally)
                told = [json.loads(row["metadata"]) for row in kept]
                asked = [f"{each['question']} {each['answer']}" for each in told]
                groups = {"prompt": [NAME] * len(told), "skill": [each["skill"] for each in told]}
                watch.see(asked, seeds=shown_of(taken, told), groups=groups)
                for row in kept:
                    rows.add(row)
            rows.end()
            work.details |= tally.details() | {"passed_over": dict(sorted(seeds.passed.items()))}
            work.details |= watch.details()
            work.details |= {"prompts": {"document_tasks": HASH}, "model": params.model, "solver": self.solver}
            work.details |= writer.account(accepted=rows.count)
        tell_shortage(
            work, NAME, wanted=params.documents, made=rows.count, worth_it=tally.is_worth_it(), stop=watch.stop
        )

    def _verified(self, seeds: list[Seed], *, writer: Writer, tally: Tally) -> list[dict[str, str]]:
        """Have questions written about some documents; return the rows of those that hold, in their order."""
        asked = writer.ask([to_write(seed.shown, model=self.params.model) for seed in seeds])
        written = [None if answer.data is None else Question.of(answer.data) for answer in asked]
        reasons = [
            answer.status if question is None else fault(seed.shown, question)
            for seed, answer, question in zip(seeds, asked, written, strict=True)
        ]
        for at, question in enumerate(written):
            other = next((each for each in written[at + 1 :] + written[:at] if each is not None), None)
            if not reasons[at] and question is not None:
                taken_for_right = accepts_wrong(question, neighbour="" if other is None else other.answer)
                reasons[at] = "a wrong answer would pass" if taken_for_right else ""
        self._solve(seeds, written, reasons, writer=writer, with_document=True)
        self._solve(seeds, written, reasons, writer=writer, with_document=False)
        kept = []
        for seed, answer, question, reason in zip(seeds, asked, written, reasons, strict=True):
            tally.count("none" if question is None else question.skill, reason)
            if not reason and question is not None:
                kept.append(self._row(seed, answer, question, prices=writer.prices))
        return kept

    def _solve(
        self, seeds: Sequence[Seed], written: Sequence[Question | None], reasons: list[str], *, writer: Writer,
        with_document: bool,
    ) -> None:  # fmt: skip
        """Have the questions that still hold answered; note the reason where the answer is not as it should be."""
        left = [(at, question) for at, question in enumerate(written) if question is not None and not reasons[at]]
        requests = [
            to_solve(seeds[at].shown, question.question, model=self.solver)
            if with_document
            else to_guess(question.question, model=self.solver)
            for at, question in left
        ]
        for (at, question), answer in zip(left, writer.ask(requests), strict=True):
            given = "" if answer.data is None else str(answer.data["answer"])
            if with_document and not agree(given, question.answer):
                reasons[at] = "the reader disagrees" if answer.data is not None else f"the reader's was {answer.status}"
            elif not with_document and answer.data is None:
                reasons[at] = f"the guesser's was {answer.status}"
            elif not with_document and agree(given, question.answer):
                reasons[at] = "known without the document"

    def _row(self, seed: Seed, answer: Answer, question: Question, *, prices: str) -> dict[str, str]:
        made_by = lineage(
            seed.row, step=NAME, version=self.version, prompt=NAME, prompt_hash=HASH, model=self.params.model,
            request=answer.request_id, prices=prices, verified_by=f"quote, {self.solver} with and without the document",
        )  # fmt: skip
        about = {"skill": question.skill, "question": question.question, "answer": question.answer}
        about |= {"quote": question.quote, "written_from": seed.row["id"]}
        return {
            "id": f"{NAME}/{question.skill}/{answer.request_id[2:18]}",
            "text": f"{seed.shown.rstrip()}\n\nQuestion: {question.question}\nAnswer: {question.answer}\n",
            "source": NAME,
            "origin": writer_of(self.params.model),
            "lineage": made_by,
            "metadata": json.dumps(about),
        }
