"""Words and lines after C4's edit are those of its new text; what little is read for that."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from filters.heuristics import c4_words
from filters.heuristics.c4 import C4Quality
from pipeline.core.rng import generator
from pipeline.core.text.batch import Batch
from tests.filters.test_bad_input import OF_LINES, OF_WORDS

PIECES = [
    "[1]", "[23]", "[edit]", "[citation needed]", "[0]", "[1][2]", "x[1]", "\n", "\n\n", "\r\n", "\r", "\r\r", "\u2028",
    "\x0b", " ", "\t", "\u00a0", "word", "fine.", "The end", "a", "\u4f60\u597d", "caf\u00e9", "\u201d", "...", "{",
    "javascript", "cookie policy", "x" * 40,
]  # fmt: skip
PARAMS: list[dict[str, Any]] = [
    {"min_words_per_line": 0, "terminal_punctuation": False},
    {"min_words_per_line": 1, "terminal_punctuation": False, "max_word_length": 20},
    {"min_words_per_line": 2, "terminal_punctuation": False, "citations": "keep"},
    {"min_words_per_line": 0},
]


def edited(texts: list[str], **params: Any) -> Batch:
    step = C4Quality(params=C4Quality.Params(**params))
    batch = Batch.from_texts(texts)
    return batch.edited(step.measure(batch).text)


@pytest.mark.parametrize("params", PARAMS)
def test_words_and_lines_of_what_is_left_are_those_that_reading_it_finds(params: dict[str, Any]) -> None:
    draw = generator(1, "pieces")
    lengths = draw.choice([0, 1, 3, 8, 30, 100], 600)
    texts = ["".join(PIECES[at] for at in draw.integers(0, len(PIECES), length)) for length in lengths]

    found = edited(texts, **params)

    read = Batch(ids=found.ids, text=pa.concat_arrays([found.text, found.text[:0]]))
    for ours, anew, names in ((found.words, read.words, OF_WORDS), (found.lines, read.lines, OF_LINES)):
        for name in names:
            assert np.array_equal(getattr(ours, name), getattr(anew, name)), name
    for name in ("num_chars", "num_line_ends"):
        assert np.array_equal(getattr(found.segmentation, name), getattr(read.segmentation, name)), name


def test_only_lines_that_lose_a_marker_are_read_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """And, as a whole, documents in which a line feed comes to follow a carriage return."""
    line = "A line of five words.\n"
    texts = [
        9 * line + "This is said here. [1]\n" + 9 * line + "short\n" + line,
        "One line stays.\rshort\n\nSo does this.",
    ]
    found = edited(texts, terminal_punctuation=False)
    left = found.text.to_pylist()
    gather, read = c4_words.gather_pieces, []

    def noted(*arguments: Any) -> Any:
        pieces, bounds = gather(*arguments)
        read.extend(pieces[first:past].tobytes().decode() for first, past in pairwise(bounds))
        return pieces, bounds

    monkeypatch.setattr(c4_words, "gather_pieces", noted)

    assert len(found.words.flags) == sum(len(text.split()) for text in left)
    assert read == ["This is said here. ", left[1]] and "\r\n" in left[1]
