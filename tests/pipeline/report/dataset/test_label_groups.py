"""A teacher that refuses one topic, garbles one language and cuts one source short, from the recipe to the page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from filters.labels.rubrics.rubric import load_rubric
from pipeline.commands.run.run_recipe import run_recipe
from pipeline.core.files.card import read_card
from pipeline.engine.progress import Silent
from tests.claude_server import Reply, claude_server
from tests.filters.topics.planted import COMMON, THEMES, planted
from tests.pipeline.house import House, write_lines
from tests.pipeline.report.test_report import words_of

IN_GERMAN = "der von und ein in zu ist es das war sich auf mit wie nicht bei aus"  # in place of COMMON
RECIPE = """\
name: groups
sources:
  web: {read: jsonl, path: DIR/web.jsonl, id: id}
  books: {read: jsonl, path: DIR/books.jsonl, id: id}
datasets:
  clean:
    from: [web, books]
    steps:
      - language: {keep: [en, de], min_score: 0}
      - topics: {count: 4}
      - label: {teacher: claude, documents: 400, second_reading: 0, twins: 0, canaries: 0}
"""


def choosy(body: Mapping[str, Any]) -> Reply:
    text = body["messages"][0]["content"]
    words = set(text.split())
    if words & set(THEMES["law"].split()):
        return Reply(stop_reason="refusal", stop_details={"type": "refusal", "category": "law"})
    if words & {"der", "und", "ist"}:
        return Reply(text="no JSON")
    if "Volume" in words:
        return Reply(stop_reason="max_tokens")
    answers = {name: place < len(text) % 6 for place, name in enumerate(load_rubric("educational").criteria)}
    return Reply(text=json.dumps({"evidence": "seen", **answers}))


def test_refusals_of_a_topic_and_bad_answers_by_language_and_source_stand_on_the_page(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    corpus, german = planted(320), dict(zip(COMMON.split(), IN_GERMAN.split(), strict=True))
    rows = []
    for number, (text, theme) in enumerate(zip(corpus.texts, corpus.themes, strict=True)):
        if theme == "kitchen" and number % 2:
            text = " ".join(german.get(word, word) for word in text.split())
        source = "books" if theme == "sky" and number % 3 == 0 else "web"
        rows.append({"id": f"{source}/{theme}/{number}", "text": f"Volume {text}" if source == "books" else text})
    for source in ("web", "books"):
        write_lines(house.folder / f"{source}.jsonl", [row for row in rows if row["id"].startswith(source)])
    house.write(RECIPE)

    with claude_server(default=choosy) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        outcome = run_recipe(house.recipe, workspace=house.workspace, workers=1, progress=Silent())
        plan = house.plan()

    label = next(step for step in plan.datasets["clean"].steps if step.spec.label == "label")
    details = read_card(label.node.folder).details
    found = list(zip(house.ids(), house.signals("topics", plan=plan), house.signals("label", plan=plan), strict=True))
    law = Counter(topic["topic_name"] for id, topic, _ in found if "/law/" in id).most_common(1)[0][0]
    refused = Counter(topic["topic_name"] for _, topic, label in found if label["status"] == "refused")
    by_topic = details["outcomes_by"]["topics.topic_name"]
    assert {
        name: outcomes.get("refused", 0) for name, outcomes in by_topic.items() if outcomes.get("refused")
    } == refused
    assert refused[law] / refused.total() > 0.95 and by_topic[law].get("graded", 0) <= 2
    assert details["outcomes_by"]["language.language"]["de"].keys() == {"invalid"}
    assert details["outcomes_by_source"]["books"].keys() == {"truncated"}
    seen = words_of(Path(outcome.report).read_text(encoding="utf-8"))
    asked = sum(by_topic[law].values())
    assert f"topics.topic name {law} {asked} {refused[law]} refused" in seen
    assert f"source books {sum(details['outcomes_by_source']['books'].values())}" in seen
    assert "language.language de" in seen
