"""Rounds after the sample: what they ask for, when they stop, and that none is paid for twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from filters.classifier.quality import Quality
from filters.labels.asking.further import _refusal
from filters.labels.label import Label
from filters.labels.rubrics.rubric import load_rubric
from filters.labels.sample.rounds import Forecast, GradesSoFar, forecast
from pipeline.core.claude.accounting.recost import recost
from pipeline.core.claude.ledger.ledger import total_usd
from pipeline.core.claude.prices import PACKAGED, load_prices
from pipeline.core.errors import RecipeError
from pipeline.core.rng import generator
from tests.claude_server import Reply, Server, claude_server
from tests.filters.labels.labelling import Room

CRITERIA = load_rubric("educational").criteria
PLAIN = ["stone", "river", "cloud", "table", "window", "garden", "paper", "winter", "engine", "bridge"]
RARE = ["quark", "lepton", "boson", "gluon", "photon", "meson", "hadron", "baryon", "neutrino", "muon"]


def worth(count: int) -> dict[str, str]:
    """Texts that hold more telling words the better they are; every tenth is of a rare kind with words of its own."""
    draw = generator(3, "texts")
    texts = {}
    for number in range(count):
        grade = int(draw.integers(6))
        good, bad = (RARE[:5], RARE[5:]) if number % 10 == 0 else (PLAIN[:5], PLAIN[5:])
        words = [str(draw.choice(good if draw.random() < grade / 5 else bad)) for _ in range(30)]
        texts[f"a/{number}"] = f"Grade {grade} of {number}: " + " ".join(words)
    return texts


TEXTS = worth(400)


@pytest.fixture(autouse=True)
def a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def graded(body: Mapping[str, Any]) -> Reply:
    grade = int(body["messages"][0]["content"].split("Grade ")[1][0])
    return Reply(text=json.dumps({"evidence": "words", **{name: n < grade for n, name in enumerate(CRITERIA)}}))


def labelled(
    folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch, *, texts: Mapping[str, str] = TEXTS, **params: Any
) -> Room:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
    monkeypatch.setattr("filters.labels.sample.rounds.SPLITS", 1)  # a curve to go by, in a third of the time
    given = {"documents": 80, "second_reading": 0, "twins": 0, **params}
    return Room(folder, texts, num_parts=3).run(teacher="claude", **given)


def test_one_more_round_pays_for_itself_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server(default=graded) as server:
        none = labelled(tmp_path, server, monkeypatch)
        one = labelled(tmp_path, server, monkeypatch, rounds=1, round_documents=30)
        two = labelled(tmp_path, server, monkeypatch, rounds=2, round_documents=30)

    assert [room.work.details["bought"] for room in (none, one, two)] == [80, 30, 30]
    assert [len(room.graded) for room in (none, one, two)] == [80, 110, 140]
    assert set(none.graded) < set(one.graded) < set(two.graded)
    assert {two.columns[id]["chosen"] for id in two.graded} == {"sample"}  # a round is more of it
    assert set(server.bill.values()) == {1}
    assert [(each["graded_before"], each["asked"]) for each in two.work.details["rounds"]] == [(80, 30), (110, 30)]


def test_a_round_by_doubt_asks_for_what_the_grades_do_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server(default=graded) as server:
        first = labelled(tmp_path, server, monkeypatch)
        unsure = labelled(tmp_path, server, monkeypatch, rounds=1, round_documents=40, round_by="unsure")
        again = labelled(tmp_path, server, monkeypatch, rounds=1, round_documents=40, round_by="unsure")

    assert again.columns == unsure.columns and again.work.details["bought"] == 0
    fresh = set(unsure.graded) - set(first.graded)
    assert {id for id, row in unsure.columns.items() if row["chosen"] == "unsure"} == fresh
    assert {unsure.columns[id]["chosen"] for id in first.graded} == {"sample"}
    assert sum(int(id[2:]) % 10 == 0 for id in fresh) >= 10  # of 40, where a tenth of all documents are of that kind


def test_no_round_is_bought_that_promises_less_than_its_price(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server(default=graded) as server:
        room = labelled(tmp_path, server, monkeypatch, rounds=3, round_documents=30, min_gain_per_usd=1e6)

    (refused,) = room.work.details["rounds"]
    assert (refused["asked"], refused["why"]) == (0, "not bought, as it is sure to bring less than 1e+06 per USD")
    assert refused["expected_usd"] == pytest.approx(30 * room.work.cost_usd / 80)
    assert len(room.graded) == 80
    assert "label: round 1: 80 graded, Spearman" in room.said[-1]


def test_what_a_round_is_refused_by_does_not_depend_on_how_it_was_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches cost half, and a result must not depend on them: dollars are counted as if asked one by one."""
    params: dict[str, Any] = {"rounds": 1, "round_documents": 30, "min_gain_per_usd": 1e6}
    with claude_server(default=graded) as server:
        single = labelled(tmp_path / "single", server, monkeypatch, **params)
        batched = labelled(tmp_path / "batched", server, monkeypatch, batches=True, **params)

    usd = single.work.details["rounds"][0]["expected_usd"]
    assert batched.work.details["rounds"][0]["expected_usd"] == pytest.approx(usd)
    assert batched.work.cost_usd == pytest.approx(single.work.cost_usd / 2)


