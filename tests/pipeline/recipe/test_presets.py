"""A preset's name stands for its steps, which go by their short names."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core.errors import RecipeError
from pipeline.queries.measure_files import chosen_steps
from pipeline.recipe.load import load_recipe

CHAIN = ["url", "gopher_repetition", "gopher_quality", "c4_quality", "fineweb_quality", "minhash_dedup", "pii"]


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in.jsonl").write_text('{"text": "words"}\n', encoding="utf-8")

    def load(steps: str, **settings):
        text = f"sources: {{s: {{read: jsonl, path: in.jsonl}}}}\ndatasets: {{clean: {{from: s, steps: [{steps}]}}}}\n"
        Path("r.yaml").write_text(text, encoding="utf-8")
        return load_recipe(Path("r.yaml"), settings=settings or None).datasets["clean"].steps

    return load


def test_a_chain_is_written_out_in_its_order(load):
    steps = load("fineweb@datatrove-0.10")

    assert [item.label for item in steps] == CHAIN
    assert {item.step.name.partition("@")[2] for item in steps} == {"datatrove-0.10"}


def test_a_pinned_step_goes_by_its_short_name(load):
    assert [item.label for item in load("pii@datatrove-0.10, pii")] == ["pii", "pii_2"]


def test_a_setting_reaches_a_pinned_step_by_its_short_name(load):
    steps = load("gopher_quality@datatrove-0.10", **{"datasets.clean.gopher_quality.min_words": 7})

    assert 7 in steps[0].step.params.model_dump().values()


def test_an_unknown_preset_names_the_nearest(load):
    with pytest.raises(RecipeError, match=r"r\.yaml:2: .*unknown preset `fineweb@datatrove-1`\. Did you mean fineweb@"):
        load("fineweb@datatrove-1")


def test_measure_leaves_out_what_needs_a_whole_dataset():
    assert [step.label for step in chosen_steps(["fineweb@datatrove-0.10"], {}).steps] == [
        name for name in CHAIN if name != "minhash_dedup"
    ]
