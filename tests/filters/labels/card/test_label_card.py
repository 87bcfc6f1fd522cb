"""The label card: what the card of a label set says of its quality, whoever graded."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from filters.labels.asking.twins import BEFORE
from filters.labels.label import LABELS, Label
from filters.labels.rubrics.rubric import load_rubric
from pipeline.core.errors import RecipeError
from pipeline.core.files.parquet.shards import read_table
from tests.claude_server import Reply, Server, claude_server
from tests.filters.labels.labelling import Room, many

CRITERIA = load_rubric("educational").criteria


@pytest.fixture(autouse=True)
def a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def number_of(body: Mapping[str, Any]) -> int:
    return int(body["messages"][0]["content"].split("Document ")[1].split(".")[0])


def reply(grade: int) -> Reply:
    answers = {name: number < grade for number, name in enumerate(CRITERIA)}
    return Reply(text=json.dumps({"evidence": "quoted", **answers}))


def vain(body: Mapping[str, Any]) -> Reply:
    """Grade by the document's number, and one higher when it is dressed up."""
    return reply(number_of(body) % 5 + (BEFORE in body["messages"][0]["content"]))


def claude(folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch, **params: Any) -> Room:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
    inputs = {name: [params[name]] for name in ("known", "people", "earlier") if name in params}
    given = {name: str(value) if isinstance(value, Path) else value for name, value in params.items()}
    return Room(folder, many(100), inputs=inputs).run(teacher="claude", **{"canaries": 0.0} | given)


def grades(path: Path, of: Mapping[str, Any]) -> Path:
    path.write_text("".join(json.dumps({"id": id, "grade": grade}) + "\n" for id, grade in of.items()))
    return path


def id_of(number: int) -> str:
    return f"{'web' if number % 4 else 'books'}/{number}"


def test_a_teacher_that_grades_the_dress_is_found_out_by_twins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server(default=vain) as server:
        room = claude(tmp_path, server, monkeypatch, documents=100, twins=0.4, second_reading=0)

    assert room.work.details["twins"] == {
        "padded": {"documents": 40, "shift": 1.0, "low": 0.9276, "high": 1.0724, "changed": 40}
    }
    assert room.graded == {id_of(n): float(n % 5) for n in range(100)}  # a twin gives no grade
    assert sum(server.bill.values()) == 140  # none of the texts has any Markdown to take away


def test_a_second_reading_is_bought_once_and_measures_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set[int]()

    def wavering(body: Mapping[str, Any]) -> Reply:
        number = number_of(body)
        again = number in seen
        seen.add(number)
        return reply(number % 5 + (again and number % 2))

    with claude_server(default=wavering) as server:
        room = claude(tmp_path, server, monkeypatch, documents=100, twins=0, second_reading=0.3)
        again = claude(tmp_path, server, monkeypatch, documents=100, twins=0, second_reading=0.3)

    found = room.work.details["two_readings"]
    assert found["documents"] == 30 and 0.7 < found["grade"]["kappa"] < 1 and set(CRITERIA) < set(found)
    assert sum(server.bill.values()) == 130 and again.work.details["bought"] == 0
    assert again.work.details["two_readings"] == found


def test_what_people_graded_is_asked_for_and_corrects_the_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = grades(tmp_path / "people.jsonl", {id_of(n): min(n % 5 + (n % 3 == 0), 5) for n in range(60)})

    with claude_server(default=vain) as server:
        room = claude(tmp_path, server, monkeypatch, documents=40, twins=0, second_reading=0, people=people)

    details = room.work.details
    assert details["people"]["documents"] == 60 and 0.8 < details["people"]["agreement"]["grade"]["kappa"] < 1
    good = details["good"]
    assert good["by_teacher"]["documents"] == 40
    assert good["sensitivity"]["share"] < 1 and good["specificity"]["share"] == 1
    assert good["by_teacher"]["share"] < good["corrected"]["share"] < good["corrected"]["high"]
    assert len(room.graded) == sum(server.bill.values()) > 60  # who graded first does not matter to a label
    by_people = {id: row["people"] for id, row in room.columns.items() if row["people"] is not None}
    assert by_people == {id_of(n): min(n % 5 + (n % 3 == 0), 5) for n in range(60)}  # for a classifier's card


