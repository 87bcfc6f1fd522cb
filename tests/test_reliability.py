"""A few points of what `make reliability` plays as a whole, each with its zero; and the page that shows the whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.reliability.faults import COMMANDS, build, can_build, server, sweep
from tests.reliability.figures import FIGURES, PAGE, flips, page_with
from tests.reliability.inputs import MADE, played

compiled = pytest.mark.skipif(not can_build(), reason="the shim of faults needs Linux and a C compiler")


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
def test_a_flipped_bit_of_a_stored_file_is_named(tmp_path: Path) -> None:
    found = flips(tmp_path, quick=True)
    assert found["named"] == found["flipped"] == 20 and found["files"] > 10


@pytest.mark.slow
@pytest.mark.parametrize("name", MADE)
def test_a_spoilt_file_is_read_quarantined_or_named_and_never_ends_the_process(name: str) -> None:
    told = played(name, 40)
    assert set(told) <= {"read", "quarantined", "named", "fewer rows, none refused"} and told.total() == 40
    assert told["named"] + told["quarantined"] > 5


def test_the_page_shows_the_figures_and_no_promise_was_broken() -> None:
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    assert page == page_with(page, figures)
    assert set(figures["faults"]) == set(COMMANDS) and set(figures["inputs"]) == set(MADE)
    assert not any(counts["told"] for counts in figures["faults"].values())
    assert figures["flips"]["missed"] == 0
