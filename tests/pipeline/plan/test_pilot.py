"""Texts for a pilot: of what is built, or of the first rows of what is not."""

from __future__ import annotations

from pathlib import Path

from pipeline.plan.pilot import pilot_of
from tests.pipeline.house import House, texts


def test_a_pilot_is_of_what_a_dataset_stands_on_as_far_as_that_is_built(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.lines("one.jsonl", texts(400))
    house.lines("two.jsonl", texts(400, start=400))
    recipe = """
sources:
  docs: {read: jsonl, path: DIR/*.jsonl}
datasets:
  short:
    from: docs
    steps:
      - gopher_quality: {min_words: 1, max_words: 20}
  good:
    from: short
    steps:
      - label: {teacher: claude}
"""
    house.write(recipe)
    plan = house.plan()
    first, place = pilot_of(plan, plan.datasets["good"])
    house.write(recipe.replace("  good:", "  other:").replace("- label: {teacher: claude}", "- exact_dedup"))
    house.run()
    house.write(recipe)
    plan = house.plan()
    built, _ = pilot_of(plan, plan.datasets["good"])

    assert (len(first), place) == (200, "short")
    assert {text.split()[0] for text in first} == {f"text{n}" for n in [*range(100), *range(400, 500)]}
    assert 0 < len(built) <= 200 and max(len(text.split()) for text in built) <= 20
