"""What the shared options accept, and that `--memory` reaches the step that must keep it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.commands.flags import parse_memory
from pipeline.commands.run.run_recipe import run_recipe
from pipeline.core.errors import RecipeError
from pipeline.engine.progress import Silent
from tests.pipeline.house import House, files_of, texts


@pytest.mark.parametrize(("text", "size"), [("500M", 500 << 20), ("4G", 4 << 30), ("4GiB", 4 << 30), ("1k", 1024)])
def test_a_size_is_a_number_and_a_unit(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["4", "0G", "-1G", "1.5G", "lots", "4Q", ""])
def test_a_size_without_either_is_an_error(text: str) -> None:
    with pytest.raises(RecipeError, match="must be a whole number with K, M, G or T"):
        parse_memory(text)


def test_the_memory_given_is_kept_and_does_not_show(tmp_path: Path) -> None:
    houses = [House(tmp_path / name) for name in ("large", "small")]
    for house in houses:
        house.folder.mkdir()
        house.lines("a.jsonl", texts(60) * 2)
        house.clean(["minhash_dedup"])

    run_in(houses[0], memory_bytes=1 << 30)
    with pytest.raises(RecipeError, match=r"clustering 120 documents takes .* --memory"):
        run_in(houses[1], memory_bytes=1000)
    run_in(houses[1], memory_bytes=96 * 120)

    assert files_of(houses[0].workspace.root) == files_of(houses[1].workspace.root)


def run_in(house: House, *, memory_bytes: int) -> None:
    run_recipe(house.recipe, workspace=house.workspace, workers=1, progress=Silent(), memory_bytes=memory_bytes)
