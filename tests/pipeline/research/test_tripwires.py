"""Bait beside the ledger and ideas that hold it; a judge that is another than before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import DataError
from pipeline.core.process.confined import Confinement, confinement
from pipeline.research.claiming import open_claim
from pipeline.research.night import Night
from pipeline.research.tripwires import FILE, planted, remark_of
from pipeline.store.judge import judging_code
from tests.pipeline.research.small_search import RECIPE, furnished, night_of


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


def begun(folder: Path, recipe: str = RECIPE) -> Night:
    """Return a search that was begun and goes on another night."""
    house = furnished(folder, recipe)
    assert not night_of(house, hours=1e-9).go_on()
    return night_of(house, hours=1e-9)


def test_a_search_that_somebody_took_the_bait_in_claims_nothing_and_gives_no_bait_away(tmp_path: Path):
    search = begun(tmp_path).search
    canary = planted(search.ledger.path.parent)
    search.write("batch", batch=0, cards=[], refused=[], remarks=[remark_of("script", batch=0)])

    open_claim(search)

    ended = search.ledger.events[-1]
    assert ended.kind == "ended" and "this search claims nothing" in ended.body["why"] and search.standing.ended
    assert search.ledger.of("claim_opened") == [] and canary.found_in(search.ledger.path.read_text()) == ""


def test_a_search_notes_who_judges_once_and_again_when_it_is_another(tmp_path: Path):
    night = begun(tmp_path)
    assert [event.body for event in night.search.ledger.of("judge")] == [{"code": judging_code(), "confinement": None}]

    night.go_on()
    assert len(night.search.ledger.of("judge")) == 1

    night.search.write("judge", code="0" * 64, confinement=None)
    night.go_on()
    assert [event.body["code"] for event in night.search.ledger.of("judge")[1:]] == ["0" * 64, judging_code()]


def test_a_search_with_a_script_notes_what_it_is_held_to(tmp_path: Path):
    recipe = RECIPE.replace(
        "  person: []", f"  proposers: {{random: 0.5, script: 0.5}}\n  script: {__file__}\n  person: []"
    )

    (noted,) = begun(tmp_path, recipe).search.ledger.of("judge")

    assert Confinement(**noted.body["confinement"]) == confinement()
