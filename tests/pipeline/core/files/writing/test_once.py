"""One of several attempts at a result wins, whole, and what a killed winner left is brought to its end."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from pipeline.core.errors import ServiceError
from pipeline.core.files.names import CARD
from pipeline.core.files.writing.durable import write_text
from pipeline.core.files.writing.once import SCRATCH, WINNER, begin_attempt, settle, unless_finished

FILES = ["weights", "curve"]
RESULTS, ATTEMPTS = 200, 3


def make(folder: Path, content: str) -> Path:
    own = begin_attempt(folder)
    for name in (*FILES, CARD):
        (own / name).write_text(content)
    return own


def race(root: Path, number: int, start: Barrier) -> None:
    start.wait()
    for result in range(RESULTS):
        own = make(root / str(result), f"of {number}")
        start.wait()
        assert settle(root / str(result), FILES, own=own)


def test_of_attempts_at_the_same_time_one_is_kept_whole(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(ATTEMPTS, timeout=60)
    workers = [context.Process(target=race, args=(tmp_path, number, start)) for number in range(ATTEMPTS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert [worker.exitcode for worker in workers] == [0] * ATTEMPTS
    for folder in (tmp_path / str(result) for result in range(RESULTS)):
        assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, CARD])
        assert len({path.read_text() for path in folder.iterdir()}) == 1


def test_a_winner_that_was_killed_at_any_move_is_finished_by_the_next(tmp_path: Path):
    for moved in range(len(FILES) + 1):
        folder = tmp_path / str(moved)
        dead = make(folder, "of the dead").rename(folder / SCRATCH / "attempt-1-dead")
        (folder / SCRATCH / f"{WINNER}-0").symlink_to(dead.name)
        for name in FILES[:moved]:
            (dead / name).rename(folder / name)

        own = make(folder, "of the late") if moved % 2 else None

        assert settle(folder, FILES, own=own)
        assert {path.name: path.read_text() for path in folder.iterdir()} == dict.fromkeys(
            [*FILES, CARD], "of the dead"
        )


def test_a_claim_of_which_nothing_is_left_gives_way(tmp_path: Path):
    own = make(tmp_path, "of the late")
    (tmp_path / SCRATCH / f"{WINNER}-0").symlink_to("attempt-1-gone")

    assert settle(tmp_path, FILES, own=own)
    assert (tmp_path / CARD).read_text() == "of the late"
    assert not settle(tmp_path / "never begun", FILES)


def test_an_attempt_whose_files_are_swept_away_by_one_that_finished_needs_not_end(tmp_path: Path):
    with unless_finished(tmp_path):
        late = begin_attempt(tmp_path)
        assert settle(tmp_path, FILES, own=make_other(tmp_path))
        write_text(late / FILES[0], "of the late")

    with pytest.raises(ServiceError), unless_finished(tmp_path / "other"):
        write_text(tmp_path / "gone" / FILES[0], "of nobody")


def make_other(folder: Path) -> Path:
    """Return what another process made."""
    own = begin_attempt(folder)
    for name in (*FILES, CARD):
        (own / name).write_text("of the first")
    return own.rename(own.with_name("attempt-1-other"))


def test_a_claim_that_comes_after_the_card_changes_nothing(tmp_path: Path):
    assert settle(tmp_path, FILES, own=make(tmp_path, "of the first"))
    late = make(tmp_path, "of the late")
    (tmp_path / SCRATCH / f"{WINNER}-0").symlink_to(late.name)

    assert settle(tmp_path, FILES)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys([*FILES, CARD], "of the first")
