"""Rounds of labelling after the sample: each asks for more documents, unless it would not be worth its price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from filters.labels.asking.questions import Texts, Wishes
from filters.labels.sample.rounds import LEAST_GRADED, Forecast, GradesSoFar, committee, forecast, least_sure
from filters.labels.sample.sampling import Survey, choose
from filters.labels.teachers.grading import Grading, Teacher
from pipeline.core.claude.prices import dollars
from pipeline.core.rng import derive
from pipeline.core.step import Gathering


@dataclass(frozen=True, slots=True)
class Round:
    """What was known before a round, and what became of it."""

    before: Forecast
    gain: float  # of the rank correlation, that the round was expected to bring
    interval: tuple[float, float]  # 95 %, of that
    usd: float  # that it was expected to cost, asked one by one
    asked: int  # documents; 0: the round was not bought, or there was none to buy
    why: str

    def told(self) -> dict[str, Any]:
        """Return the round as plain JSON."""
        found = {"graded_before": self.before.graded, "spearman": self.before.spearman}
        found |= {"spearman_by_half": self.before.by_half, "expected_gain": self.gain, "expected_usd": self.usd}
        found |= {"expected_gain_low": self.interval[0], "expected_gain_high": self.interval[1]}
        return found | {"asked": self.asked, "why": self.why}


def further(
    survey: Survey, work: Gathering, *, teacher: Teacher, texts: Texts, wishes: Wishes, gradings: dict[int, Grading],
    known: Mapping[int, Grading],
) -> list[Round]:  # fmt: skip
    """Buy the rounds that are worth it; add their grades to `gradings` and return what was decided, and why."""
    log: list[Round] = []
    for number in range(wishes.rounds.count):
        seed = derive(work.seed, "label", "round", str(number))
        graded = _graded(texts, {**gradings, **known})
        if graded is None:
            work.say(f"label: no round {number + 1}, as fewer than {LEAST_GRADED} documents have a grade")
            return log
        before, account = forecast(graded, seed=seed), teacher.account()
        free = np.ones(len(survey.ids), bool)
        free[[*gradings, *known]] = False
        count = min(wishes.rounds.documents, int(free.sum()))
        gain, interval = before.gain(count), before.interval(count)
        usd = count * account.full_usd / max(account.answers, 1)
        why = _refusal(interval[1], usd, count, least=wishes.rounds.min_gain_per_usd)
        chosen = [] if why else _chosen(survey, work, graded, free, wishes, count=count, seed=seed)
        log.append(Round(before, gain, interval, usd, len(chosen), why or wishes.rounds.by))
        told = (
            f"label: round {number + 1}: {before.graded} graded, Spearman {before.spearman:.3f}, {gain:+.4f} expected "
            f"({interval[0]:.4f} to {interval[1]:.4f})"
        )
        work.say(f"{told} for {dollars(usd)}: {why or f'{count} more documents'}")
        if why:
            return log
        gradings |= dict(zip(chosen, teacher.grade(texts.specimens(chosen)), strict=True))
    return log


def _graded(texts: Texts, gradings: Mapping[int, Grading]) -> GradesSoFar | None:
    """Return the documents that have a grade; None if they are too few, or all alike."""
    have = [(position, each.grade) for position, each in gradings.items() if each.grade is not None]
    if len(have) < LEAST_GRADED or len({grade for _, grade in have}) == 1:
        return None
    specimens = texts.specimens([position for position, _ in have])
    documents = [(each.id, each.text, grade) for each, (_, grade) in zip(specimens, have, strict=True)]
    return GradesSoFar.of(documents, excerpt_chars=texts.max_chars)


def _refusal(most: float, usd: float, count: int, *, least: float) -> str:
    """Return why a round is not bought that would gain at most so much; empty if it is."""
    if count == 0:
        return "every document has a grade"
    if least and most < least * usd:
        return f"not bought, as it is sure to bring less than {least:g} per USD"
    return ""


def _chosen(
    survey: Survey, work: Gathering, graded: GradesSoFar, free: np.ndarray, wishes: Wishes, *, count: int, seed: int
) -> list[int]:
    if wishes.rounds.by == "unsure":
        models = committee(graded, seed=seed)
        return least_sure(work.parts, models, free=free, count=count, map=work.map)
    at = np.flatnonzero(free)
    chosen = choose(survey.where(free), count=count, stratified=wishes.stratified, by=wishes.strata)
    return [int(at[position]) for position in chosen]
