"""Whatever is no longer as it was written is found and named, and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pipeline.core.errors import DataError
from pipeline.dedup_stores import forget, remember
from pipeline.verify import verify, verify_text
from pipeline.workspace import Workspace
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


@pytest.mark.parametrize("key", ["rows", "min_length"])
def test_an_edited_card_is_found_though_its_files_are_whole(built: House, key: str):
    path = built.workspace.dataset("clean")[0] / "card.json"
    card = json.loads(path.read_text())
    if key == "rows":
        card["files"] = []
    else:
        card["payload"]["engine"] = "another"
    path.write_text(json.dumps(card))

    (row,) = verify(built.workspace)["damaged"]

    assert row["path"] == str(path) and "holds other values than the hashes in it" in row["problem"]


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
