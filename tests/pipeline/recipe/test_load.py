"""Recipes: every mistake at once, each with its line, what was found and the way out."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.core.errors import RecipeError
from pipeline.core.files.parquet.shards import write_table
from pipeline.recipe.load import load_recipe

GOOD = """\
name: small
seed: 3
sources:
  crawl: {read: parquet, path: crawl.parquet}
datasets:
  clean:
    from: crawl
    steps:
      - exact_dedup
      - minhash_dedup: {bands: 14}
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "crawl.parquet", pa.table({"text": ["a text", "another"]}))

    def load(text: str, **settings):
        Path("r.yaml").write_text(text, encoding="utf-8")
        return load_recipe(Path("r.yaml"), settings=settings or None)

    return load


def mistakes(load, text: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load(text)
    return str(caught.value).splitlines()


def test_a_good_recipe_loads(load):
    recipe = load(GOOD)

    assert (recipe.name, recipe.seed) == ("small", 3)
    assert [item.label for item in recipe.datasets["clean"].steps] == ["exact_dedup", "minhash_dedup"]
    assert recipe.datasets["clean"].steps[1].step.params.bands == 14


def test_all_mistakes_are_reported_at_once_with_their_lines(load):
    text = """\
nmae: x
sources:
  crawl: {read: parqet, path: crawl.parquet}
  more: {read: parquet, path: nowhere/*.parquet}
datasets:
  clean:
    from: crwl
    steps:
      - exact_dedupe
      - minhash_dedup: {bands: 0, shingles: 5}
      - minhash_dedup: {rows: "8"}
mixtures:
  m: {weights: {clean: 1.0, dirty: 0.5}}
"""

    found = mistakes(load, text)
    lines = [int(line.split(":")[1]) for line in found]

    assert lines == sorted(lines)
    assert {1, 3, 4, 7, 9, 10, 11, 12, 13} <= set(lines)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "- exact_dedup\n",
            "- exact_dedupe\n",
            r"r\.yaml:9: .*unknown step `exact_dedupe`\. Did you mean exact_dedup, ",
        ),
        (
            "{bands: 14}",
            "{bands: 0}",
            r"r\.yaml:10: datasets\.clean\.steps\[1\]\.minhash_dedup\.bands is 0; it must be ",
        ),
        ("{bands: 14}", "{band: 14}", r"r\.yaml:10: .*`band` is not known here\. Did you mean bands"),
        ("{bands: 14}", "{bands: '14'}", r'bands is "14"; it must be a valid integer\. Remove the line to use 14\.'),
        ("crawl.parquet", "no*.parquet", r"r\.yaml:4: sources\.crawl\.path: .*no\*\.parquet"),
        ("from: crawl", "from: clean", r"r\.yaml:6: datasets\.clean needs itself"),
        ("seed: 3", "seed: three", r"r\.yaml:2: seed is 'three'; it must be a whole number"),
        ("seed: 3", "seed: 3\nseed: 4", r"r\.yaml:3: `seed` stands here and on line 2"),
        ("read: parquet", "read: parket", r"unknown reader `parket`\. Did you mean parquet"),
    ],
)
def test_a_mistake_names_place_value_rule_and_way_out(load, old, new, message):
    with pytest.raises(RecipeError, match=message):
        load(GOOD.replace(old, new))


def test_a_cycle_of_datasets_is_found(load):
    text = GOOD + "  a: {from: b}\n  b: {from: a}\n"

    found = mistakes(load, text)

    assert any("datasets.a needs itself through b" in line for line in found)


def test_datasets_come_after_what_they_need(load):
    recipe = load(GOOD + "  early: {from: [clean, late]}\n  late: {from: crawl}\n")

    assert list(recipe.datasets).index("late") < list(recipe.datasets).index("early")


def test_a_repeated_step_gets_a_number(load):
    recipe = load(GOOD.replace("- exact_dedup\n", "- exact_dedup\n      - exact_dedup\n"))

    assert [item.label for item in recipe.datasets["clean"].steps][:2] == ["exact_dedup", "exact_dedup_2"]


def test_a_held_out_set_may_not_be_trained_on(load):
    text = GOOD + (
        "mixtures:\n  a: {weights: {clean: 1}}\n  b: {weights: {clean: 1}}\nproxy: {tokens: 20k}\n"
        "gate: {candidate: a, baseline: b, on: [clean]}\n"
    )

    assert any("a held-out set must be held out" in line for line in mistakes(load, text))


