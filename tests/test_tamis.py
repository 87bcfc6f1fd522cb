"""The public module: light to import, complete, documented; a script gets the results of the command, as tables."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tamis
from pipeline.recipe import plugins
from tests.conftest import ROOT
from tests.pipeline.house import House, contents, texts
from tests.pipeline.recipe.test_plugins import VOWELS

PAGES = [
    {"id": "rain", "text": "Rain falls when warm air rises, cools, and can no longer hold all the water it carries."},
    {"id": "click", "text": "Click here to subscribe to the list of news!"},
    {"id": "again", "text": "Rain falls when warm air rises, cools, and can no longer hold all the water it carries."},
]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
HEAVY = ("numpy", "pyarrow", "polars", "pydantic", "numba", "torch", "datasets", "datatrove", "click", "ruamel")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "_from_files", {})
    made = House(tmp_path)
    made.lines("pages.jsonl", PAGES)
    return made


def recipe(*, min_words: int = 10) -> dict[str, Any]:
    steps = [{"gopher_quality": {"min_words": min_words}}, "exact_dedup"]
    return {
        "name": "pages",
        "sources": {"pages": {"read": "jsonl", "path": "pages.jsonl", "id": "id"}},
        "datasets": {"clean": {"from": "pages", "steps": steps}},
    }


@pytest.fixture
def done(house: House) -> tamis.Outcome:
    return tamis.run(recipe(), workers=1)


@pytest.mark.parametrize("name", tamis.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(tamis, name)

    if not isinstance(value, str):
        assert (inspect.getdoc(value) or "").strip()
    assert name in dir(tamis)


@pytest.mark.parametrize("name", ["run", "plan", "measure", "open_dataset", "promote"])
def test_every_argument_has_a_type(name: str) -> None:
    signature = inspect.signature(getattr(tamis, name))

    kinds = [parameter.annotation for parameter in signature.parameters.values()] + [signature.return_annotation]
    assert inspect.Signature.empty not in kinds


def test_editors_and_types_see_what_is_loaded_late() -> None:
    tree = ast.parse((ROOT / "tamis.py").read_text(encoding="utf-8"))
    declared = {
        alias.asname or alias.name: f"{node.module}:{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pipeline.")
        for alias in node.names
        if (alias.asname or alias.name) in tamis.__all__
    }

    assert {name: place if ":" in place else f"{place}:{name}" for name, place in tamis._PLACES.items()} == declared


def test_a_name_that_is_not_there_is_an_error_as_of_any_module() -> None:
    with pytest.raises(AttributeError, match="`tamis` has no attribute `rnu`"):
        tamis.rnu  # noqa: B018  # asking for it is the test


def test_importing_it_loads_nothing_heavy_and_runs_none_of_the_house() -> None:
    code = "import sys; before = set(sys.modules); import tamis; print(*sorted(set(sys.modules) - before))"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout

    assert {name for name in loaded.split() if name.partition(".")[0] in HEAVY} == set()
    assert {name for name in loaded.split() if name.partition(".")[0] == "pipeline"} == {"pipeline"}


def test_the_house_itself_never_imports_it() -> None:
    found = [path for path in (ROOT / "pipeline").rglob("*.py") if "import tamis" in path.read_text(encoding="utf-8")]

    assert found == []


def test_it_is_the_command() -> None:
    ran = subprocess.run([sys.executable, "-m", "tamis", "--version"], capture_output=True, text=True, cwd=ROOT)

    assert (ran.returncode, ran.stdout) == (0, f"tamis {tamis.__version__}\n")


def test_a_run_from_python_prints_nothing_and_builds_what_the_command_builds(
    house: House, done: tamis.Outcome, capfd: pytest.CaptureFixture[str]
) -> None:
    house.write(
        "name: pages\nsources: {pages: {read: jsonl, path: pages.jsonl, id: id}}\n"
        "datasets: {clean: {from: pages, steps: [gopher_quality: {min_words: 10}, exact_dedup]}}\n"
    )

    again = tamis.run(house.recipe, workspace="workspace", workers=1)
    other = tamis.run(str(house.recipe), workspace=Path("elsewhere"), workers=2)

    assert (len(done.built), again.built, len(other.built)) == (4, (), 4)
    assert contents(house.folder / "elsewhere") == contents(house.folder / "workspace")
    assert capfd.readouterr() == ("", "")
    assert (done.verdict, done.made[0].documents) == (None, 1)


def test_progress_is_told_when_it_is_asked_for(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    tamis.run(recipe(), workers=1, progress=True)

    out, told = capfd.readouterr()
    assert out == ""
    assert "read pages" in told and "3 documents" in told


def test_a_plan_tells_what_a_run_would_do_and_why(house: House, done: tamis.Outcome) -> None:
    plan = tamis.plan(recipe(min_words=8))

    told = {node.name: (node.action, node.reason) for node in plan.nodes}
    assert told["gopher_quality"] == ("reuse", "unchanged")
    assert told["clean"][0] == "build" and "min_words 10 -> 8" in told["clean"][1]
    assert plan.to_build == 2


def test_a_dataset_is_opened_as_tables(house: House, done: tamis.Outcome) -> None:
    clean = tamis.open_dataset("clean")

    assert (clean.name, len(clean), clean.card.rows_in) == ("clean", 1, 3)
    assert clean.to_arrow(["id"]).to_pydict() == {"id": ["rain"]}
    assert clean.to_polars().columns == tamis.DOCUMENT_SCHEMA.names
    assert clean.to_hf(["id", "text"]).to_list() == [PAGES[0]]
    assert [table.num_rows for table in clean.batches(["text"])] == [1]


def test_signals_and_verdicts_are_those_of_every_document_that_came_in(house: House, done: tamis.Outcome) -> None:
    clean = tamis.open_dataset("clean")

    signals, verdicts = clean.signals("gopher_quality.num_words", "exact_dedup.copies"), clean.verdicts()

    assert signals.rows() == [("rain", 17.0, 2), ("click", 9.0, None), ("again", 17.0, 2)]
    assert verdicts.select("id", "kept", "reason").rows() == [
        ("rain", True, None),
        ("click", False, "gopher_quality.gopher_short_doc"),
        ("again", False, "exact_dedup.exact_duplicate"),
    ]
    joined = signals.join(verdicts, on="id").filter(pl.col("kept"))
    assert joined["id"].to_list() == ["rain"]
    assert {name.partition(".")[0] for name in clean.signals().columns} == {"id", "gopher_quality", "exact_dedup"}
    assert clean.why("again")["reason"] == "exact_dedup.exact_duplicate"


def test_a_mistake_in_a_question_is_named(house: House, done: tamis.Outcome) -> None:
    clean, pages = tamis.open_dataset("clean"), tamis.open_dataset("pages")

    assert pages.to_polars(["id"])["id"].to_list() == ["rain", "click", "again"]
    with pytest.raises(tamis.RecipeError, match=r"unknown signal `gopher_quality\.words`\. Did you mean gopher_q"):
        clean.signals("gopher_quality.words")
    with pytest.raises(tamis.RecipeError, match=r"unknown column `txt`\. Did you mean text"):
        clean.to_polars(["txt"])
    with pytest.raises(tamis.RecipeError, match="`pages` is a source: nothing was decided"):
        pages.verdicts()
    with pytest.raises(tamis.DataError, match="snow: did not reach clean-"):
        clean.why("snow")
    with pytest.raises(tamis.RecipeError, match=r"`claen` is not a dataset in .*Did you mean clean"):
        tamis.open_dataset("claen")


def test_files_are_measured_without_a_recipe_or_a_workspace(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    found = tamis.measure(
        "pages.jsonl", steps=[{"gopher_quality": {"min_words": 10}}, "length"], id_column="id", text=True, workers=1
    )

    frame = found.to_polars()
    assert (found.rows_in, found.kept, dict(found.dropped)) == (3, 2, {"gopher_quality.gopher_short_doc": 1})
    assert frame.select("id", "kept", "gopher_quality.num_words").rows()[1] == ("click", False, 9.0)
    assert frame["text"].to_list() == [page["text"] for page in PAGES]
    assert found.to_arrow().num_rows == found.to_hf().num_rows == 3
    assert [path.name for path in house.folder.iterdir()] == ["pages.jsonl"]
    assert capfd.readouterr() == ("", "")


WRONG: dict[str, tuple[list[Any], str]] = {
    "parameters that are none": ([{"length": 3}], r"measure: \{'length': 3\} must be a step's name, or one name with"),
    "two names": ([{"length": {}, "pii": {}}], "must be a step's name, or one name"),
    "a wrong value": ([{"length": {"min_chars": -1}}], r"^measure: length\.min_chars is -1; it must be"),
    "a whole dataset": (
        ["exact_dedup"],
        "`exact_dedup` needs a whole dataset, and measure sees one document at a time",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_steps_that_cannot_measure_are_named(house: House, case: str) -> None:
    steps, told = WRONG[case]

    with pytest.raises(tamis.RecipeError, match=told):
        tamis.measure("pages.jsonl", steps=steps, workers=1)


def test_steps_of_plugins_work_in_every_function(house: House) -> None:
    (house.folder / "vowels.py").write_text(VOWELS)
    given = recipe()
    given["datasets"]["clean"]["steps"] = [{"vowels": {"max_count": 5}}]

    outcome = tamis.run(given, workers=1, plugins=["vowels.py"])
    measured = tamis.measure("pages.jsonl", steps=["vowels"], plugins=["vowels.py"], workers=1)

    assert outcome.made[0].documents == 1
    assert measured.to_polars()["vowels.count"].to_list() == [6, 5, 6]
    assert tamis.plan(given, plugins=["vowels.py"]).to_build == 0


def test_a_run_can_be_told_to_test_an_endpoint(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)

    with pytest.raises(tamis.RecipeError, match="so there is nothing to test"):
        tamis.run(recipe(), workers=1, test_endpoint=True)


def test_a_candidate_is_not_promoted_without_a_gate(house: House, done: tamis.Outcome) -> None:
    with pytest.raises(tamis.RecipeError, match="has no `gate:` or no `promote:`"):
        tamis.promote(recipe(), override="because")


def test_a_script_needs_no_guard_around_what_it_does_with_workers(house: House) -> None:
    """Workers are new processes, and what starts one commonly runs the user's script a second time."""
    for name in ("a.jsonl", "b.jsonl"):
        house.lines(name, texts(10, start=ord(name[0])))
    script = house.folder / "script.py"
    script.write_text(
        "import tamis\nprint('begun')\n"
        "found = tamis.measure(['a.jsonl', 'b.jsonl'], steps=['length'], workers=2)\nprint(found.rows_in)\n"
    )

    ran = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, cwd=house.folder, timeout=110, env=ENVIRONMENT
    )

    assert (ran.stdout, ran.stderr) == ("begun\n20\n", "")
