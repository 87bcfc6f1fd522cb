"""Whatever is no longer as it was written is found and named, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.commands.texts import verify_text
from pipeline.core.errors import DataError
from pipeline.core.files.card import Card
from pipeline.core.files.parquet.shards import write_table
from pipeline.queries.stats import stats
from pipeline.queries.verify import verify
from pipeline.store.names.dedup_versions import forget, remember
from pipeline.store.names.registry import promote
from pipeline.store.workspace import Workspace
from tests.pipeline.house import House, texts


@pytest.fixture
def built(house: House) -> House:
    house.lines("a.jsonl", ["ab", *texts(5), ""])
    house.clean(["length"])
    house.run()
    return house


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def files_of(house: House, kind: str) -> list[Path]:
    return sorted(path for path in (house.workspace.root / kind).rglob("*.parquet"))


def test_a_sound_workspace_is_told_with_counts_and_bytes(built: House):
    stored = [path for kind in ("source", "measured", "dataset") for path in files_of(built, kind)]
    size = sum(path.stat().st_size for path in stored)

    data = verify(built.workspace)

    assert (data["results"], data["files"], data["size_bytes"], data["damaged"]) == (3, len(stored), size, [])
    told = f"3 results, {len(stored)} files, {size / 1e6:,.1f} MB: all as they were written."
    assert verify_text(data) == f"{built.workspace.root}: {told}"


def test_a_flipped_byte_is_named_with_what_to_do(built: House):
    path = files_of(built, "measured")[0]
    flip(path)

    told = verify_text(verify(built.workspace))

    assert told.startswith(f"{path}: has BLAKE3 ") and "; card.json says " in told
    assert f"Delete {path.parent} and run the recipe again.\n" in told and told.endswith(": 1 damaged.")


def test_what_was_found_is_said(built: House):
    cut, gone = files_of(built, "source")[0], files_of(built, "dataset")[0]
    size = cut.stat().st_size
    os.truncate(cut, 10)
    gone.unlink()

    told = verify_text(verify(built.workspace))

    assert f"{cut}: has 10 bytes; card.json says {size:,} bytes" in told
    assert f"{gone}: cannot be read (No such file or directory); card.json says" in told


def edited(value: Any) -> Any:
    """Return another value of the same kind."""
    if isinstance(value, dict):
        return {**value, "added": 1}
    if isinstance(value, list):
        return value[1:] if value else [1]
    return f"{value}x" if isinstance(value, str) else (value or 0) + 1


def found_after_each_edit(path: Path, workspace: Workspace) -> list[str]:
    """Return the fields of a record whose edit, or loss, is not told by `verify` with the file's name."""
    content, unseen = json.loads(path.read_text()), []
    for key in content:
        for record in ({**content, key: edited(content[key])}, {k: v for k, v in content.items() if k != key}):
            path.write_text(json.dumps(record))
            told = [row["problem"] for row in verify(workspace)["damaged"]]
            if not (len(told) == 1 and told[0].startswith(f"{path}: is not") and "as it was written (" in told[0]):
                unseen.append(key)
    path.write_text(json.dumps({**content, "added": 1}))
    unseen += [] if verify(workspace)["damaged"] else ["added"]
    path.write_text(json.dumps(content))
    return unseen


@pytest.mark.parametrize("kind", ["source", "measured", "dataset"])
def test_an_edit_of_any_field_of_a_card_is_found_though_its_files_are_whole(built: House, kind: str):
    (path,) = (built.workspace.root / kind).glob("*/card.json")

    assert found_after_each_edit(path, built.workspace) == []

    assert len(json.loads(path.read_text())) == 1 + len(fields(Card)) and verify(built.workspace)["damaged"] == []


def test_an_edit_of_any_field_of_a_pointer_or_list_of_inputs_is_found(built: House):
    write_table(built.folder / "b.parquet", pa.table({"text": texts(4)}))
    built.clean(["length"], source="{read: parquet, path: DIR/*.parquet}")
    built.run()
    remember(built.workspace, "clean", store="news")
    promote(
        built.workspace, "web", mixture="m", mixture_identity="a" * 64, folder="mixture/m", parents={},
        certificate=None, override="a test",
    )  # fmt: skip
    root = built.workspace.root
    (inputs,) = root.glob("source/*/inputs.json")
    records = [inputs, root / "registry" / "web" / "current.json", root / "registry" / "web" / "v00001.json",
               root / "dedup" / "news" / "current.json", root / "latest.json"]  # fmt: skip

    unseen = {path.name: found_after_each_edit(path, built.workspace) for path in records}

    assert unseen == {path.name: [] for path in records} and verify(built.workspace)["damaged"] == []


