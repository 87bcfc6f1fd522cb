"""Where results live: one writer at a time, freed by the kernel; names that follow the last run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.errors import BusyError, DataError, RecipeError
from pipeline.queries.documents import look, why
from pipeline.store.workspace import Workspace
from tests.conftest import ROOT
from tests.pipeline.house import House, texts

HOLD = """
import sys, time
from pathlib import Path
from pipeline.store.workspace import Workspace
with Workspace(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "w")], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_writer_is_refused_at_once_and_told_who_holds_the_lock(tmp_path, holder):
    with (
        pytest.raises(BusyError, match=rf"in use by process {holder.pid} on \S+\. Wait for it"),
        Workspace(tmp_path / "w").locked(),
    ):
        pass

    assert holder.poll() is None, "it waited until the lock was free"


def test_a_killed_holder_leaves_no_lock_behind(tmp_path, holder):
    holder.kill()
    holder.wait()

    with Workspace(tmp_path / "w").locked():
        assert json.loads((tmp_path / "w" / "lock.json").read_text(encoding="utf-8"))["pid"] == os.getpid()


def test_a_lock_is_free_after_an_error(tmp_path):
    workspace = Workspace(tmp_path)
    with pytest.raises(ValueError, match="inside"), workspace.locked():
        raise ValueError("inside")

    with workspace.locked():
        pass


def test_a_workspace_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")

    with (
        pytest.raises(RecipeError, match=r"file/w: cannot be used as a workspace"),
        Workspace(tmp_path / "file/w").locked(),
    ):
        pass


def test_an_unknown_dataset_is_answered_with_the_nearest(house: House):
    house.lines("a.jsonl", texts(2))
    house.clean(["length"])
    house.run()

    with pytest.raises(RecipeError, match=r"`claen` is not a dataset .* Did you mean clean"):
        house.workspace.dataset("claen")


@pytest.mark.parametrize("name", ["/etc", "../../etc", "n" * 300, "*"])
def test_a_name_that_no_dataset_can_have_is_answered_like_any_other(house: House, name: str):
    house.lines("a.jsonl", texts(2))
    house.clean(["length"])
    house.run()

    with pytest.raises(RecipeError, match=r"is not a dataset .* Did you mean clean"):
        house.workspace.dataset(name)
    assert house.workspace.mixture(name) is None


def test_a_holder_whose_lock_was_removed_is_still_alone(tmp_path, holder):
    (tmp_path / "w" / "lock").unlink()

    with pytest.raises(BusyError, match="in use by"), Workspace(tmp_path / "w").locked():
        pass


def test_an_empty_workspace_says_how_to_fill_it(tmp_path):
    with pytest.raises(DataError, match="Run a recipe first"):
        Workspace(tmp_path).dataset("clean")


def test_a_folder_may_be_named_in_full(house: House):
    house.lines("a.jsonl", texts(2))
    house.clean(["length"])
    folder = house.run().datasets["clean"].node.folder
    house.clean(["length: {min_length: 900}"])
    house.run()

    assert house.workspace.dataset(folder.name)[0] == folder
    assert house.workspace.dataset("clean")[0] != folder


def test_after_a_run_that_stopped_a_name_does_not_mean_what_is_older(house: House):
    house.lines("a.jsonl", texts(2))
    house.clean(["length"])
    house.run()
    older = {name: house.workspace.dataset(name)[0] for name in ("docs", "clean")}
    house.clean(["length"], source="{read: jsonl, path: DIR/a.jsonl, text: body}")
    with pytest.raises(DataError, match="every one of 2 rows was quarantined"):
        house.run()

    for name, folder in older.items():
        with pytest.raises(DataError, match=f"`{name}`: the last run .* name an earlier result: {folder.name}"):
            house.workspace.dataset(name)
        assert house.workspace.dataset(folder.name)[0] == folder
    with pytest.raises(DataError, match=r"docs: no row of it could be used .* --dropped shows them"):
        look(house.workspace, "docs", dropped=False, rule=None, count=5)
    refused = look(house.workspace, "docs", dropped=True, rule=None, count=5)
    assert {row["reason"] for row in refused["documents"]} == {"missing_text"} and refused["total"] == 2
    with pytest.raises(DataError, match="none of the latest results"):
        why(house.workspace, "docs/a:9")

    house.clean(["length"])
    house.run()
    assert house.workspace.dataset("clean")[0] == older["clean"]


def test_a_dataset_whose_name_begins_like_another_is_not_taken_for_it(house: House):
    house.lines("a.jsonl", texts(2))
    house.write(
        "sources: {docs: {read: jsonl, path: DIR/a.jsonl}}\ndatasets:\n"
        "  good: {from: docs, steps: [length]}\n  good-long: {from: docs, steps: [{length: {min_length: 900}}]}\n"
    )
    house.run()
    (house.folder / "workspace" / "latest.json").unlink()

    assert (house.card("good").rows_out, house.card("good-long").rows_out) == (2, 0)


def test_without_the_list_of_names_the_newest_card_counts(house: House):
    house.lines("a.jsonl", texts(3))
    for smallest in (0, 900):
        house.clean([f"length: {{min_length: {smallest}}}"])
        house.run()
    (house.folder / "workspace" / "latest.json").unlink()

    assert house.card().rows_out == 0


def test_a_damaged_list_of_names_is_named(tmp_path):
    (tmp_path / "latest.json").write_text("{", encoding="utf-8")

    with pytest.raises(DataError, match=r"latest\.json: is not as it was written"):
        Workspace(tmp_path).dataset("clean")


def test_a_workspace_may_move(house: House, tmp_path_factory):
    house.lines("a.jsonl", texts(2))
    house.clean(["length"])
    house.run()
    elsewhere = tmp_path_factory.mktemp("else where") / "w"

    (house.folder / "workspace").rename(elsewhere)

    assert why(Workspace(elsewhere), "docs/a:0")["datasets"][0]["kept"]


def test_a_run_writes_a_damaged_list_of_names_anew(house: House):
    house.lines("a.jsonl", texts(2))
    house.clean(["length"])
    house.run()
    path = house.workspace.root / "latest.json"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"dataset/", b"dataset!"))

    house.run()

    assert path.read_bytes() == whole


def test_a_report_sweeps_what_a_killed_one_left(house: House):
    from pipeline.report.page import write_report

    house.lines("a.jsonl", texts(2))
    house.clean(["length"])
    plan, path = house.run(), house.workspace.report("small")
    gone = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True).stdout.strip()
    path.parent.mkdir()
    (path.parent / f".small.html.{gone}.tmp").touch()

    write_report(plan, path=path)

    assert not list(path.parent.glob(".*"))
