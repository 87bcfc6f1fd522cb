"""A batch -> its words as datatrove 0.10 sees them: the tokens of spaCy's blank English pipeline, without white space.

Kernels cut every chunk where spaCy is the version that they know (3.8); under another one spaCy is asked, and its
answers are remembered in this process, at most `MEMORY_CHUNKS` of them. tests/filters/conformance/real.py finds no
word different in 20,000 documents. Tokens are slices of the text, so positions say everything; those of the latest
text are kept for the next step that sees it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import xxhash

from filters.conformance.spacy.spacy_rules import SpacyTokenizer, tokenizer
from pipeline.core.text.batch import Batch

MEMORY_CHUNKS = 1 << 20  # about 150 bytes each
MAX_REMEMBERED = 256  # bytes of a chunk
ASKED_AT_ONCE = 1 << 16  # characters


@dataclass(frozen=True, slots=True)
class SpacyWords:
    """Every word of a batch; those of document d are doc_offsets[d] to doc_offsets[d + 1]."""

    doc_offsets: np.ndarray  # int64[num_docs + 1]
    starts: np.ndarray  # int32[num_words], bytes from the batch's first
    ends: np.ndarray  # int32[num_words]
    num_chars: np.ndarray  # int32[num_words]
    hashes: np.ndarray  # uint64[num_words]: see token_kernels
    powers: np.ndarray  # uint64[num_words]
    flags: np.ndarray  # uint8[num_words]: bits of token_kernels


@dataclass(slots=True)
class Memory:
    """Answers of spaCy by the bytes that were asked: (starts, ends) of the tokens as int32 bytes."""

    answers: dict[bytes, bytes] = field(default_factory=dict)
    num_chunks: int = 0  # settled by kernels, since the process began
    num_remembered: int = 0
    num_asked: int = 0

    def find(self, questions: list[bytes], *, spacy: SpacyTokenizer) -> list[bytes]:
        """Return the answer to each question, asking spaCy for those that are new."""
        known = self.answers
        found = [known.get(question) for question in questions]
        there = [answer for answer in found if answer is not None]
        if len(there) == len(questions):
            self.num_remembered += len(questions)
            return there
        fresh = dict.fromkeys(question for question, answer in zip(questions, found, strict=True) if answer is None)
        self.num_asked += len(fresh)
        self.num_remembered += len(questions) - len(fresh)
        asked = dict(zip(fresh, ask(list(fresh), spacy=spacy), strict=True))
        answers = [
            asked[question] if answer is None else answer for question, answer in zip(questions, found, strict=True)
        ]
        if len(known) + len(asked) > MEMORY_CHUNKS:
            known.clear()
        known.update((question, answer) for question, answer in asked.items() if len(question) <= MAX_REMEMBERED)
        return answers


MEMORY = Memory()


def ask(questions: list[bytes], *, spacy: SpacyTokenizer) -> list[bytes]:
    """Return spaCy's tokens of each question, asked many at a time; a line end between two keeps them apart."""
    answers: list[bytes] = []
    first = 0
    while first < len(questions):
        size, end = 0, first
        while end < len(questions) and (end == first or size < ASKED_AT_ONCE):
            size += len(questions[end]) + 1
            end += 1
        answers.extend(_ask(questions[first:end], spacy=spacy))
        first = end
    return answers


def _ask(questions: list[bytes], *, spacy: SpacyTokenizer) -> list[bytes]:
    text = b"\n".join(questions).decode()
    spans = np.array(spacy.ask(text), np.int64).reshape(-1, 2)
    if not text.isascii():
        widths = np.array([len(char.encode()) for char in text], np.int64)
        spans = np.concatenate([[0], np.cumsum(widths)])[spans]
    sizes = np.array([len(question) + 1 for question in questions], np.int64)
    bases = np.concatenate([[0], np.cumsum(sizes)])
    bounds = np.searchsorted(spans[:, 0], bases)
    spans = spans.astype(np.int32)
    return [
        np.ascontiguousarray((spans[bounds[index] : bounds[index + 1]] - np.int32(bases[index])).T).tobytes()
        for index in range(len(questions))
    ]


