"""A batch of documents -> where personal data and secrets stand, how many of each kind, and the text without them.

One pass over the bytes stops only where two neighbouring bytes can anchor a match. The first match from the left
counts, and the search goes on behind it, so matches never overlap.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from filters.privacy.pii_keys import PREFIXES, prefixed, private_key, web_token
from filters.privacy.pii_shapes import AT, COLON, DOT, HYPHEN, PLUS, email, iban, ipv4, ipv6, phone
from filters.words.byte_classes import ALNUM, CLASS, DIGIT, LOCAL, UPPER
from pipeline.core.process.kernels import njit

EMAIL, IPV4, IPV6, PHONE, IBAN, KEY = range(6)
NUM_KINDS = 6
B, J = 0x42, 0x4A  # of -----BEGIN, of eyJ


def _anchors() -> np.ndarray:
    """Return the kinds, as bits, that the lower byte of an index can anchor behind the upper byte."""
    table = np.zeros(1 << 16, np.uint8)
    for before in range(256):
        inside = bool(CLASS[before] & ALNUM)
        table[before << 8 | AT] = (1 << EMAIL) * bool(CLASS[before] & LOCAL)
        table[before << 8 | PLUS] = (1 << PHONE) * (not inside)
        for digit in range(0x30, 0x3A):
            table[before << 8 | digit] = (1 << IPV4 | 1 << IPV6) * (not inside) | (1 << IBAN) * bool(
                CLASS[before] & UPPER
            )
    for prefix, offset, *_ in PREFIXES:
        table[prefix[offset - 1] << 8 | prefix[offset]] |= 1 << KEY
    table[ord("y") << 8 | J] |= 1 << KEY
    table[HYPHEN << 8 | B] |= 1 << KEY
    return table


ANCHORS = _anchors()
MAY_ANCHOR = np.bitwise_or.reduce(ANCHORS.reshape(256, 256), axis=0)


@njit(inline="always")
def opens_address(data: Any, at: Any, end: Any) -> Any:
    """Say whether the digit at `at` can begin an IP address: `1.`, `12.`, `123.` or `2a00:` stand there."""
    opens = at + 4 < end and data[at + 4] == COLON
    for size in range(1, 4):
        opens |= at + size < end and data[at + size] == DOT
    return opens


@njit(cache=True, nogil=True)
def next_anchor(data: Any, at: Any, floor: Any, end: Any, wanted: Any) -> Any:
    """Return (position, kinds) of the next anchor from `at` on; (end, 0) without one."""
    addresses = np.uint8(1 << IPV4 | 1 << IPV6)
    while at < end:
        if MAY_ANCHOR[data[at]]:
            before = np.int64(data[at - 1]) if at > floor else np.int64(0)
            kinds = ANCHORS[before << 8 | np.int64(data[at])] & np.uint8(wanted)
            if kinds & addresses and not opens_address(data, at, end):
                kinds &= ~addresses
            if kinds:
                return at, kinds
        at += 1
    return end, np.uint8(0)


@njit(cache=True, nogil=True)
def match_at(data: Any, at: Any, floor: Any, end: Any, wanted: Any) -> Any:
    """Return (kind, start, end) of what the anchor at `at` belongs to; kind -1 for nothing."""
    byte = data[at]
    if byte == AT and wanted & 1 << EMAIL:
        start, past = email(data, at, floor, end)
        if past > 0:
            return EMAIL, start, past
    if byte == PLUS and wanted & 1 << PHONE:
        start, past = phone(data, at, floor, end)
        if past > 0:
            return PHONE, start, past
    if CLASS[byte] & DIGIT:
        if wanted & 1 << IPV4:
            start, past = ipv4(data, at, floor, end)
            if past > 0:
                return IPV4, start, past
        if wanted & 1 << IBAN:
            start, past = iban(data, at, floor, end)
            if past > 0:
                return IBAN, start, past
        if wanted & 1 << IPV6 and 0x32 <= byte <= 0x33:
            start, past = ipv6(data, at, floor, end)
            if past > 0:
                return IPV6, start, past
    elif wanted & 1 << KEY:
        start, past = prefixed(data, at, floor, end)
        if past > 0:
            return KEY, start, past
        if byte == J:
            start, past = web_token(data, at, floor, end)
            if past > 0:
                return KEY, start, past
    return -1, 0, 0


@njit(cache=True, nogil=True)
def find_spans(data: Any, offsets: Any, wanted: Any) -> Any:
    """Return (spans int64[num_spans, 3]: kind, start, end in `data`; doc_spans int64[num_docs + 1])."""
    num_docs = len(offsets) - 1
    doc_spans = np.zeros(num_docs + 1, np.int64)
    spans = np.empty((64, 3), np.int64)
    size = 0
    for doc in range(num_docs):
        floor, end = offsets[doc], offsets[doc + 1]
        open_keys = wanted & 1 << KEY != 0  # until a private key has no end: then none after it has one
        at = floor
        while at < end:
            at, kinds = next_anchor(data, at, floor, end, wanted)
            if at == end:
                break
            kind, start, past = match_at(data, at, floor, end, kinds)
            if kind < 0 and open_keys and data[at] == B:
                start, past = private_key(data, at, floor, end)
                open_keys = past >= 0
                kind = KEY if past > 0 else -1
            if kind < 0:
                at += 1
                continue
            if size == len(spans):
                grown = np.empty((2 * size, 3), np.int64)
                grown[:size] = spans
                spans = grown
            spans[size, 0], spans[size, 1], spans[size, 2] = kind, start, past
            size += 1
            floor = at = past
        doc_spans[doc + 1] = size
    return spans[:size], doc_spans


@njit(cache=True, nogil=True)
def count_kinds(spans: Any, doc_spans: Any) -> Any:
    """Return int64[NUM_KINDS, num_docs]."""
    counts = np.zeros((NUM_KINDS, len(doc_spans) - 1), np.int64)
    for doc in range(len(doc_spans) - 1):
        for span in range(doc_spans[doc], doc_spans[doc + 1]):
            counts[spans[span, 0], doc] += 1
    return counts


@njit(cache=True, nogil=True)
def replace_spans(
    data: Any, offsets: Any, spans: Any, doc_spans: Any, wanted: Any, fillers: Any, filler_starts: Any
) -> Any:
    """Return (bytes, offsets) of the wanted documents, each span replaced by its kind's filler; none of others.

    `wanted`: bool[num_docs], true wherever there is a span.
    """
    num_docs = len(offsets) - 1
    size = 0
    for doc in range(num_docs):
        if wanted[doc]:
            size += offsets[doc + 1] - offsets[doc]
        for span in range(doc_spans[doc], doc_spans[doc + 1]):
            kind = spans[span, 0]
            size += filler_starts[kind + 1] - filler_starts[kind] - spans[span, 2] + spans[span, 1]
    out = np.empty(size, np.uint8)
    out_offsets = np.zeros(num_docs + 1, np.int64)
    cursor = 0
    for doc in range(num_docs):
        at = offsets[doc]
        for span in range(doc_spans[doc], doc_spans[doc + 1]):
            kind, start, past = spans[span, 0], spans[span, 1], spans[span, 2]
            out[cursor : cursor + start - at] = data[at:start]
            cursor += start - at
            filler = fillers[filler_starts[kind] : filler_starts[kind + 1]]
            out[cursor : cursor + len(filler)] = filler
            cursor += len(filler)
            at = past
        if wanted[doc]:
            out[cursor : cursor + offsets[doc + 1] - at] = data[at : offsets[doc + 1]]
            cursor += offsets[doc + 1] - at
        out_offsets[doc + 1] = cursor
    return out, out_offsets
