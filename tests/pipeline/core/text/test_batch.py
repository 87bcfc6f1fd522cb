from __future__ import annotations

import mmap
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from pipeline.core.text.batch import MAX_DOCUMENT_BYTES, Batch
from pipeline.core.text.characters import LETTER, LINE_END, SPACE, character_table
from pipeline.core.text.segment import HAS_ALNUM, HAS_LETTER
from tests.filters.text_strategies import BATCHES
from tests.timing import slowness


def words_of(batch: Batch, doc: int) -> list[str]:
    words, raw = batch.words, batch.strings()[doc].encode()
    span = range(words.doc_offsets[doc], words.doc_offsets[doc + 1])
    return [raw[words.starts[at] : words.starts[at] + words.num_bytes[at]].decode() for at in span]


def sized(num_bytes: int) -> Batch:
    """A batch of one document in memory that is reserved and never touched, so that it costs nothing."""
    buffers = [None, pa.py_buffer(np.array([0, num_bytes], np.int64)), pa.py_buffer(mmap.mmap(-1, num_bytes))]
    return Batch(ids=pa.array(["large"]), text=pa.Array.from_buffers(pa.large_string(), 1, buffers))


def test_a_document_of_2_gib_is_refused_before_a_position_overflows() -> None:
    assert sized(MAX_DOCUMENT_BYTES).offsets.tolist() == [0, MAX_DOCUMENT_BYTES]
    with pytest.raises(ValueError, match="has 2,147,483,648 bytes; kernels measure 2,147,483,647 at most"):
        _ = sized(MAX_DOCUMENT_BYTES + 1).words


@given(BATCHES)
@settings(max_examples=300, deadline=None)
def test_words_are_what_python_splits(texts: list[str]) -> None:
    batch = Batch.from_texts(texts)

    for doc, text in enumerate(texts):
        words, span = text.split(), slice(batch.words.doc_offsets[doc], batch.words.doc_offsets[doc + 1])
        flags = batch.words.flags[span]

        assert words_of(batch, doc) == words
        assert batch.words.num_chars[span].tolist() == [len(word) for word in words]
        assert ((flags & HAS_LETTER) > 0).tolist() == [any(char.isalpha() for char in word) for word in words]
        assert ((flags & HAS_ALNUM) > 0).tolist() == [any(char.isalnum() for char in word) for word in words]
        assert batch.segmentation.num_chars[doc] == len(text.replace("\r\n", "\n"))


@given(BATCHES)
@settings(max_examples=300, deadline=None)
def test_lines_are_what_python_splits(texts: list[str]) -> None:
    batch = Batch.from_texts(texts)
    lines = batch.lines

    for doc, text in enumerate(texts):
        span = range(lines.doc_offsets[doc], lines.doc_offsets[doc + 1])
        raw = text.encode()

        assert [raw[lines.starts[at] : lines.ends[at]].decode() for at in span] == text.splitlines()
        sizes = [lines.word_offsets[at + 1] - lines.word_offsets[at] for at in span]
        assert sizes == [len(line.split()) for line in text.splitlines()]
        assert [lines.num_chars[at] for at in span] == [len(line.strip()) for line in text.splitlines()]


@given(BATCHES)
@settings(max_examples=100, deadline=None)
def test_equal_hashes_mean_equal_words(texts: list[str]) -> None:
    batch = Batch.from_texts(texts)
    words = [word for doc in range(len(texts)) for word in words_of(batch, doc)]

    assert len(set(words)) == len(set(batch.words.hashes.tolist()))
    assert len(set(words)) == len(set(zip(words, batch.words.hashes.tolist(), strict=True)))


def test_a_word_hashes_alike_wherever_it_stands_in_the_buffer() -> None:
    for size in range(1, 40):
        word = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEF"[:size]
        batch = Batch.from_texts([word, f"  {word} ", f"\u4f60 {word}\n\u2028{word}", word])

        assert len({int(found) for found in batch.words.hashes if found != batch.words.hashes[2]}) == 1


