"""Text bytes -> spaCy's tokens where `chunk_kernels` can cut, and the places where spaCy must be asked.

A chunk is a run without white space. spaCy cuts chunks one by one, but then joins token sequences that spell a special
case, and a sequence may reach over a single space: it joins nothing there, yet keeps its tokens from being joined
inside a chunk. So a chunk that is asked for, or that a join changed, takes the neighbours along that a sequence could
reach (`links`, pairs of characters around the space); the whole run is then cut as one, or is one question. Only what
is longer than MAX_CHUNK is asked for, and everything where spaCy is not the version that the kernels know.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from filters.conformance.spacy.affix_kernels import find_key, put, special_row
from filters.conformance.spacy.chunk_kernels import BLANK, behind_blank, join_tokens, split_chunk
from filters.conformance.spacy.spacy_rules import ALPHA, LINKS_AT, LONE, SPACE
from filters.conformance.spacy.url_kernels import code_at, is_alnum, kind_of
from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import address_of, load_byte

ASK = -1
MAX_CHUNK = 1 << 27  # characters; a longer chunk is spaCy's to cut
LINK_SHIFT, LONE_LINK = np.uint64(21), np.uint64(LONE)


@njit(cache=True, nogil=True)
def decode_at(at: Any) -> Any:
    """Return the code point that begins at this address of valid UTF-8."""
    first = load_byte(at)
    if first < 0x80:
        return first
    second = load_byte(at + 1) & 0x3F
    if first < 0xE0:
        return (first & 0x1F) << 6 | second
    third = load_byte(at + 2) & 0x3F
    if first < 0xF0:
        return (first & 0x0F) << 12 | second << 6 | third
    return (first & 0x07) << 18 | second << 12 | third << 6 | (load_byte(at + 3) & 0x3F)


@njit(cache=True, nogil=True)
def width(code: Any) -> Any:
    """Return the number of bytes of a code point in UTF-8."""
    return 1 + (code >= 0x80) + (code >= 0x800) + (code >= 0x10000)


@njit(cache=True, nogil=True)
def read_chunk(at: Any, end: Any, tables: Any, codes: Any, first: Any) -> Any:
    """Fill `codes` from `first` on with the bytes up to white space; return (chunk's end, codes' end, plain letters).

    Instead of the codes' end comes ASK if there would be more than MAX_CHUNK.
    """
    length = first
    plain = True
    while at < end:
        code = decode_at(at)
        kind = kind_of(code, tables)
        if kind & SPACE:
            break
        if length < MAX_CHUNK:
            put(codes, length, code)
        length += 1
        at += width(code)
        plain &= (kind & ALPHA) != 0 and code < 0x80
    return at, ASK if length > MAX_CHUNK else length, plain


@njit(cache=True, nogil=True)
def linked(left_end: Any, right: Any, end: Any, tables: Any) -> Any:
    """Say whether a join may reach from the chunk that ends at `left_end` over one space to the one at `right`.

    All three are addresses, `end` that of the document's end.
    """
    if right - left_end != 1 or load_byte(left_end) != 0x20:
        return False
    last = left_end - 1
    while load_byte(last) & 0xC0 == 0x80:
        last -= 1
    first = decode_at(right)
    key = np.uint64(decode_at(last)) << LINK_SHIFT | np.uint64(first)
    if find_key(tables + LINKS_AT, key) >= 0:
        return True
    past = right + width(first)
    lone = past >= end or not is_alnum(load_byte(past))
    return lone and find_key(tables + LINKS_AT, key | LONE_LINK) >= 0


@njit(cache=True, nogil=True)
def cut_run(at: Any, end: Any, tables: Any, codes: Any, cuts: Any, scratch: Any) -> Any:
    """Cut the chunk at this address with all that are linked to it on the right; return (the run's end, tokens or ASK).

    Ends of tokens go to `cuts`; between two chunks stands a BLANK.
    """
    count = first = 0
    while True:
        past, length, _ = read_chunk(at, end, tables, codes, first)
        if length == ASK:
            return past, ASK
        count = split_chunk(codes, first, length, tables, cuts, count, scratch)
        if length + 1 >= MAX_CHUNK or past + 1 >= end or not linked(past, past + 1, end, tables):
            return past, join_tokens(codes, cuts, count, tables, scratch)[0]
        put(codes, length, BLANK)
        at, first = past + 1, length + 1


@njit(cache=True, nogil=True)
def find_tokens(
    data: Any, offsets: Any, tables: Any, known: Any, tokens: Any, chunks: Any, questions: Any, room: Any
) -> Any:
    """Fill the arrays and return (tokens, questions).

    `tokens` = (starts, ends) in bytes of `data`; a question stands among them as one token of start -1 - its number.
    `chunks` = (starts, ends, first token) is scratch of one document. `questions` = (starts, ends). All are as long as
    the bytes can need. The last token of document d ends before doc_tokens[d + 1]. `room` is int64 scratch, three
    numbers for each byte of the longest document (up to MAX_CHUNK) and three more; the caller owns it, since what is
    used by its address alone would be freed here before its last use.
    """
    starts, ends, doc_tokens = tokens
    chunk_starts, chunk_ends, chunk_tokens = chunks
    question_starts, question_ends = questions
    codes, cuts = address_of(room), address_of(room) + 8 * (len(room) // 3)
    scratch = cuts + 8 * (len(room) // 3)
    base, rules = address_of(data), address_of(tables)
    token = question = 0
    for doc in range(len(offsets) - 1):
        doc_tokens[doc] = token
        at, end = base + offsets[doc], base + offsets[doc + 1]
        chunk = 0
        asked = False  # the question of the chunk before is still open
        while at < end:
            code = decode_at(at)
            if kind_of(code, rules) & SPACE:
                at += width(code)
                continue
            past, length, plain = read_chunk(at, end, rules, codes, 0)
            chunk_starts[chunk], chunk_ends[chunk], chunk_tokens[chunk] = at, past, token
            if asked and chunk > 0 and linked(chunk_ends[chunk - 1], at, end, rules):
                question_ends[question - 1] = past - base
                ends[token - 1] = past - base
            elif length != ASK and plain and known and special_row(codes, 0, length, rules) < 0:
                starts[token], ends[token] = at - base, past - base
                token += 1
                asked = False
            else:
                count, joined = ASK, False
                if length != ASK and known:
                    count = split_chunk(codes, 0, length, rules, cuts, 0, scratch)
                    count, joined = join_tokens(codes, cuts, count, rules, scratch) if count > 1 else (count, False)
                if joined or count == ASK:
                    reaches = joined and past + 1 < end and linked(past, past + 1, end, rules)
                    first = chunk
                    while first > 0 and linked(chunk_ends[first - 1], chunk_starts[first], end, rules):
                        first -= 1
                    reaches |= first < chunk
                    # a join made here is in doubt only if another may reach in, from the left or from the right
                    if reaches:
                        chunk = first
                        at, token = chunk_starts[chunk], chunk_tokens[chunk]
                        if joined:
                            past, count = cut_run(at, end, rules, codes, cuts, scratch)
                        chunk_ends[chunk] = past
                place, cursor = 0, at
                for index in range(count):
                    blank = behind_blank(codes, place) - place
                    place, cursor = place + blank, cursor + blank
                    starts[token] = cursor - base
                    while place < code_at(cuts, index):
                        cursor += width(code_at(codes, place))
                        place += 1
                    ends[token] = cursor - base
                    token += 1
                asked = count == ASK
                if asked:
                    question_starts[question], question_ends[question] = at - base, past - base
                    question += 1
                    starts[token], ends[token] = -question, past - base
                    token += 1
            chunk += 1
            at = past
    doc_tokens[len(offsets) - 1] = token
    return token, question


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
