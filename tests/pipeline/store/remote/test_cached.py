"""A workspace in a store, on a loopback S3: the same bytes as in a folder, one writer, and never half a result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import pytest

from pipeline.core.claude.ledger.ledger import Ledger, Planned, total_usd
from pipeline.core.errors import BusyError, RecipeError, ServiceError
from pipeline.core.files.card import read_card
from pipeline.core.files.names import CARD
from pipeline.core.files.stores.caches import HOME
from pipeline.core.files.stores.places import Place
from pipeline.core.files.stores.stored import present
from pipeline.core.identity import hash_file
from pipeline.queries.documents import look
from pipeline.queries.status import status_of
from pipeline.queries.verify import verify
from pipeline.store.garbage import find_garbage, remove
from pipeline.store.names.registry import current, promote
from pipeline.store.remote import cached
from pipeline.store.remote.cached import held_lease, workspace_path
from pipeline.store.remote.lease import SECONDS_NAME, acquire, newest_of
from pipeline.store.workspace import Workspace
from tests.conftest import ROOT
from tests.pipeline.house import House, contents, texts
from tests.pipeline.store.far import STEPS, Far, build, on_machine
from tests.s3_server import each_time


def whole(far: Far) -> list[str]:
    """Return the names of all objects of results, each held against the hash in its name or, cards, against itself."""
    place = Place.at(f"s3://bucket/{far.folder.name}")
    names = [name for name in place.items() if name.count("/") == 2 and name.split("/")[0] in cached.KINDS]
    for name in names:
        content = place.read(name)
        if name.endswith(CARD):
            assert "record_id" in json.loads(content)
            continue
        copy = far.folder / "object"
        copy.write_bytes(content)
        assert hash_file(copy)[:16] in name, f"{name} is not whole"
    return names


def test_a_store_gives_the_same_bytes_as_a_folder_and_a_second_machine_reuses_all_of_them(
    far, house, s3, tmp_path, monkeypatch
):
    house.run()
    build(far)
    assert contents(far.workspace.root) == contents(house.workspace.root)
    assert len(whole(far)) > 10

    on_machine(monkeypatch, tmp_path, "two")
    s3.seen.clear()
    there = build(far)
    sample = look(there, "clean", dropped=False, rule=None, count=50)

    assert not s3.count("PUT", inside=f"/{far.folder.name}/dataset")
    assert not s3.count("GET", inside=".parquet") or s3.count("GET", inside="dataset")
    assert sample == look(house.workspace, "clean", dropped=False, rule=None, count=50)
    assert verify(there)["damaged"] == []

    on_machine(monkeypatch, tmp_path, "three")  # which goes on from signals that it does not have
    far.clean([STEPS[0], "longest: {keep_fraction: 0.5, unit: 2}"])
    house.run()
    build(far)
    assert contents(far.workspace.root) == contents(house.workspace.root)
    place = Place.at(f"s3://bucket/{far.folder.name}")
    for machine, away in (("three", "is gone; card.json says"), ("four", "is gone, and card.json speaks of it")):
        on_machine(monkeypatch, tmp_path, machine)
        there = far.workspace
        place.delete([name for name in whole(far) if "/part-00000." in name and name.startswith("dataset")][:1])
        assert [row for row in verify(there)["damaged"] if away in row["problem"]], machine


def test_of_a_grown_source_only_what_is_new_is_uploaded(far, s3):
    build(far)
    far.lines("0.jsonl", texts(10, start=70))
    s3.seen.clear()
    build(far)

    of_sources = [line.partition(" ")[0] for line in s3.seen if "/source/" in line and ".parquet" in line]
    assert sorted(way for way in of_sources if way in ("COPY", "PUT")) == ["COPY", "COPY", "PUT"]
    assert s3.count("COPY", inside="/measured/length") == 2 and s3.count("PUT", inside="/measured/length") == 2
    whole(far)


def test_a_listing_that_is_behind_costs_no_result(far, s3, tmp_path, monkeypatch):
    s3.listings = {}
    try:
        workspace_path(f"s3://bucket/{far.folder.name}")  # every later listing shows what this one does: nothing
        build(far)
        on_machine(monkeypatch, tmp_path, "two")
        s3.seen.clear()
        build(far)
    finally:
        s3.listings = None

    assert not s3.count("PUT", inside="/dataset/")


@pytest.mark.parametrize("kind", ["cut", "503"])
def test_a_store_that_fails_for_a_while_is_asked_again(far, house, s3, kind):
    house.run()
    with s3.failing(each_time(kind, method="PUT", inside="/measured/", times=2)):
        build(far)

    assert contents(far.workspace.root) == contents(house.workspace.root)
    whole(far)


def test_a_store_that_stays_away_ends_the_run_and_shows_no_half_of_a_result(far, house, s3):
    house.run()
    workspace = far.workspace
    with (
        s3.failing(each_time("cut", method="PUT", inside="/verdicts-", times=10_000)),
        pytest.raises(ServiceError, match=r"s3://bucket/\S+/verdicts-\S+: the store cannot be used .* run again"),
        workspace.locked(),
    ):
        far.run()
    assert not [name for name in whole(far) if name.startswith("dataset/") and name.endswith(CARD)]

    build(far)

    assert contents(workspace.root) == contents(house.workspace.root)
    assert [name for name in whole(far) if name.startswith("dataset/") and name.endswith(CARD)]


def test_a_store_that_writes_over_what_it_must_not_is_refused(far, s3):
    workspace = far.workspace
    with (
        s3.failing(lambda environ: "blind"),
        pytest.raises(RecipeError, match=r"wrote over an object .*If-None-Match.* Use a store that honours it"),
        workspace.locked(),
    ):
        pass


def test_what_is_no_workspace_is_refused_and_no_secret_is_told(far, s3, monkeypatch):
    Place.at("s3://bucket/photos").write("cat.jpg", b"cat")
    photos = Workspace(workspace_path("s3://bucket/photos"))
    photos = Workspace(workspace_path("s3://bucket/photos"))
    with pytest.raises(RecipeError, match=r"holds 1 objects, cat\.jpg among them, and is no"), photos.locked():
        pass
    with pytest.raises(RecipeError, match=r"s3://nowhere/w: there is no bucket 'nowhere'"):
        workspace_path("s3://nowhere/w")
    with pytest.raises(RecipeError, match=r"a workspace must be a folder, s3:// or gs://"):
        workspace_path("https://user:CANARY@example.org/w?signature=CANARY")
    with s3.failing(lambda environ: "403"), pytest.raises(RecipeError) as refused:
        workspace_path("s3://bucket/w")
    assert "refuses this account" in str(refused.value)
    assert "CANARY" not in f"{refused.value}{refused.value.__cause__}"


def test_a_second_writer_is_told_who_the_first_is_and_follows_a_dead_one(far, s3, tmp_path, monkeypatch):
    monkeypatch.setenv(SECONDS_NAME, "1")
    one = far.workspace
    with pytest.raises(ServiceError, match=r"lost its lease to process \d+ on \S+ \(lease 2"), one.locked():
        lease = held_lease(one.root)
        on_machine(monkeypatch, tmp_path, "two")
        two = far.workspace
        with pytest.raises(BusyError, match=rf"in use by process {os.getpid()} on \S+ \(lease 1, since"), two.locked():
            pass
        lease._ended.set()  # as a stopped process: not a word from now on
        time.sleep(3)
        with two.locked():
            promote(two, "docs", mixture="m", mixture_identity="ab" * 32, folder="mixture/m-abababababab", parents={},
                    certificate=None, override="a test")  # fmt: skip
        (one.root / "latest.json").write_text("{}", encoding="utf-8")  # which it then tries to bring to the store

    assert current(two, "docs").version == 1
    assert "latest.json" not in Place.at(f"s3://bucket/{far.folder.name}").items()


def test_what_a_killed_run_bought_stays_said_until_its_ledger_is_in_the_store(s3, tmp_path):
    place = Place.at("s3://bucket/leases")
    acquire(place, cache=tmp_path, cache_id="one").require_paying()
    again = acquire(place, cache=tmp_path, cache_id="one")  # as after a kill; and if it is killed as well
    assert newest_of(place)[1].paying
    again.settled(ledger="ledger/00000002-000001.sqlite")
    again.release()

    other = acquire(place, cache=tmp_path, cache_id="two")

    assert not other.terms.paying and not other.terms.doubt
    other.release()


def test_no_card_is_created_by_who_was_followed_while_it_uploaded(far, s3):
    workspace, followed = far.workspace, []

    def follow(environ):
        if environ["REQUEST_METHOD"] == "PUT" and "/dataset/" in environ["PATH_INFO"] and not followed:
            followed.append(True)
            held = held_lease(workspace.root)
            acquire(held.place, cache=workspace.root, cache_id=held.terms.cache_id).release()

    with s3.failing(follow), pytest.raises(ServiceError, match="lost its lease"):
        build(far)

    assert followed and not [name for name in whole(far) if name.startswith("dataset/") and name.endswith(CARD)]


def test_what_a_killed_run_left_here_never_stands_for_what_the_store_has(far, s3, tmp_path, monkeypatch):
    there = build(far).dataset("clean")[0]
    on_machine(monkeypatch, tmp_path, "two")
    parts = [file for file in read_card(there).files if file.file.endswith(".parquet")]
    folder = cached.cache_of(f"s3://bucket/{far.folder.name}") / "dataset" / there.name
    folder.mkdir(parents=True)
    (folder / parts[0].file).write_bytes(b"other answers")

    here = far.workspace.dataset("clean")[0]

    assert here == folder and hash_file(present(here / parts[0].file)) == parts[0].blake3


def buy(workspace: Workspace, *names: str) -> None:
    with ledger_of(workspace) as ledger:
        ledger.plan([Planned(name, "model", "test", "{}") for name in names])
        for name in names:
            attempt = ledger.record_intent(name, reserved_nano=10, endpoint="loopback")
            ledger.record_answer(attempt, raw=b"{}", usage={}, cost_nano=10**9, price="test")


def ledger_of(workspace: Workspace):
    return closing(Ledger(workspace.ledger))


def test_what_one_machine_bought_no_other_buys_again(far, s3, tmp_path, monkeypatch):
    monkeypatch.setenv(SECONDS_NAME, "1")
    one = far.workspace
    with pytest.raises(ServiceError, match=r"does not hold its lease"):
        buy(one, "a")
    with one.locked():
        buy(one, "a", "b")
    with pytest.raises(ServiceError, match="lost its lease"), one.locked():
        buy(one, "c")
        held_lease(one.root)._ended.set()  # it dies with c in its own ledger alone
        on_machine(monkeypatch, tmp_path, "two")
        time.sleep(3)
        two = far.workspace
        with two.locked(), ledger_of(two) as ledger:
            assert ledger.has_all(["a", "b"])
            assert not ledger.has_all(["c"])
            with pytest.raises(ServiceError, match=r"stopped while it bought answers.*--accept-loss"):
                ledger.record_intent("d", reserved_nano=1, endpoint="loopback")
            told = status_of(two)["store"]
            assert "stopped while it bought answers" in told["doubt"] and f"process {os.getpid()}" in told["writer"]
            assert {"ledger.sqlite", "lock"} <= set(told["only_here"]) and told["url"] == str(
                held_lease(two.root).place
            )
            held_lease(two.root).forgive()  # as `tamis gc --accept-loss` does
            ledger.close()
            buy(two, "d")
    on_machine(monkeypatch, tmp_path, "one")
    with one.locked():  # the first machine is back, and brings what it bought
        pass
    on_machine(monkeypatch, tmp_path, "two")
    with two.locked():
        pass

    assert total_usd(two.ledger) == 4
    on_machine(monkeypatch, tmp_path, "three")
    assert total_usd(far.workspace.ledger) == 4


@pytest.mark.parametrize("follower", ["one", "two"])
def test_what_was_bought_reaches_the_store_after_a_kill_between_ledger_and_lease(
    far, s3, tmp_path, monkeypatch, follower
):
    monkeypatch.setenv(SECONDS_NAME, "1")
    one = far.workspace
    with one.locked():
        buy(one, "a")
    away = []

    def refuse(environ):
        return "403" if away and environ["REQUEST_METHOD"] == "PUT" and "/lease/" in environ["PATH_INFO"] else None

    with s3.failing(refuse), pytest.raises(RecipeError, match="refuses this account"), one.locked():
        buy(one, "b")
        away.append(True)
        cached._writing[one.root.absolute()].settle()
    on_machine(monkeypatch, tmp_path, follower)  # who sees the ledger that no lease names, and then the one before
    time.sleep(3)
    with far.workspace.locked() if follower == "two" else one.locked():
        pass
    on_machine(monkeypatch, tmp_path, "two")
    two = far.workspace
    with two.locked():
        assert total_usd(two.ledger) == 2
        named = held_lease(two.root).terms.ledger
        assert named == max(held_lease(two.root).place.items("ledger"))
        remove(two, find_garbage(two, ledger=named))
    on_machine(monkeypatch, tmp_path, "three")
    assert total_usd(far.workspace.ledger) == 2


@pytest.mark.slow
def test_a_run_that_is_killed_at_any_write_is_taken_up_here_and_elsewhere(s3, tmp_path):
    """Killed by the server at its n-th write, before or after that; then run again, by it or by another machine."""
    house = House(tmp_path)
    house.lines("a.jsonl", texts(60))
    house.clean(["gopher_quality: {min_words: 5}", "exact_dedup"])

    def start(place: str, machine: str) -> subprocess.Popen[bytes]:
        told = {HOME: str(tmp_path / place / machine), SECONDS_NAME: "1", "PYTHONPATH": str(ROOT)}
        command = [
            sys.executable,
            "-m",
            "pipeline",
            "run",
            "recipe.yaml",
            "--workers",
            "1",
            "-w",
            f"s3://bucket/{place}",
        ]
        return subprocess.Popen(command, cwd=tmp_path, env=os.environ | told, stderr=subprocess.PIPE)

    def finish(process: subprocess.Popen[bytes]) -> None:
        _, told = process.communicate(timeout=200)
        assert process.returncode == 0, told.decode()

    def found(place: str, machine: str) -> dict[str, str]:
        (root,) = (tmp_path / place / machine / "stores").iterdir()
        return contents(root)

    s3.seen.clear()
    finish(start("whole", "one"))
    expected, writes = found("whole", "one"), s3.count("PUT") - s3.count("PUT", inside="/lease/")  # by the clock
    for number in range(5, writes, writes // 4):
        place, seen = f"killed-{number}", [0]
        victim: list[subprocess.Popen[bytes]] = []

        def kill(environ, number=number, seen=seen, victim=victim):
            seen[0] += environ["REQUEST_METHOD"] == "PUT" and "/lease/" not in environ["PATH_INFO"]
            if seen[0] == number and victim[0].poll() is None:
                os.kill(victim[0].pid, signal.SIGKILL)
                return "cut" if number % 2 else None
            return None

        with s3.failing(kill):
            victim.append(start(place, "one"))
            assert victim[0].wait(timeout=200) == -signal.SIGKILL
            victim[0].stderr.close()
        far = Far(tmp_path / place)
        whole(far)
        machine = "one" if number % 2 else "two"
        if machine == "two":
            time.sleep(3)
        finish(start(place, machine))
        assert found(place, machine) == expected, f"killed at write {number} of {writes}"
        whole(far)