@pytest.mark.parametrize(
    ("old", "new", "is_sound"),
    [
        ("", "", False),
        ("raw: {from: crawl}", "raw: {from: crawl, steps: [decontaminate: {against: [held]}]}", True),
        ("held: {from: crawl}", "held: {from: other}", True),
    ],
)
def test_a_held_out_set_may_not_share_a_source_with_what_is_trained_on(load, old, new, is_sound):
    text = GOOD.replace("datasets:", "  other: {read: installed_docs, packages: [pyarrow]}\ndatasets:") + (
        "  raw: {from: crawl}\n  more: {from: raw}\n  held: {from: crawl}\n"
        "mixtures:\n  a: {weights: {more: 1}}\n  b: {weights: {raw: 1}}\nproxy: {tokens: 20k}\n"
        "gate: {candidate: a, baseline: b, on: [held]}\n"
    )
    text = text.replace(old, new)

    if is_sound:
        load(text)
    else:
        assert len([line for line in mistakes(load, text) if "have documents of one source" in line]) == 2


def test_a_model_writes_from_no_document_that_was_not_held_against_what_must_stay_unseen(load):
    """Held-out sets of a gate, and whatever another dataset is decontaminated against."""
    text = GOOD.replace("datasets:", "  other: {read: installed_docs, packages: [pyarrow]}\ndatasets:") + (
        "  held: {from: other}\n  safe: {from: crawl, steps: [decontaminate: {against: [held]}]}\n"
        "  told: {from: safe, make: {rephrase: {documents: 5}}}\n"
        "mixtures:\n  a: {weights: {told: 1}}\n  b: {weights: {safe: 1}}\nproxy: {tokens: 20k}\n"
        "gate: {candidate: a, baseline: b, on: [held]}\n"
    )
    load(text)
    gate, open_ = text[text.index("gate:") :], text.replace("from: safe, make", "from: crawl, make")

    for wrong in (
        open_,
        open_.replace(gate, ""),
        text.replace("steps: [decontaminate: {against: [held]}]", "steps: []"),
    ):
        found = [line for line in mistakes(load, wrong) if "no step looked for `held`" in line]
        assert len(found) == 1 and "told.make: is written from" in found[0]


