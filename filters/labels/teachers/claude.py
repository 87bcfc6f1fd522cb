"""Claude as a teacher: one document per request, every answer bought once, useless ones asked again where wished."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from filters.labels.rubrics.rubric import Rubric
from filters.labels.teachers.grading import Account, Grading, Specimen, Useless
from pipeline.core.claude.messages.request import NOBODY, Buyer, Demand, Way, Wish
from pipeline.core.claude.server.endpoint import foreign_endpoint, shown

if TYPE_CHECKING:
    from pipeline.core.claude.buying.bought import Answer
    from pipeline.core.claude.client import ClaudeClient
    from pipeline.core.claude.messages.request import Request

READING = 1000  # turns apart, so that asking again for useless answers never meets another reading


def request_of(specimen: Specimen, *, rubric: Rubric, model: str) -> Request:
    """Return what Claude is asked of a document at first."""
    return replace(rubric.request(specimen.text, model=model), turn=specimen.reading * READING)


class ClaudeTeacher:
    """Claude, one document per request, through the client that buys every answer once."""

    def __init__(
        self, *, rubric: Rubric, model: str, ledger: Path, max_usd: float, prices: Path | None, concurrency: int,
        max_useless: float, ask_again: Mapping[Useless, int], say: Callable[[str], None], batches: bool = False,
        wait: bool = True, buyer: Buyer = NOBODY, ask_by: Demand = "best", cache: Wish = "auto",
    ) -> None:  # fmt: skip
        self.title = f"{model}{shown(foreign_endpoint())}, {rubric.title}"
        self._ask_by: Demand = ask_by
        self._rubric, self._model, self._ledger, self._ask_again = rubric, model, ledger, ask_again
        self._how: dict[str, Any] = {
            "max_usd": max_usd, "prices": prices, "workers": concurrency, "max_useless": max_useless, "say": say,
            "batches": batches, "wait": wait, "buyer": buyer, "cache": cache,
        }  # fmt: skip
        self._client: ClaudeClient | None = None
        self._statuses: dict[str, str] = {}  # what became of each at last, by its first request
        self._answers: dict[str, Answer] = {}  # by request, so that one asked twice counts once

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.__exit__()

    def grade(self, specimens: Sequence[Specimen]) -> list[Grading]:
        from pipeline.core.claude.client import ClaudeClient

        if self._client is None:
            self._client = ClaudeClient(self._ledger, **self._how).__enter__()
        requests = [request_of(specimen, rubric=self._rubric, model=self._model) for specimen in specimens]
        requests = self._client.fitted(requests, demand=self._ask_by)
        self._name_way({request.way for request in requests})
        turns = self._ask(self._client, requests, [specimen.text for specimen in specimens])
        fresh = {answer.request_id: replace(answer, raw=b"", text="") for answers in turns for answer in answers}
        self._answers = fresh | self._answers
        gradings = [
            self._grading(answers[-1], text=specimen.text) for answers, specimen in zip(turns, specimens, strict=True)
        ]
        self._statuses |= {
            answers[0].request_id: grading.status for answers, grading in zip(turns, gradings, strict=True)
        }
        return gradings

    def _name_way(self, ways: Set[Way]) -> None:
        """Have every row say how it was asked, where that is not by a schema: all of one result are asked alike."""
        for way in ways - {"schema"}:
            self.title = f"{self._model}{shown(foreign_endpoint())}, asked by {way}, {self._rubric.title}"

    def account(self) -> Account:
        answers = list(self._answers.values())
        note: dict[str, Any] = {} if self._client is None else {
            "in_doubt": self._client.num_in_doubt, "spent_usd": self._client.spent_usd,
        }  # fmt: skip
        note["from_ledger"] = sum(answer.from_ledger for answer in answers)
        note["bought"] = sum(not answer.from_ledger and answer.status != "errored" for answer in answers)
        note["paid_now_usd"] = sum(answer.cost_usd for answer in answers if not answer.from_ledger)
        # The cost is that of all runs: the card is written by the last one alone.
        note["answers_by_outcome"] = dict(sorted(Counter(self._statuses.values()).items()))
        full = self._full_usd([answer.usage for answer in answers if answer.status != "errored"])
        return Account(note, cost_usd=sum(answer.cost_usd for answer in answers), full_usd=full, answers=len(answers))

    def _full_usd(self, usages: Sequence[Mapping[str, object]]) -> float:
        """Return what answers cost one by one and without a cache, by the price file alone: its last row, whatever day.

        What was really paid depends on how and when they were bought, and no result may.
        """
        from pipeline.core.claude.prices import NANO, BilledTokens, cost_nano, load_prices

        prices = load_prices(self._how["prices"])
        counted = [tokens for usage in usages if (tokens := BilledTokens.of_usage(usage)) is not None]
        plain = [BilledTokens(input=tokens.prompt, output=tokens.output) for tokens in counted]
        prices_of = (prices.price_of(self._model, prompt_tokens=tokens.prompt, on=date.max) for tokens in plain)
        return sum(cost_nano(price, tokens) for price, tokens in zip(prices_of, plain, strict=True)) / NANO

    def _ask(self, client: ClaudeClient, requests: Sequence[Request], texts: Sequence[str]) -> list[list[Answer]]:
        """Return the answers to every request: one, and one more for each time that a useless one is asked again."""
        shown = {request.prompt: text for request, text in zip(requests, texts, strict=True)}

        def judge(request: Request, data: Mapping[str, Any]) -> str:
            made_up = self._rubric.judge(data, text=shown[request.prompt]).made_up
            return "unsupported (no quote stands in the document)" if made_up else ""

        turns = [[answer] for answer in client.ask(requests, pardoned=_pardoned(self._ask_again, turn=0), judge=judge)]
        for turn in range(1, 1 + max(self._ask_again.values(), default=0)):
            left = {status for status, times in self._ask_again.items() if times >= turn}
            said = (self._grading(answers[-1], text=text) for answers, text in zip(turns, texts, strict=True))
            again = [number for number, grading in enumerate(said) if grading.status in left]
            asked = [replace(requests[number], turn=requests[number].turn + turn) for number in again]
            answered = client.ask(asked, pardoned=_pardoned(self._ask_again, turn=turn), judge=judge)
            for number, answer in zip(again, answered, strict=True):
                turns[number].append(answer)
        return turns

    def _grading(self, answer: Answer, *, text: str) -> Grading:
        if answer.data is None:
            assert answer.status != "parsed"
            return Grading(answer.status, justification=answer.reason)
        judged = self._rubric.judge(answer.data, text=text)
        answers = {each.key: each.place(judged.answers[each.key]) for each in self._rubric.head.criteria}
        if judged.made_up:
            return Grading("unsupported", None, judged.evidence, answers, judged.unsupported)
        more = {name: float(judged.scores[name]) for name in self._rubric.more_scores}
        return Grading(
            "graded", float(judged.scores["grade"]), judged.evidence, answers, judged.unsupported, more_scores=more
        )


def _pardoned(ask_again: Mapping[Useless, int], *, turn: int) -> list[Useless]:
    """Return what the client need not count as useless, as it is asked for once more."""
    return [status for status, times in ask_again.items() if times > turn]
