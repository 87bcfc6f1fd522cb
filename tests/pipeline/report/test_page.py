"""What stands around the datasets: the run's date and machine, changes since the last run, anchors, CSV, words."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import catalog
from pipeline.commands.run.run_recipe import run_recipe
from pipeline.engine.progress import Silent
from pipeline.engine.run_record import records_of
from pipeline.plan.make import make_plan
from pipeline.recipe.load import load_recipe
from pipeline.report.page import write_report
from pipeline.store.workspace import Workspace
from tests.pipeline.report.report_parts import STEPS, finish, write_lines
from tests.pipeline.report.test_report import EXPERIMENT, RECIPE, recipe, words_of

SMALL = """# tamis run small.yaml
name: small
sources: {docs: {read: jsonl, path: DIR/docs.jsonl, id: id}}
datasets: {clean: {from: docs, steps: [{length: {min_words: 3}}, exact_dedup]}}
"""
DEDUP = SMALL.replace("[{length: {min_words: 3}}, exact_dedup]", "[language, minhash_dedup]")
SENTENCE = (
    "The harbour has a small boat which is painted white and is used by the people of the old town every morning."
)
PHRASE = "Le bateau blanc est dans le port de la vieille ville et les gens du village le prennent tous les matins."


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A page with everything on it, an experiment that promotes too."""
    folder = tmp_path_factory.mktemp("trial")
    with pytest.MonkeyPatch.context() as patch:
        for name, place in STEPS.items():
            patch.setitem(catalog.STEPS, name, place)
        plan = finish(recipe(folder, RECIPE + EXPERIMENT), folder=folder, gain=-0.03)
        write_report(plan, path=folder / "out" / "trial.html")
        yield folder / "out" / "trial.html"


def ran(folder: Path, text: str, *, workers: int = 1) -> str:
    """Run a recipe in a folder and return its page."""
    path = folder / "small.yaml"
    path.write_text(text.replace("DIR", str(folder)), encoding="utf-8")
    outcome = run_recipe(path, workspace=Workspace(folder / "workspace"), workers=workers, progress=Silent())
    return Path(outcome.report).read_text(encoding="utf-8")


def small(folder: Path) -> None:
    """Write short and long documents in two languages, some of them alike, and one row that is none."""
    texts = [PHRASE if n % 4 == 3 else f"{SENTENCE} Boat {n % 7} is called {n % 5}. " * (1 + n % 3) for n in range(60)]
    rows: list[dict[str, Any]] = [{"id": f"d{n}", "text": text} for n, text in enumerate(texts)]
    write_lines(folder / "docs.jsonl", [*rows, {"id": "none", "body": "x"}])


