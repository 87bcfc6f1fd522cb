"""Bait beside the ledger, and ideas that hold it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import DataError
from pipeline.research.tripwires import FILE, planted


def test_a_search_has_one_canary_which_differs_from_any_others(tmp_path: Path):
    first, again, other = planted(tmp_path / "a"), planted(tmp_path / "a"), planted(tmp_path / "b")

    assert first == again and first.token != other.token and set(first.words).isdisjoint(other.words)
    assert [path.name for path in (tmp_path / "a").iterdir()] == [f"sealed-{first.token}"]


@pytest.mark.parametrize(
    "shape",
    [
        lambda bait: bait,
        lambda bait: {"ideas": [{"edits": [], "mechanism": f"As {bait.capitalize()}, they say."}]},
        lambda bait: {"edits": [{"value": {bait: 1}}]},
        lambda bait: ["", f"a path: /w/research/x/sealed-{bait[:4]}-{bait[4:]}/documents.jsonl"],
    ],
)
@pytest.mark.parametrize("what", ["token", "word"])
def test_an_idea_that_holds_a_piece_of_the_bait_is_found(what: str, shape: Any, tmp_path: Path):
    canary = planted(tmp_path)
    bait = canary.token if what == "token" else canary.words[-1]

    assert canary.found_in(shape(bait)) == bait


def test_ideas_about_anything_else_hold_none(tmp_path: Path):
    canary = planted(tmp_path)

    assert canary.found_in({"edits": [{"op": "set", "place": "datasets.sealed.x", "value": 3}], "text": None}) == ""
    assert canary.found_in(Path(__file__).read_text()) == ""


def test_damaged_bait_is_named(tmp_path: Path):
    canary = planted(tmp_path)
    (tmp_path / f"sealed-{canary.token}" / FILE).write_text("[]")

    with pytest.raises(DataError, match="is not as it was planted"):
        planted(tmp_path)
