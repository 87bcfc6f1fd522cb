"""Text that breaks filters, against every step that measures text: a whole answer, and time that grows with the text.

A new step is tested by standing in the catalog. A step that runs datatrove's own code is left out: spaCy takes
quadratic time there. What each rule says of text without words is in recipes/README.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipeline.catalog import STEPS
from pipeline.core.step import GatheringStep, MeasuringStep, as_column
from pipeline.core.text.batch import Batch
from pipeline.core.text.cut import cut
from pipeline.recipe.names import step_class
from tests.conftest import need_conformance
from tests.filters.conftest import verdict_of
from tests.filters.gathering import gather, parts_of
from tests.golden import NEEDS, furnish
from tests.timing import MEGABYTE, SIZE, slowness

SENTENCE = "The quick brown fox jumps over the lazy dog and then it goes home to sleep. "
PIECES = {
    "one letter": "x", "empty lines": "\n", "empty lines of windows": "\r\n", "line separators": "\u2028", "tabs": "\t",
    "one sentence": SENTENCE, "one line": SENTENCE + "\n", "one line of windows": SENTENCE + "\r\n",
    "one line by U+2028": SENTENCE + "\u2028", "letters": "a ", "letters on lines": "a\n", "bullets": "- a\n",
    "ellipses": "\u2026\n", "full stops": ".", "three full stops": "... ", "NUL": "\0", "NUL in words": "a\0b ",
    "bells": "\x07", "right to left": "\u05e9\u05dc\u05d5\u05dd \u202e\u05e2\u05d5\u05dc\u05dd. ",
    "right to left, one word": "\u05e9\u05dc\u05d5\u05dd", "combining": "e\u0301\u0302\u0323", "marks alone": "\u0301",
    "zero width": "\u200b", "zero width in words": "a\u200bb ", "Chinese": "\u4f60\u597d\u3002",
    "Thai": "\u0e2a\u0e27\u0e31",
    "emoji": "\U0001f600", "joined emoji": "\U0001f468\u200d\U0001f469", "digits": "1234567890",
    "dotted letters": "a.b.c.d.", "dotted numbers": "1.1.1.1.", "public addresses": "8.8.8.8.", "at signs": "@",
    "addresses without an end": "a@b.", "addresses": "a@b.org ", "slashes": "/", "schemes": "http://", "paths": "a/b/",
    "web addresses": "http://a.org/b?c=d#e ", "hosts": "x.com", "escapes": "%20", "brackets": "(", "square": "[",
    "citations": "[1]", "open citations": "[1", "braces": "{", "closing": ")", "quotes": "'", "possessive": "a's",
    "hyphens": "-", "hyphenated": "word-", "underscores": "a_b", "colons": ":", "colons and letters": "a:",
    "phones": "+49 1",
    "plus": "+1", "accounts": "DE89", "spaced accounts": "GB82 WEST ", "keys": "sk-", "tokens": "eyJ.",
    "issuers": "AKIA",
    "key blocks": "-----BEGIN PRIVATE KEY-----", "begins": "-----BEGIN ", "money": "$1,000.", "emoticons": ":)",
    "spaced emoticons": ": ) ", "abbreviations": "e.g.", "contractions": "n't", "units": "1km",
    "listed terms": "of the have ",
    "lorem": "lorem ipsum ", "hashes": "#", "exclamations": "! ",
}  # fmt: skip


def repeated(piece: str) -> Callable[[int], str]:
    return lambda size: piece * (size // len(piece.encode()))


TEXTS: dict[str, Callable[[int], str]] = {
    **{name: repeated(piece) for name, piece in PIECES.items()},
    "different words": lambda size: " ".join(map(str, range(size // 7))),
    "different lines": lambda size: "\n".join(map(str, range(size // 7))),
    "nested": lambda size: "(" * (size // 2) + ")" * (size // 2),
    "a scheme before slashes": lambda size: "http:" + "/" * size,
    "a word before marks": lambda size: "word" + "!" * size,
    "a host in Unicode before marks": lambda size: "\u00e9.a-b" + ")" * size,
    "marks before a host in Unicode": lambda size: "(" * size + "\u00e9.a-b",
    "an address before an at sign": lambda size: "\u00e9.a:b:" * (size // 7) + "@",
    "emoticons beside one": lambda size: ":)" * (size // 2) + ": ) x",
    "a unit before marks": lambda size: "5\u20ac" + ")" * size,
}
SOME = dict(list(TEXTS.items())[::6])
SMALL = [
    "",
    " ",
    "\n",
    "\r",
    "\r\n",
    "\u2028",
    "\0",
    "\ufeff",
    "\u200b",
    "\u0301",
    "\u202e",
    ".",
    "@",
    "a",
    "\U0010ffff",
]
OF_WORDS = ("doc_offsets", "starts", "num_bytes", "num_chars", "hashes", "flags")
OF_LINES = ("doc_offsets", "starts", "ends", "word_offsets", "char_starts", "num_chars", "hashes")
WORDLESS = ["", " ", "\n\n", "\u2028", "\t\u3000"]


def names() -> list[str]:
    measuring = [name for name in STEPS if name != "datatrove" and issubclass(step_class(name), MeasuringStep)]
    return sorted(measuring, key=lambda name: "@" in name)


@pytest.fixture(scope="module")
def prepare(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], MeasuringStep]:
    """Return what prepares a step by its name, with the parameters and lists of its golden test, once."""
    house = furnish(tmp_path_factory.mktemp("furnished"))

    @cache
    def prepared(name: str) -> MeasuringStep:
        house.clean([f"{name}: {NEEDS.get(name, ([], '{}'))[1]}"])
        planned = house.plan().datasets["clean"].steps[-1]
        found = planned.spec.step
        assert isinstance(found, MeasuringStep)
        found.prepare({key: [Path(path) for path in paths] for key, paths in planned.inputs.items()})
        answer(found, [SENTENCE, "a@b.org 8.8.8.8\n"])  # compiles
        return found

    return prepared


@pytest.fixture
def step(request: pytest.FixtureRequest, prepare: Callable[[str], MeasuringStep]) -> MeasuringStep:
    if "@" in request.param:
        need_conformance()
    if request.param == "transformer":
        pytest.importorskip("transformers", reason="transformers is not installed")
    return prepare(request.param)


def answer(step: MeasuringStep, texts: list[str]) -> pa.Table:
    """Return what the step says, after looking at every value."""
    plain = Batch.from_texts(texts)
    metadata = pa.array([json.dumps({"url": text}) for text in texts])
    measured = step.measure(Batch(ids=plain.ids, text=plain.text, metadata=metadata))
    columns = {signal.name: as_column(measured.signals[signal.name], signal=signal) for signal in step.signals}
    for signal in step.signals:
        assert len(columns[signal.name]) == len(texts)
        columns[signal.name].validate(full=True)
        values = [value for value in columns[signal.name].to_pylist() if isinstance(value, (int, float))]
        known = [value for value in values if not math.isnan(value)]
        assert not any(map(math.isinf, known)), signal.name
        assert signal.unit != "fraction" or all(0 <= value <= 1 for value in known), signal.name
    if step.edits and measured.text is not None:
        measured.text.validate(full=True)
        assert measured.text.type == pa.large_string() and len(measured.text) == len(texts)
        columns["text"] = measured.text
    return pa.table(columns)


@pytest.mark.parametrize("step", names(), indirect=True)
def test_anything_is_measured_in_time_that_grows_with_its_length(step: MeasuringStep) -> None:
    # Its tries take up to half a second for any text; more is asked of it in heuristics/test_patterns.py.
    texts, size = (SOME, MEGABYTE) if step.name == "patterns" else (TEXTS, SIZE)

    told = {
        name: slowness(lambda size, text=text: answer(step, [text(size)]), size=size) for name, text in texts.items()
    }

    assert {name: slow for name, slow in told.items() if slow} == {}


@pytest.mark.parametrize("step", names(), indirect=True)
def test_small_and_odd_documents_are_measured_alike_alone_and_together(step: MeasuringStep) -> None:
    texts = [*SMALL, *(text(30) for text in TEXTS.values())]

    together = answer(step, texts)

    for row, text in enumerate(texts):
        assert repr(answer(step, [text]).to_pylist()) == repr(together.slice(row, 1).to_pylist())


@pytest.mark.parametrize("step", [name for name in names() if "@" not in name], indirect=True)
def test_text_without_words_gets_one_verdict(step: MeasuringStep) -> None:
    """Not by datatrove's definitions: its repetition filter drops an empty text and keeps a space."""
    assert len({verdict_of(step, text) for text in WORDLESS}) == 1


