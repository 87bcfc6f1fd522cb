"""The committed figures, the tables that they give, and the pages that show them."""

from __future__ import annotations

import ast
import json
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.bench import comparisons, main
from tests.benchmarks.clock import MIN_SECONDS, Work, interleaved
from tests.benchmarks.table import (
    COPY_MARK,
    LABELS_MARK,
    LABELS_MEMORY_MARK_GB,
    LANES_MARK,
    LINEAR_MARK,
    MARKER,
    MARKS,
    MEMORY_MARKS_GB,
    RATIO_MARKS,
    RESULTS,
    START_MARKS,
    TITLES,
    WHAT_IF_MARK,
    WORKERS_MARK,
    pages,
    shown_in,
    table,
)
from tests.conftest import HOUSE

LANE_RATES = {"one_by_one": 40_000, "plain": 20_000, "plain_float32": 10_000}


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def test_the_committed_figures_are_of_a_full_run_and_make_a_table(results: dict[str, Any]) -> None:
    lines = table(results).splitlines()

    assert not results["quick"]
    assert set(results["works"]) == {comparison.name for comparison in comparisons()} == set(TITLES)
    assert all(len(found["seconds"]) >= 5 for found in results["works"].values())
    assert all(line.count(" | ") == 4 for line in lines if line.startswith("|"))
    assert sum(line.startswith("|") for line in lines) >= 2 + len(TITLES)


def test_growth_was_measured_up_to_one_gigabyte_of_text(results: dict[str, Any]) -> None:
    assert "growth" in results, "no growth figures yet; run `make bench` on a quiet machine and commit results.json"
    assert results["growth"]["runs"][-1]["size_bytes"] >= 1_000_000_000
    assert [round(grown["text"]) for grown in results["growth"]["growth"]] == [4, 16]
    assert f"< {MEMORY_MARKS_GB[1]:g} GB" in table(results)


def test_the_marks_are_those_that_were_set() -> None:
    assert MARKS == {"fused_heuristics": 100, "minhash_signatures": 200, "quality_scoring": 150}
    assert RATIO_MARKS == {
        "fused_heuristics": 100, "minhash_dedup": 50, "minhash_rensa": 4, "minhash_rensa_ready": 4, "quality_scoring": 5
    }  # fmt: skip
    assert (COPY_MARK, WORKERS_MARK, LINEAR_MARK, WHAT_IF_MARK, LANES_MARK) == (4, 1.8, 1.1, 2, 1.5)
    assert MEMORY_MARKS_GB == {1: 0.7, 2: 1.2} and START_MARKS == {"three_documents": 0.7, "nothing_to_do": 0.4}


def test_labels_have_a_row_for_each_way_to_buy_them(results: dict[str, Any]) -> None:
    ways = {"single": {"seconds": 41.2, "peak_sum_gb": 0.27}, "batches": {"seconds": 20.0, "peak_sum_gb": 0.3}}

    lines = table({**results, "labelling": {"documents": 10_000, "ways": ways}}).splitlines()

    (row,) = [line for line in lines if "bought one by one" in line]
    assert (LABELS_MARK, LABELS_MEMORY_MARK_GB) == (60, 0.5)
    assert row.startswith("| 10,000 labels") and "| 41.2 s, 0.27 GB | < 60 s, < 0.5 GB |" in row
    assert any("bought in Message Batches | 20 s, 0.30 GB" in line for line in lines)


def test_the_figures_do_not_tell_where_they_were_measured(results: dict[str, Any]) -> None:
    assert RESULTS.read_text(encoding="utf-8") == json.dumps(results, indent=1, sort_keys=True) + "\n"
    assert "/" not in json.dumps(
        {key: value for key, value in results.items() if key not in ("growth", "what_if", "works")}
    )


def test_every_page_shows_the_table_of_the_committed_figures(results: dict[str, Any]) -> None:
    for path, shown in pages(results).items():
        page = path.read_text(encoding="utf-8")

        assert page == shown_in(page, shown), f"{path} is stale; run `python -m tests.benchmarks.table --write`"


def test_a_table_is_written_between_the_markers_and_nowhere_else() -> None:
    page = shown_in(f"before\n{MARKER}\nold\n{MARKER}\nafter\n", "| new |")

    assert page == f"before\n{MARKER}\n| new |\n{MARKER}\nafter\n"
    assert shown_in(page, "| new |") == page


def test_figures_of_another_machine_stand_in_a_column_of_their_own(results: dict[str, Any]) -> None:
    """Where it measured a work; the note names its processor."""
    some = {name: results["works"][name] for name in ("read", "minhash_rensa")}
    other = {"date": "2026-11-30", "machine": {"cpu": "Another"}, "works": some}

    lines = table(results, other).splitlines()

    rows = [line.split(" | ") for line in lines if line.startswith("|")]
    assert {len(row) for row in rows} == {6}
    filled = [row for row in rows[2:] if row[5].strip("| ")]
    assert [row[0] for row in filled] == [f"| {TITLES[name]}" for name in some] and "x (" in filled[1][5]
    assert "Another" in lines[-1]


def test_proxies_in_one_run_stand_beside_the_same_one_after_the_other(results: dict[str, Any]) -> None:
    ways = {name: {"tokens_per_second": {"median": rate}} for name, rate in (("one_run", 80_000), *LANE_RATES.items())}
    ratios = {name: {"median": 80_000 / rate, "min": 1.4, "max": 9} for name, rate in LANE_RATES.items()}

    lines = table({**results, "lanes": {"ratios": ratios, "ways": ways}}).splitlines()

    (row,) = [line for line in lines if "in one run" in line]
    assert "| 80,000 tokens/s | >= 1.5x | one after the other" in row and "40,000 tokens/s | 2x (1.4 to 9)" in row
    assert sum("nanoGPT" in line for line in lines) == 2


def _recorded(name: str, order: list[str]) -> Work:
    def run() -> None:
        order.append(name)
        time.sleep(MIN_SECONDS)

    return Work(name=name, run=run, num_documents=1, size_bytes=1)


def test_repeats_of_rivals_alternate() -> None:
    order: list[str] = []
    works = [_recorded("A", order), _recorded("B", order)]

    timings = interleaved(works, repeats=2)

    assert order[-4:] == ["A", "B", "A", "B"]
    assert [len(timing.seconds) for timing in timings] == [2, 2]


def test_asking_for_a_work_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["--only", "minhahs"])

    assert refused.value.code == 2
    assert "minhash_dedup" in capsys.readouterr().err


def test_every_name_that_a_benchmark_imports_is_there() -> None:
    """A benchmark imports inside its functions, so a name that moved shows only there, after a quarter of an hour."""
    for path in Path(__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in {*HOUSE, "tests"}:
                module = import_module(str(node.module))
                for alias in node.names:
                    assert hasattr(module, alias.name) or import_module(f"{node.module}.{alias.name}"), path.name
