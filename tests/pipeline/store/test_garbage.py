"""What `tamis gc` shows and removes: never what something refers to, and never what it did not show."""

from __future__ import annotations

import json
import shutil
import time

import pytest

from pipeline.core.errors import RecipeError
from pipeline.core.files.names import CARD
from pipeline.core.files.stores.places import Place, system_of
from pipeline.store.garbage import code_of, find_garbage, keep, refuse_other, remove
from pipeline.store.names.registry import promote
from pipeline.store.remote.cached import held_lease, workspace_path
from pipeline.store.workspace import Workspace
from tests.pipeline.house import House, contents, texts


def built(house: House, steps: str) -> set[str]:
    """Build a recipe; return the results that are there."""
    house.clean([steps])
    house.run()
    return set(contents(house.workspace.root))


def end_run(workspace: Workspace, folders: set[str]) -> None:
    """Leave the record of a run that stands on these results and ended just now."""
    home = workspace.root / "runs" / "recipe"
    home.mkdir(parents=True, exist_ok=True)
    record = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "folders": sorted(folders)}
    (home / f"{len(list(home.iterdir())):06d}.json").write_text(json.dumps(record))


def test_what_an_edited_recipe_left_behind_goes_and_what_is_kept_registered_or_in_use_stays(house):
    house.lines("a.jsonl", texts(30))
    first = built(house, "length: {unit: 2}")
    second = built(house, "length: {unit: 3}") - first
    third = built(house, "length: {unit: 4}") - first - second
    workspace = house.workspace
    assert find_garbage(workspace) == []  # no run ended: all may be of one that was killed
    assert {one.name for one in find_garbage(workspace, everything=True)} >= second
    end_run(workspace, third)
    old = next(name for name in first if name.startswith("dataset"))
    identity = workspace.dataset(old.partition("/")[2])[1].identity
    promote(
        workspace, "docs", mixture="m", mixture_identity="ab" * 32, folder="mixture/m-abababababab",
        parents={"clean": identity}, certificate=None, override="a test",
    )  # fmt: skip
    found = find_garbage(workspace)

    assert {one.name for one in found} == second
    assert all(one.size_bytes > 0 and one.what == "result" for one in found)
    with pytest.raises(RecipeError, match=r"--delete 12345678: is not the code of what would go now"):
        refuse_other(found, "12345678")
    (workspace.root / third.copy().pop() / "scratch").mkdir()
    assert "scratch" in {one.what for one in find_garbage(workspace)}
    refuse_other(found, code_of(found))
    remove(workspace, find_garbage(workspace))
    assert set(contents(workspace.root)) == first | third
    assert find_garbage(workspace) == []

    unfinished = workspace.root / next(name for name in third if name.startswith("measured"))
    (unfinished / CARD).unlink()
    assert find_garbage(workspace) == [] and [one.what for one in find_garbage(workspace, everything=True)] == [
        "unfinished"
    ]
    shutil.rmtree(unfinished)
    built(house, "length: {unit: 3}")
    keep(workspace, "trials", [workspace.root / name for name in second])
    built(house, "length: {unit: 4}")
    end_run(workspace, third)
    assert find_garbage(workspace) == []


def test_a_store_is_rid_of_what_killed_uploads_left_and_of_nothing_else(far, s3):
    workspace = far.workspace
    with workspace.locked():
        far.run()
    url = f"s3://bucket/{far.folder.name}"
    place, system = Place.at(url), system_of(url)
    whole = set(place.items())
    place.write("dataset/clean-000000000000/part-00000.0123456789abcdef.parquet", b"of a killed upload")
    dataset = workspace.dataset("clean")[0]
    place.write(f"dataset/{dataset.name}/part-00000.0123456789abcdef.parquet", b"of another one")
    system.call_s3("create_multipart_upload", Bucket="bucket", Key=f"{far.folder.name}/tokens/t-1/tokens.npy")
    system.call_s3("create_multipart_upload", Bucket="bucket", Key="elsewhere/tokens.npy")

    later = "ledger/00000099-000001.sqlite"  # of one who died before a lease named it
    with workspace.locked():
        shutil.rmtree(dataset)  # as if a listing had not shown it
        place.write(later, b"")
        found = find_garbage(workspace, ledger=held_lease(workspace.root).terms.ledger)
        place.delete([later])
        remove(workspace, found)

    assert sorted(one.what for one in found) == ["object", "object", "upload"]
    assert place.uploads() == [] and len(Place.at("s3://bucket/elsewhere").uploads()) == 1
    left = {name for name in place.items() if not name.startswith("lease/")}
    assert left == {name for name in whole if not name.startswith("lease/")}
    assert contents(Workspace(workspace_path(url)).root) == contents(workspace.root)
