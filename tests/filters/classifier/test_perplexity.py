"""Perplexity by an ARPA file is that of its arithmetic: the longest n-gram that is there, else less and a weight."""

from __future__ import annotations

from pathlib import Path

import pytest

from filters.classifier.perplexity import Perplexity
from pipeline.core.errors import DataError
from pipeline.core.text.batch import Batch
from tests.pipeline.house import House

ARPA = """\\data\\
ngram 1=6
ngram 2=4
ngram 3=1

\\1-grams:
-1.5\t<unk>
-99\t<s>\t-0.3
-1.0\t</s>
-0.7\tthe\t-0.2
-0.9\treader\t-0.4
-1.1\tcaf\u00e9\t-2e-1

\\2-grams:
-0.4\t<s> the\t-0.1
-0.3\tthe reader\t-0.05
-0.2\treader </s>
-0.6\tthe caf\u00e9

\\3-grams:
-0.15\t<s> the reader

\\end\\
"""
# log10 by hand, the end of the sentence included
BY_HAND = {
    "the reader": [
        -0.4,
        -0.15,
        -0.05 + -0.2,
    ],  # <s> the | <s> the reader | reader </s>, as `the reader </s>` is missing
    "the caf\u00e9": [-0.4, -0.1 + -0.6, -0.2 + -1.0],
    "reader": [-0.3 + -0.9, -0.2],
    "unseen the": [-0.3 + -1.5, -0.7, -0.2 + -1.0],
}


def write(folder: Path, text: str = ARPA) -> Path:
    path = folder / "model.arpa"
    path.write_text(text, encoding="utf-8")
    return path


def perplexities(path: Path, texts: list[str]) -> list[float | None]:
    step = Perplexity(params=Perplexity.Params.parse({"model": str(path)}))
    step.prepare({"model": [path]})
    found: list[float | None] = step.measure(Batch.from_texts(texts)).signals["perplexity"].to_pylist()
    return found


@pytest.mark.parametrize("text", list(BY_HAND))
def test_a_sentence_is_as_probable_as_by_hand(tmp_path: Path, text: str) -> None:
    logs = BY_HAND[text]

    assert perplexities(write(tmp_path), [text]) == pytest.approx([10 ** (-sum(logs) / len(logs))], rel=1e-6)


def test_each_line_is_a_sentence_and_empty_lines_are_none(tmp_path: Path) -> None:
    logs = BY_HAND["the reader"] + BY_HAND["reader"]

    found = perplexities(write(tmp_path), [" the  reader\n\n\treader\n", "", " \n"])

    assert found == [pytest.approx(10 ** (-sum(logs) / len(logs)), rel=1e-6), None, None]


def test_a_recipe_keeps_what_lies_between_two_bounds(tmp_path: Path) -> None:
    house = House(tmp_path)
    write(tmp_path)
    house.lines("docs.jsonl", ["the reader", "unseen words all along", "reader"])
    house.clean(["perplexity: {model: DIR/model.arpa, min_perplexity: 2, max_perplexity: 20}"])

    house.run()

    assert [row["text"] for row in house.documents()] == ["reader"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("\\data\\", "\\date\\", None),
        ("ngram 1=6", "unigrams", r"is no ARPA file"),
        ("-0.7\tthe", "-0.x7\tthe", r"model\.arpa:10: is no line of a section of 1-grams"),
        ("-0.3\tthe reader\t-0.05", "-0.3\treader", r"model\.arpa:16: is no line of a section of 2-grams"),
        ("ngram 2=4", "ngram 2=5", r"holds 4 2-grams and announces 5"),
        ("\\3-grams:", "\\4-grams:", r"sections of n-grams are not those that it announces"),
        ("\\end\\", "", r"it was cut off"),
    ],
)
def test_what_is_no_arpa_file_is_refused_with_its_place(
    tmp_path: Path, before: str, after: str, said: str | None
) -> None:
    path = write(tmp_path, ARPA.replace(before, after))

    if said is None:
        assert perplexities(path, ["the"]) != [None]
    else:
        with pytest.raises(DataError, match=said):
            perplexities(path, ["the"])
