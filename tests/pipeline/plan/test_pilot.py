"""Texts for a pilot: of what is built, or of the first rows of what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

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
    first = pilot_of(plan, plan.datasets["good"])
    house.write(recipe.replace("  good:", "  other:").replace("- label: {teacher: claude}", "- exact_dedup"))
    house.run()
    house.write(recipe)
    plan = house.plan()
    built = pilot_of(plan, plan.datasets["good"])

    assert (len(first.texts), first.place) == (200, "short")
    assert {text.split()[0] for text in first.texts} == {f"text{n}" for n in [*range(100), *range(400, 500)]}
    assert sum(first.weights) == pytest.approx(800, rel=0.3)  # by the bytes of a line
    assert 0 < len(built.texts) <= 200 and max(len(text.split()) for text in built.texts) <= 20
    assert sum(built.weights) == pytest.approx(house.card("short").rows_out)


def test_a_text_weighs_as_many_documents_as_it_stands_for(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.lines("short.jsonl", texts(3000))
    house.lines("long.jsonl", [f"{text}\n" * 100 for text in texts(100, start=5000)])
    house.write("""
sources:
  short: {read: jsonl, path: DIR/short.jsonl}
  long: {read: jsonl, path: DIR/long.jsonl}
datasets:
  good: {from: [short, long], steps: [exact_dedup]}
""")

    def share_long() -> float:
        plan = house.plan()
        pilot = pilot_of(plan, plan.datasets["good"])
        long = sum(weight for text, weight in zip(pilot.texts, pilot.weights, strict=True) if "\n" in text)
        return long / sum(pilot.weights)

    before = share_long()
    house.run()

    assert share_long() == pytest.approx(100 / 3100)
    assert before == pytest.approx(100 / 3100, rel=0.5)