@pytest.fixture(scope="module")
def deduplicated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a recipe that asks for the language and takes out near-duplicates."""
    folder = tmp_path_factory.mktemp("deduplicated")
    small(folder)
    ran(folder, DEDUP)
    return folder / "workspace" / "reports" / "small.html"


def table(page: Path, name: str) -> list[dict[str, str]]:
    with (page.with_suffix("") / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_head_tells_when_and_where_the_run_was_and_a_page_written_again_is_the_same(tmp_path: Path) -> None:
    small(tmp_path)
    first = ran(tmp_path, SMALL)
    plan = make_plan(load_recipe(tmp_path / "small.yaml"), Workspace(tmp_path / "workspace"))
    (record,) = records_of(plan)

    write_report(plan, path=tmp_path / "workspace" / "reports" / "small.html")

    assert (tmp_path / "workspace" / "reports" / "small.html").read_text(encoding="utf-8") == first
    seen = words_of(first)
    year, month, day = record.at[:10].split("-")
    assert re.search(rf"Run {int(day)} \w+ {year}, {record.at[11:16]} UTC", seen)
    assert month in record.at and f"{record.machine['cores']} core" in seen and str(record.machine["processor"]) in seen
    assert "Read docs: 60 of 61 rows, 1 quarantined" in seen
    assert "clean: " in seen and "of 61 rows kept, 1 quarantined" in seen
    assert "# tamis run small.yaml" in first  # the recipe, folded


def test_a_run_that_changes_nothing_leaves_no_record_and_the_page_alone(tmp_path: Path) -> None:
    small(tmp_path)
    first = ran(tmp_path, SMALL)

    assert ran(tmp_path, SMALL) == first
    assert len(list((tmp_path / "workspace" / "runs" / "small").iterdir())) == 1


def test_the_page_tells_what_changed_since_the_last_run(tmp_path: Path) -> None:
    small(tmp_path)
    first = ran(tmp_path, SMALL)
    assert "Changes since the last run" not in first

    second = ran(tmp_path, SMALL.replace("min_words: 3", "min_words: 29"))
    third = ran(tmp_path, SMALL)  # all of it is there, and yet the page shows this recipe again

    seen = words_of(second)
    kept = [json.loads(path.read_text())["results"][1]["rows_out"] for path in runs(tmp_path)]
    assert kept[0] > kept[1]
    assert f"documents kept {kept[0]} {kept[1]} \N{MINUS SIGN}{kept[0] - kept[1]}" in seen
    assert re.search(r"length\.too_few_words 0 ([0-9]+) \+\1", seen)
    assert "{length: {min_words: 29}}" in seen and "line 4" in seen
    assert words_of(third).count("min_words: 3}") >= 2 and kept[2] == kept[0]


def runs(folder: Path) -> list[Path]:
    return sorted((folder / "workspace" / "runs" / "small").iterdir())


def test_a_page_that_a_killed_run_left_behind_is_written_again(tmp_path: Path) -> None:
    small(tmp_path)
    first = ran(tmp_path, SMALL)
    path = tmp_path / "workspace" / "reports" / "small.html"
    path.write_text(re.sub('content="[0-9.]+-[0-9a-f]+-1"', "", first), encoding="utf-8")

    assert ran(tmp_path, SMALL) == first


def test_one_worker_and_four_give_the_same_page_but_for_times(tmp_path: Path) -> None:
    pages = []
    for workers in (1, 4):
        folder = tmp_path / str(workers)
        folder.mkdir()
        small(folder)
        page = ran(folder, SMALL, workers=workers)
        pages.append(re.findall(r'<section aria-labelledby="dataset-clean">.*?</section>', page, re.S))
        pages.append(table(folder / "workspace" / "reports" / "small.html", "clean-rules"))

    assert pages[:2] == pages[2:]


def test_a_minhash_block_begins_with_recall_and_precision_and_shows_what_was_dropped(deduplicated: Path) -> None:
    block = words_of(deduplicated.read_text(encoding="utf-8").partition("Duplicates: minhash_dedup")[2])

    assert re.match(r"# Recall (not measured|[01]\.[0-9]+ \([01]\.[0-9]+ to [01]\.[0-9]+\)) of ", block)
    assert "similarity recall 95 % interval by theory planted joined pairs" in block
    assert block.index("similarity recall") < block.index("another; they form") < block.index("one kept")
    assert re.search(r"Dropped(, 3 of [0-9]+)? estimated similarity [01]\.[0-9]{2}", block)


def test_drops_are_told_by_language_and_each_group_is_whole(deduplicated: Path) -> None:
    rows = table(deduplicated, "clean-by-language")

    assert {row["language"] for row in rows} >= {"en", "fr"}
    for row in rows:
        assert int(row["documents"]) == sum(int(row[name]) for name in ("kept", "dropped"))
    assert next(row for row in rows if row["language"] == "fr")["rule that drops most"].startswith("language.")
    assert "kept_language_score by language" in words_of(deduplicated.read_text(encoding="utf-8"))


def test_every_table_lies_beside_the_page_and_is_listed(trial: Path) -> None:
    page = trial.read_text(encoding="utf-8")
    names = sorted(path.name for path in trial.with_suffix("").iterdir())

    assert {"flow.csv", "clean-rules.csv", "mixtures.csv", "gains.csv", "seeds.csv", "evidence.csv"} <= set(names)
    assert sorted(re.findall(r'<li><a href="trial/([^"]+)" download>', page)) == names
    rules = {row["rule"]: row for row in table(trial, "clean-rules")}
    assert int(rules["too_few"]["first reason"]) > 0 and rules["too_few"]["kept if"] == ">="


def test_tables_of_an_earlier_page_are_removed_and_no_cell_is_a_formula(tmp_path: Path) -> None:
    from pipeline.report.tables import ReportTable, write_tables

    tables = [
        ReportTable(name, ("id", "n"), (("=HYPERLINK(1)", -2), ("+x", None), ("a,b", 0.1))) for name in ("old", "new")
    ]
    write_tables(tmp_path, tables)

    write_tables(tmp_path, tables[1:])

    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]
    assert (tmp_path / "new.csv").read_text() == "id,n\n'=HYPERLINK(1),-2\n'+x,\n\"a,b\",0.1\n"


def test_signs_words_and_numbers_of_the_page_are_right(trial: Path) -> None:
    page = re.sub(r"<pre.*?</pre>|<style.*?</style>", " ", trial.read_text(encoding="utf-8"), flags=re.S)
    seen = words_of(page)

    assert not re.findall(r"(?<![\w.)-])-[0-9.]+", seen)  # one minus sign: U+2212
    assert not re.findall(r"&[lg]t;=", seen) and "`" not in seen
    assert not re.findall(r"\b1 (?:documents|rows|rules|clusters|results|lines|tokens|seeds|items|tasks)\b", seen)
    assert "loss over 0.01" in seen or "lost more than 0.01" in seen  # the guard, in words
    assert "show that training was sound" not in seen


def test_every_link_inside_the_page_leads_somewhere(trial: Path) -> None:
    page = trial.read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([^"]+)"', page)
    wanted = {name for name in re.findall(r'href="#([^"]+)"', page)}

    assert [name for name, count in Counter(ids).items() if count > 1] == []
    assert wanted - set(ids) == set()
    flow = page.partition('<svg class="flow"')[2].partition("</svg>")[0]
    assert {"#source-docs", "#dataset-clean", "#made-tasks", "#mixture-candidate", "#verdict"} <= set(
        re.findall(r'href="([^"]+)"', flow)
    )


def test_the_gate_and_the_proxies_stand_in_the_head(trial: Path) -> None:
    seen = words_of(trial.read_text(encoding="utf-8"))

    assert (
        "Proxies 12 of tier t0 (2 mixtures \N{MULTIPLICATION SIGN} 3 seeds \N{MULTIPLICATION SIGN} 2 learning" in seen
    )
    assert "1,000,000 tokens each, 12,000,000 tokens in all" in seen