def test_spaces_of_several_bytes_may_lie_across_the_blocks_that_are_read_at_once() -> None:
    for shift in range(130):
        texts = ["a" * shift + "\u2028b\u3000c\x85\r\nd\u00a0", "\u2003" * shift + "x\r\ny"]
        batch = Batch.from_texts(texts)

        for doc, text in enumerate(texts):
            span = slice(batch.lines.doc_offsets[doc], batch.lines.doc_offsets[doc + 1])
            assert words_of(batch, doc) == text.split()
            assert len(batch.lines.starts[span]) == len(text.splitlines())
            assert batch.lines.num_chars[span].tolist() == [len(line.strip()) for line in text.splitlines()]


def test_words_that_are_described_together_are_described_as_if_alone() -> None:
    words = ["The", "(that)", "'''''with", "wait...", "e.g.", "na\u00efve", "\u201cend.\u201d", "x" * 70, "end.)", "1."]
    alone = [Batch.from_texts([word]).words for word in words]
    together = Batch.from_texts([" ".join(words * 60), "\n".join(words)]).words

    for name in ("flags", "hashes", "num_chars"):
        assert getattr(together, name).tolist() == 61 * [getattr(one, name)[0] for one in alone]


def test_zero_bytes_are_part_of_words_and_of_their_identity() -> None:
    batch = Batch.from_texts(["a a\0 a\0\0 \0a abcdefgh abcdefgh\0"])

    assert len(set(batch.words.hashes.tolist())) == 6


def test_lines_that_differ_in_spacing_or_line_end_are_the_same() -> None:
    batch = Batch.from_texts(["one two\r\n  one\ttwo \none  two\u2028onetwo"])

    hashes = batch.lines.hashes.tolist()
    assert hashes[0] == hashes[1] == hashes[2] != hashes[3]


@pytest.mark.parametrize("texts", [[], [""], ["", "", ""], ["\n"], [" ", "a", ""]])
def test_empty_documents_have_no_words(texts: list[str]) -> None:
    batch = Batch.from_texts(texts)

    assert np.diff(batch.words.doc_offsets).tolist() == [len(text.split()) for text in texts]
    assert np.diff(batch.lines.doc_offsets).tolist() == [len(text.splitlines()) for text in texts]


def test_a_slice_of_a_table_is_segmented_like_the_same_texts_alone() -> None:
    texts = [f"document {number} has its own words" for number in range(20)]
    table = pa.table({"id": [str(number) for number in range(20)], "text": pa.array(texts, pa.large_string())})

    middle = Batch.from_table(table.slice(5, 7))

    assert [words_of(middle, doc) for doc in range(7)] == [text.split() for text in texts[5:12]]


def test_the_character_table_says_what_python_says() -> None:
    table = character_table()

    for code in [*range(0x3500), *range(0xAC00, 0xAC20), *range(0xD7A0, 0xD7FF), *range(0xE000, 0x110000, 13)]:
        char = chr(code)
        assert bool(table[code] & SPACE) == char.isspace()
        assert bool(table[code] & LETTER) == char.isalpha()
        assert bool(table[code] & LINE_END) == (len(f"a{char}b".splitlines()) == 2)


@pytest.mark.parametrize("piece", ["x", "word ", "a\n", "\u4f60", " "])
def test_hostile_text_takes_linear_time(piece: str) -> None:
    """A sanity bound, far above what is expected: quadratic work would take hours."""

    def num_words(size: int) -> int:
        return len(Batch.from_texts([piece * (size // len(piece.encode()))]).words.starts)

    assert not slowness(num_words, size=10_000_000, loops=5)
    assert num_words(1_000_000) == len((piece * (1_000_000 // len(piece.encode()))).split())


def test_documents_follow_each_other_without_gaps() -> None:
    batch = Batch.from_texts(["one two", "", "three\nfour"])

    assert [int(b - a) for a, b in pairwise(batch.words.doc_offsets)] == [2, 0, 2]
