"""A few points of what `make reliability` plays as a whole, each with its zero; and the page that shows the whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.reliability.by_tests import summed
from tests.reliability.claude import COUNTS
from tests.reliability.faults import COMMANDS, build, can_build, server, sweep
from tests.reliability.figures import FIGURES, TIMES, apart
from tests.reliability.inputs import MADE, played
from tests.reliability.page import PAGE, SPECIAL, found_of, page_with
from tests.reliability.rows import ROWS

compiled = pytest.mark.skipif(not can_build(), reason="the shim of faults needs Linux and a C compiler")
FAST = ("mistakes", "executions", "starts")
SLOW = tuple(name for name in TIMES if name not in (*FAST, "faults", "inputs", "memory", "upgrades"))


@compiled
def test_measure_is_whole_or_says_what_failed_at_a_few_of_its_changes_of_files(tmp_path: Path) -> None:
    with server(build(tmp_path)) as player:
        swept = sweep("measure", tmp_path, player, every=5)
    assert swept.runs.total() >= 15 and not swept.breaches, swept.told


@compiled
@pytest.mark.slow
@pytest.mark.parametrize(("name", "every"), [("run", 60), ("export", 20)])
def test_a_command_ends_with_the_same_bytes_after_a_fault_anywhere(name: str, every: int, tmp_path: Path) -> None:
    with server(build(tmp_path)) as player:
        swept = sweep(name, tmp_path, player, every=every)
    assert swept.runs.total() >= 15 and not swept.breaches, swept.told


@pytest.mark.slow
@pytest.mark.parametrize("name", MADE)
def test_a_spoilt_file_is_read_quarantined_or_named_and_never_ends_the_process(name: str) -> None:
    told = played(name, 40)
    assert set(told) <= {"read", "quarantined", "named", "fewer rows, none refused"} and told.total() == 40
    assert told["named"] + told["quarantined"] > 5


@pytest.mark.parametrize("name", [*FAST, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_a_few_plays_of_each_proof_break_no_promise(name: str) -> None:
    if name == "clocks" and not can_build():
        pytest.skip("the shim of faults needs Linux and a C compiler")
    found = apart(name, TIMES[name][0])
    assert sum(found["times"].values()) > 0
    assert not any(found["broken"].values()), found["told"]


def test_the_page_shows_all_32_promises_with_their_figures_and_none_was_broken() -> None:
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    assert page == page_with(page, figures)
    assert [row.number for row in ROWS] == list(range(1, 33))
    assert set(figures["faults"]) == set(COMMANDS) and set(figures["inputs"]) == set(MADE)
    assert {name for row in ROWS for name in row.proofs} == set(TIMES) | (set(SPECIAL) - {"faults", "inputs"})
    ways = {way for modes in json.loads(COUNTS.read_text(encoding="utf-8")).values() for way in modes}
    assert {way for row in ROWS for way in row.paid} <= {*ways, "*"}
    for row in ROWS:
        tried, broken, _ = found_of(row, figures)
        assert sum(tried.values()) > 0, f"row {row.number} has no figure: python -m tests.reliability.figures"
        assert not any(broken.values()), (row.number, broken)
        assert not summed(figures["tests"], row.tests).get("missing"), row.number
