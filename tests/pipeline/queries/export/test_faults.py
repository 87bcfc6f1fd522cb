"""An export that is killed, refused or raced: a whole folder at every moment, and the next start goes on.

Each fault strikes in a forked process, right before one of the calls that change the disk: fsync, rename, mkdir,
unlink, rmdir. What is seen of the place is what anybody would have read in that moment. A sweep strikes at every 23rd
call and at the last twelve; `TAMIS_TEST_POINTS=1,1` at every one.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import BusyError, RecipeError, ServiceError, TamisError
from pipeline.queries.export import folder as export_folder
from pipeline.queries.export.export import export_named
from pipeline.queries.export.folder import held, site_of
from tests.pipeline.house import House
from tests.pipeline.queries.export.exporting import bytes_of, furnish
from tests.pipeline.queries.export.tokenizing import sentencepiece_model

CALLS = ("fsync", "replace", "rename", "mkdir", "unlink", "rmdir")
OLD, NEW = 800, 3000
EVERY, LAST = (int(number) for number in os.environ.get("TAMIS_TEST_POINTS", "23,12").split(","))
Fault = Callable[[], None]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> House:
    return furnish(House(tmp_path_factory.mktemp("faults")), pages=60, notes=30)


def export(house: House, to: Path, tokens: int, **more: Any) -> None:
    export_named(house.workspace, "both", to=to, tokens=tokens, overwrite=True, shard_bytes=8_000, **more)


@pytest.fixture(scope="module")
def whole(mixed: House) -> dict[int, dict[str, bytes]]:
    """What a place holds after an export of each budget that nothing disturbed."""
    found = {}
    for tokens in (OLD, NEW):
        export(mixed, mixed.folder / f"whole-{tokens}", tokens)
        found[tokens] = bytes_of(mixed.folder / f"whole-{tokens}")
    return found


def forked(work: Callable[[], None]) -> int:
    """Run work in a child; return its exit code, negative for a signal."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            work()
        except TamisError as error:
            os._exit(error.exit_code)
        except BaseException:  # noqa: BLE001 - a forked test must not go on as pytest
            os._exit(99)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def disturbed(work: Callable[[], None], strike: Callable[[int, str, tuple[Any, ...]], None]) -> int:
    """Run work in a child that calls `strike(number, name, arguments)` before each call that changes the disk."""

    def counted() -> None:
        numbers = itertools.count()
        for name in CALLS:
            original = getattr(os, name)

            def call(*given: Any, original: Any = original, name: str = name, **more: Any) -> Any:
                strike(next(numbers), name, given)
                return None if name == "fsync" else original(*given, **more)

            setattr(os, name, call)
        work()

    return forked(counted)


def calls_of(work: Callable[[], None], folder: Path) -> int:
    """Return how many calls work makes, by letting a child that is not disturbed write a byte for each."""
    with (folder / "calls").open("wb", buffering=0) as told:
        assert disturbed(work, lambda number, name, given: told.write(b".") and None) == 0
    return (folder / "calls").stat().st_size


def sweep(
    house: House, whole: dict[int, dict[str, bytes]], *, to: Path, fault: Fault, old: bool
) -> tuple[int, list[str]]:
    """Let a fault strike at many points; return how many, and everything that went wrong."""
    if old:
        shutil.copytree(house.folder / f"whole-{OLD}", to)
        shutil.rmtree(house.workspace.root / "counted")
    total = calls_of(lambda: export(house, to, NEW), house.folder)
    wrong, points = [], sorted({*range(0, total, EVERY), *range(total - LAST, total)})
    for at in points:
        shutil.rmtree(to, ignore_errors=True)
        if old:
            shutil.copytree(house.folder / f"whole-{OLD}", to)
            shutil.rmtree(house.workspace.root / "counted")  # tokens are counted again, and kills strike there too
        code = disturbed(lambda: export(house, to, NEW), lambda number, *_, at=at: fault() if number == at else None)
        seen = bytes_of(to) if to.exists() else None
        if seen not in (whole[NEW], whole[OLD] if old else None):
            wrong.append(f"call {at}: neither the old folder nor the new one (ended with {code})")
        export(house, to, NEW)
        if bytes_of(to) != whole[NEW]:
            wrong.append(f"call {at}: the next start gave other bytes")
        if left := [path.name for path in to.parent.iterdir() if path.name.startswith(f".{to.name}.")]:
            wrong.append(f"call {at}: left {left}")
    return len(points), wrong


