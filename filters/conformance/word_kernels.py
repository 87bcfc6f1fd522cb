"""Text bytes -> spaCy's tokens where `chunk_kernels` can cut, and the places where spaCy must be asked.

A chunk is a run without white space. spaCy cuts chunks one by one, but then joins token sequences that spell a special
case, and a sequence may reach over a single space: it joins nothing there, yet keeps its tokens from being joined
inside a chunk. So a chunk that is asked for, or that a join changed, takes the neighbours along that a sequence could
reach (`links`, pairs of characters around the space); the whole run is then one question.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from filters.conformance.chunk_kernels import ASK, MAX_CHUNK, find_key, special_row, split_chunk
from filters.conformance.spacy_rules import ALPHA, HARD, HARD_AFTER_DIGIT, LONE, SPACE
from filters.conformance.url_kernels import is_alnum
from pipeline.core.segment import character_start, decode

LINK_SHIFT, LONE_LINK = np.uint64(21), np.uint64(LONE)


@njit(cache=True, nogil=True, forceinline=True)
def read_chunk(data: Any, at: Any, end: Any, bits: Any, codes: Any) -> Any:
    """Fill `codes` from data[at:end] up to white space; return (end of the chunk, characters or ASK, plain letters).

    ASK for a chunk that is too long or holds characters that the kernels have no rules for.
    """
    length = 0
    seen = 0
    plain = True
    digits = False
    while at < end:
        code = np.int64(data[at])
        size = 1
        if code >= 0x80:
            code, size = decode(data, at)
        kind = bits[code]
        if kind & SPACE:
            break
        if length < MAX_CHUNK:
            codes[length] = code
        length += 1
        at += size
        seen |= kind
        plain &= (kind & ALPHA) != 0 and code < 0x80
        digits |= 0x30 <= code <= 0x39
    unknown = length > MAX_CHUNK or seen & HARD or (digits and seen & HARD_AFTER_DIGIT)
    return at, ASK if unknown else length, plain


@njit(cache=True, nogil=True, forceinline=True)
def linked(data: Any, left_start: Any, left_end: Any, right: Any, end: Any, links: Any) -> Any:
    """Say whether a join may reach from the chunk data[left_start:left_end] over one space to the one at `right`.

    `end` is the document's.
    """
    if right - left_end != 1 or data[left_end] != 0x20:
        return False
    last, _ = decode(data, character_start(data, left_end, left_start))
    first, size = decode(data, right)
    key = np.uint64(last) << LINK_SHIFT | np.uint64(first)
    if find_key(links, key) >= 0:
        return True
    lone = right + size >= end or not is_alnum(data[right + size])
    return lone and find_key(links, key | LONE_LINK) >= 0


@njit(cache=True, nogil=True)
def find_tokens(data: Any, offsets: Any, tables: Any, known: Any, tokens: Any, chunks: Any, questions: Any) -> Any:
    """Fill the arrays and return (tokens, questions).

    `tokens` = (starts, ends) in bytes of `data`; a question stands among them as one token of start -1 - its number.
    `chunks` = (starts, ends, first token) is scratch of one document. `questions` = (starts, ends). All are as long as
    the bytes can need. The last token of document d ends before doc_tokens[d + 1].
    """
    starts, ends, doc_tokens = tokens
    chunk_starts, chunk_ends, chunk_tokens = chunks
    question_starts, question_ends = questions
    bits, links = tables[0], tables[6]
    codes = np.empty(MAX_CHUNK, np.int64)
    cuts, scratch = np.empty(MAX_CHUNK + 1, np.int64), np.empty(MAX_CHUNK + 1, np.int64)
    token = question = 0
    for doc in range(len(offsets) - 1):
        doc_tokens[doc] = token
        at, end = offsets[doc], offsets[doc + 1]
        chunk = 0
        asked = False  # the question of the chunk before is still open
        while at < end:
            byte = data[at]
            if byte <= 0x20 or byte >= 0x80:
                code, size = decode(data, at)
                if bits[code] & SPACE:
                    at += size
                    continue
            past, length, plain = read_chunk(data, at, end, bits, codes)
            chunk_starts[chunk], chunk_ends[chunk], chunk_tokens[chunk] = at, past, token
            joined = False
            near = chunk > 0 and asked and linked(data, chunk_starts[chunk - 1], chunk_ends[chunk - 1], at, end, links)
            if near:
                question_ends[question - 1] = past
                ends[token - 1] = past
            elif length != ASK and plain and known and special_row(codes, 0, length, tables) < 0:
                starts[token], ends[token] = at, past
                token += 1
                asked = False
            else:
                count = ASK
                if length != ASK and known:
                    count, joined = split_chunk(codes, length, tables, cuts, scratch)
                if count != ASK:
                    token = store_tokens(codes, cuts, count, at, starts, ends, token)
                asked = count == ASK
                if asked or joined:
                    first = chunk
                    while first > 0 and linked(
                        data, chunk_starts[first - 1], chunk_ends[first - 1], chunk_starts[first], end, links
                    ):
                        first -= 1
                    if joined and first == chunk:  # asked only if what follows may reach in
                        asked = past + 1 < end and linked(data, at, past, past + 1, end, links)
                    else:
                        asked = True
                    if asked:
                        token = chunk_tokens[first]
                        question_starts[question], question_ends[question] = chunk_starts[first], past
                        question += 1
                        starts[token], ends[token] = -question, past
                        token += 1
            chunk += 1
            at = past
    doc_tokens[len(offsets) - 1] = token
    return token, question


@njit(cache=True, nogil=True, forceinline=True)
def store_tokens(codes: Any, cuts: Any, count: Any, at: Any, starts: Any, ends: Any, token: Any) -> Any:
    """Store the tokens of a chunk that begins at byte `at`, cut in characters; return the next free token."""
    place = 0
    for index in range(count):
        starts[token] = at
        while place < cuts[index]:
            code = codes[place]
            at += 1 + (code >= 0x80) + (code >= 0x800) + (code >= 0x10000)
            place += 1
        ends[token] = at
        token += 1
    return token


@njit(cache=True, nogil=True)
def insert_answers(tokens: Any, questions: Any, answers: Any, out: Any) -> None:
    """Copy tokens to `out` with the answers in place of the questions.

    `answers` = (offsets, starts, ends): those of question q are offsets[q] to offsets[q + 1], from its first byte on.
    """
    starts, ends, doc_tokens = tokens
    answer_offsets, answer_starts, answer_ends = answers
    out_starts, out_ends, out_docs = out
    cursor = 0
    for doc in range(len(doc_tokens) - 1):
        out_docs[doc] = cursor
        for token in range(doc_tokens[doc], doc_tokens[doc + 1]):
            if starts[token] >= 0:
                out_starts[cursor], out_ends[cursor] = starts[token], ends[token]
                cursor += 1
                continue
            question = -1 - starts[token]
            base = questions[question]
            for answer in range(answer_offsets[question], answer_offsets[question + 1]):
                out_starts[cursor] = base + answer_starts[answer]
                out_ends[cursor] = base + answer_ends[answer]
                cursor += 1
    out_docs[len(doc_tokens) - 1] = cursor
