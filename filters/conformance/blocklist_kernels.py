"""Addresses -> where host and registered domain stand as tldextract 5 cuts them, and which listed words they hold.

Everything works on bytes: what is not ASCII is no letter here, as in datatrove's `[^a-zA-Z0-9]+`. Hosts that are not
plain (other letters, `xn--`, an IPv6 address, a suffix under a wildcard) are marked, and tldextract is asked.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from filters.lists.list_kernels import MULTIPLIER, is_blank
from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import fold_product

IS_END, HAS_WILDCARD = 1, 2  # of a node of the suffix list: a suffix ends here; any label may follow
ASK = -1  # as the start of a domain
FNV_START, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
LOWER_BIT = 0x20
COLON, DOT, SLASH, QUESTION, NUMBER_SIGN, AT, BRACKET, DASH, PLUS = 0x3A, 0x2E, 0x2F, 0x3F, 0x23, 0x40, 0x5B, 0x2D, 0x2B
TABLE_BITS = 15  # of the table of suffixes, which has 10,000 nodes
TABLE_SHIFT, TABLE_MASK, NO_KEY = np.uint64(64 - TABLE_BITS), (1 << TABLE_BITS) - 1, np.uint64(0)
NUM_SYMBOLS = np.uint64(37)  # of a table of moves: none, 10 digits, 26 letters
NUM_LETTERS = np.uint64(26)
FIRST_UPPER = np.uint64(37)  # symbols from here on are upper-case letters, 26 above their lower-case ones
NOWHERE = np.uint64(37)  # the second node: no word goes on from here
ONE = np.uint64(1)


def symbol_table() -> np.ndarray:
    """Return uint8[256]: 0 for what parts words, 1 to 10 for digits, 11 to 36 for a to z, 37 to 62 for A to Z."""
    symbols = np.zeros(256, np.uint8)
    symbols[0x30:0x3A], symbols[0x61:0x7B], symbols[0x41:0x5B] = np.arange(1, 11), np.arange(11, 37), np.arange(37, 63)
    return symbols


@njit(cache=True, nogil=True, forceinline=True)
def lower(byte: Any) -> Any:
    """Return an ASCII character in lower case."""
    return byte | LOWER_BIT if 0x41 <= byte <= 0x5A else byte


@njit(cache=True, nogil=True, forceinline=True)
def spread(state: Any) -> Any:
    """Return a hash whose high bits are as good as its low ones."""
    return fold_product(state, MULTIPLIER)


@njit(cache=True, nogil=True)
def hash_reversed(data: Any, offsets: Any) -> Any:
    """Return uint64[num_strings]: hashes that `find_hosts` meets as it reads a host from its end."""
    hashes = np.empty(len(offsets) - 1, np.uint64)
    for row in range(len(hashes)):
        state = FNV_START
        for at in range(offsets[row + 1] - 1, offsets[row] - 1, -1):
            state = (state ^ np.uint64(data[at])) * FNV_PRIME
        hashes[row] = spread(state)
    return hashes


@njit(cache=True, nogil=True)
def skip_scheme(data: Any, start: Any, end: Any) -> Any:
    """Return where the authority begins: behind the first `//`, where a scheme or nothing is before it."""
    at = start
    while at + 1 < end and not (data[at] == SLASH and data[at + 1] == SLASH):
        at += 1
    if at + 1 >= end:
        return start
    if at == start:
        return start + 2
    if at < start + 2 or data[at - 1] != COLON:
        return start
    for place in range(start, at - 1):
        byte = data[place]
        plain = 0x61 <= lower(byte) <= 0x7A or 0x30 <= byte <= 0x39 or byte in (PLUS, DASH, DOT)
        if not plain:
            return start
    return at + 2


@njit(cache=True, nogil=True)
def find_host(data: Any, start: Any, end: Any) -> Any:
    """Return (where the authority ends, where the host begins and ends); the host from ASK where it is not plain."""
    host, port, plain = start, ASK, True
    at = start
    while at < end:
        byte = data[at]
        if 0x40 < byte < 0x80:
            at += 1
            continue
        if byte in (SLASH, QUESTION, NUMBER_SIGN):
            break
        plain &= byte < 0x80
        if byte == AT:
            host, port = at + 1, ASK
        elif byte == COLON and port == ASK:
            port = at
        at += 1
    if not plain or (host < at and data[host] == BRACKET):
        return at, ASK, ASK
    stop = at if port == ASK else port
    while host < stop and is_blank(data[host]):
        host += 1
    while stop > host and is_blank(data[stop - 1]):
        stop -= 1
    while stop > host and data[stop - 1] == DOT:
        stop -= 1
    return at, host, stop


@njit(cache=True, nogil=True)
def node_table(hashes: Any, kinds: Any) -> Any:
    """Return (uint64, uint8)[2 ** TABLE_BITS]: hashes at or behind the place that their high bits name; 0 is free."""
    keys, values = np.zeros(1 << TABLE_BITS, np.uint64), np.zeros(1 << TABLE_BITS, np.uint8)
    for row in range(len(hashes)):
        slot = np.int64(hashes[row] >> TABLE_SHIFT)
        while keys[slot] != NO_KEY:
            slot = (slot + 1) & TABLE_MASK
        keys[slot], values[slot] = hashes[row], kinds[row]
    return keys, values


@njit(cache=True, nogil=True)
def find_suffix(data: Any, start: Any, end: Any, keys: Any, kinds: Any) -> Any:
    """Return where the public suffix of a host begins, `end` without one, ASK where tldextract must say."""
    suffix, state, kind = end, FNV_START, 0
    stop = end  # the label being read ends here
    for at in range(end - 1, start - 2, -1):
        if at >= start and data[at] != DOT:
            state = (state ^ np.uint64(lower(data[at]))) * FNV_PRIME
            continue
        first = at + 1
        if stop - first >= 4 and data[first + 2] == DASH and data[first + 3] == DASH and lower(data[first]) == 0x78:
            return ASK  # xn--
        hashed = spread(state)
        slot = np.int64(hashed >> TABLE_SHIFT)
        while keys[slot] != hashed and keys[slot] != NO_KEY:
            slot = (slot + 1) & TABLE_MASK
        if keys[slot] != hashed:
            return ASK if kind & HAS_WILDCARD else suffix
        kind = kinds[slot]
        if kind & IS_END:
            suffix = first
        state = (state ^ np.uint64(DOT)) * FNV_PRIME
        stop = at
    return suffix


@njit(cache=True, nogil=True)
def find_hosts(data: Any, offsets: Any, keys: Any, kinds: Any) -> Any:
    """Return int64[5, num_urls]: authority from, to; registered domain from; whole host from; to of both.

    A domain from ASK is tldextract's to say; without one, from and to are equal.
    """
    found = np.zeros((5, len(offsets) - 1), np.int64)
    for row in range(len(offsets) - 1):
        authority = skip_scheme(data, offsets[row], offsets[row + 1])
        after, start, end = find_host(data, authority, np.int64(offsets[row + 1]))
        found[0, row], found[1, row] = authority, after
        suffix = ASK if start == ASK else find_suffix(data, start, end, keys, kinds)
        if suffix == ASK:
            found[2, row] = ASK
            continue
        domain = suffix - 1  # the dot before the suffix
        while domain > start and data[domain - 1] != DOT:
            domain -= 1
        found[2:, row] = end
        if start < suffix < end and domain < suffix - 1:
            found[2, row] = domain
            found[3, row] = domain if domain == start + 1 else start  # what is before a first dot is nothing
    return found


@njit(cache=True, nogil=True)
def find_words(data: Any, offsets: Any, symbols: Any, words: Any, subwords: Any) -> Any:
    """Return int32[4, num_urls]: different banned words, different soft words, the first banned word, a subword.

    `words` are (moves, banned, soft) and `subwords` (moves, ends). Moves are uint32[nodes * NUM_SYMBOLS]: at node +
    symbol the next node, each named by the place of its row; the others by node, divided by NUM_SYMBOLS, the number of
    the word that ends there, or -1. A word stands between characters without a symbol; a subword anywhere in what is
    left without them, in lower case.
    """
    moves, banned, soft = words
    jumps, ends = subwords
    found = np.zeros((4, len(offsets) - 1), np.int32)
    found[2:] = -1
    met = np.full(len(banned), -1, np.int64)  # the last address that held the word of this node
    for row in range(len(offsets) - 1):
        start, end = np.uint64(offsets[row]), np.uint64(offsets[row + 1])
        place = state = np.uint64(0)
        subword = np.int32(-1)
        for at in range(start, end + ONE):
            symbol = np.uint64(symbols[data[at]]) if at < end else np.uint64(0)
            if symbol:
                if symbol >= FIRST_UPPER:
                    symbol -= NUM_LETTERS
                    place = np.uint64(NOWHERE)  # the lists are in lower case, and upper case is no match there
                place = np.uint64(moves[place + symbol])
                if subword < 0:
                    state = np.uint64(jumps[state + symbol])
                    subword = ends[state // NUM_SYMBOLS]
                continue
            if place != NOWHERE and (place or at in (start, end)):  # '' stands at the ends only
                node = place // NUM_SYMBOLS
                if met[node] != row:
                    met[node] = row
                    found[0, row] += banned[node] >= 0
                    found[1, row] += soft[node] >= 0
                    if found[2, row] < 0:
                        found[2, row] = banned[node]
            place = np.uint64(0)
        found[3, row] = subword
    return found
