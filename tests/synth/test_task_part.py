"""Streams are numpy's, faults of a generator or a checker cost a task and are counted, and nothing runs for ever."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest

from pipeline.core import rng
from pipeline.core.errors import DataError
from synth import task_part
from synth.task_part import Job, Span, VerifiedPart, make_part
from synth.tasks.draw import MOST_WORDS, Draw, EndlessDrawsError

JOB = Job((Span(("sorting", "sequences"), 0, 80),), 1, 5, 17)


def test_streams_made_side_by_side_are_those_of_numpy() -> None:
    paths = [("task", number) for number in range(30)]

    together = [[draw.below(2**64) for _ in range(150)] for draw in Draw.many(17, paths)]
    alone = [[draw.below(2**64) for _ in range(150)] for draw in (Draw(17, *path) for path in paths)]

    assert together == alone == [rng.generator(17, *path).bit_generator.random_raw(150).tolist() for path in paths]


def made_with(monkeypatch: pytest.MonkeyPatch, side: str, name: str, code: object) -> VerifiedPart:
    monkeypatch.setattr(f"synth.{side}.sets.sorting.{name}", code)
    return make_part(JOB)


def draws_on(draw: Draw, difficulty: int) -> None:
    while draw.below(10) < 10:
        pass


def waits_on(draw: Draw, difficulty: int) -> None:
    for _ in itertools.count():
        pass


def throws(*given: object) -> None:
    raise KeyError("never seen")


def returns_no_task(draw: Draw, difficulty: int) -> object:
    return SimpleNamespace(steps=())


@pytest.mark.parametrize(
    ("side", "name", "code", "reason"),
    [
        ("tasks", "generate", draws_on, f"the generator did not end: it drew {MOST_WORDS:,} times"),
        ("tasks", "generate", throws, "the generator failed: KeyError"),
        ("tasks", "generate", returns_no_task, "the generator failed: AttributeError"),
        ("checkers", "check", throws, "the checker failed: KeyError"),
    ],
)  # fmt: skip
def test_what_fails_costs_its_tasks_and_is_counted(
    monkeypatch: pytest.MonkeyPatch, side: str, name: str, code: object, reason: str
) -> None:
    monkeypatch.setattr("synth.tasks.draw.MOST_WORDS", 2_000)
    reason = reason.replace(f"{MOST_WORDS:,}", "2,000")

    made = made_with(monkeypatch, side, name, code)

    assert made.tally.rejected == {f"sorting: {reason}": 40}
    assert made.table.num_rows == made.tally.verified["sequences"] == 40
    assert made.tally.wrong_accepted == []


def test_a_checker_that_fails_at_wrong_answers_alone_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    from synth.checkers.sets.sorting import check

    made = made_with(
        monkeypatch, "checkers", "check", lambda prompt, answer: check(prompt, answer) or throws()
    )  # fmt: skip

    assert made.table.num_rows == 80
    assert made.tally.details()["wrong_answers_that_failed_a_checker"] == {
        "sorting: the checker failed: KeyError": made.tally.wrong_failed.total()
    }
    assert made.tally.wrong_failed.total() > 10


@pytest.mark.parametrize(("side", "name"), [("tasks", "generate"), ("checkers", "check")])
def test_a_family_that_never_ends_ends_the_run_by_name(monkeypatch: pytest.MonkeyPatch, side: str, name: str) -> None:
    monkeypatch.setattr(task_part, "PATIENCE_SECONDS", 0.1)

    with pytest.raises(DataError, match=r"task sorting/0 is not done .* Leave the family sorting out"):
        made_with(monkeypatch, side, name, waits_on)


def test_draws_without_end_are_ended() -> None:
    with pytest.raises(EndlessDrawsError, match="200,000 times"):
        draws_on(Draw(1, "x"), 1)
