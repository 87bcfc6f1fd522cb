from __future__ import annotations

import inspect
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.catalog import STEPS
from pipeline.core.errors import RecipeError
from pipeline.core.text.batch import Batch
from pipeline.recipe.names import step_class

pytest.importorskip("spacy", reason="datatrove's words are spaCy's: pip install -e '.[conformance]'")

from filters.conformance.spacy import words as our_words
from filters.conformance.spacy.words import MEMORY, Memory, spacy_words, words_of
from tests.filters.conformance.texts import page_texts, special_cases, tokenizer_texts
from tests.samples import examples, hold
from tests.timing import slowness


def ours(texts: list[str]) -> list[list[str]]:
    batch = Batch.from_texts(texts)
    words, data = spacy_words(batch), batch.data.tobytes()
    spans = list(zip(words.starts.tolist(), words.ends.tolist(), strict=True))
    tokens = [data[start:end].decode() for start, end in spans]
    assert words.num_chars.tolist() == [len(token) for token in tokens]
    return [tokens[first:end] for first, end in zip(words.doc_offsets[:-1], words.doc_offsets[1:], strict=True)]


def theirs(texts: list[str]) -> list[list[str]]:
    from datatrove.utils.word_tokenizers import load_word_tokenizer

    tokenizer = load_word_tokenizer("eng")
    return [tokenizer.word_tokenize(text) for text in texts]


@examples(200, many=2000)
def test_words_are_those_of_spacy_in_text_made_to_trip_it(examples: int):
    def alike(text: str) -> None:
        assert ours([text]) == theirs([text])

    hold(alike, tokenizer_texts(), examples=examples)


def test_words_of_docstrings_are_those_of_spacy(docstrings: list[str]):
    for start in range(0, len(docstrings), 500):
        texts = docstrings[start : start + 500]
        assert ours(texts) == theirs(texts)


def test_every_special_case_is_cut_as_spacy_cuts_it_alone_and_between_marks():
    texts = [
        pattern.format(case)
        for case in special_cases()
        for pattern in ("{}", "({})", "{}.", '"{},', "x-{}", "{}/y", "{} {}", "a:{}", "{}'s", "5{}")
        for case in [case]
        if pattern.count("{}") == 1
    ]

    assert ours(texts) == theirs(texts)


@pytest.mark.parametrize(
    "text",
    [
        "a: ):b",  # `: )` spells a case over the space, which keeps `):` in the second chunk from being joined
        "f(x): ) y",
        "y = (x):",
        "(a): D (b): Dx",
        "such a . b",
        "one :\n) two",
        "see (https://x.org/a_b(c)): it's",
        "\u00a0x\u3000y\u2028z\x1fq \x85w",
        "",
        " ",
        "x" * 400 + ", y",
        "IS_ALPHA ORTH ''' 'IS_ALPHA'",
        ":) : ) :) : D :D",
        "20\u00b0C. 5 \u00b0C. \u00b0 C. \u00b0F.",
        "5\u20ac 5\u043a\u043c/\u0447 5\u00b5m \u0665\u043a\u043c 5\u0627\u0643\u0648\u0627\u0628",
        "http://\u00e9.com/x 1.2.3.4 10.1.2.3 x@8.8.8.8:80/y \u00e9.a-b a:b.\u00e9:80",
    ],
)
def test_what_stands_beside_a_chunk_matters_as_it_does_to_spacy(text: str):
    assert ours([text]) == theirs([text])


def test_the_same_words_come_out_when_kernels_settle_nothing(monkeypatch: pytest.MonkeyPatch, docstrings: list[str]):
    """As under another version of spaCy, whose rules the kernels do not know."""
    from dataclasses import replace

    from filters.conformance.spacy.spacy_rules import tokenizer

    batch = Batch.from_texts(docstrings[:100])
    known = words_of(batch.data, batch.offsets)
    monkeypatch.setattr(our_words, "tokenizer", lambda: replace(tokenizer(), known=False))
    monkeypatch.setattr(our_words, "LATEST", our_words.Latest())

    asked = words_of(batch.data, batch.offsets)

    assert np.array_equal(asked.starts, known.starts) and np.array_equal(asked.ends, known.ends)


def test_the_memory_stays_bounded_and_its_answers_right(monkeypatch: pytest.MonkeyPatch):
    from filters.conformance.spacy.spacy_rules import tokenizer

    monkeypatch.setattr(our_words, "MEMORY_CHUNKS", 50)
    memory = Memory()
    questions = [f"x{number}\u2026y".encode() for number in range(200)]

    for start in range(0, 200, 20):
        answers = memory.find(questions[start : start + 20], spacy=tokenizer())
        spans = [np.frombuffer(answer, np.int32).reshape(2, -1).T.tolist() for answer in answers]
        assert spans[0] == [
            [0, len(f"x{start}")],
            [len(f"x{start}"), len(f"x{start}") + 3],
            [len(f"x{start}") + 3, len(f"x{start}") + 4],
        ]
        assert len(memory.answers) <= 50