def test_the_cap_holds_for_rounds_that_were_paid_before_when_a_run_asks_for_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params: dict[str, Any] = {"documents": 60, "rounds": 2, "round_documents": 30, "canaries": 0}
    with claude_server(default=graded) as server:
        first = labelled(tmp_path, server, monkeypatch, **params)
        cap = first.work.cost_usd * 1.05
        more = labelled(tmp_path, server, monkeypatch, **params, second_reading=0.9, max_usd=cap)

    assert total_usd(tmp_path / "ledger.sqlite") <= cap
    assert more.graded == first.graded
    assert more.work.details["readings_left_out"] == 54
    assert any("max_usd has no room for 54 further readings" in line for line in more.said)


def test_a_complete_label_set_stays_whole_where_the_cap_has_no_room_for_further_readings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claude_server(default=graded) as server:
        first = labelled(tmp_path, server, monkeypatch, canaries=0)
        cap = first.work.cost_usd
        more = labelled(tmp_path, server, monkeypatch, second_reading=0.1, twins=0.1, max_usd=cap)

    assert more.graded == first.graded and sum(server.bill.values()) == 80
    assert "two_readings" not in more.work.details and more.work.cost_usd == pytest.approx(cap)


def test_what_a_round_is_refused_by_is_not_what_the_ledger_says_was_paid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger costed anew, or prompts read from a cache, are the same tokens by the same price file."""
    params: dict[str, Any] = {"rounds": 1, "round_documents": 30, "min_gain_per_usd": 1e6}
    dear = tmp_path / "dear.toml"
    dear.write_text(PACKAGED.read_text().replace("input = 0.10", "input = 100.0"))

    def cached(body: Mapping[str, Any]) -> Reply:
        size = len(json.dumps(body)) // 4
        usage = {"input_tokens": 10, "cache_read_input_tokens": size - 10, "output_tokens": 60}
        return replace(graded(body), usage=usage)

    with claude_server(default=graded) as server:
        first = labelled(tmp_path / "first", server, monkeypatch, **params)
        recost(tmp_path / "first" / "ledger.sqlite", prices=load_prices(dear))
        again = labelled(tmp_path / "first", server, monkeypatch, max_usd=100, **params)
    with claude_server(default=cached) as server:
        read = labelled(tmp_path / "cached", server, monkeypatch, **params)

    (usd,) = {room.work.details["rounds"][0]["expected_usd"] for room in (first, again)}
    assert again.work.cost_usd > 10 * first.work.cost_usd
    assert read.work.cost_usd < 0.9 * first.work.cost_usd
    assert read.work.details["rounds"][0]["expected_usd"] == pytest.approx(usd, rel=0.01)


def test_rounds_end_when_every_document_has_a_grade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server(default=graded) as server:
        room = labelled(tmp_path, server, monkeypatch, texts=worth(100), documents=90, rounds=2, round_documents=30)

    assert [(each["asked"], each["why"]) for each in room.work.details["rounds"]] == [
        (10, "stratified"), (0, "every document has a grade"),
    ]  # fmt: skip
    assert len(room.graded) == 100


def promised(count: int) -> Forecast:
    """Return what the grades of so many documents promise of more."""
    documents = [(id, text, float(text.split()[1])) for id, text in list(TEXTS.items())[:count]]
    return forecast(GradesSoFar.of(documents, excerpt_chars=6000), seed=1)


@pytest.fixture(scope="module")
def few() -> Forecast:
    return promised(100)


def test_the_curve_promises_less_the_more_is_there(few: Forecast) -> None:
    many = promised(300)

    assert 0 < few.spearman < many.spearman
    assert few.gain(100) > many.gain(100) >= 0
    assert Forecast(100, 0.4, 0.5, -0.2, 0.1).gain(100) == 0  # that half the grades did better is chance
    assert np.isclose(Forecast(100, 0.5, 0.4, 0.0, 0.2).gain(100), 0.1)


def test_a_promise_has_an_interval_and_only_its_upper_end_leaves_a_round_out(few: Forecast) -> None:
    low, high = few.interval(100)

    assert 0 <= low < few.gain(100) < high
    assert _refusal(high, 1.0, 100, least=high * 0.99) == ""
    assert _refusal(high, 1.0, 100, least=high * 1.01).startswith("not bought, as it is sure to bring less than")


def test_a_plan_is_told_what_one_more_round_costs() -> None:
    def step(**params: Any) -> Label:
        return Label(params=Label.Params.parse({"teacher": "claude", "documents": 100, "max_usd": 50, **params}))

    two, one = step(rounds=2, round_documents=200), step(rounds=1, round_documents=200)

    assert two.params_before() == one.params.of_role("measure") and one.params_before() == step().params.of_role(
        "measure"
    )
    assert step().params_before() is None
    more = two.estimate_more_usd({})
    assert more == pytest.approx(two.estimate_usd(0) - one.estimate_usd(0))


def test_a_plan_refuses_too_few_grades_only_where_no_round_or_file_brings_more() -> None:
    def check(**params: Any) -> None:
        label = Label(params=Label.Params.parse({"teacher": "claude", "documents": 40, **params}))
        Quality(params=Quality.Params.parse({"keep_fraction": 0.5})).check({"label": label})

    with pytest.raises(RecipeError, match="grades 40 documents, and `quality` needs 50"):
        check()
    with pytest.raises(RecipeError, match="grades 40 documents, and `quality` needs 50"):
        check(rounds=1, round_documents=20)  # which does not begin before there are 50 grades
    check(documents=50, rounds=1, round_documents=10)
    check(known="grades.jsonl")


def test_prices_are_part_of_what_a_stop_rule_decides(tmp_path: Path) -> None:
    packaged = PACKAGED.read_text()

    def extras(text: str = packaged, **params: Any) -> dict[str, Any]:
        prices = tmp_path / "prices.toml"
        prices.write_text(text)
        given = {"teacher": "claude", "rounds": 1, "prices": str(prices), **params}
        return Label(params=Label.Params.parse(given)).identity_extras()

    def of_prices(text: str) -> Any:
        return extras(text, min_gain_per_usd=0.1)["prices"]

    assert extras() == {}
    assert extras(round_by="unsure").keys() == {"torch"}
    dearer = packaged.replace("input = ", "input = 1", 1)
    said = f"# words\n{packaged}".replace('source = "', 'source = "seen at ')
    assert of_prices(packaged) == of_prices(said) != of_prices(dearer)
    other = packaged[packaged.index("[[price]]") :].replace('model = "', 'model = "another-')
    assert of_prices(packaged) == of_prices(packaged + other)


@pytest.mark.parametrize(
    "params",
    [
        {"teacher": "claude", "round_documents": 10},
        {"teacher": "claude", "round_by": "unsure"},
        {"teacher": "offline", "rounds": 1, "min_gain_per_usd": 1.0},
        {"teacher": "file", "path": "grades.jsonl", "rounds": 1},
        {"teacher": "claude", "anchors": 10},
        {"sample": "uniform", "strata": ["language.language"]},
    ],
)
def test_a_setting_without_effect_is_an_error(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="has no effect"):
        Label.Params.parse(params)
