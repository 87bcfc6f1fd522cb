"""Paths and globs of a recipe: what they leave out they say, with where it was looked for and the way out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.core.errors import RecipeError
from pipeline.sources.files import FileParams, find_files
from pipeline.sources.texts.jsonl import JsonlReader
from tests.process import Tamis


def jsonl(tmp_path: Path, *, path: str) -> JsonlReader:
    return JsonlReader(params=FileParams.parse({"path": path}), source="crawl", base=tmp_path)


def test_what_is_not_found_is_said_with_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "a.jsonl").write_text("{}")
    monkeypatch.chdir(tmp_path)
    params = FileParams.parse({"path": "*.jsonl"})

    with pytest.raises(RecipeError, match=r"recipe's folder: write .*recipes/\*\.jsonl"):
        JsonlReader(params=params, source="crawl", base=tmp_path / "recipes").check()
    with pytest.raises(RecipeError, match=r"sources\.crawl\.path: no file matches 'no/\*' \(looked for .*/no/\*\)"):
        jsonl(tmp_path, path="no/*").check()
    with pytest.raises(RecipeError, match="is a folder"):
        jsonl(tmp_path, path=str(tmp_path)).check()
    with pytest.raises(RecipeError, match=r"sources\.crawl\.path: ftps://: is no kind of URL that can be read"):
        jsonl(tmp_path, path="ftps://bucket/a.jsonl").check()


def test_a_broken_link_among_the_files_is_an_error_and_a_folder_is_skipped(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text('{"text": "one"}\n')
    (tmp_path / "folder").mkdir()
    (tmp_path / "c.jsonl").symlink_to("b.jsonl")
    assert len(find_files(str(tmp_path / "*"), source="crawl", base=tmp_path)) == 2

    (tmp_path / "c.jsonl").unlink()
    (tmp_path / "c.jsonl").symlink_to("nowhere/c.jsonl")
    told = r"sources\.crawl\.path: .*/c\.jsonl is a link to nowhere/c\.jsonl, which is not there\. .* delete the link"
    for path in ("*", "c.jsonl"):
        with pytest.raises(RecipeError, match=told):
            jsonl(tmp_path, path=str(tmp_path / path)).check()


@pytest.mark.timeout(100)
def test_links_that_lead_in_circles_are_refused_under_two_stars(tmp_path: Path) -> None:
    """glob would follow each of eight links that lead up, in each of the folders that it finds behind them."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "a.jsonl").write_text('{"text": "one"}\n')
    (tmp_path / "again").symlink_to(tmp_path / "deep")
    assert len(find_files(str(tmp_path / "**" / "*.jsonl"), source="crawl", base=tmp_path)) == 1

    for number in range(8):
        (tmp_path / "deep" / "er" / f"up{number}").symlink_to(tmp_path / "deep")

    told = (
        r"sources\.crawl\.path: .*/up\d is a link to .*/deep, in which it lies, so `\*\*` never ends\. Delete the link"
    )
    with pytest.raises(RecipeError, match=told):
        jsonl(tmp_path, path=str(tmp_path / "**" / "*.jsonl")).check()


def test_a_name_that_is_not_utf8_is_refused_where_a_pattern_names_it(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n')
    with open(os.fsencode(tmp_path) + b"/caf\xe9.jsonl", "wb") as file:  # noqa: PTH123 - Path takes no bytes
        file.write(b'{"text": "two"}\n')

    assert len(find_files(str(tmp_path / "a*.jsonl"), source="crawl", base=tmp_path)) == 1
    with pytest.raises(
        RecipeError, match=r"sources\.crawl\.path: .*caf\\xe9\.jsonl has a name that is not UTF-8.*Rename"
    ):
        jsonl(tmp_path, path=str(tmp_path / "*.jsonl")).check()


def test_a_name_that_is_not_utf8_ends_the_command_with_code_2(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/caf\xe9.jsonl", "wb") as file:  # noqa: PTH123 - Path takes no bytes
        file.write(b'{"text": "two"}\n')
    recipe = "sources:\n  docs: {read: jsonl, path: '*.jsonl'}\ndatasets:\n  clean: {from: docs}\n"
    (tmp_path / "recipe.yaml").write_text(recipe)

    done = Tamis(tmp_path).run("run", "recipe.yaml")

    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "caf\\xe9.jsonl has a name that is not UTF-8" in done.stderr
