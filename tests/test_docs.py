"""The pages of the documentation say what is there, all of it, and what they print is what happens."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from filters.labels.rubrics.rubric import load_rubric
from pipeline.catalog import READERS, STEPS
from pipeline.cli import app, main
from pipeline.core.errors import RecipeError
from pipeline.core.files.parquet.shards import read_table, write_table
from pipeline.core.files.stores.places import Place
from pipeline.plan.make import make_plan
from pipeline.recipe.load import KEYS, load_recipe
from pipeline.store.workspace import Workspace
from tests.anthropic_gate import anthropic_gate
from tests.claude_server import Reply, claude_server
from tests.conftest import HOUSE, ROOT, house_files, need_conformance
from tests.reference import REFERENCE, reference
from tests.rooms import shown_in
from tests.s3_server import s3_server

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *(page for room in (*HOUSE, "recipes", "tests") for page in (ROOT / room).rglob("*.md"))]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES if page != REFERENCE)
PROMISES = ROOT / "tests" / "PROMISES.md"
README_LINES = 300
DEEPEST = 2  # folders in the README's tree; the page of a room draws what lies deeper
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
VERBS = sorted(app.commands)
PROSE = "Lakes freeze from above, since water is densest at four degrees and the colder water stays on top. " * 3


def block(marker: str) -> str:
    """Return the code block that stands below a marker."""
    found = re.findall(rf"^<!-- {marker} -->\n```\w+\n(.*?)^```$", TEXT, re.M | re.S)
    assert len(found) == 1, f"the pages have {len(found)} blocks below <!-- {marker} -->"
    return str(found[0])


def file_block(path: str) -> str:
    """Return the code block that begins with a file's name, without that line."""
    found = re.search(rf"^```\w+\n# {re.escape(path)}[^\n]*\n(.*?)^```$", TEXT, re.M | re.S)
    assert found is not None, f"no page has a block for {path}"
    return found[1]