def test_two_sources_that_read_one_file_are_one_source(load, tmp_path):
    """Whatever they are called, through links and globs."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "linked.parquet").symlink_to(tmp_path / "crawl.parquet")
    (tmp_path / "other.jsonl").write_text('{"text": "a third"}')
    text = GOOD.replace("datasets:", "  other: {read: READER, path: PATH}\ndatasets:") + (
        "  raw: {from: crawl}\n  held: {from: other}\n"
        "mixtures:\n  a: {weights: {raw: 1}}\n  b: {weights: {raw: 1}}\nproxy: {tokens: 20k}\n"
        "gate: {candidate: a, baseline: b, on: [held]}\n"
    )

    load(text.replace("READER", "jsonl").replace("PATH", "other.jsonl"))

    found = mistakes(load, text.replace("READER", "parquet").replace("PATH", "elsewhere/*.parquet"))
    assert any("`held` and `raw` of mixture `a` have documents of one source or file" in line for line in found)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("baseline: b", "baseline: a", r'gate\.baseline is "a"; it must be another mixture than the candidate'),
        ("on: [held]", "on: [held, held]", r"gate\.on is .*; it must not name a set twice"),
        ("20k", "20k, learning_rates: [1.0, 0.3, 1]", r"proxy\.learning_rates is .*; it must not name a rate twice"),
    ],
)
def test_a_comparison_of_a_thing_with_itself_is_refused(load, old, new, message):
    text = GOOD + (
        "  held: {from: crawl}\n  rest: {from: crawl, steps: [decontaminate: {against: [held]}]}\n"
        "mixtures:\n  a: {weights: {rest: 1}}\n  b: {weights: {rest: 1}}\n"
        "proxy: {tokens: 20k}\ngate: {candidate: a, baseline: b, on: [held]}\n"
    )
    load(text)

    with pytest.raises(RecipeError, match=message):
        load(text.replace(old, new))


def test_numbers_of_tokens_take_suffixes(load):
    recipe = load(GOOD + "mixtures: {a: {weights: {clean: 1}}}\nproxy: {tokens: 1.5M}\n")

    assert recipe.proxy.tokens == 1_500_000


def test_a_setting_reaches_a_step_parameter(load):
    recipe = load(GOOD, **{"datasets.clean.minhash_dedup.bands": 7})

    assert recipe.datasets["clean"].steps[1].step.params.bands == 7


def test_a_setting_reaches_a_step_written_as_a_bare_name(load):
    recipe = load(GOOD, **{"datasets.clean.exact_dedup.max_drop_fraction": 0.5})

    assert recipe.datasets["clean"].steps[0].step.params.max_drop_fraction == 0.5


def test_a_setting_to_nowhere_is_refused(load):
    with pytest.raises(RecipeError, match="Did you mean"):
        load(GOOD, **{"datasets.claen.exact_dedup.keep": 1})


def test_an_empty_file_says_what_a_recipe_is(load):
    with pytest.raises(RecipeError, match="a recipe is a mapping with the keys"):
        load("")


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("[exact_dedup, quality]", "`quality` learns grades, and no step before it gives any"),
        ("[quality, label]", "Put `label` before it"),
        ("[{minhash_dedup: {keep: length.num_word}}]", "No step stands before"),
        ("[length, {minhash_dedup: {keep: length.num_word}}]", "Did you mean length.num_words"),
        ("[length, {exact_dedup: {keep: -lenght.num_words}}]", "`lenght.num_words` is not a signal of an earlier step"),
        ("[label, {exact_dedup: {keep: label.teacher}}]", "holds string; it must be numbers"),
    ],
)
def test_a_step_that_lacks_an_earlier_one_is_a_mistake_with_its_line(tmp_path, steps, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "sources:\n  docs: {read: jsonl, path: x.jsonl}\n"
        f"datasets:\n  clean:\n    from: docs\n    steps: {steps}\n    wrong: 1\n"
    )

    with pytest.raises(RecipeError) as caught:
        load_recipe(path, look_at_inputs=False)

    told = str(caught.value)
    assert message in told and f"{path}:6: datasets.clean.steps" in told
    assert "`wrong` is not a key of a dataset" in told


def test_what_a_step_needs_of_earlier_ones_may_stand_there(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "sources:\n  docs: {read: jsonl, path: x.jsonl}\ndatasets:\n  clean:\n    from: docs\n"
        "    steps: [length, {exact_dedup: {keep: -length.num_words}}, label, quality]\n"
    )

    assert len(load_recipe(path, look_at_inputs=False).datasets["clean"].steps) == 4


MISTAKEN = """
sources:
  docs: {read: jsonl, path: x.jsonl}
datasets:
  clean:
    from: docs
    steps:
      - gopher_quality: {min_words: many, max_wrods: 3}
      - label: {rubric: educational, teacher: oracle}
      - exact_dedup: {keep: lenght.num_words}
      - minhash_dedup: {keep: length.num_words}
      - decontaminate: {against: [nowhere], ngram: many}
  held: {from: docs}
mixtures:
  a: {weights: {clean: -1, claen: 1}}
proxy: {seeds: 2, tier: t999}
gate: {candidate: b, baseline: a, on: [hold], min_gain: -1, guards: {code: 0.1}}
"""


def test_one_mistake_hides_no_other(tmp_path):
    """Neither in a step and those after it, nor in a section and the names that it holds."""
    path = tmp_path / "recipe.yaml"
    (tmp_path / "x.jsonl").touch()
    path.write_text(MISTAKEN.replace("x.jsonl", str(tmp_path / "x.jsonl")), encoding="utf-8")

    with pytest.raises(RecipeError) as caught:
        load_recipe(path)

    told = str(caught.value)
    for part in (
        "min_words is", "`max_wrods` is not known", "teacher is", "`lenght.num_words` is not a signal",
        "`nowhere` is", "ngram is", "`length.num_words` is not a signal",
        "weights.clean is", "unknown dataset `claen`", "seeds is", "unknown tier `t999`", "unknown mixture `b`",
        "unknown dataset `hold`", "min_gain is", "unknown held-out set `code`",
    ):  # fmt: skip
        assert part in told, part


def test_a_name_that_has_no_neighbour_is_told_without_a_guess(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("datasets: {a: {from: b}}\n", encoding="utf-8")

    with pytest.raises(RecipeError, match=r"`b` is neither a source nor a dataset\.$"):
        load_recipe(path)


def test_a_found_value_is_told_only_at_its_start(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(f"seed: {'9' * 5000}\ndatasets: [{'x, ' * 5000}]\n", encoding="utf-8")

    with pytest.raises(RecipeError, match=r"seed is .*\(5,002 characters\); it must be a whole number") as caught:
        load_recipe(path)

    assert len(str(caught.value)) < 1000
