"""The page names the topics of a dataset with their sizes and words; a doubt about them is printed once."""

from __future__ import annotations

from pathlib import Path

from pipeline.commands.run.run_recipe import run_recipe
from pipeline.core.files.card import read_card
from pipeline.engine.progress import Silent
from tests.filters.topics.planted import one_bag
from tests.pipeline.house import House

RECIPE = """
name: topics
sources: {docs: {read: jsonl, path: DIR/docs.jsonl}}
datasets:
  first: {from: docs, steps: [topics: {count: 2, keep: [0]}]}
  second: {from: docs, steps: [topics: {count: 2, keep: [1]}]}
"""


def test_the_page_names_topics_and_a_doubt_is_printed_once(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.lines("docs.jsonl", one_bag(80).texts)

    outcome = run_recipe(house.write(RECIPE), workspace=house.workspace, workers=1, progress=Silent())

    page = Path(outcome.report).read_text(encoding="utf-8")
    (topic, _) = read_card(house.workspace.complete("gathered", "topics")[0]).details["topics"]
    assert f'<td class="nowrap">{topic["name"]}</td><td class="n">{topic["documents"]}</td>' in page
    assert f'first <span class="small quiet">{topic["name"]}</span>' in page
    assert page.count("found in a sample of 80") == 2
    assert [warning.partition(":")[0] for warning in outcome.warnings] == ["first.topics"]
