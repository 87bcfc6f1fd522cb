"""What the card of a making step notes -> the few facts that its section begins with, in plain words with units.

Expected in `details`: of tasks, generated, verified, duplicates_dropped and the wrong answers tried and accepted; of
what a model wrote, asked, kept, requests, answers_by_outcome, passed_over, model, solver and what was paid. What says
the same as another fact is left out; anything else that a step noted is listed as it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.report.draw import figures

Fact = tuple[str, str]

TASKS = {
    "generated": "tasks generated", "verified": "verified", "duplicates_dropped": "duplicates dropped",
    "wrong_answers_tried": "wrong answers tried", "wrong_answers_accepted": "wrong answers accepted",
}  # fmt: skip
CODE = {"mutants_killed": "mutants that the tests caught", "mutants_alike": "mutants that behave alike"}
UNREADABLE = {
    "invalid": "answers of the wrong form", "refused": "answers refused by the model", "truncated": "answers cut off",
    "errored": "requests that failed",
}  # fmt: skip
WRITING = {
    "asked", "kept", "model", "solver", "requests", "cost_usd", "from_ledger", "paid_now_usd", "usd_per_1000_accepted",
    "answers_by_outcome", "passed_over", "short",
}  # fmt: skip
TOLD = {*TASKS, *CODE, *WRITING}  # everything that is told here in words


def made_facts(details: Mapping[str, Any]) -> Iterator[Fact]:
    """Yield (what, how much): counts, who wrote it, what it cost."""
    yield from ((name, figures.count(details[key])) for key, name in TASKS.items() if key in details)
    if details.get("short"):
        yield "fewer than asked for", str(details["short"])
    if "asked" in details and "kept" in details:
        yield "kept", f"{figures.count(details['kept'])} of {figures.counted(details['asked'], 'answer')}"
    yield from ((name, figures.count(details[key])) for key, name in CODE.items() if key in details)
    if "model" in details:
        yield "written by", str(details["model"])
    if details.get("solver") not in (None, "", details.get("model")):
        yield "answered again by", str(details["solver"])
    yield from _of_requests(details)
    yield from _of_money(details)
    for why, number in dict(details.get("passed_over", {})).items():
        yield f"documents passed over, {why}", figures.count(number)


def _of_requests(details: Mapping[str, Any]) -> Iterator[Fact]:
    """Tell of requests only what `kept` does not say: more than one a row, and answers that were of no use."""
    if "requests" in details and details["requests"] != details.get("asked"):
        yield "requests", figures.count(details["requests"])
    outcomes = dict(details.get("answers_by_outcome", {}))
    yield from ((name, figures.count(outcomes[key])) for key, name in UNREADABLE.items() if outcomes.get(key))


def _of_money(details: Mapping[str, Any]) -> Iterator[Fact]:
    cost, again = details.get("cost_usd"), details.get("from_ledger")
    if cost is not None:
        yield "cost", figures.dollars(cost, more=1)
    if again:
        yield "of it paid in this run", figures.dollars(details.get("paid_now_usd", 0.0), more=1)
        yield "answers bought by earlier runs", figures.count(again)
    each = details.get("usd_per_1000_accepted")
    if each is None:
        return
    yield "cost of 1,000 kept", figures.dollars(each, more=1)
    groups = details.get("diversity", {}).get("groups", {})
    if each and (new := groups.get("all", {}).get("all", {}).get("novel_mean")):
        yield "cost of 1,000 kept and new", figures.dollars(each / new, more=1)