def run(command: list[str], *, folder: Path, house: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command with `tamis` and `python` of this house first on the path."""
    bin_folder = folder.parent / f"{folder.name}-bin"
    bin_folder.mkdir(exist_ok=True)
    start = "import sys; sys.argv[0] = 'tamis'; from pipeline.cli import main; main()"
    for name, words in (("tamis", f'-c "{start}"'), ("python", "")):
        (bin_folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (bin_folder / name).chmod(0o755)
    path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(house)}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)


def test_the_reference_is_what_the_models_say() -> None:
    need_conformance()

    assert REFERENCE.read_text(encoding="utf-8") == reference(), "run: python -m tests.reference --write"


@pytest.mark.parametrize("name", [*STEPS, *READERS, *KEYS])
def test_every_step_reader_and_key_is_in_the_reference(name: str) -> None:
    page = REFERENCE.read_text(encoding="utf-8")

    assert f"`{name}`" in page or f"`read: {name}`" in page


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_the_readme(verb: str) -> None:
    assert re.search(rf"tamis {verb}\b", README)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_answers_a_call_for_help(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    monkeypatch.setattr(sys, "argv", ["tamis", verb, "--help"])

    with pytest.raises(SystemExit) as ended:
        main()

    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert said.startswith(f"Usage: tamis {verb} ")
    assert "--json" in said


@pytest.mark.parametrize("code", ["0", "1", "2", "3", "4", "75", "99", "130, 143"])
def test_every_exit_code_is_explained(code: str) -> None:
    assert f"\n| {code} | " in TEXT


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_a_recipe_begins_with_the_command_that_runs_it(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]

    assert re.fullmatch(rf"# (ANTHROPIC_API_KEY=\.\.\. )?tamis (run|ablate|research) recipes/{path.name}", first)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_without_its_files_a_recipe_has_no_other_mistake(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    try:
        load_recipe(path)
        mistakes = []
    except RecipeError as error:
        mistakes = str(error).splitlines()

    missing = ("no file matches", "is neither a dataset nor a file")
    assert [line for line in mistakes if not any(words in line for words in missing)] == []


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_with_its_files_a_recipe_can_be_planned(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_files(path, folder=tmp_path)
    monkeypatch.chdir(tmp_path)

    plan = make_plan(load_recipe(path), Workspace(tmp_path / "workspace"))

    assert {node.reason for node in plan.to_build} == {"new"}


def make_files(path: Path, *, folder: Path) -> None:
    """Write small files under every path that a recipe names, with every column that one may ask for."""
    for number, place in enumerate(re.findall(r"\b(?:path|known): (\S+?)[,}\n]", path.read_text(encoding="utf-8"))):
        file = folder / place.replace("*", "part")
        file.parent.mkdir(parents=True, exist_ok=True)
        texts = [f"{PROSE} Lake {number}-{row} is {row} metres deep." for row in range(3)]
        rows = [{"id": str(row), "url": f"u{row}", "text": text, "question": text} for row, text in enumerate(texts)]
        if file.suffix == ".parquet":
            write_table(file, pa.Table.from_pylist(rows))
        else:
            lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
            file.write_bytes(gzip.compress(lines) if file.suffix == ".gz" else lines)


def test_the_recipe_for_the_web_runs(tmp_path: Path) -> None:
    make_files(ROOT / "recipes" / "web.yaml", folder=tmp_path)

    ran = run(["tamis", "run", str(ROOT / "recipes" / "web.yaml"), "--workers", "1"], folder=tmp_path)

    assert ran.returncode == 0, ran.stderr
    assert "reused 0" in ran.stdout


@pytest.fixture(scope="module")
def ones_own(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The folder in which the block on one's own text ran, and what it printed."""
    folder = tmp_path_factory.mktemp("pages")
    return folder, run(["bash", "-e", "-c", block("runs")], folder=folder)


def test_the_block_on_ones_own_text_prints_what_it_prints(ones_own) -> None:
    _, ran = ones_own

    assert ran.returncode == 0, ran.stderr
    assert without_seconds(ran.stdout) == without_seconds(block("prints"))


def test_the_block_on_measuring_prints_what_it_prints(tmp_path: Path) -> None:
    pages = block("runs").partition("cat > pages.yaml")[0]

    ran = run(["bash", "-e", "-c", pages + block("runs measure")], folder=tmp_path)

    assert (ran.returncode, ran.stdout) == (0, block("prints measure")), ran.stderr


def test_the_plugin_of_the_readme_works_as_printed(tmp_path: Path) -> None:
    pages = block("runs").partition("cat > pages.yaml")[0]

    ran = run(["bash", "-e", "-c", pages + block("runs plugin")], folder=tmp_path)

    assert ran.returncode == 0, ran.stderr
    assert without_seconds(ran.stdout) == without_seconds(block("prints plugin"))


def test_the_block_on_every_night_prints_what_it_prints(tmp_path: Path) -> None:
    pages = block("runs").partition("cat > pages.yaml")[0]

    ran = run(["bash", "-e", "-c", pages + block("runs nightly")], folder=tmp_path)

    assert ran.returncode == 0, ran.stderr
    assert without_seconds(ran.stdout) == without_seconds(block("prints nightly"))


def test_the_block_on_datatrove_runs_as_printed(tmp_path: Path) -> None:
    texts = [f"{PROSE} Lake {number} lies there." for number in range(20)] + ["Too short."]
    (tmp_path / "crawl").mkdir()
    rows = [{"id": str(number), "text": text} for number, text in enumerate(texts)]
    write_table(tmp_path / "crawl" / "a.parquet", pa.Table.from_pylist(rows))

    (tmp_path / "clean.py").write_text(block("runs datatrove"))

    ran = run(["timeout", "110", "python", "clean.py"], folder=tmp_path)  # ends what datatrove starts, too

    assert ran.returncode == 0, ran.stderr
    kept = [row for path in (tmp_path / "clean").glob("*.parquet") for row in read_table(path).to_pylist()]
    assert sorted(row["text"] for row in kept) == sorted(texts[:-1])


def test_the_block_on_object_storage_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server("bucket") as store:
        for name, value in (store.environment() | {"TAMIS_CACHE": str(tmp_path / "cache")}).items():
            monkeypatch.setenv(name, value)
        lines = "".join(json.dumps({"text": f"{number % 7} {PROSE}"}) + "\n" for number in range(10))
        Place.at("s3://bucket/raw").write("pages.jsonl", lines.encode())

        ran = run(["bash", "-e", "-c", block("runs store")], folder=tmp_path)

        assert ran.returncode == 0, ran.stderr
        assert "clean: 7 documents" in ran.stdout and "Nothing to remove: " in ran.stdout
        assert "tamis.json" in Place.at("s3://bucket/exports/clean").items()


def test_no_block_of_the_documentation_imports_what_is_internal() -> None:
    inside = file_block("filters/heuristics/line_length.py")  # becomes a file of the house, which stands below `tamis`

    for text in (TEXT.replace(inside, ""), REFERENCE.read_text(encoding="utf-8")):
        assert re.findall(r"^(?:from|import) (?:pipeline|filters|synth|eval)\b.*$", text, re.M) == []


def test_the_blocks_on_distributions_and_differences_print_what_they_print(ones_own, tmp_path: Path) -> None:
    folder = shutil.copytree(ones_own[0], tmp_path / "pages")

    for name in ("stats", "diff"):
        ran = run(["bash", "-e", "-c", block(f"runs {name}")], folder=folder)

        assert ran.returncode == 0, ran.stderr
        assert without_seconds(ran.stdout) == without_seconds(block(f"prints {name}"))  # identities too


@pytest.mark.slow  # labels by Claude's requests, three times
def test_the_blocks_on_labelling_and_its_costs_print_what_they_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taught(body: Mapping[str, Any]) -> Reply:
        good = "because" in body["messages"][0]["content"].split(">\n", 1)[1]
        answers = {name: good or name == "self_contained" for name in load_rubric("educational").criteria}
        return Reply(text=json.dumps({"evidence": "because", **answers}))

    with claude_server(default=taught) as server, anthropic_gate(server, folder=tmp_path) as gate:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
        for key, value in gate.items():
            monkeypatch.setenv(key, value)
        for name in ("labelling", "costs"):
            ran = run(["bash", "-e", "-c", block(f"runs {name}")], folder=tmp_path)

            assert ran.returncode == 0, ran.stderr
            assert without_seconds(ran.stdout) == without_seconds(block(f"prints {name}"))

    assert sorted(set(server.bill.values())) == [1, 2]  # a second reading asks the same twice


def without_seconds(text: str) -> str:
    return re.sub(r"\d+\.\d s\b", "SECONDS", text).strip()


@pytest.mark.slow  # compiles every kernel of a copy of the house
def test_the_filter_of_the_filters_page_works_as_printed(tmp_path: Path) -> None:
    house = tmp_path / "house"
    for name in (*HOUSE, "tests"):
        shutil.copytree(ROOT / name, house / name)
    shutil.copy(ROOT / "tamis.py", house)
    (house / "filters" / "heuristics" / "line_length.py").write_text(file_block("filters/heuristics/line_length.py"))
    (house / "tests" / "cases" / "line_length.txt").write_text(file_block("tests/cases/line_length.txt"))
    catalog = house / "pipeline" / "catalog.py"
    start = "STEPS: dict[str, str] = {\n"
    line = file_block("pipeline/catalog.py")
    catalog.write_text(catalog.read_text().replace(start, start + line))

    cases = run(
        ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/filters/test_cases.py", "-k", "line_length"],
        folder=house,
        house=house,
    )
    style = run(["python", "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), "filters"], folder=house)

    assert "2 passed" in cases.stdout, cases.stdout + cases.stderr
    assert style.returncode == 0, style.stdout


def test_the_trees_name_every_folder_and_nothing_else() -> None:
    there = {f"{path.parent.relative_to(ROOT)}/" for path in house_files() if path.parent != ROOT}
    deep = {folder for folder in there if folder.count("/") > DEEPEST}
    tops = {"/".join(folder.split("/")[:DEEPEST]) for folder in deep}

    drawn = {folder for top in tops for folder in tree(read(f"{top.split('/')[0]}/README.md"), top=top)}

    assert set(tree(README, top=HOUSE[0])) == there - deep
    assert drawn == deep | {f"{top}/" for top in tops}


def tree(page: str, *, top: str) -> Iterator[str]:
    """Yield the folders of a page's tree as paths."""
    drawn = re.search(rf"^```text\n({top}/.*?)^```$", page, re.M | re.S)
    assert drawn is not None, f"no tree of {top}"
    folders: list[str] = []
    for line in drawn[1].splitlines():
        name, comment = line.split()[0], line.split()[1:]
        assert comment, f"{name} has no comment in the tree"
        folders[(len(line) - len(line.lstrip())) // 2 :] = [name]
        yield "".join(folders)


def test_the_readme_stays_short() -> None:
    assert len(README.splitlines()) <= README_LINES, "move what explains one room to that room's README.md"


@pytest.mark.parametrize("room", HOUSE)
def test_a_room_lists_its_files_with_what_they_say_of_themselves(room: str) -> None:
    page = (ROOT / room / "README.md").read_text(encoding="utf-8")

    assert page == shown_in(page, room=room), "run: python -m tests.rooms --write"


def test_every_promise_names_tests_that_exist() -> None:
    promises = PROMISES.read_text(encoding="utf-8").split("\n- **")[1:]
    named = [re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", promise) for promise in promises]

    assert len(promises) > 20
    assert [promise for promise, tests in zip(promises, named, strict=True) if not tests] == []
    assert [(path, name) for tests in named for path, name in tests if f"def {name}(" not in read(path)] == []


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]*)(?:#([^)]+))?\)", page.read_text(encoding="utf-8"))

    for target, heading in targets:
        if "://" not in target:
            there = page.parent / target if target else page
            assert there.exists(), target
            assert not heading or heading in headings(there), f"{target}#{heading}"


def headings(page: Path) -> set[str]:
    """Return the anchors of a page's headings as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
