"""YAML by strict rules: values mean what they look like, every mistake has its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core.errors import RecipeError
from pipeline.core.files.reading.strict_yaml import load, scalar


def parse(tmp_path: Path, text: str):
    path = tmp_path / "r.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("3e-4", 3e-4), ("1e3", 1000.0), ("0123", "0123"), ("12:30", "12:30"),
        ("true", True), ("null", None), ("-7", -7), ("1.10", 1.1), ("20M", "20M"), ("0x10", "0x10"), ("", None),
        ("1e999", "1e999"),
    ],
)  # fmt: skip
def test_a_plain_scalar_means_what_it_looks_like(text, value):
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_a_duplicate_key_is_named_with_both_lines(tmp_path):
    document = parse(tmp_path, "a: 1\nb: 2\na: 3\n")

    with pytest.raises(RecipeError, match=r"r\.yaml:3: `a` stands here and on line 1"):
        document.raise_mistakes()


def test_all_mistakes_come_at_once_in_line_order(tmp_path):
    document = parse(tmp_path, "a: {x: 1, x: 2}\nb: 1\nb: 2\n")

    with pytest.raises(RecipeError) as caught:
        document.raise_mistakes()

    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["1", "3"]


@pytest.mark.parametrize("text", ["a: &x 1\nb: *x\n", "a: !!python/object:os.system 1\n"])
def test_anchors_and_tags_are_refused(tmp_path, text):
    with pytest.raises(RecipeError, match=r"r\.yaml:1: anchors, aliases and tags"):
        parse(tmp_path, text)


def test_broken_yaml_names_the_line(tmp_path):
    with pytest.raises(RecipeError, match=r"r\.yaml:3: is not YAML"):
        parse(tmp_path, "a: 1\nb: [1, 2\n")


def test_a_quoted_scalar_stays_text(tmp_path):
    assert parse(tmp_path, "a: '1'\nb: \"no\"\n").data == {"a": "1", "b": "no"}


@pytest.mark.parametrize(
    "text", ["[" * 2000 + "]" * 2000, "".join(" " * level + "a:\n" for level in range(2000))], ids=["flow", "block"]
)
def test_what_is_nested_too_deep_for_any_reader_is_a_mistake_with_its_line(tmp_path, text):
    with pytest.raises(RecipeError, match=r"r\.yaml:\d+: is nested more than 50 deep"):
        parse(tmp_path, text)


def test_a_number_of_thousands_of_digits_stays_a_word(tmp_path):
    assert parse(tmp_path, f"a: {'9' * 5000}\nb: {'9' * 30}\n").data == {"a": "9" * 5000, "b": int("9" * 30)}


def test_a_folder_for_a_recipe_is_told_with_the_recipes_in_it(tmp_path):
    (tmp_path / "web.yaml").touch()

    with pytest.raises(RecipeError, match=r"is a folder; name a recipe, a YAML file, such as .*web\.yaml\."):
        load(tmp_path)