@pytest.mark.parametrize("old", [False, True], ids=["a free place", "an earlier export"])
def test_a_kill_anywhere_leaves_the_old_folder_or_the_new_one_and_the_next_start_goes_on(
    mixed: House, whole: dict[int, dict[str, bytes]], old: bool
) -> None:
    points, wrong = sweep(mixed, whole, to=mixed.folder / f"killed-{old}", fault=die, old=old)

    assert wrong == [] and points > 15


@pytest.mark.parametrize("format", ["megatron", "mds"])
def test_a_kill_anywhere_in_an_export_of_tokens_leaves_no_folder_and_the_next_start_gives_the_same_bytes(
    mixed: House, tmp_path: Path, format: str
) -> None:
    tokenizer = sentencepiece_model(tmp_path / "own.model")

    def work(to: Path = tmp_path / "killed") -> None:
        export(mixed, to, NEW, tokenizer=tokenizer, format=format)

    work(tmp_path / "whole")
    expected, wrong = bytes_of(tmp_path / "whole"), list[str]()
    shutil.rmtree(mixed.workspace.root / "counted")
    total = calls_of(work, tmp_path)
    points = sorted({*range(0, total, 3 * EVERY), *range(total - LAST, total, 3)})
    for at in points:
        shutil.rmtree(tmp_path / "killed", ignore_errors=True)
        shutil.rmtree(mixed.workspace.root / "counted")
        code = disturbed(work, lambda number, *_, at=at: die() if number == at else None)
        if (tmp_path / "killed").exists() and bytes_of(tmp_path / "killed") != expected:
            wrong.append(f"call {at}: a folder that is not whole (ended with {code})")
        work()
        if bytes_of(tmp_path / "killed") != expected:
            wrong.append(f"call {at}: the next start gave other bytes")

    assert wrong == [] and len(points) > 5


def test_a_killed_export_of_tokens_goes_on_from_the_last_whole_shard(mixed: House, tmp_path: Path) -> None:
    tokenizer, to = sentencepiece_model(tmp_path / "own.model"), tmp_path / "to"
    site = site_of(to)

    def work() -> None:
        export(mixed, to, 4 * NEW, tokenizer=tokenizer)

    def strike(number: int, name: str, given: tuple[Any, ...]) -> None:
        if name == "replace" and Path(given[1]).name.startswith("train-00001") and Path(given[1]).suffix == ".parquet":
            die()

    assert disturbed(work, strike) == -signal.SIGKILL
    before = {path.name: path.stat().st_mtime_ns for path in (site.out / "data").glob("train-00000*")}
    work()

    assert len(before) == 2
    assert before == {path.name: path.stat().st_mtime_ns for path in (to / "data").glob("train-00000*")}


@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_what_a_killed_export_left_and_a_disk_damaged_is_made_again(
    mixed: House, whole: dict[int, dict[str, bytes]], place: float
) -> None:
    to = mixed.folder / f"damaged-{place}"
    site = site_of(to)

    def strike(number: int, name: str, given: tuple[Any, ...]) -> None:
        if name == "rename" and Path(given[0]) == site.out:
            die()

    assert disturbed(lambda: export(mixed, to, NEW), strike) == -signal.SIGKILL
    left = [path for path in site.building.rglob("*") if path.is_file() and path.name != "plan.json"]
    for path in left:
        content = bytearray(path.read_bytes())
        content[int(place * (len(content) - 1))] ^= 2
        path.write_bytes(content)
    export(mixed, to, NEW)

    assert len(left) > 10 and bytes_of(to) == whole[NEW]


def test_a_full_disk_anywhere_leaves_the_old_folder_or_the_new_one(
    mixed: House, whole: dict[int, dict[str, bytes]]
) -> None:
    points, wrong = sweep(mixed, whole, to=mixed.folder / "full", fault=fail, old=True)

    assert wrong == [] and points > 15


def test_where_folders_cannot_be_exchanged_a_kill_costs_a_moment_and_no_folder(
    mixed: House, whole: dict[int, dict[str, bytes]]
) -> None:
    to = mixed.folder / "apart"
    export(mixed, to, OLD)

    def without_exchange() -> None:
        export_folder.ctypes.CDLL = lambda *given, **more: object()  # a C library without renameat2
        export(mixed, to, NEW)

    def strike(number: int, name: str, given: tuple[Any, ...]) -> None:
        if name == "rename" and Path(given[1]) == to:
            die()

    assert disturbed(without_exchange, strike) == -signal.SIGKILL
    assert not to.exists()
    with held(site_of(to)):
        assert bytes_of(to) == whole[OLD]  # what was taken away is back
    assert forked(without_exchange) == 0
    assert bytes_of(to) == whole[NEW] and not list(mixed.folder.glob(".apart*"))


