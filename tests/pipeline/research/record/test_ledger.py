"""A search's ledger is a chain of whole lines: cut ones are taken away, edited ones refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.core.errors import BusyError, DataError
from pipeline.research.record.ledger import ROOT, Ledger


def filled(folder: Path) -> Ledger:
    ledger = Ledger(folder)
    ledger.append("began", {"base": "b", "rule": {}})
    ledger.append("supply", {"most": {"a": 0.5}})
    ledger.append("ended", {"why": "over"})
    return ledger


def test_events_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    written = filled(tmp_path).events
    assert Ledger(tmp_path).events == written
    assert [event.number for event in written] == [1, 2, 3]
    assert Ledger(tmp_path / "none").hash == ROOT


def test_the_same_events_have_the_same_bytes(tmp_path: Path) -> None:
    one, other = filled(tmp_path / "one"), filled(tmp_path / "other")
    assert one.path.read_bytes() == other.path.read_bytes()


def test_half_a_character_stops_no_night(tmp_path: Path) -> None:
    """A file's name that is no UTF-8 comes as one, in why a card failed."""
    written = Ledger(tmp_path).append("ended", {"why": "docs/\udcff.jsonl: cannot be read \N{SNOWMAN}"})

    (read,) = Ledger(tmp_path).events
    assert read == written and read.body["why"] == "docs/?.jsonl: cannot be read \N{SNOWMAN}"


@pytest.mark.parametrize("cut", range(1, 40, 7))
def test_a_line_that_a_crash_cut_is_taken_away_and_the_next_one_follows(tmp_path: Path, cut: int) -> None:
    whole = filled(tmp_path).path.read_bytes()
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(whole[:-cut])
    ledger = Ledger(tmp_path)
    assert [event.kind for event in ledger.events] == ["began", "supply"]
    ledger.append("ended", {"why": "over"})
    assert path.read_bytes() == whole


def test_who_only_reads_takes_no_half_line_away_that_another_process_is_writing(tmp_path: Path) -> None:
    path = filled(tmp_path).path
    path.write_bytes(path.read_bytes() + b'{"n": 4, "kind"')

    assert len(Ledger(tmp_path).events) == 3 and path.read_bytes().endswith(b'"kind"')


def test_who_read_before_another_process_appended_appends_nothing(tmp_path: Path) -> None:
    early, late = Ledger(tmp_path), filled(tmp_path)

    with pytest.raises(BusyError, match="another process appended"):
        early.append("began", {})

    assert Ledger(tmp_path).events == late.events


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_edited_line_is_refused_with_its_number(tmp_path: Path, number: int) -> None:
    path = filled(tmp_path).path
    lines = path.read_bytes().splitlines(keepends=True)
    told = json.loads(lines[number])
    told["body"]["more"] = 1
    lines[number] = json.dumps(told).encode() + b"\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(DataError, match=rf"ledger\.jsonl:{number + 1}: does not follow from the lines before it"):
        Ledger(tmp_path)


def test_a_removed_and_an_inserted_line_are_refused(tmp_path: Path) -> None:
    path = filled(tmp_path).path
    first, second, third = path.read_bytes().splitlines(keepends=True)
    for wrong in (first + third, first + second + second + third, second + third):
        path.write_bytes(wrong)
        with pytest.raises(DataError, match="does not follow"):
            Ledger(tmp_path)


def test_what_is_no_event_is_refused(tmp_path: Path) -> None:
    path = filled(tmp_path).path
    path.write_bytes(path.read_bytes() + b"[1]\n")
    with pytest.raises(DataError, match=r"ledger\.jsonl:4: is no event"):
        Ledger(tmp_path)
