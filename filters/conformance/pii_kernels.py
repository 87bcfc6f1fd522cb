"""Text -> where datatrove's two expressions for e-mail and IPv4 addresses match, without running them.

Both have one anchor each, the `@` and the first full stop, found 64 bytes at a time. Behind an anchor the expressions
leave no choice; in front of it the leftmost beginning counts. `re` tries every beginning, which takes quadratic time
in text such as `!a!a!a`; here it is linear.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import ONE_BIT, address_of, range_mask, zeros_below
from pipeline.core.text.characters import ALNUM
from pipeline.core.text.segment import character_start, decode

EMAIL, ADDRESS = 1, 2  # as bits of what is wanted
DIGIT, LETTER, HYPHEN, LOCAL = 1, 2, 4, 8  # classes of bytes; LOCAL: in the local part, beside full stops
AT, DOT, COLON, OPEN, CLOSE, UNDERSCORE, TWO, FIVE = b"@.:[]_25"


def _classes() -> np.ndarray:
    table = np.zeros(256, np.uint8)
    table[list(b"0123456789")] |= DIGIT
    table[[code for code in range(128) if chr(code).isalpha()]] |= LETTER
    table[ord("-")] |= HYPHEN
    table[list(b"!#$%&'*+/=?^_`{|}~-")] |= LOCAL
    table[(table & (DIGIT | LETTER)) != 0] |= LOCAL
    return table


CLASS = _classes()


@njit(cache=True, nogil=True)
def is_octet(data: Any, at: Any, size: Any) -> Any:
    """Say whether one to three digits make a number that the expressions take whole: up to 255, zeros in front."""
    if size < 3 or data[at] < TWO:
        return True
    if data[at] > TWO or data[at + 1] > FIVE:
        return False
    return data[at + 1] < FIVE or data[at + 2] <= FIVE


@njit(cache=True, nogil=True)
def octet_size(data: Any, at: Any, end: Any, closing: Any) -> Any:
    """Return the digits of the octet that `closing` follows, 0 without one."""
    size = 0
    while size < 3 and at + size < end and CLASS[data[at + size]] & DIGIT:
        size += 1
    closed = size > 0 and at + size < end and data[at + size] == closing
    return size if closed and is_octet(data, at, size) else 0


@njit(cache=True, nogil=True)
def address_around(data: Any, dot: Any, floor: Any, end: Any) -> Any:
    """Return (start, end) of the IPv4 address whose first full stop is at `dot`, or (0, 0)."""
    size = 0  # of the first octet: as many digits as make one
    while size < 3 and dot - size > floor and CLASS[data[dot - size - 1]] & DIGIT:
        size += 1
    start = dot - size + (not is_octet(data, dot - size, size))
    at = dot + 1
    for _ in range(2):
        inner = octet_size(data, at, end, DOT)
        if inner == 0 or size == 0:
            return 0, 0
        at += inner + 1
    last = 0
    while last < 3 and at + last < end and CLASS[data[at + last]] & DIGIT:
        last += 1
    return (start, at + last - (not is_octet(data, at, last))) if last > 0 else (0, 0)


@njit(cache=True, nogil=True)
def local_start(data: Any, at: Any, floor: Any, begin: Any, table: Any) -> Any:
    r"""Return where the local part before the `@` at `at` begins, -1 without one: the leftmost place where `\b` holds.

    Not before `floor`, where the last match ended; what stands before it counts for `\b`, from `begin` on.
    """
    start = at
    while start > floor:
        if CLASS[data[start - 1]] & LOCAL:
            start -= 1
        elif data[start - 1] == DOT and start < at and start - 1 > floor and CLASS[data[start - 2]] & LOCAL:
            start -= 2
        else:
            break
    before = False
    if start > begin:
        code, _ = decode(data, character_start(data, start, begin))
        before = code == UNDERSCORE or table[code] & ALNUM != 0
    for place in range(start, at):
        word = data[place] == UNDERSCORE or CLASS[data[place]] & (DIGIT | LETTER) != 0
        if word != before and data[place] != DOT:
            return place
        before = word
    return -1


@njit(cache=True, nogil=True)
def domain_end(data: Any, at: Any, end: Any) -> Any:
    """Return where the domain or bracketed address that begins at `at` ends, 0 without one."""
    if at < end and data[at] == OPEN:
        return literal_end(data, at + 1, end)
    found = 0
    first = True
    while at < end and CLASS[data[at]] & (DIGIT | LETTER):
        past = at  # behind the last letter or digit
        while at < end and CLASS[data[at]] & (DIGIT | LETTER | HYPHEN):
            at += 1
            if not CLASS[data[at - 1]] & HYPHEN:
                past = at
        if not first:
            found = past
        first = False
        if past < at or at >= end or data[at] != DOT:
            break
        at += 1
    return found


@njit(cache=True, nogil=True)
def literal_end(data: Any, at: Any, end: Any) -> Any:
    """Return where `1.2.3.4]` or `1.2.3.tag:]` from `at` on ends, 0 without it."""
    for _ in range(3):
        size = octet_size(data, at, end, DOT)
        if size == 0:
            return 0
        at += size + 1
    size = octet_size(data, at, end, CLOSE)
    if size > 0:
        return at + size + 1
    start = at
    while at < end and CLASS[data[at]] & (DIGIT | LETTER | HYPHEN):
        at += 1
    tagged = at > start and not CLASS[data[at - 1]] & HYPHEN
    return at + 2 if tagged and at + 1 < end and data[at] == COLON and data[at + 1] == CLOSE else 0


@njit(cache=True, nogil=True)
def next_email(data: Any, floor: Any, end: Any, begin: Any, table: Any) -> Any:
    """Return (start, end) of the next e-mail address from `floor` on, or (end, end)."""
    base = address_of(data)
    for at in range(base + floor, base + end, 64):
        signs = range_mask(at, base + end, base + len(data), 0, AT, 1)
        while signs:
            sign = at - base + zeros_below(signs)
            past = domain_end(data, sign + 1, end)
            start = local_start(data, sign, floor, begin, table) if past > 0 else -1
            if start >= 0:
                return start, past
            signs &= signs - ONE_BIT
    return end, end


@njit(cache=True, nogil=True)
def next_address(data: Any, floor: Any, end: Any) -> Any:
    """Return (start, end) of the next IPv4 address from `floor` on, or (end, end)."""
    base = address_of(data)
    carry = ONE_BIT - ONE_BIT  # the last byte of the block before was a digit
    for at in range(base + floor, base + end, 64):
        dots = range_mask(at, base + end, base + len(data), 0, DOT, 1)
        digits = range_mask(at, base + end, base + len(data), 0, 0x30, 10)
        dots &= digits << ONE_BIT | carry
        carry = digits >> np.uint64(63)
        while dots:
            start, past = address_around(data, at - base + zeros_below(dots), floor, end)
            if past > 0:
                return start, past
            dots &= dots - ONE_BIT
    return end, end


@njit(cache=True, nogil=True)
def find_matches(data: Any, offsets: Any, wanted: Any, table: Any) -> Any:
    """Return (spans int64[num_spans, 3]: EMAIL or ADDRESS, start, end in `data`; doc_spans int64[num_docs + 1]).

    IPv4 addresses are looked for in what the e-mail addresses leave: what replaces those begins and ends in letters.
    """
    num_docs = len(offsets) - 1
    doc_spans = np.zeros(num_docs + 1, np.int64)
    spans = np.empty((64, 3), np.int64)
    size = 0
    for doc in range(num_docs):
        at, end = offsets[doc], offsets[doc + 1]
        while at < end:
            start, past = end, end
            if wanted & EMAIL:
                start, past = next_email(data, at, end, offsets[doc], table)
            while wanted & ADDRESS and at < start:
                first, at = next_address(data, at, start)
                if first < start:
                    spans = with_row(spans, size, ADDRESS, first, at)
                    size += 1
            if start < end:
                spans = with_row(spans, size, EMAIL, start, past)
                size += 1
            at = past
        doc_spans[doc + 1] = size
    return spans[:size], doc_spans


@njit(cache=True, nogil=True)
def with_row(rows: Any, size: Any, kind: Any, start: Any, end: Any) -> Any:
    """Return the rows with one more at `size`, in an array of twice the length where there is no room."""
    if size == len(rows):
        grown = np.empty((2 * size, 3), np.int64)
        grown[:size] = rows
        rows = grown
    rows[size, 0], rows[size, 1], rows[size, 2] = kind, start, end
    return rows


@njit(cache=True, nogil=True)
def take_turns(spans: Any, doc_spans: Any, replaced: Any, num_emails: Any, num_addresses: Any) -> Any:
    """Number the replacements of the spans that are `replaced`, anew for every document.

    Returns (spans, doc_spans, counts int64[2, num_docs]); a span's kind becomes its turn among `num_emails`
    replacements, or `num_emails` and its turn among `num_addresses`.
    """
    num_docs = len(doc_spans) - 1
    kept, doc_kept = np.empty_like(spans), np.zeros(num_docs + 1, np.int64)
    counts = np.zeros((2, num_docs), np.int64)
    size = 0
    for doc in range(num_docs):
        for span in range(doc_spans[doc], doc_spans[doc + 1]):
            if not replaced[span]:
                continue
            kept[size] = spans[span]
            if spans[span, 0] == EMAIL:
                kept[size, 0] = counts[0, doc] % num_emails
                counts[0, doc] += 1
            else:
                kept[size, 0] = num_emails + counts[1, doc] % num_addresses
                counts[1, doc] += 1
            size += 1
        doc_kept[doc + 1] = size
    return kept[:size], doc_kept, counts