def test_a_nested_value_of_a_card_is_found(built: House):
    path = built.workspace.dataset("clean")[0] / "card.json"
    card = json.loads(path.read_text())
    card["details"]["base"][0]["rows"] += 1
    path.write_text(json.dumps(card))

    told = verify_text(verify(built.workspace))
    assert f"{path}: is not a card as it was written (its content does not match its hash" in told


def test_a_version_that_the_pointer_names_and_that_is_gone_is_found(built: House):
    promote(
        built.workspace, "web", mixture="m", mixture_identity="a" * 64, folder="mixture/m", parents={},
        certificate=None, override="a test",
    )  # fmt: skip
    path = built.workspace.root / "registry" / "web" / "v00001.json"
    path.unlink()

    (row,) = verify(built.workspace)["damaged"]

    assert row["problem"].startswith(f"{path}: is not a version as it was written")


def test_a_card_of_an_early_version_is_refused_with_a_way_out(built: House):
    path = built.workspace.dataset("clean")[0] / "card.json"
    card = json.loads(path.read_text())
    del card["record_id"]
    path.write_text(json.dumps(card))

    with pytest.raises(DataError, match=r"has no record_id: .* early Tamis wrote it\)\. Delete the folder and run"):
        built.run()


def test_a_card_that_is_none_does_not_hide_the_others(built: House):
    (built.workspace.dataset("clean")[0] / "card.json").write_text("{}")
    flip(files_of(built, "source")[0])

    assert len(verify(built.workspace)["damaged"]) == 2


def test_what_is_deleted_as_told_is_built_again_to_the_same_bytes(built: House):
    path = files_of(built, "measured")[0]
    whole = path.read_bytes()
    flip(path)
    for file in path.parent.iterdir():
        file.unlink()
    path.parent.rmdir()

    built.run()

    assert path.read_bytes() == whole and verify(built.workspace)["damaged"] == []


def test_an_empty_workspace_is_not_called_sound(tmp_path: Path):
    with pytest.raises(DataError, match=r"holds no finished results to verify\. Run a recipe, or name its --workspace"):
        verify(Workspace(tmp_path / "none"))


def test_the_files_of_dedup_stores_are_counted_and_told(built: House):
    before = verify(built.workspace)
    remember(built.workspace, "clean", store="news")
    pieces = [path for path in (built.workspace.root / "dedup").glob("*/pieces/*/*") if path.name != "piece.json"]

    data = verify(built.workspace)

    assert (data["stores"], data["files"], data["damaged"]) == (1, before["files"] + len(pieces), [])
    assert data["size_bytes"] == before["size_bytes"] + sum(path.stat().st_size for path in pieces)
    assert " MB, 1 dedup stores: all as they were written." in verify_text(data)


def test_a_damaged_store_does_not_hide_another(built: House):
    for store in ("a", "b", "c"):
        remember(built.workspace, "clean", store=store)
    forget(built.workspace, built.ids()[:1], store="a")
    root = built.workspace.root / "dedup"
    (root / "a" / "v00002.json").write_text("{}")
    (keys,) = (root / "b").glob("pieces/*/keys-00000.npy")
    flip(keys)
    (root / "c" / "current.json").write_text("no")

    damaged = verify(built.workspace)["damaged"]

    assert [row["path"] for row in damaged] == [str(root / "a"), str(keys), str(root / "c")]


@pytest.mark.parametrize("damage", ["cut", "gone"])
@pytest.mark.parametrize("kind", ["source", "measured", "gathered", "dataset"])
def test_the_way_out_of_a_damaged_result_leads_out(house: House, kind: str, damage: str):
    house.lines("a.jsonl", ["ab", *texts(6)])
    house.clean(["length", "exact_dedup"])
    house.run()
    path = max(house.workspace.root.glob(f"{kind}/*/*.parquet"))  # the verdicts, of a dataset
    path.write_bytes(path.read_bytes()[:100]) if damage == "cut" else path.unlink()

    with pytest.raises(DataError) as caught:
        stats(house.workspace, "clean", signal=None, by="source", fate="all")

    assert str(caught.value).endswith(f"Delete {path.parent} and run the recipe again.")
    shutil.rmtree(path.parent)
    house.run()
    assert verify(house.workspace)["damaged"] == []
    assert stats(house.workspace, "clean", signal=None, by="source", fate="all")["groups"][0]["documents"] == 7