def test_a_place_is_never_empty_while_exports_replace_each_other(
    mixed: House, whole: dict[int, dict[str, bytes]]
) -> None:
    to = mixed.folder / "replaced"
    export(mixed, to, OLD)
    child = os.fork()
    if child == 0:
        for turn in range(8):
            export(mixed, to, (NEW, OLD)[turn % 2])
        os._exit(0)
    looks, missing = 0, 0
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        looks += 1
        missing += not (to / "tamis.json").exists()

    assert looks > 100 and missing == 0
    assert bytes_of(to) == whole[OLD]


def test_of_racing_exports_one_wins_and_the_others_say_who_does(
    mixed: House, whole: dict[int, dict[str, bytes]]
) -> None:
    to, children = mixed.folder / "raced", []
    start = time.time() + 0.3
    for number in range(4):
        child = os.fork()
        if child == 0:
            time.sleep(max(0.0, start - time.time()))
            os._exit(forked(lambda number=number: export(mixed, to, (NEW, OLD)[number % 2])))
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]

    assert 0 in codes and set(codes) <= {0, 75}
    assert bytes_of(to) in whole.values()
    assert [path.name for path in mixed.folder.iterdir() if path.name.startswith(".raced")] == []


def test_an_export_to_a_place_that_is_held_names_the_holder(mixed: House) -> None:
    to = mixed.folder / "held"

    with held(site_of(to)), pytest.raises(BusyError, match=rf"held: process {os.getpid()} is exporting to it\. Wait"):
        export(mixed, to, OLD)


def test_the_folder_above_is_synced_after_the_exchange(
    mixed: House, whole: dict[int, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    to = mixed.folder / "above" / "synced"
    export(mixed, to, OLD)
    synced = []

    def fsync(handle: int) -> None:
        synced.append((str(Path(f"/proc/self/fd/{handle}").readlink()), bytes_of(to) == whole[NEW]))

    monkeypatch.setattr(os, "fsync", fsync)
    export(mixed, to, NEW)

    assert (str(to.parent), True) in synced


def test_the_same_export_again_is_left_alone(mixed: House) -> None:
    to = mixed.folder / "again"
    export(mixed, to, OLD)
    before = {path: path.stat().st_mtime_ns for path in to.rglob("*")}

    done = export_named(mixed.workspace, "both", to=to, tokens=OLD, shard_bytes=8_000)

    assert done.was_there and done.rows > 0
    assert before == {path: path.stat().st_mtime_ns for path in to.rglob("*")}


def test_a_damaged_export_is_not_taken_for_the_same(mixed: House, whole: dict[int, dict[str, bytes]]) -> None:
    to = mixed.folder / "damaged"
    export(mixed, to, OLD)
    shard = next((to / "data").iterdir())
    shard.write_bytes(bytes([shard.read_bytes()[0] ^ 1]) + shard.read_bytes()[1:])

    with pytest.raises(RecipeError, match="holds another export"):
        export_named(mixed.workspace, "both", to=to, tokens=OLD, shard_bytes=8_000)
    export(mixed, to, OLD)

    assert bytes_of(to) == whole[OLD]


def test_a_link_stands_for_the_folder_that_it_points_to(mixed: House, whole: dict[int, dict[str, bytes]]) -> None:
    export(mixed, mixed.folder / "real", OLD)
    (mixed.folder / "link").symlink_to("real")

    export(mixed, mixed.folder / "link", NEW)

    assert (mixed.folder / "link").is_symlink() and bytes_of(mixed.folder / "real") == whole[NEW]


def test_a_place_that_cannot_be_written_is_an_explained_error(mixed: House) -> None:
    (mixed.folder / "file").write_text("mine")

    with pytest.raises(ServiceError, match="cannot be written"):
        export(mixed, mixed.folder / "file" / "below", OLD)


def test_what_an_export_says_of_its_files_is_all_that_it_wrote(
    mixed: House, whole: dict[int, dict[str, bytes]]
) -> None:
    marker = json.loads(whole[NEW]["tamis.json"])

    assert {file["file"] for file in marker["files"]} | {"tamis.json"} == set(whole[NEW])