@dataclass(slots=True)
class Latest:
    """The words found last and a digest of the text that they belong to: steps share a batch, or one equal to it."""

    digest: bytes = b""
    words: SpacyWords | None = None


LATEST = Latest()


def spacy_words(batch: Batch) -> SpacyWords:
    """Return the words of a batch, found at the first call."""
    return words_of(batch.data, batch.offsets)


def words_of(data: np.ndarray, offsets: np.ndarray) -> SpacyWords:
    """Return the words of the documents data[offsets[d]:offsets[d + 1]], UTF-8; those found last are kept."""
    data = np.ascontiguousarray(data[: int(offsets[-1])])
    digest = xxhash.xxh3_128_digest(data.data) + xxhash.xxh3_128_digest(np.ascontiguousarray(offsets).data)
    if LATEST.words is None or LATEST.digest != digest:
        LATEST.words, LATEST.digest = _words(data, offsets), digest
    return LATEST.words


def _words(data: np.ndarray, offsets: np.ndarray) -> SpacyWords:
    from filters.conformance.spacy.token_kernels import describe_tokens

    spacy = tokenizer()
    starts, ends, doc_offsets = _tokens(data, offsets, spacy=spacy)
    num_chars = np.empty(len(starts), np.int32)
    hashes, powers = np.empty(len(starts), np.uint64), np.empty(len(starts), np.uint64)
    flags = describe_tokens(data, starts, ends, spacy.rules.bits, num_chars, hashes, powers)
    return SpacyWords(doc_offsets, starts, ends, num_chars, hashes, powers, flags)


def _tokens(
    data: np.ndarray, offsets: np.ndarray, *, spacy: SpacyTokenizer
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from filters.conformance.spacy.word_kernels import MAX_CHUNK, find_tokens, insert_answers

    size = len(data)
    longest = int(np.diff(offsets).max(initial=0))
    starts, ends = np.empty(size, np.int32), np.empty(size, np.int32)
    docs = np.empty(len(offsets), np.int64)
    chunks = tuple(np.empty(longest // 2 + 1, np.int64) for _ in range(3))
    room = np.empty(3 * (min(longest, MAX_CHUNK) + 1), np.int64)
    questions = np.empty(size // 2 + len(offsets), np.int64), np.empty(size // 2 + len(offsets), np.int64)
    num_tokens, num_questions = find_tokens(
        data, offsets, spacy.rules.tables, spacy.known, (starts, ends, docs), chunks, questions, room
    )
    MEMORY.num_chunks += num_tokens - num_questions
    if not num_questions:
        return starts[:num_tokens], ends[:num_tokens], docs
    asked_starts, asked_ends = (array[:num_questions] for array in questions)
    view = data.data  # the buffer, not a copy
    spans = zip(asked_starts.tolist(), asked_ends.tolist(), strict=True)
    answers = MEMORY.find([bytes(view[start:end]) for start, end in spans], spacy=spacy)
    counts = np.fromiter(map(len, answers), np.int64, num_questions) >> 3
    answer_offsets = np.concatenate([[0], np.cumsum(counts)])
    flat = np.frombuffer(b"".join(answers), np.int32)
    is_start = (
        np.repeat(answer_offsets[:-1] * 2, counts)
        + np.arange(answer_offsets[-1])
        - np.repeat(answer_offsets[:-1], counts)
    )
    found = answer_offsets, flat[is_start], flat[is_start + np.repeat(counts, counts)]
    total = num_tokens - num_questions + int(answer_offsets[-1])
    out = np.empty(total, np.int32), np.empty(total, np.int32), np.empty(len(offsets), np.int64)
    insert_answers((starts[:num_tokens], ends[:num_tokens], docs), asked_starts, found, out)
    return out
