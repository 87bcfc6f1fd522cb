"""What `tamis audit` prints and writes beside: worst first, a page, Croissant, a draft of the EU summary."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import pytest
from click.testing import CliRunner

from filters.audit.found import Audited, AuditedSide, Found, Row
from pipeline.cli import app
from pipeline.core.errors import RecipeError
from pipeline.core.files.card import read_card, write_card
from pipeline.queries.audit.croissant import VERSION, distribution
from pipeline.queries.audit.eu_summary import eu_summary
from pipeline.store.results import is_documents
from pipeline.store.workspace import Workspace
from tests.filters.audit.planted import planted, texts
from tests.pipeline.house import House, write_lines


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Two versions of 400 documents, the later with an address in 5 %."""
    house = House(tmp_path_factory.mktemp("audited"))
    steps = "steps: [language, exact_dedup]"
    house.write(
        f"sources: {{docs: {{read: jsonl, path: DIR/a.jsonl}}}}\ndatasets: {{clean: {{from: docs, {steps}}}}}\n"
    )
    mailed = planted(texts(400, seed=2), share=0.1, sentence="Write to jane.miller@firmware.org <b>now</b>.")
    for given in (texts(400, seed=1), mailed):
        write_lines(house.folder / "a.jsonl", given)
        house.run()
    return house


@pytest.fixture(scope="module")
def told(house: House) -> str:
    return run(house, "--to", "page.html", "--croissant", "card.json", "--eu-summary", "eu.md")


def run(house: House, *words: str) -> str:
    given = [str(house.folder / word) if word.endswith((".html", ".md", ".json")) else word for word in words]
    place = ["--workspace", str(house.workspace.root)]
    ran = CliRunner().invoke(app, ["audit", "clean", "--against", "previous", *place, *given])
    if ran.exception is not None:
        raise ran.exception
    return ran.output


def test_the_worst_number_is_the_first_line_of_the_table(told: str):
    first = next(line for line in told.splitlines() if "personal data" in line)

    assert first.startswith("ALARM") and told.index("ALARM") < told.index("contamination is unknown")
    assert [line.partition(":")[0] for line in told.splitlines()[-3:]] == ["page", "croissant", "EU summary"]


def test_the_page_shows_every_number_and_runs_nothing(house: House, told: str):
    page = (house.folder / "page.html").read_text()

    assert "What moved" in page and "documents with email" in page and "By language" in page
    assert "<script" not in page and "<b>now</b>" not in page and "http" not in page.replace("http-equiv", "")


def test_the_croissant_names_files_fields_sources_and_steps(house: House, told: str):
    card = json.loads((house.folder / "card.json").read_text())

    assert card["conformsTo"] == VERSION
    assert [len(file["sha256"]) for file in card["distribution"]] == [64]
    assert {field["name"] for field in card["recordSet"][0]["field"]} >= {"id", "text", "source", "lineage"}
    assert [entity["prov:label"] for entity in card["prov:wasDerivedFrom"]] == ["source docs: 400 documents"]
    assert [step["prov:label"] for step in card["prov:wasGeneratedBy"]] == ["clean.language", "clean.exact_dedup"]
    assert any("with email" in sentence for sentence in card["rai:personalSensitiveInformation"])


def test_the_croissant_is_one_to_its_own_library_and_its_records_load(house: House, told: str):
    library = pytest.importorskip("mlcroissant", reason="pip install mlcroissant")
    folder, _ = house.workspace.dataset("clean")
    beside = folder.parent / f"{folder.name}.json"
    card = json.loads((house.folder / "card.json").read_text())
    card["distribution"][0]["contentUrl"] = f"{folder.name}/{card['distribution'][0]['contentUrl']}"
    beside.write_text(json.dumps(card))

    dataset = library.Dataset(str(beside))

    assert not dataset.metadata.ctx.issues.errors
    assert len(list(dataset.records("documents"))) == 400


def test_the_croissant_of_several_files_has_a_set_of_those_that_hold_documents(house: House, told: str):
    """By patterns alone: mlcroissant takes `containedIn` for archives and asks for their paths."""
    workspace = Workspace(house.folder / "copied")
    stored, _ = house.workspace.dataset("clean")
    folder = Path(shutil.copytree(stored, workspace.root / stored.relative_to(house.workspace.root)))
    card = read_card(folder)
    (first,) = (file for file in card.files if is_documents(file.file))
    shutil.copy(folder / first.file, folder / "part-00001.parquet")
    write_card(folder, replace(card, files=[*card.files, replace(first, file="part-00001.parquet")]))

    *files, together = distribution(folder)

    assert [file["@id"] for file in files] == [first.file, "part-00001.parquet"]
    assert together["@type"] == "cr:FileSet" and "containedIn" not in together
    beside = [path.name for path in folder.iterdir()]
    included = {name for name in beside for pattern in together["includes"] if fnmatch(name, pattern)}
    assert included == {first.file, "part-00001.parquet"} < set(beside)


def test_the_draft_for_the_eu_counts_what_it_can_and_marks_what_a_person_knows(house: House, told: str):
    draft = (house.folder / "eu.md").read_text()

    assert [line for line in draft.splitlines() if line.startswith("## ")] == [
        "## 1. General information", "## 2. Sources", "## 3. Processing"
    ]  # fmt: skip
    assert "less than 1 billion tokens (400 documents" in draft and "en 100.0 %" in draft
    assert draft.count("a person fills this in") >= 10 and "| docs | source | jsonl | 400 |" in draft


def test_the_draft_for_the_eu_tells_only_of_the_dataset_itself_and_never_none_for_a_few(house: House):
    folder, _ = house.workspace.dataset("clean")
    number = Found("personal data", "documents with email", "share", 2e-6, 0.0, None, 1e-5)
    tables = {
        "year": (Row("2020", 0.9999, 0.5), Row("1994", 0.0, 0.5)),
        "host": (Row("here.org", 0.00002, 0.1), Row("there.org", 0.0, 0.9)),
        "origin": (Row("human", 1.0, 0.4), Row("claude", 0.0, 0.6)),
        "source": tuple(Row(f"other{place}", 0.03, 0.03) for place in range(30)),
    }
    side = AuditedSide("clean", folder.name, 400, 400, 10_000, 2_000)
    found = Audited(side, side, 0, 20, 200, "document", (number,), tables, (), ())

    draft = eu_summary(house.workspace, found)

    assert "are of 2020 to 2020" in draft and "there.org" not in draft
    assert "| here.org | &#60; 0.01 % |" in draft and "| documents with email | &#60; 0.01 % |" in draft
    assert "none by the documents' origin; the models that made it: none" in draft
    assert "| docs | source | jsonl | 400 | at most 3.0 % |" in draft


@pytest.mark.parametrize(("flag", "name"), [("--to", "page.txt"), ("--croissant", "card"), ("--eu-summary", "eu.txt")])
def test_a_file_of_another_ending_is_refused_before_anything_is_read(house: House, flag: str, name: str):
    with pytest.raises(RecipeError, match=rf"{flag} {name}: must name a file that ends in"):
        run(house, flag, str(Path(name)))
