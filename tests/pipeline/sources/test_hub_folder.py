"""A local folder as `hf` reads it: its own files and nothing else, all of them in the identity, and no network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.errors import RecipeError
from pipeline.core.identity import identity_of
from pipeline.sources.tables.hub import HubParams, HubReader
from tests.conftest import ROOT
from tests.pipeline.house import House, write_lines


def reader(folder: Path, **params: str) -> HubReader:
    return HubReader(params=HubParams.parse({"path": str(folder), **params}), source="web", base=folder)


def texts_of(found: HubReader) -> list[str]:
    return [text for piece in found.slices() for chunk in found.read(piece) for text in chunk.table["text"].to_pylist()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "data").mkdir(parents=True)
    write_lines(tmp_path / "in" / "data" / "a.jsonl", ["inside"])
    (tmp_path / "outside").mkdir()
    write_lines(tmp_path / "outside" / "a.jsonl", ["outside"])
    return tmp_path / "in"


def readme(folder: Path, **config: object) -> None:
    config = {"config_name": "default", **config}
    (folder / "README.md").write_text(f"---\nconfigs:\n- {json.dumps(config)}\n---\n# About\n", encoding="utf-8")


def test_a_folder_is_read_as_its_readme_says(folder: Path) -> None:
    write_lines(folder / "data" / "b.jsonl", ["another"])
    readme(folder, data_files=[{"split": "train", "path": "data/b.jsonl"}])

    assert texts_of(reader(folder)) == ["another"]
    assert [file["file"] for file in reader(folder).inputs()["files"]] == ["README.md", "data/a.jsonl", "data/b.jsonl"]


@pytest.mark.parametrize("place", ["../outside/*.jsonl", "ABSOLUTE", "http://localhost/a.jsonl", "zip://*::data/a.zip"])
@pytest.mark.parametrize("file", ["README.md", ".huggingface.yaml"])
def test_a_place_outside_the_folder_is_refused_before_it_is_looked_at(folder: Path, place: str, file: str) -> None:
    place = place.replace("ABSOLUTE", str(folder.parent / "outside" / "*.jsonl"))
    readme(folder, data_files=[{"split": "train", "path": ["data/a.jsonl", place]}])
    if file != "README.md":
        said = (folder / "README.md").read_text(encoding="utf-8").removeprefix("---\n").partition("---\n")[0]
        (folder / file).write_text(said, encoding="utf-8")
        (folder / "README.md").unlink()

    for act in (reader(folder).check, reader(folder).slices):
        with pytest.raises(RecipeError, match=rf"{file}: takes .* as data; of a local folder only its own files"):
            act()


def test_a_data_dir_outside_the_folder_is_refused(folder: Path) -> None:
    readme(folder, data_dir="../outside")

    with pytest.raises(RecipeError, match=r"README\.md: takes '\.\./outside' as data"):
        reader(folder).check()


def test_what_lies_behind_a_link_to_a_folder_is_refused_and_a_link_to_a_file_is_its_content(folder: Path) -> None:
    """The Hub's own cache links each file of a snapshot to a store of blobs beside it."""
    (folder / "data" / "b.jsonl").symlink_to(folder.parent / "outside" / "a.jsonl")
    assert texts_of(reader(folder)) == ["inside", "outside"]
    before = identity_of(reader(folder).inputs())
    write_lines(folder.parent / "outside" / "a.jsonl", ["edited"])
    assert identity_of(reader(folder).inputs()) != before

    (folder / "more").symlink_to(folder.parent / "outside")
    readme(folder, data_files="more/*.jsonl")
    with pytest.raises(RecipeError, match=r"takes .*/in/more/a\.jsonl as data, which is not a file of the folder"):
        reader(folder).slices()


def test_hidden_data_is_refused_since_no_identity_names_it(folder: Path) -> None:
    write_lines(folder / ".hidden.jsonl", ["hidden"])
    readme(folder, data_files=".hidden.jsonl")

    with pytest.raises(
        RecipeError, match=r"takes .*\.hidden\.jsonl as data, which is not a file of the folder, or a hidden"
    ):
        reader(folder).slices()


def test_text_files_are_refused_with_the_reader_that_takes_them_whole(house: House) -> None:
    (house.folder / "in").mkdir()
    for number in range(3):
        (house.folder / "in" / f"{number}.txt").write_text("a line\nand another\n", encoding="utf-8")
    house.clean([], source="{read: hf, path: DIR/in}")

    with pytest.raises(RecipeError, match=r"sources\.docs: .* are text, .*`read: text`.*path: .*/in/\*\*/\*\.txt\."):
        house.run()
    house.clean([], source="{read: text, path: DIR/in/**/*.txt}")
    house.run()
    assert len(house.documents()) == 3


def test_the_network_is_never_asked_about_a_local_folder(folder: Path) -> None:
    """In a process of its own, which the tests' setting that the Hub is offline does not reach."""
    readme(folder, data_files="data/*.jsonl")
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise SystemExit('the network was asked')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from pathlib import Path\nfrom tests.pipeline.sources.test_hub_folder import reader, texts_of\n"
        "print(texts_of(reader(Path(sys.argv[1]))))"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment = {**kept, "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], env=environment, capture_output=True, text=True, timeout=250,
        check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, "['inside']\n"), done.stderr[-2000:]