@pytest.mark.parametrize("step", [name for name in names() if step_class(name).edits] + ["patterns"], indirect=True)
def test_what_an_edit_leaves_is_read_alike_by_every_later_step(step: MeasuringStep) -> None:
    """A step may say how words and lines of its new text follow from the old ones, and store ranges for text."""
    odd = [text(2000) for text in TEXTS.values()]
    batch = Batch.from_texts([*SMALL, *odd, *(SENTENCE + "\n" + text + "\n" + SENTENCE for text in odd)])

    measured = step.measure(batch)

    edited = batch.edited(measured.text)
    anew = Batch(ids=batch.ids, text=pa.concat_arrays([edited.text, edited.text[:0]]))
    assert edited.text.equals(pc.coalesce(measured.text, batch.text))
    assert measured.kept is None or cut(batch.text, measured.kept).equals(edited.text)
    for found, read, arrays in ((edited.words, anew.words, OF_WORDS), (edited.lines, anew.lines, OF_LINES)):
        for name in arrays:
            assert np.array_equal(getattr(found, name), getattr(read, name)), name
    assert np.array_equal(edited.segmentation.num_chars, anew.segmentation.num_chars)


@pytest.mark.parametrize("name", ["exact_dedup", "minhash_dedup", "line_dedup", "paragraph_dedup", "substring_dedup"])
def test_copies_are_looked_for_in_anything(name: str, tmp_path: Path) -> None:
    """Nothing fails, and time may grow with the text, not with its square."""
    kind = step_class(name)
    step = kind(params=kind.Params())
    assert isinstance(step, GatheringStep)
    scratch = (tmp_path / str(number) for number in count())

    def find(text: str) -> None:
        documents = [*SMALL, text, text]
        assert gather(step, parts_of(documents), scratch=next(scratch)).signals.num_rows == len(documents)

    told = {label: slowness(lambda size, text=text: find(text(size)), loops=200) for label, text in SOME.items()}

    assert {label: slow for label, slow in told.items() if slow} == {}
