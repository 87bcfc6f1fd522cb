"""An audit of stored datasets: drawn blindly, held against another version, read from what the chain stored."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.core.errors import DataError, RecipeError
from pipeline.queries.audit.audit_sample import draw, host_of, year_of
from pipeline.queries.audit.distributions import _rules, audit, tokenizer_of
from tests.filters.audit.planted import planted, texts
from tests.pipeline.house import House, write_lines
from tests.pipeline.house import texts as short_texts

STEPS = ["language", "length: {min_chars: 20}", "exact_dedup"]
MAIL = "Write to jane.miller@firmware.org today."


def rows(given: list[str], *, host: str, year: int) -> list[dict[str, object]]:
    return [
        {"id": f"{host}{place}", "text": text, "url": f"https://www.{host}/{place}", "date": f"{year}-01-02"}
        for place, text in enumerate(given)
    ]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A dataset in two versions of 600 documents: in the later one 5 % have an address, and all are of another year."""
    house = House(tmp_path_factory.mktemp("audit"))
    source = "{read: jsonl, path: DIR/*.jsonl, id: id, metadata: [url, date]}"
    write_lines(house.folder / "a.jsonl", rows(texts(600, seed=1), host="old.example", year=2020))
    house.clean(STEPS, source=source)
    house.run()
    mailed = planted(texts(600, seed=2), share=0.05, sentence=MAIL)
    write_lines(house.folder / "a.jsonl", rows(mailed, host="new.example", year=2024))
    house.run()
    return house


@pytest.fixture(scope="module")
def found(versions: House):
    return audit(versions.workspace, "clean", against="previous")


def test_what_moved_between_versions_comes_first(found):
    assert {number.name for number in found.alarms} >= {
        "documents with email",
        "years, all together",
        "hosts, all together",
    }
    floors = [number.times for number in found.numbers]
    assert floors == sorted(floors, reverse=True)
    assert found.against.folder != found.of.folder and found.of.read == found.of.documents == 600


def test_hosts_years_and_languages_are_told_with_both_shares(found):
    assert {(row.name, row.share, row.other) for row in found.tables["year"]} == {("2020", 0, 1), ("2024", 1, 0)}
    assert {row.name for row in found.tables["host"]} == {"old.example", "new.example"}
    assert found.tables["language"][0].name == "en"


def test_signals_that_both_chains_stored_are_numbers_of_the_audit(found):
    signals = {number.name for number in found.numbers if number.group == "signals"}

    assert {"language.score", "length.num_chars"} & signals


def test_languages_are_those_that_the_chain_stored(versions: House, monkeypatch: pytest.MonkeyPatch):
    from filters.language.language import Language

    monkeypatch.setattr(Language, "measure", None)  # would break if it were asked

    drawn = draw(versions.workspace, "clean", count=300, closely=10, seed=0, tokenizer=None)

    assert len(drawn.measured) == 300 and set(drawn.measured.languages) == {"en"}


def test_a_sample_is_the_same_every_time_and_another_with_another_seed(versions: House):
    first, again, other = (
        draw(versions.workspace, "clean", count=250, closely=5, seed=seed, tokenizer=None).measured.texts
        for seed in (0, 0, 1)
    )

    assert len(first) == 250 and (first == again).all() and set(first) != set(other)


def test_a_sample_says_how_much_of_the_dataset_it_is(versions: House):
    found = audit(versions.workspace, "clean", count=200)

    assert (found.of.read, found.of.documents, found.half, found.against) == (200, 600, 100, None)


def test_what_no_step_looked_for_is_said(found):
    assert any("contamination is unknown" in sentence for sentence in found.stored)
    assert "clean: exact_dedup dropped 0 of 600 documents." in found.stored


def test_a_source_can_be_audited_and_held_against_a_dataset(versions: House):
    found = audit(versions.workspace, "docs", against="clean")

    assert found.of.name == "docs" and found.against.name == "clean"
    assert found.alarms == ()


def test_the_answer_is_plain_data(found):
    told = json.loads(json.dumps(found.data()))

    assert told["alarms"] == len(found.alarms) and {"times", "level", "floor"} <= told["numbers"][0].keys()


def test_an_unknown_dataset_is_told_with_the_nearest_name(versions: House):
    with pytest.raises(RecipeError, match=r"`claen` is not a dataset in .* Did you mean clean"):
        audit(versions.workspace, "claen")


