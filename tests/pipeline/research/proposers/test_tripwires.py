"""Bait beside the ledger and ideas that hold it; a judge that is another than before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import DataError
from pipeline.core.process.confined import Confinement, confinement
from pipeline.recipe.edits import Edit
from pipeline.research.night.night import Night
from pipeline.research.proposers.ideas import Advice, Idea
from pipeline.research.proposers.tripwires import FILE, planted, watched
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


@dataclass
class Told:
    """Somebody who has read a piece of bait, or nothing."""

    text: str
    name: str = "script"

    def ideas(self, view: Any, count: int, seed: int) -> Advice:
        return Advice((Idea((Edit("set", "datasets.a.b.c", 3),), "Better.", f"As {self.text} says."),), usd=0.5)


def test_ideas_without_bait_are_passed_on_as_they_are(tmp_path: Path):
    search = begun(tmp_path).search
    (asked,) = watched(search, [Told("nobody")])

    assert asked.ideas({}, 1, 1) == Told("nobody").ideas({}, 1, 1) and not search.standing.tripped


def test_a_search_that_somebody_took_the_bait_in_ends_claims_nothing_and_gives_no_bait_away(tmp_path: Path):
    night = begun(tmp_path)
    search = night.search
    canary = planted(search.ledger.path.parent)
    (asked,) = watched(search, [Told(canary.words[2])])

    advice = [asked.ideas({}, 1, 1), asked.ideas({}, 1, 1)]
    night.hours = 1.0
    assert night.go_on()

    kinds = [event.kind for event in search.ledger.events]
    assert kinds == ["began", "judge", "tripped", "search_ended", "ended"] and search.standing.claim is None
    assert all(each.ideas == () and each.usd == 0.5 for each in advice)
    assert "this search claims nothing" in search.ledger.events[-1].body["why"]
    assert canary.found_in([search.ledger.path.read_text(), advice[0].why_none]) == ""


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
