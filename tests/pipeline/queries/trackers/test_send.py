"""`--track`: read back by each tracker's own library, and what a tracker may not do to a run."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.run.tracking import tracking
from pipeline.core.errors import RecipeError
from pipeline.engine.progress import Silent
from pipeline.queries.trackers.runs import TrackedRun, told_of
from pipeline.queries.trackers.send import KINDS, Tracker, send, trackers_of
from tests.conftest import ROOT
from tests.pipeline.house import House, contents

INSTALLED = [name for name, kind in KINDS.items() if find_spec(kind.package) is not None]
RUN = TrackedRun("proxy/a/seed0/lr1", rows=(), facts={"seed": 0}, results={"healthy": 1.0})


def needs(name: str) -> None:
    if name not in INSTALLED:
        pytest.skip(f"the extra [{name}] is not installed")


@pytest.fixture
def house(trained_house: House, tmp_path: Path) -> House:
    """A copy whose workspace a test may write to; the recipe names the texts of the original."""
    house = House(tmp_path)
    shutil.copy(trained_house.recipe, house.recipe)
    shutil.copytree(trained_house.workspace.root, house.workspace.root)
    return house


def tamis(house: House, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", "run", str(house.recipe), "-w", str(house.workspace.root), *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=house.folder)


@pytest.mark.parametrize("name", KINDS)
def test_a_run_that_builds_nothing_writes_the_curves_of_what_is_there_and_changes_no_result(house: House, name: str):
    needs(name)
    before = contents(house.workspace.root)

    without, within = tamis(house, "--json"), tamis(house, "--json", "--track", name)

    assert without.returncode == within.returncode == 3  # undecided, after one step of training
    found, same = json.loads(within.stdout), json.loads(without.stdout)
    assert found | {"seconds": 0} == same | {"seconds": 0} and found["built"] == []
    assert contents(house.workspace.root) == before
    place = house.workspace.root / "tracked" / name
    assert f"--track {name}:{place}: 7 runs written. Look: " in within.stderr
    assert "7 there already" in tamis(house, "--track", name).stderr


def test_tensorboard_reads_curves_bounds_verdict_and_weights(house: House, tmp_path: Path):
    needs("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import plugin_data_pb2

    runs = told_of(house.plan())
    said = send(runs, tracker=Tracker("tensorboard", tmp_path / "events"), project="small")

    assert "7 runs written" in said
    for run in runs:
        folder = tmp_path / "events" / "small" / run.name
        shown = EventAccumulator(str(folder)).Reload()
        for row in run.rows:
            for name, value in row.values.items():
                (point,) = shown.Scalars(name)
                assert (point.step, point.value) == (row.step, pytest.approx(value))
        tags = shown.SummaryMetadata("_hparams_/session_start_info")
        started = plugin_data_pb2.HParamsPluginData.FromString(tags.plugin_data.content).session_start_info
        assert set(started.hparams) == set(run.facts)
        for name, text in run.texts.items():
            (told,) = shown.Tensors(f"{name}/text_summary")
            assert told.tensor_proto.string_val == [text.encode()]


def test_tensorboard_shows_a_run_that_changed_in_place_of_the_earlier_one(tmp_path: Path):
    needs("tensorboard")
    tracker = Tracker("tensorboard", tmp_path)
    changed = TrackedRun(RUN.name, rows=(), facts=RUN.facts, results={"healthy": 0.0})

    said = [send([run], tracker=tracker, project="small") for run in (RUN, changed, changed)]

    assert ["1 runs written" in line for line in said] == [True, True, False]
    assert [path.name for path in (tmp_path / "small/proxy/a/seed0").iterdir()] == ["lr1"]


def test_a_run_that_changed_back_or_whose_folder_is_gone_is_written_again(tmp_path: Path):
    needs("tensorboard")
    tracker = Tracker("tensorboard", tmp_path)
    changed = TrackedRun(RUN.name, rows=(), facts=RUN.facts, results={"healthy": 0.0})

    said = [send([run], tracker=tracker, project="small") for run in (RUN, changed, RUN, RUN)]
    shutil.rmtree(tmp_path / "small")
    said.append(send([RUN], tracker=tracker, project="small"))

    assert ["1 runs written" in line for line in said] == [True, True, True, False, True]


def test_what_cannot_be_told_any_more_leaves_the_outcome_as_it_is(house: House):
    needs("tensorboard")
    said: list[str] = []
    progress = Silent()
    progress.say = said.append

    with tracking(house.recipe, wanted=["tensorboard"], workspace=house.workspace, progress=progress):
        certificate = house.plan().experiment.certificate.folder / "certificate.json"
        certificate.write_text("{")
        house.recipe.write_text("name: [", encoding="utf-8")  # half-saved, hours later

    assert len(said) == 1 and said[0].startswith("warning: --track tensorboard") and "same command again" not in said[0]


def test_trackio_has_curves_and_results_in_its_local_database(house: House, tmp_path: Path):
    needs("trackio")
    runs = told_of(house.plan())

    said = send(runs, tracker=Tracker("trackio", tmp_path / "trackio"), project="small")

    assert "7 runs written" in said
    reading = (
        "import json, sys, trackio; from trackio.sqlite_storage import SQLiteStorage as S\n"
        "print(json.dumps({r.name: [r.config, S.get_logs('small', r.name, run_id=r.id)] "
        "for r in trackio.Api().runs('small')}))"
    )
    environment = {**os.environ, "TRACKIO_DIR": str(tmp_path / "trackio")}
    read = subprocess.run([sys.executable, "-c", reading], capture_output=True, text=True, check=True, env=environment)
    found = json.loads(read.stdout)
    assert set(found) == {run.name for run in runs}
    for run in runs:
        config, logs = found[run.name]
        assert run.facts.items() <= config.items() and run.texts.items() <= config.items()
        assert run.rows[0].values.items() <= logs[0].items()
        assert {f"result/{name}": value for name, value in run.results.items()}.items() <= logs[-1].items()


def test_wandb_has_curves_and_results_in_folders_that_wait_to_be_sent(house: House, tmp_path: Path):
    needs("wandb")
    runs = told_of(house.plan())[-2:]

    said = send(runs, tracker=Tracker("wandb", tmp_path), project="small")

    assert "2 runs written" in said
    for run in runs:
        (file,) = tmp_path.glob(f"wandb/offline-run-*-{run.plain()['id']}/*.wandb")
        records = list(wandb_records(file))
        (begun,) = (record.run for record in records if record.WhichOneof("record_type") == "run")
        assert (begun.project, begun.display_name) == ("small", run.name)
        config = {item.key: json.loads(item.value_json) for item in begun.config.update}
        assert run.facts.items() <= config.items()
        histories = [record.history for record in records if record.WhichOneof("record_type") == "history"]
        values = {item.nested_key[0]: json.loads(item.value_json) for item in histories[0].item}
        assert run.rows[0].values.items() <= values.items() and values["_step"] == run.rows[0].step
        told = {
            item.key: json.loads(item.value_json)
            for record in records
            if record.WhichOneof("record_type") == "summary"
            for item in record.summary.update
            if item.key
        }
        assert {f"result/{name}": value for name, value in run.results.items()}.items() <= told.items()
        assert run.texts.items() <= told.items()


def wandb_records(path: Path) -> Iterator[Any]:
    """Read wandb's own records, which stand in blocks of 32 kB as in LevelDB's log."""
    from wandb.proto import wandb_internal_pb2

    data, at, parts = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (left := 32_768 - at % 32_768) < 7:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        parts, at = parts + data[at + 7 : at + 7 + size], at + 7 + size
        if kind in (1, 4):  # whole, or its last piece
            yield wandb_internal_pb2.Record.FromString(parts)
            parts = b""


@pytest.mark.parametrize("name", INSTALLED)
def test_a_full_disk_costs_the_curves_and_says_so(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # the child would leave its modules cut off, too
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))  # handed to the child, which may write no file over 16 bytes
    try:
        said = send([RUN], tracker=Tracker(name, tmp_path / "place"), project="small")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert re.match(f"warning: --track {name}:{tmp_path / 'place'}: (OSError|OperationalError): ", said)
    assert said.endswith("No result is lost by it; the same command writes what is missing.")
    assert "1 runs written" in send([RUN], tracker=Tracker(name, tmp_path / "place"), project="small")


@pytest.mark.parametrize("name", INSTALLED)
def test_a_folder_that_cannot_be_made_leaves_outcome_and_exit_code_as_they_are(house: House, name: str, tmp_path: Path):
    (tmp_path / "file").write_text("")

    done = tamis(house, "--track", f"{name}:{tmp_path}/file/place")

    assert done.returncode == 3 and "Undecided" in done.stdout
    assert f"warning: --track {name}:{tmp_path}/file/place: NotADirectoryError" in done.stderr


def test_trackio_with_a_server_that_does_not_answer_loses_no_result(house: House, monkeypatch: pytest.MonkeyPatch):
    needs("trackio")
    monkeypatch.setenv("TRACKIO_SERVER_URL", "http://127.0.0.1:9/?write_token=none")

    done = tamis(house, "--track", "trackio")

    assert done.returncode == 3 and "--track trackio:" in done.stderr


def test_a_recipe_without_proxies_has_nothing_to_show(tmp_path: Path):
    said = send([], tracker=Tracker("tensorboard", tmp_path / "place"), project="small")

    assert "nothing to show" in said and not (tmp_path / "place").exists()


@pytest.mark.parametrize("name", [name for name in KINDS if name not in INSTALLED])
def test_a_missing_package_is_refused_before_anything_runs(tmp_path: Path, name: str):
    house = House(tmp_path)
    house.lines("a.jsonl", ["a text"])
    house.clean(["exact_dedup"])

    done = tamis(house, "--track", name)

    assert done.returncode == 2 and not (house.workspace.root / "dataset").exists()
    assert f"--track {name}: needs the package {KINDS[name].package}" in done.stderr
    assert f"pip install 'tamis[{name}]'" in done.stderr


def test_a_tracker_that_there_is_not_and_a_place_that_is_a_file_are_refused(tmp_path: Path):
    workspace = House(tmp_path).workspace
    (tmp_path / "file").write_text("")

    with pytest.raises(RecipeError, match="`tensorbord` is no tracker; there are tensorboard, trackio, wandb"):
        trackers_of(["tensorbord:x"], workspace)
    for name in INSTALLED:
        with pytest.raises(RecipeError, match="is a file; it must be a folder"):
            trackers_of([f"{name}:{tmp_path / 'file'}"], workspace)