def test_a_dataset_against_itself_is_refused_with_the_other_versions(versions: House):
    with pytest.raises(RecipeError, match=r"--against clean: that is clean-\w+ itself. .* Other versions: .*clean-"):
        audit(versions.workspace, "clean", against="clean")


def test_a_version_that_is_not_there_is_told(house: House):
    house.lines("a.jsonl", texts(250, seed=3))
    house.clean(["length"])
    house.run()

    with pytest.raises(
        DataError, match=r"`clean`: there is no version of it before clean-\w+ in .* Leave out --against"
    ):
        audit(house.workspace, "clean", against="previous")
    with pytest.raises(RecipeError, match="`clean-000000000000` is not a dataset"):
        audit(house.workspace, "clean", against="clean-000000000000")


def test_too_few_documents_for_a_floor_are_refused_with_what_to_do(house: House):
    house.lines("a.jsonl", texts(150, seed=3))
    house.clean(["length"])
    house.run()

    with pytest.raises(
        DataError, match=r"`clean` holds 150 documents; a noise floor needs 200, two .* tamis look clean"
    ):
        audit(house.workspace, "clean")


def test_an_empty_dataset_is_refused_with_what_emptied_it(house: House):
    house.lines("a.jsonl", texts(20, seed=3))
    house.clean(["length: {min_length: 9999}"])
    house.run()

    with pytest.raises(DataError, match=r"clean holds no documents: of 20 .* went by length.* nothing to audit"):
        audit(house.workspace, "clean")


def test_a_sample_too_small_for_a_floor_is_refused(versions: House):
    with pytest.raises(RecipeError, match="--sample 50: a noise floor needs 200 documents"):
        audit(versions.workspace, "clean", count=50)


@pytest.mark.parametrize(
    ("metadata", "doc_id", "host"),
    [
        ({"url": "https://www.Example.org/a"}, "1", "example.org"),
        ({"domain": "www.news.example"}, "1", "news.example"),
        ({}, "http://blog.example:8080/x", "blog.example"),
        ({"domain": "News.example:8080"}, "1", "news.example:8080"),
        ({"url": "http://b\u00fccher.example/x"}, "1", "b\u00fccher.example"),
        ({"url": "http://[2001:db8::1]/x"}, "1", "2001:db8::1"),
        ({"domain": "A description of the domain of this document."}, "1", "(unknown)"),
        ({"host": "a" * 254}, "1", "(unknown)"),
        ({"host": "\x1b[2Jevil\n"}, "1", "(unknown)"),
        ({"url": 3}, "docs/a:1", "(unknown)"),
        ({"url": "http://[broken"}, "1", "(unknown)"),
    ],
)
def test_hosts_come_from_the_metadata_or_the_id(metadata: dict[str, object], doc_id: str, host: str):
    assert host_of(metadata, doc_id) == host


@pytest.mark.parametrize(
    ("metadata", "year"),
    [({"date": "2021-03-04T05"}, "2021"), ({"year": 1999}, "1999"), ({"date": "soon"}, "(unknown)"), ({}, "(unknown)")],
)
def test_years_come_from_the_metadata(metadata: dict[str, object], year: str):
    assert year_of(metadata) == year


def test_the_tokenizer_of_a_dataset_is_the_one_that_its_experiment_froze(trained_house: House):
    frozen = tokenizer_of(trained_house.workspace, "raw")

    assert frozen is not None and len(frozen.encode(["some text of it"]).flat) > 1


def test_without_an_experiment_there_is_no_tokenizer(versions: House, found):
    assert tokenizer_of(versions.workspace, "clean") is None
    assert any(note.startswith("No tokenizer is stored") for note in found.notes)


def test_what_every_rule_dropped_is_told_beside_what_it_dropped_before(tmp_path: Path):
    house = House(tmp_path)
    write_lines(tmp_path / "a.jsonl", short_texts(200))
    drawn: list[Any] = []
    for least in (6, 8):
        house.clean([f"length: {{min_words: {least}}}"])
        house.run()
        folder, card = house.workspace.dataset("clean")
        drawn.append(SimpleNamespace(folder=folder, card=card))

    before, now = (100 * sum(each.card.dropped.values()) / 200 for each in drawn)

    (told,) = _rules(house.workspace, drawn[1], drawn[0])
    assert 0 < before < now and told.startswith("clean: length.")
    assert told.endswith(f" dropped {now:.2f} % ({before:.2f} % before).")
