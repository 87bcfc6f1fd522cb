"""Questions that a model writes about documents: which hold, why others do not, and what the card tells of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.core.errors import DataError
from synth.writing.agreement import agree
from synth.writing.questions import Question, accepts_wrong
from tests.claude_server import claude_server
from tests.pipeline.house import House
from tests.synth.writing.room import made_details, room
from tests.synth.writing.server import asked, document

ORDERS = {
    "REFUSE": "refused", "PROSE": "invalid", "CUT": "truncated", "NOTHING": "nothing to ask", "QUOTE": "quote made up",
    "AWAY": "answer in the question", "ELSEWHERE": "answer not in the document", "ENDLESS": "no short answer",
    "KNOWN": "known without the document", "MISREAD": "the reader disagrees", "PERSON": "",
    "MUTE": "the guesser's was refused",
}  # fmt: skip


def test_a_question_is_kept_if_a_reader_can_answer_it_and_a_guesser_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [document(number) for number in range(5)]
    texts += [document(number, order=word) for number, word in enumerate(ORDERS, 5)]
    with claude_server(default=asked) as server:
        house = room(tmp_path, server, monkeypatch, texts, step="document_tasks", documents=50, max_useless=1)
        house.run()
        arrived = len(server.arrivals)
        House(tmp_path).run()

    details, rows = made_details(house), house.documents("new")
    assert details["refused"] == {reason: 1 for reason in sorted(filter(None, ORDERS.values()))}
    assert details["kept"] == len(rows) == 6 and details["short"] == "there are no more documents to write from"
    assert details["diversity"] == {"not_watched": "17 real documents with words; a band needs 120"}
    assert len(server.arrivals) == arrived == 17 + 9 + 4  # written, read, guessed: the same question only once
    row = next(row for row in rows if "Who wrote" in row["text"])
    assert row["text"].endswith("\n\nQuestion: Who wrote about the fog?\nAnswer: keeper Margaret Ross\n")
    maker = json.loads(row["lineage"])[-1]
    assert maker["verified_by"].startswith("quote, ") and row["origin"] == "claude" and maker["depth"] == 1


def test_documents_are_named_where_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server(default=asked) as server:
        house = room(tmp_path, server, monkeypatch, ["too short"], step="document_tasks")
        with pytest.raises(DataError, match="'too short to write from': 1"):
            house.run()
        house.write("datasets: {new: {make: document_tasks}}\n")
        with pytest.raises(DataError, match="Name a dataset by `from`"):
            house.run()

    assert server.arrivals == []


@pytest.mark.parametrize(
    ("given", "right", "same"),
    [
        ("The Keeper,  Margaret Ross.", "keeper margaret ross", True), ("1,871", "1871", True),
        ("42 m", "42 metres", False),
        ("42.0 metres", "42 metres", True), ("240 or 12", "240", False), ("", "", False), ("-240", "240", False),
        ("Ross", "Margaret Ross", False), ("12%", "12 %", True), ("C++", "C", False), ("3,5 kg", "35 kg", False),
        (".5", "0.5", True), ("<5", "5", False),
    ],
)  # fmt: skip
def test_answers_agree_as_words_or_as_numbers_with_units(given: str, right: str, same: bool) -> None:
    assert agree(given, right) is same


def test_the_checker_refuses_planted_wrong_answers_and_says_where_it_cannot() -> None:
    for answer in (
        "42 metres",
        "1871",
        "keeper Margaret Ross",
        "red, green",
        "19 days",
        "It was fog.",
        "\u201cFog Island\u201d!",
    ):
        assert accepts_wrong(Question("q?", answer, "", "fact"), neighbour="12 seconds") == []

    assert accepts_wrong(Question("q?", "the fog", "", "fact"), neighbour="Fog") == ["neighbour"]
