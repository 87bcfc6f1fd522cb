from __future__ import annotations

import json

import pytest

from pipeline.core.errors import DataError
from pipeline.store.looks import FILE, Look, Standing, enter, note_outcome
from pipeline.store.workspace import Workspace


def look(certificate: str, candidate: str, *, baseline: str = "base", held_out: str = "news") -> Look:
    return Look(certificate, candidate, baseline, (held_out,))


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path)


def test_looks_are_counted_by_candidate_and_candidates_by_baseline(workspace):
    standings = [
        enter(workspace, look("a", "first")),
        enter(workspace, look("b", "first")),
        enter(workspace, look("c", "second")),
        enter(workspace, look("d", "first", baseline="other")),
        enter(workspace, look("e", "first", held_out="code")),
    ]

    assert standings == [
        Standing(number=1, candidate_number=1, promoted=0, openings=1),
        Standing(number=2, candidate_number=1, promoted=0, openings=2),
        Standing(number=1, candidate_number=2, promoted=0, openings=3),
        Standing(number=1, candidate_number=1, promoted=0, openings=4),
        Standing(number=3, candidate_number=1, promoted=0, openings=1),
    ]


def test_a_certificate_that_is_built_anew_takes_no_second_look(workspace):
    first = enter(workspace, look("a", "first"))
    enter(workspace, look("b", "second"))

    assert enter(workspace, look("a", "first")) == first


def test_what_was_promoted_before_is_counted_for_others(workspace):
    enter(workspace, look("a", "first"))
    note_outcome(workspace, "a", "promote")

    assert enter(workspace, look("b", "second")).promoted == 1
    assert enter(workspace, look("c", "first")).promoted == 0


def test_a_record_that_was_edited_is_refused(workspace):
    enter(workspace, look("a", "first"))
    path = workspace.root / FILE
    content = json.loads(path.read_text())
    content["looks"] = []
    path.write_text(json.dumps(content))

    with pytest.raises(DataError, match=r"looks\.json: cannot be read .*Take it from a backup"):
        enter(workspace, look("b", "first"))