def test_grades_that_are_there_are_kept_and_anchors_tell_the_drift(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = grades(tmp_path / "known.jsonl", {id_of(n): min(n % 5 + 1, 5) for n in range(50)} | {"gone/1": 3})

    with claude_server(default=vain) as server:
        room = claude(tmp_path, server, monkeypatch, documents=30, twins=0, second_reading=0, known=known, anchors=10)

    assert sum(server.bill.values()) == 40
    assert len(room.graded) == 80
    assert {id: room.graded[id] for id in map(id_of, range(50))} == {id_of(n): n % 5 + 1 for n in range(50)}
    assert {row["teacher"][:14] for row in room.columns.values() if row["grade"] is not None} == {
        "file of grades", "claude-haiku-5",
    }  # fmt: skip
    assert Counter(row["chosen"] for row in room.columns.values() if row["chosen"]) == {"known": 50, "sample": 30}
    drift = room.work.details["drift"]["known"]
    assert (drift["documents"], drift["shift"], drift["changed"]) == (10, -1.0, 10)
    assert drift["low"] is None  # of 10 pairs
    assert room.work.details["known"]["not_here_examples"] == ["gone/1"]


def test_the_share_of_good_documents_counts_the_known_ones_and_says_of_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All good documents are known, so the sample of the others has none; before, that was the share of the dataset."""
    known = grades(tmp_path / "known.jsonl", {id_of(n): n % 5 for n in range(100) if n % 5 >= 3})

    with claude_server(default=vain) as server:
        room = claude(tmp_path, server, monkeypatch, documents=30, twins=0, second_reading=0, known=known, anchors=0)
        every = claude(tmp_path / "all", server, monkeypatch, documents=100, twins=0, second_reading=0)

    good = room.work.details["good"]
    assert good["among"] == "documents without a known grade" and good["by_teacher"]["share"] == 0
    assert good["with_known"]["share"] == every.work.details["good"]["by_teacher"]["share"] == 0.4
    assert good["with_known"]["low"] == 0.4 < good["with_known"]["high"] < 0.48
    assert "people" not in next(iter(room.columns.values()))
    assert every.work.details["good"].keys() == {"from_grade", "among", "by_teacher"}


def test_an_earlier_label_set_of_the_same_documents_shows_how_grades_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claude_server(default=lambda body: reply(number_of(body) % 4)) as server:
        first = claude(tmp_path / "first", server, monkeypatch, documents=40)
    with claude_server(default=lambda body: reply(number_of(body) % 4 + 1)) as server:
        second = claude(
            tmp_path / "second", server, monkeypatch, documents=50, earlier=first.work.output / LABELS, twins=0
        )

    drift = second.work.details["drift"]["earlier"]
    assert (drift["documents"], drift["shift"]) == (40, 1.0)
    assert drift["agreement"]["grade"]["kappa"] < 0.8


def test_valid_answers_refusals_and_dollars_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shy(body: Mapping[str, Any]) -> Reply:
        refusal = Reply(stop_reason="refusal", stop_details={"type": "refusal", "category": "bio"})
        return refusal if number_of(body) % 10 == 0 else vain(body)

    with claude_server(default=shy) as server:
        room = claude(tmp_path, server, monkeypatch, documents=100)

    details = room.work.details
    assert details["valid"]["graded"] == {"documents": 100, "share": 0.9, "low": 0.8256, "high": 0.9448}
    assert details["outcomes_by_source"]["books"]["refused"] == 5
    assert details["usd_per_1000_valid"] == pytest.approx(1000 * room.work.cost_usd / 90)


def test_rows_of_a_file_without_a_usable_grade_are_left_out_and_counted(tmp_path: Path) -> None:
    there = {id_of(n): n % 6 for n in range(80)} | {id_of(80): None, id_of(81): 7, id_of(82): -1, "unknown": 3}
    path = grades(tmp_path / "grades.jsonl", there)

    room = Room(tmp_path / "room", many(100), inputs={"path": [path]}).run(teacher="file", path=str(path))

    found = room.work.details["file"]
    assert found["wrong_rows"] == {"no grade": 1, "out of range": 2}
    assert found["wrong_examples"][1] == "82: `grade` is 7; it must be a number from 0 to 5"
    assert (found["here"], found["not_here"]) == (80, 1)
    assert "are left out: 1 no grade, 2 out of range" in room.said[-1]
    assert room.work.details["good"]["by_teacher"] == {"documents": 80, "share": 0.4875, "low": 0.3811, "high": 0.5951}


def test_grades_of_a_file_are_held_against_people_and_earlier_grades_too(tmp_path: Path) -> None:
    path = grades(tmp_path / "grades.jsonl", {id_of(n): n % 6 for n in range(80)})
    people = grades(tmp_path / "people.jsonl", {id_of(n): min(n % 6 + (n % 4 == 0), 5) for n in range(40, 90)})
    earlier = grades(tmp_path / "earlier.jsonl", {id_of(n): max(n % 6 - 1, 0) for n in range(60)})

    files = {"path": path, "people": people, "earlier": earlier}
    room = Room(tmp_path / "room", many(100), inputs={name: [file] for name, file in files.items()})
    details = room.run(teacher="file", **{name: str(file) for name, file in files.items()}).work.details

    assert (details["people"]["documents"], details["people"]["here"]) == (40, 50)
    assert details["good"]["corrected"]["share"] > details["good"]["by_teacher"]["share"]
    assert details["drift"]["earlier"]["shift"] == pytest.approx(5 / 6, abs=1e-3)
    assert "usd_per_1000_valid" not in details


def test_labels_without_a_grade_are_no_wrong_rows_of_a_later_comparison(tmp_path: Path) -> None:
    room = Room(tmp_path / "one", many(40)).run(documents=40)
    labels = room.work.output / LABELS
    assert read_table(labels).num_rows == 40

    again = Room(tmp_path / "two", many(40), inputs={"earlier": [labels]}).run(earlier=str(labels), twins=0.5)

    assert again.work.details["drift"]["earlier"]["shift"] == 0
    assert again.work.details["twins"]["padded"]["documents"] == 20  # of the offline rubric too


def test_a_stratum_must_be_measured_before(tmp_path: Path) -> None:
    from filters.language.language import Language

    label = Label(params=Label.Params.parse({"strata": ["language.langauge"]}))
    earlier = {"language": Language(params=Language.Params())}

    with pytest.raises(RecipeError, match=r"stratum `language\.langauge`.*language\.language"):
        label.check(earlier)
    Label(params=Label.Params.parse({"strata": ["language.language"]})).check(earlier)
