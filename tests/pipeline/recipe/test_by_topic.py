from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core.errors import RecipeError
from pipeline.recipe.load import load_recipe
from pipeline.recipe.spec import Recipe

RECIPE = """
sources: {pages: {read: jsonl, path: DIR/pages.jsonl}, other: {read: jsonl, path: DIR/other.jsonl}}
datasets:
  docs: {from: pages, steps: [exact_dedup], by_topic: {count: 4, sample: 500}}
  test: {from: other}
mixtures:
  even: {weights: {docs: 1}}
  some: {weights: {docs: 2, docs_3: 1}}
proxy: {tokens: 100k}
sweep: {around: even, on: {test: 1}, least: {docs_1: 0.1}}
"""


def read(folder: Path, *changes: tuple[str, str]) -> Recipe:
    for name in ("pages", "other"):
        (folder / f"{name}.jsonl").write_text('{"text": "a"}\n')
    text = RECIPE.replace("DIR", str(folder))
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "recipe.yaml"
    path.write_text(text)
    return load_recipe(path)


def test_a_dataset_that_is_split_by_topic_is_one_for_each_topic_and_is_mixed_in_equal_parts(tmp_path):
    recipe = read(tmp_path)

    names = [f"docs_{topic}" for topic in range(4)]
    assert list(recipe.datasets) == [*names, "test"]
    for topic, name in enumerate(names):
        first, last = recipe.datasets[name].steps
        assert recipe.datasets[name].inputs == ("pages",) and first.label == "exact_dedup"
        assert last.label == "topics" and last.step.params.keep == (topic,) and last.step.params.sample == 500
    assert recipe.mixtures["even"].weights == dict.fromkeys(names, 0.25)
    assert recipe.mixtures["some"].weights == dict.fromkeys(names[:3], 0.5) | {"docs_3": 1.5}
    assert recipe.sweep is not None and recipe.sweep.least == {"docs_1": 0.1}


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("{count: 4, sample: 500}", "{count: 1}", 4, "datasets.docs.by_topic.count is 1; it must be greater than or"),
        (
            "{count: 4, sample: 500}",
            "{count: 4, keep: [1]}",
            4,
            "datasets.docs.by_topic.keep: every topic is a dataset of its own",
        ),
        ("{count: 4, sample: 500}", "8", 4, "datasets.docs.by_topic is 8; it must be a mapping such as"),
        ("from: pages, steps", "from: page, steps", 4, "datasets.docs.from: `page` is neither a source nor a dataset"),
        ("[exact_dedup]", "[exact_dedup: {on: 3}]", 4, r"datasets.docs.steps\[0\].exact_dedup: `on` is not known here"),
        ("  test:", "  docs_2: {from: pages}\n  test:", 5, "datasets.docs_2: `docs` is split by topic and needs this"),
        ("{docs: 1}", "{docs_4: 1}", 7, "mixtures.even.weights.docs_4: unknown dataset `docs_4`"),
        ("{docs: 1}", "{docs: heavy}", 7, "mixtures.even.weights.docs_0 is .heavy."),
    ],
)
def test_a_split_that_cannot_be_meant_is_told_once_with_its_line(tmp_path, old, new, line, said):
    with pytest.raises(RecipeError, match=rf"recipe.yaml:{line}: {said}") as caught:
        read(tmp_path, (old, new))

    assert len([text for text in str(caught.value).splitlines() if "docs.steps" in text]) < 2


def test_documents_of_a_split_dataset_cannot_be_held_out_from_a_mixture_of_its_topics(tmp_path):
    with pytest.raises(RecipeError, match="have documents of one source or file"):
        read(tmp_path, ("{from: other}", "{from: pages}"))
