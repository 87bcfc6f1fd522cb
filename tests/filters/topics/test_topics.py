"""Topics: planted ones are found, named and told from chance, and the same documents get the same topics."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from filters.topics.topics import Topics, TopicsParams
from pipeline.core.errors import DataError
from pipeline.engine.executors import Local
from pipeline.plan.graph import Plan
from tests.filters.gathering import Gathered, gather, here, parts_of
from tests.filters.topics.planted import THEMES, Planted, one_bag, planted
from tests.pipeline.house import House, contents


def run(
    tmp_path: Path, texts: list[str], *, num_parts: int = 1, run: Callable[..., list[Any]] = here, **recipe: Any
) -> Gathered:
    step = Topics(params=TopicsParams.parse({"count": 4, **recipe}))
    return gather(step, parts_of(texts, num_parts=num_parts), scratch=tmp_path, run=run)


@pytest.fixture(scope="module")
def four() -> Planted:
    return planted(400)


def test_planted_topics_are_found_and_named_by_their_own_words(tmp_path: Path, four: Planted) -> None:
    found = run(tmp_path, four.texts)

    together = Counter(zip(found.column("topic"), four.themes, strict=True))
    assert len(together) == 4
    for topic in found.details["topics"]:
        (theme,) = {theme for number, theme in together if number == topic["topic"]}
        assert set(topic["words"]) == set(THEMES[theme].split())
        assert topic["documents"] == four.themes.count(theme)
        named = {name for name, place in zip(found.column("topic_name"), four.themes, strict=True) if place == theme}
        assert named == {" ".join(topic["words"][:3])}
    assert together[0, "sea"] > 130  # the largest theme is topic 0
    assert found.details["warnings"] == []


def test_a_document_nearer_to_its_topic_than_to_others_has_a_margin(tmp_path: Path, four: Planted) -> None:
    mixed = " ".join([THEMES["sky"], THEMES["law"]])

    found = run(tmp_path, [*four.texts, mixed], sample=400)

    closeness, margin = np.array(found.column("closeness")), np.array(found.column("margin"))
    assert closeness.min() > 0 and closeness.max() <= 1.0001
    assert margin[-1] < 0.3 < np.median(margin)


def test_a_document_without_a_word_of_the_vocabulary_has_no_topic(tmp_path: Path, four: Planted) -> None:
    found = run(tmp_path, [*four.texts, "", "4711 ...", "zzyzx"])

    rows = found.signals.slice(400).to_pylist()
    assert rows == [{"topic": -1, "topic_name": None, "closeness": None, "margin": None}] * 3
    assert found.details["documents_without_topic"] == 3


def test_parts_and_workers_do_not_show(tmp_path: Path, four: Planted) -> None:
    one = run(tmp_path / "one", four.texts, sample=150)

    many = run(tmp_path / "many", four.texts, sample=150, num_parts=5, run=Local(workers=2).map)

    assert many.signals.equals(one.signals)
    assert many.details == one.details


def test_the_order_of_documents_does_not_show(tmp_path: Path, four: Planted) -> None:
    """Ids go with the texts, so the same documents are drawn, wherever they stand."""
    texts, ids = four.texts, [f"d{index}" for index in range(len(four.texts))]
    turned = parts_of(texts[::-1])
    documents = turned[0].reader.documents
    object.__setattr__(turned[0].reader, "documents", documents.set_column(0, "id", [ids[::-1]]))
    step = Topics(params=TopicsParams.parse({"count": 4, "sample": 150}))

    straight = gather(step, parts_of(texts), scratch=tmp_path / "straight")
    backwards = gather(step, turned, scratch=tmp_path / "backwards")

    assert backwards.column("topic")[::-1] == straight.column("topic")
    assert backwards.column("closeness")[::-1] == straight.column("closeness")
    assert backwards.details == straight.details


def test_documents_of_one_bag_of_words_are_called_chance(tmp_path: Path) -> None:
    details = run(tmp_path, one_bag(400).texts).details

    (warning,) = details["warnings"]
    assert "hardly better than chance" in warning
    assert details["silhouette"] < 1.2 * details["silhouette_by_chance"]


def test_too_many_topics_for_what_there_is_are_called_arbitrary(tmp_path: Path) -> None:
    details = run(tmp_path, planted(300).texts, count=24).details

    assert len(details["warnings"]) == 1
    assert details["agreement_of_halves"] < 0.6


def test_too_few_documents_are_refused_with_the_number_needed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="4 topics need 8 at least"):
        run(tmp_path, ["one two", "one two", "three four"])
    with pytest.raises(DataError, match="topics: 0 documents"):
        run(tmp_path, [])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"count": 4, "keep": [4]}, "keep names topic 4, and with count: 4 there are 0 to 3"),
        ({"count": 2, "keep": [0, 1]}, "keep names all 2 topics"),
        ({"count": 1}, "greater than or equal to 2"),
    ],
)
def test_what_cannot_be_kept_is_refused_when_the_recipe_is_read(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TopicsParams.parse(given)


MIXED = """
name: by_topic
seed: 3
sources: {docs: {read: jsonl, path: DIR/docs.jsonl}}
datasets:
  clean: {from: docs, steps: [length]}
  all: {from: clean, steps: [topics: {count: 4}]}
  without: {from: clean, steps: [topics: {count: 4, keep: [0, 2]}]}
"""


@pytest.fixture
def house(tmp_path: Path, four: Planted) -> House:
    house = House(tmp_path)
    house.lines("docs.jsonl", [*four.texts, "nothing here"])
    each = "".join(
        f"  topic{topic}: {{from: clean, steps: [topics: {{count: 4, keep: [{topic}]}}]}}\n" for topic in range(4)
    )
    house.write(MIXED + each)
    return house


def measured(plan: Plan) -> list[str]:
    return [node.name for node in plan.nodes if node.kind == "gathered"]


def test_datasets_of_one_topic_each_share_one_measurement(house: House) -> None:
    plan = house.run()

    assert measured(plan) == ["topics"]
    assert len(contents(house.workspace.root)) == len(plan.nodes)
    every = [house.ids(f"topic{topic}") for topic in range(4)]
    assert sorted(chain(*every)) == sorted(set(house.ids("all")) - {"docs/docs:400"})
    assert sorted(house.ids("without")) == sorted([*every[0], *every[2]])
    assert house.card("topic1").dropped == {"topics.other_topic": 401 - len(every[1])}
    assert house.card("without").dropped == {
        "topics.no_topic": 1, "topics.topic_1": len(every[1]), "topics.topic_3": len(every[3]),
    }  # fmt: skip


def test_another_topic_to_keep_measures_nothing_again(house: House) -> None:
    house.run()

    house.write(MIXED.replace("keep: [0, 2]", "keep: [1, 2]"))

    assert [(node.kind, node.name) for node in house.plan().to_build] == [("dataset", "without")]
    house.write(MIXED.replace("count: 4", "count: 5"))
    assert ("gathered", "topics") in {(node.kind, node.name) for node in house.plan().to_build}


def test_the_card_is_plain_json(tmp_path: Path, four: Planted) -> None:
    details = run(tmp_path, four.texts).details

    assert json.loads(json.dumps(details)) == details