ADDRESS_PIECES = (
    "a b A 1 0 9 25 . . . - _ : @ / ? # http:// com 127 10. 172. 16. 31 192.168. 169.254. 223 224 254 :80 "
    "\u00e9 \u4e2d \u0660 \u00b2 \u00aa \u00b5 \u0416 \u0436 \U00010428 \U0001f600"
)
PIECES = [
    "(",
    "\u2026",
    "):",
    "a@",
    "-a",
    "a.B",
    " :)",
    "a:b,",
    "1-",
    "\u00b0C.",
    ": ) ",
    "5\u20ac",
    "\u00e9.a:b@",
    "1.2.3.4:",
]


@pytest.mark.parametrize("piece", PIECES)
def test_one_thing_at_any_length_is_cut_without_spacy_and_in_linear_time(piece: str):
    """spaCy's own time is quadratic in the length of a chunk."""

    def text(size: int) -> str:
        return piece * (size // len(piece.encode()))

    asked = MEMORY.num_asked
    found = ours([text(10), text(200)])

    assert not slowness(lambda size: spacy_words(Batch.from_texts([text(size)])), loops=80)
    assert MEMORY.num_asked == asked
    assert found == theirs([text(10), text(200)])


@pytest.mark.parametrize(
    "parts",
    [
        ("\u00e9.a-b", ")", ""), ("", "(", "\u00e9.a-b"), ("5\u20ac", ")", ""), ("a/b.\u00e9", "!", ""),
        ("1.2.3.4/", "a-", ")"),
        ("", ":)", ": ) x"), ("", ":) ", ": )"), ("", "\u00e9.a:b:", "@"), ("http://", "\u00e9/", "."),
    ],
)  # fmt: skip
def test_one_thing_beside_something_else_is_cut_in_linear_time_too(parts: tuple[str, str, str]):
    front, piece, back = parts

    def text(size: int) -> str:
        return front + piece * (size // len(piece.encode())) + back

    asked = MEMORY.num_asked
    found = ours([text(10), text(200)])

    assert not slowness(lambda size: spacy_words(Batch.from_texts([text(size)])), loops=80)
    assert MEMORY.num_asked == asked
    assert found == theirs([text(10), text(200)])


@examples(200, many=1000)
def test_what_looks_like_an_address_stays_whole_where_it_does_for_spacy(examples: int):
    asked = MEMORY.num_asked

    def alike(texts: list[str]) -> None:
        assert ours(texts) == theirs(texts)

    addresses = st.lists(st.sampled_from(ADDRESS_PIECES.split()), max_size=12).map("".join)
    hold(alike, st.lists(addresses, max_size=40), examples=examples)
    assert MEMORY.num_asked == asked


def test_kernels_settle_every_chunk_of_documentation(docstrings: list[str]):
    before = (MEMORY.num_chunks, MEMORY.num_asked + MEMORY.num_remembered)

    ours(docstrings)

    settled, others = MEMORY.num_chunks - before[0], MEMORY.num_asked + MEMORY.num_remembered - before[1]
    assert settled > 100_000 and others == 0


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(text=page_texts())
def test_words_do_not_depend_on_the_batch(text: str):
    assert ours([text, "x", text]) == [ours([text])[0], ["x"], ours([text])[0]]


def test_characters_beyond_those_that_are_looked_at_are_of_no_kind():
    from spacy.lang import char_classes as classes

    from filters.conformance.spacy.spacy_rules import PAST_KNOWN

    beyond = "".join(map(chr, range(PAST_KNOWN, 0x110000)))

    for inside in (classes.ALPHA, classes.ALPHA_LOWER, classes.CONCAT_QUOTES, classes.PUNCT, classes.ICONS, r"\w\s\d"):
        assert not re.search(f"[{inside}]", beyond)
    assert not any(unicodedata.category(character)[0] == "P" for character in beyond)


@pytest.mark.parametrize("name", [name for name in STEPS if name.endswith("@datatrove-0.10")])
def test_a_step_that_cuts_words_names_spacys_version_in_its_identity(name: str) -> None:
    kind = step_class(name)
    cuts_words = "filters.conformance.spacy.words import" in inspect.getsource(inspect.getmodule(kind))
    cuts_words = cuts_words and name != "c4_paragraph@datatrove-0.10"

    assert ("spacy" in kind.leans_on) == cuts_words


def test_without_spacy_a_plan_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = step_class("gopher_quality@datatrove-0.10")
    monkeypatch.setattr(kind, "leans_on", ("spacy-of-tomorrow",))

    with pytest.raises(RecipeError, match=r"needs the package spacy-of-tomorrow, .* pip install spacy-of-tomorrow"):
        kind(params=kind.Params()).identity_extras()
