"""A number is given once, and the pointer says which version counts and how it came to."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from pipeline.core.errors import DataError, RecipeError
from pipeline.store.names.versions import POINTER, Pointer, Versions, homes

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def known(tmp_path: Path) -> Versions:
    (tmp_path / "web").mkdir()
    return Versions.named(tmp_path, "web", place="registry")


def test_before_the_first_version_none_counts(known: Versions) -> None:
    assert known.pointer() == Pointer(version=0, history=())
    assert (known.files(), known.newest, homes(known.home.parent)) == ([], 0, [])


def test_versions_are_numbered_and_every_move_is_recorded(known: Versions) -> None:
    numbers = [known.create(lambda number: f'{{"number": {number}}}') for _ in range(2)]
    for to in (1, 2, 1):
        known.move(to=to, action="go", reason="for a test")

    assert numbers == [1, 2]
    assert [path.read_text() for path in known.files()] == ['{"number": 1}', '{"number": 2}']
    pointer = known.pointer()
    assert (pointer.version, pointer.served) == (1, [1, 2])
    assert [(move["from"], move["to"], move["reason"]) for move in pointer.history] == [
        (0, 1, "for a test"), (1, 2, "for a test"), (2, 1, "for a test"),
    ]  # fmt: skip
    assert homes(known.home.parent) == [known]


def test_where_locks_are_not_honoured_a_number_is_still_given_only_once(known: Versions) -> None:
    start = FORK.Barrier(8)

    def create(letter: str) -> None:
        start.wait()
        known.create(lambda _: letter)

    processes = [FORK.Process(target=create, args=(letter,)) for letter in "01234567"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert sorted(path.read_text() for path in known.files()) == [*"01234567"]


def test_a_pointer_that_was_edited_is_refused(known: Versions) -> None:
    known.move(to=1, action="go")
    path = known.home / POINTER
    path.write_text(path.read_text().replace('"to": 1', '"to": 2'))

    with pytest.raises(DataError, match=r"current\.json: is not a pointer as it was written"):
        known.pointer()


@pytest.mark.parametrize("name", ["../up", "", "a/b", ".hidden", "a" * 65])
def test_a_name_that_could_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError, match=r"registry: .* cannot be a name"):
        Versions.named(tmp_path, name, place="registry")
