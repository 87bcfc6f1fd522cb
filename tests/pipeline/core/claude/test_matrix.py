"""The promise on paid requests: killed at every state, against every server, each is billed once or listed as in doubt.

Also: no answer that was billed is lost, and what the ledger counts stays below the cap, at every moment of a case.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.reliability.claude import COUNTS, PAGE, page_with
from tests.reliability.matrix import BREACHES, FATES, Played, play
from tests.reliability.modes import BATCH_MODES, SINGLE_MODES
from tests.reliability.runner import BATCH_KILLS, COUNT, SINGLE_KILLS
from tests.samples import proof

QUICK_MODES = ("well", "reset after accept", "mixed", "cut", "strangers")
QUICK_KILLS = ("intent in the ledger", "created, not recorded", "first lines stored")
QUICK_SINGLE_MODES = ("slow after accept", "reset after accept", "answer cut", "spend limit", "500 after accept")
QUICK_SINGLE_KILLS = ("intent in the ledger", "answered, not stored")


def assert_promise_kept(played: Played, *, cases: int, least_killed: float) -> None:
    sums = played.sums
    assert played.broken == []
    assert abs(sums["runs"] - cases) < 1 and sums["requests"] == sums["runs"] * COUNT
    assert sum(sums[fate] for fate in FATES) == sums["requests"]
    assert sums["killed"] > least_killed * cases, dict(sums)
    assert not any(sums[breach] for breach in BREACHES)


def test_the_counts_that_are_kept_are_of_every_case_and_stand_on_the_page() -> None:
    data = json.loads(COUNTS.read_text(encoding="utf-8"))

    for kind, modes, kills in (("single", SINGLE_MODES, SINGLE_KILLS), ("batches", BATCH_MODES, BATCH_KILLS)):
        assert list(data[kind]) == list(modes), "run: python -m tests.reliability.claude --write"
        for counts in data[kind].values():
            assert (counts["runs"], counts["requests"]) == (len(kills), len(kills) * COUNT)
            assert sum(counts[fate] for fate in FATES) == counts["requests"]
            assert not any(counts[breach] for breach in BREACHES)
    page = PAGE.read_text(encoding="utf-8")
    assert page == page_with(page, data), "run: python -m tests.reliability.claude --write --only ''"


@pytest.mark.few
def test_killed_at_a_state_of_a_batch_nothing_is_lost_or_bought_twice(tmp_path: Path) -> None:
    played = play(tmp_path, batches=True, modes={name: BATCH_MODES[name] for name in QUICK_MODES}, kills=QUICK_KILLS)

    assert_promise_kept(played, cases=len(QUICK_MODES) * len(QUICK_KILLS), least_killed=0.8)


@pytest.mark.few
def test_killed_at_a_state_of_a_single_request_nothing_is_lost_or_bought_twice(tmp_path: Path) -> None:
    modes = {name: SINGLE_MODES[name] for name in QUICK_SINGLE_MODES}

    played = play(tmp_path, batches=False, modes=modes, kills=QUICK_SINGLE_KILLS)

    assert_promise_kept(played, cases=len(modes) * len(QUICK_SINGLE_KILLS), least_killed=0.9)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_at_every_state_against_every_server_nothing_is_lost_or_bought_twice(tmp_path: Path) -> None:
    """Every server meets a third of the states, and every state a third of the servers; `make test-whole` plays all."""
    (tmp_path / "batches").mkdir()
    every = proof(3, whole=1)

    single = play(tmp_path, batches=False, every=every)
    batches = play(tmp_path / "batches", batches=True, every=every)

    assert_promise_kept(single, cases=len(SINGLE_MODES) * len(SINGLE_KILLS) / every, least_killed=0.8)
    assert_promise_kept(batches, cases=len(BATCH_MODES) * len(BATCH_KILLS) / every, least_killed=0.8)
