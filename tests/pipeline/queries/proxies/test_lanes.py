"""What a name of a proxy stands for, and what is said where it stands for nothing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.names import CARD
from pipeline.queries.proxies.lanes import (
    find_lane,
    find_lanes,
    mixture_of_lane,
    scores_of_lane,
    tokenizer_of_lane,
)
from pipeline.store.workspace import Workspace
from tests.pipeline.house import House
from tests.pipeline.queries.trained import RECIPE


@pytest.fixture
def copy(trained_house: House, tmp_path: Path) -> Workspace:
    return Workspace(Path(shutil.copytree(trained_house.workspace.root, tmp_path / "copy")))


def test_a_proxy_is_found_by_the_name_that_a_plan_gives_it_and_by_its_folder(trained_house: House):
    plan = trained_house.plan()
    nodes = {str(lane): node for lane, node in plan.experiment.lanes.items()}

    for name, node in nodes.items():
        for wanted in (name, node.folder.name, f"lane/{node.folder.name}", str(node.folder)):
            found = find_lane(trained_house.workspace, wanted)
            assert found.folder == node.folder and found.card.identity == node.identity
        assert find_lane(trained_house.workspace, name).name == name


def test_a_shorter_name_stands_for_all_that_begin_with_it(trained_house: House):
    names = [lane.name for lane in find_lanes(trained_house.workspace, "both")]

    assert names == ["both/seed0/lr1", "both/seed1/lr1", "both/seed2/lr1"]
    assert [lane.name for lane in find_lanes(trained_house.workspace, "both/seed1")] == names[1:2]
    with pytest.raises(RecipeError, match=r"`both` stands for 3 proxies; it must be one\. Name both/seed0/lr1, "):
        find_lane(trained_house.workspace, "both")


def test_what_a_proxy_rests_on_is_found(trained_house: House):
    lane = find_lane(trained_house.workspace, "raw/seed2/lr1")
    experiment = trained_house.plan().experiment

    (score,) = scores_of_lane(trained_house.workspace, lane)

    assert mixture_of_lane(trained_house.workspace, lane).identity == experiment.mixtures["raw"].identity
    assert tokenizer_of_lane(trained_house.workspace, lane) == experiment.tokenizer.folder / "tokenizer.model"
    assert (score.held_out, score.documents > 0, score.bits_per_byte > 0) == ("held", True, True)


def test_a_mixture_of_another_name_still_leads_to_its_proxies(trained_house: House, copy: Workspace):
    """A proxy's card holds the name that its mixture had; a new name trains nothing anew."""
    before = find_lane(copy, "both/seed0/lr1").folder
    moved = House(copy.root.parent)
    shutil.copytree(copy.root, moved.workspace.root)
    for name in ("one.jsonl", "two.jsonl"):
        shutil.copy(trained_house.folder / name, moved.folder)
    moved.write(RECIPE.replace("both", "renamed"))
    moved.run()

    assert find_lane(moved.workspace, "renamed/seed0/lr1").folder.name == before.name


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("bth/seed0/lr1", "`bth/seed0/lr1` is not a proxy in .*Did you mean both/seed0/lr1"),
        ("both/seed7", "Did you mean both/seed0/lr1, both/seed1/lr1 or both/seed2/lr1?"),
        ("both/seed0/lr0.5", "Did you mean both/seed0/lr1"),
        ("t0-seed0-lr1", "Did you mean .*t0-seed0-lr1-"),
        ("nowhere/t0", "is not a proxy"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_ones(trained_house: House, wanted: str, said: str):
    with pytest.raises(RecipeError, match=said):
        find_lanes(trained_house.workspace, wanted)


def test_an_unfinished_proxy_is_refused_by_either_name(copy: Workspace):
    lane = find_lane(copy, "both/seed1/lr1")
    (find_lane(copy, "raw/seed1/lr1").folder / CARD).unlink()
    (lane.folder / CARD).unlink()

    for wanted in ("both/seed1/lr1", lane.folder.name):
        with pytest.raises(DataError, match=r"not finished: .*has no card\.json.* Run its recipe again"):
            find_lanes(copy, wanted)
    assert len(find_lanes(copy, "both")) == 2


def test_a_workspace_without_proxies_says_what_to_run(tmp_path: Path):
    with pytest.raises(DataError, match=re.escape(f"{tmp_path}: holds no finished proxies")):
        find_lanes(Workspace(tmp_path), "candidate")


def test_a_proxy_whose_tokenizer_is_gone_says_so(copy: Workspace):
    shutil.rmtree(copy.root / "tokenizer")

    with pytest.raises(DataError, match=r"which both/seed0/lr1 rests on, is gone\. Run its recipe again"):
        tokenizer_of_lane(copy, find_lane(copy, "both/seed0"))
