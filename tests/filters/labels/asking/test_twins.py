"""Style twins keep the words and change the dress."""

from __future__ import annotations

import re

import pytest

from filters.labels.asking.twins import padded, stripped


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("# Heaps #\n\nText.", "Heaps\n\nText."),
        ("Heaps\n=====\nText.", "Heaps\nText."),
        ("- one\n  * two\n3. three", "one\n  two\nthree"),
        ("A **bold** and *soft* word, `code` and ~~gone~~.", "A bold and soft word, code and gone."),
        ("See [the page](https://a.b/c) ![a heap](heap.png).", "See the page a heap."),
        ("> quoted\n```python\nx = 1\n```\nend", "quoted\nx = 1\nend"),
        (">>> 2 * 3 * 4 ** 2\n__init__ and -1 stay", ">>> 2 * 3 * 4 ** 2\n__init__ and -1 stay"),
        ("Plain prose stays as it is.", "Plain prose stays as it is."),
    ],
)
def test_markdown_goes_and_the_words_stay(text: str, without: str) -> None:
    assert stripped(text) == without


def test_padding_stands_around_the_text_and_says_nothing_of_it() -> None:
    twin = padded("A heap is a tree.")

    before, after = twin.split("A heap is a tree.")
    assert len(before.split()) > 30 and len(after.split()) > 30
    assert not re.search(r"\d", before + after)
